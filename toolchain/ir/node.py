"""The abstract node: a name, the names of its operands, and a rule for its type."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import VerifyError
from toolchain.ir.types import ValueType

LARGEST_REAL: Final = 1e100
"""Products of larger numbers overflow; no trained network holds any."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node(ABC):
    """One operation of a graph.

    Its fields are all that it is: a subclass is final, and its arrays are read-only. Two nodes are equal
    only if they are one object; `toolchain.ir.same_node` compares what they hold.

    Attributes:
        name: Unique within the graph.
        inputs: Names of the operands: the nodes whose values it reads. They stand earlier in the graph;
            only a `Delay` may read a later one.
    """

    kind: ClassVar[str]
    """Name of the operation in files. It never changes, so that old files can be read."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that older files lack: one that has its default is not written, and not printed."""

    name: str
    inputs: tuple[str, ...] = ()

    @abstractmethod
    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the type of the result, or raise `VerifyError` if the operands do not fit."""

    def fail(self, rule: str) -> VerifyError:
        """Return the error that says which rule this node breaks."""
        return VerifyError(self.name, rule)

    def has_default(self, name: str) -> bool:
        """Return whether a field that older files lack has its default."""
        return name in self.later and getattr(self, name) is getattr(type(self), name)

    def only(self, operands: tuple[ValueType, ...]) -> ValueType:
        """Return the single operand."""
        if len(operands) != 1:
            raise self.fail(f"expected one input, got {len(operands)}")
        return operands[0]

    def check_reals(self, what: str, values: NDArray[Any]) -> None:
        """Raise unless all numbers are finite, and small enough that their products do not overflow."""
        wrong = ~(np.abs(values) <= LARGEST_REAL)
        if wrong.any():
            rule = f"numbers up to {LARGEST_REAL:g}" if np.isfinite(values).all() else "finite numbers"
            raise self.fail(f"{what} holds {values[wrong][0]}, expected {rule}")

    def check_scales(self, values: NDArray[Any]) -> None:
        """Raise unless all scales are positive, and neither they nor their inverses overflow."""
        wrong = ~((values >= 1 / LARGEST_REAL) & (values <= LARGEST_REAL))
        if wrong.any():
            raise self.fail(
                f"expected a scale > 0, {1 / LARGEST_REAL:g} to {LARGEST_REAL:g}, got {values[wrong][0]}"
            )
