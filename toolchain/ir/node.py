"""The abstract node: a name, the names of its operands, and a rule for its type."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from toolchain.errors import VerifyError
from toolchain.ir.types import ValueType


@dataclass(frozen=True, kw_only=True, eq=False)
class Node(ABC):
    """One operation of a graph.

    A subclass is final; its fields are its whole contract. Identity is the name, arrays are
    read-only, and structural equality is `toolchain.ir.graph.same_structure`.

    Attributes:
        name: Unique within the graph.
        inputs: Names of the operands. They stand earlier in the graph, except those of `Delay`.
    """

    kind: ClassVar[str]
    """Name on disk; never changes."""

    name: str
    inputs: tuple[str, ...] = ()

    @abstractmethod
    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the type of the result, or raise `VerifyError` if the operands do not fit."""

    def fail(self, rule: str) -> VerifyError:
        """Return the error that says this node breaks `rule`."""
        return VerifyError(self.name, rule)

    def only(self, operands: tuple[ValueType, ...]) -> ValueType:
        """Return the single operand."""
        if len(operands) != 1:
            raise self.fail(f"expected one input, got {len(operands)}")
        return operands[0]
