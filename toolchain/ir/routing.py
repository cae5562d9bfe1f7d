"""Nodes that move values without computing: values enter, wait and leave."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain.fixedpoint import MESSAGE_BITS
from toolchain.ir.node import Node
from toolchain.ir.types import LONGEST_DELAY, Decode, EdgeKind, ValueType, frozen, size_of


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Node):
    """A place where the stimulus enters, in the model's units.

    Attributes:
        shape: Shape of one step.
        edge: Whether spikes enter, or graded values (direct coding).
        scale: Integers per unit of a graded value: `x_int = clip(round(x * scale))`. A spike input has
            scale 1.
        bits: Magnitude bits of the integer that a graded value becomes.
    """

    kind: ClassVar[str] = "input"

    shape: tuple[int, ...]
    edge: EdgeKind = EdgeKind.SPIKE
    scale: float = 1.0
    bits: int = 1

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the declared type."""
        if operands:
            raise self.fail("an input has no operands")
        check_shape(self, self.shape)
        if self.edge is EdgeKind.CURRENT:
            raise self.fail("an input carries spikes or graded values, not currents")
        if self.edge is EdgeKind.SPIKE and (self.scale, self.bits) != (1.0, 1):
            raise self.fail("a spike input has scale 1 and one bit")
        self.check_scales(np.asarray(self.scale))
        if not 1 <= self.bits <= MESSAGE_BITS:
            raise self.fail(f"expected 1 to {MESSAGE_BITS} bits, got {self.bits}")
        return ValueType(self.shape, self.edge)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Delay(Node):
    """Hold values for a number of steps; before the first one arrives, they are zero.

    It is the only node that may read a later node, so every loop closes through one. It declares its own
    type, so that the types of a graph follow in one pass from its first node to its last.

    Attributes:
        shape: Shape of the values.
        edge: Whether it holds spikes or graded values.
        steps: One number for all elements, or one for each (in float graphs only: `fold-delays` moves those
            into the delays of the synapses).
    """

    kind: ClassVar[str] = "delay"

    shape: tuple[int, ...]
    edge: EdgeKind = EdgeKind.SPIKE
    steps: int | NDArray[np.int64] = 1

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int):
            object.__setattr__(self, "steps", frozen(self.steps, np.int64))

    @property
    def min_steps(self) -> int:
        """The shortest delay of an element."""
        return self.steps if isinstance(self.steps, int) else int(self.steps.min())

    @property
    def max_steps(self) -> int:
        """The longest delay of an element."""
        return self.steps if isinstance(self.steps, int) else int(self.steps.max())

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the declared type; that it equals the operand's is checked by `verify`."""
        self.only(operands or (ValueType(self.shape, self.edge),))
        check_shape(self, self.shape)
        if self.edge is EdgeKind.CURRENT:
            raise self.fail("a delay holds spikes or graded values, not currents")
        if not isinstance(self.steps, int) and self.steps.shape != self.shape:
            raise self.fail(f"expected one delay per element {self.shape}, got {self.steps.shape}")
        if self.min_steps < 0 or self.max_steps > LONGEST_DELAY:
            raise self.fail(
                f"expected delays of 0 to {LONGEST_DELAY} steps, got {self.min_steps} .. {self.max_steps}"
            )
        return ValueType(self.shape, self.edge)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Output(Node):
    """A place where results leave, and how the host reads them.

    Attributes:
        decode: What the host takes from the population over the steps of a sample.
        weights: Weights of an affine read-out on the host, `[classes, N]`; None for none.
        bias: Offset of that read-out, `[classes]`; None for none.
        classes: Names of the classes; empty if they have none.
    """

    kind: ClassVar[str] = "output"

    decode: Decode
    weights: NDArray[np.float64] | None = None
    bias: NDArray[np.float64] | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("weights", "bias"):
            value: Any = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, frozen(value, np.float64))

    @property
    def reads_potential(self) -> bool:
        """Whether the membrane potential is read, not the spikes."""
        return self.decode.reads_potential

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the operand's type: reading happens on the host."""
        operand = self.only(operands)
        if operand.kind is EdgeKind.CURRENT:
            raise self.fail(f"expected a population of neurons, got {operand}")
        size = size_of(operand.shape)
        if self.weights is not None:
            rows, *columns = self.weights.shape or (0,)
            if not rows or columns != [size]:
                raise self.fail(f"read-out weights {self.weights.shape} do not fit {size} neurons")
        if self.bias is not None and (self.weights is None or self.bias.shape != self.weights.shape[:1]):
            raise self.fail("a read-out bias needs weights with as many rows")
        for name in ("weights", "bias"):
            values = getattr(self, name)
            if values is not None:
                self.check_reals(f"read-out {name}", values)
        scores = size if self.weights is None else self.weights.shape[0]
        if self.classes and len(self.classes) != scores:
            raise self.fail(f"expected {scores} class names, got {len(self.classes)}")
        return operand


def check_shape(node: Node, shape: tuple[int, ...]) -> None:
    """Raise unless a declared shape has axes, each of one element or more."""
    if not shape or min(shape) < 1:
        raise node.fail(f"expected a shape of whole numbers of 1 or more, got {list(shape)}")
