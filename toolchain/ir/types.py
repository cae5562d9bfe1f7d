"""What flows along the edges of a graph, and the small values that nodes are made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import IRError


class EdgeKind(Enum):
    """What an edge carries."""

    SPIKE = "spike"
    """0 or 1."""
    GRADED = "graded"
    """A graded spike, or message: a real number in the float graph, an integer in the fixed graph."""
    CURRENT = "current"
    """Synaptic input; a population adds up all that it reads."""


class Decode(Enum):
    """What the host takes from an output population over the steps of a sample."""

    SPIKE_COUNT = "spike_count"
    """How often each neuron fired."""
    SPIKE_RATE = "spike_rate"
    """How often each neuron fired in a step, on average."""
    LAST_V = "last_v"
    """Its potential after the last step."""
    MEAN_V = "mean_v"
    """Its mean potential."""
    MAX_V = "max_v"
    """Its largest potential."""
    NONE = "none"
    """Nothing: the spikes are recorded, and no score is made of them."""

    @property
    def reads_potential(self) -> bool:
        """Whether the membrane potential is read, not the spikes."""
        return self in {Decode.LAST_V, Decode.MEAN_V, Decode.MAX_V}


LONGEST_DELAY: Final = 2**24
"""The most steps that a value may wait."""


@final
@dataclass(frozen=True, slots=True)
class ValueType:
    """What a node sends in one step of one sample.

    Attributes:
        shape: Shape of the values: neurons, or channels, rows and columns.
        kind: What the values are.
    """

    shape: tuple[int, ...]
    kind: EdgeKind

    def __str__(self) -> str:
        return f"{self.kind.value}[{'x'.join(map(str, self.shape))}]"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where the neurons of a population come from: the user's module and element indices.

    Attributes:
        path: Path of the module in the user's model.
        elements: Index of each neuron in that module, `[N]`; -1 for a neuron that a pass added.
    """

    path: str
    elements: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", frozen(self.elements, np.int64))

    @classmethod
    def whole(cls, path: str, size: int) -> "Origin":
        """Return the origin of a population that has all `size` neurons of its module."""
        return cls(path, np.arange(size))

    def select(self, neurons: NDArray[Any]) -> "Origin":
        """Return the origin of some of the neurons, given by a mask or by their indices."""
        return Origin(self.path, self.elements[neurons])


def frozen(values: object, dtype: type[np.generic], what: str = "an array") -> NDArray[Any]:
    """Return the values as a read-only array of `dtype`; copied, unless they are one.

    Args:
        values: Numbers.
        dtype: Type of the numbers.
        what: What they are, for errors.

    Raises:
        IRError: They are to be whole numbers, and are others or too large for the type.
    """
    given = np.asarray(values)
    with np.errstate(invalid="ignore"):
        array = np.asarray(given, dtype=dtype)
    if np.issubdtype(dtype, np.integer) and not np.can_cast(given.dtype, dtype):
        wrong = array != given
        if wrong.any():
            raise IRError(
                f"{what} holds {given[wrong][0]}, expected whole numbers of {array.itemsize * 8} bits"
            )
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def size_of(shape: Sequence[int]) -> int:
    """Return the number of elements of a shape."""
    return math.prod(shape)
