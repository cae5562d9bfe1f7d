"""What flows along an edge, and the small values that nodes are made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray


class EdgeKind(Enum):
    """What an edge carries."""

    SPIKE = "spike"
    """0 or 1."""
    GRADED = "graded"
    """A real value in the float graph, an integer message in the fixed graph."""
    CURRENT = "current"
    """Synaptic input, summed where several edges meet."""


class Decode(Enum):
    """How the host reads an output population over the steps of a sample."""

    SPIKE_COUNT = "spike_count"
    LAST_V = "last_v"
    MEAN_V = "mean_v"
    MAX_V = "max_v"
    NONE = "none"


LONGEST_DELAY: Final = 2**24
"""Steps that a value may wait."""


@final
@dataclass(frozen=True, slots=True)
class ValueType:
    """Shape of one step of one sample, and the kind of edge."""

    shape: tuple[int, ...]
    kind: EdgeKind

    def __str__(self) -> str:
        return f"{self.kind.value}[{'x'.join(map(str, self.shape))}]"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where the neurons of a population come from: the user's module and element indices.

    Attributes:
        path: Module path in the user's model.
        elements: Index of each neuron in that module, `[N]`; -1 for neurons we added.
    """

    path: str
    elements: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", frozen(self.elements, np.int64))

    @classmethod
    def whole(cls, path: str, size: int) -> "Origin":
        """Return the origin of an unpruned population of `size` neurons."""
        return cls(path, np.arange(size))

    def keep(self, kept: NDArray[Any]) -> "Origin":
        """Return the origin of the neurons selected by a mask or index."""
        return Origin(self.path, self.elements[kept])


def frozen(values: object, dtype: type[np.generic]) -> NDArray[Any]:
    """Return a read-only array of `dtype`, copied unless it is one already."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def size_of(shape: Sequence[int]) -> int:
    """Return the number of elements of a shape."""
    return math.prod(shape)
