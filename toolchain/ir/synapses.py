"""Connections of the float graph."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Pair
from toolchain.ir.matrix import (
    Matrix,
    RealMatrix,
    StepMatrix,
    frozen_matrix,
    rows_of,
    sources_of,
    targets_of,
    values_of,
)
from toolchain.ir.node import Node
from toolchain.ir.types import LONGEST_DELAY, EdgeKind, ValueType, frozen, size_of
from toolchain.ir.windows import Window

_KERNEL: Final = 4


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Node):
    r"""Synapses of any pattern, stored as a dense matrix or as CSR.

    .. math:: a_i[t] = \sum_j W_{ij} \, x_j[t - d_{ij}]

    Attributes:
        weights: Weights `[targets, sources]`, dense or `scipy.sparse.csr_array`. Feature maps are read
            flattened, in the order C, H, W.
        delays: Steps that each synapse takes, stored like `weights`; None for none.
    """

    kind: ClassVar[str] = "dense"

    weights: RealMatrix
    delays: StepMatrix | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_matrix(self.weights, np.float64))
        if self.delays is not None:
            object.__setattr__(self, "delays", frozen_matrix(self.delays, np.int64))

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the current of the target neurons."""
        result = matrix_type(self, self.weights, self.only(operands))
        check_delays(self, self.weights, self.delays)
        _check_finite(self, self.weights, "target neuron")
        return result


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Conv2d(Node):
    r"""A convolution, in the sense of machine learning (the kernel is not flipped).

    .. math::
        a_{o,y,x}[t] = \sum_{i,k,l} W_{o,i,k,l} \, x_{i,\; s y + d k - p,\; s x + d l - p}[t]

    Outside the image `x` is zero.

    Attributes:
        weights: Kernels, `[out channels, in channels / groups, rows, columns]`.
        stride: Distance from one position to the next, rows and columns.
        padding: Zeros on both sides of the image.
        dilation: Distance between the elements of the kernel.
        groups: Number of groups of channels; an output channel reads the input channels of its group only.
    """

    kind: ClassVar[str] = "conv2d"

    weights: NDArray[np.float64]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights, np.float64))

    @property
    def window(self) -> Window:
        """The geometry of the kernel."""
        return kernel_window(self.weights, self.stride, self.padding, self.dilation)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the current of the target feature maps."""
        result = convolution_type(self, self.weights, self.groups, self.window, self.only(operands))
        _check_finite(self, self.weights, "output channel")
        return result


def kernel_window(weights: NDArray[Any], stride: Pair, padding: Pair, dilation: Pair) -> Window:
    """Return the geometry of a convolution with weights `[out, in, rows, columns]`."""
    rows, columns = weights.shape[-2:] if weights.ndim == _KERNEL else (0, 0)
    return Window((rows, columns), stride, padding, dilation)


def convolution_type(
    node: Node, weights: NDArray[Any], groups: int, window: Window, operand: ValueType
) -> ValueType:
    """Return the current that a convolution makes of `operand`, or raise if it does not fit."""
    if operand.kind is EdgeKind.CURRENT:
        raise node.fail("expected spikes or graded values, got a current")
    if weights.ndim != _KERNEL:
        raise node.fail(f"expected weights [out, in, rows, columns], got {weights.ndim} dimensions")
    shape = window.over(node, operand, weights.shape[0])
    if groups < 1 or weights.shape[0] % groups or weights.shape[1] * groups != operand.shape[0]:
        raise node.fail(
            f"weights {list(weights.shape)} in {groups} groups do not fit {operand.shape[0]} input channels"
        )
    return ValueType(shape, EdgeKind.CURRENT)


def _check_finite(node: Node, weights: Matrix, row: str) -> None:
    values = values_of(weights)
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise node.fail(
            f"weight {bad} ({row} {rows_of(weights)[bad]}) is {values[bad]}, expected a finite number; "
            "was the training stable?"
        )
    node.check_reals("weights", values)


def matrix_type(node: Node, weights: Matrix, operand: ValueType) -> ValueType:
    """Return the current that `weights` make of `operand`, or raise if they do not fit."""
    if operand.kind is EdgeKind.CURRENT:
        raise node.fail("expected spikes or graded values, got a current")
    if size_of(operand.shape) != sources_of(weights):
        raise node.fail(
            f"weights read {sources_of(weights)} sources, but the input has shape {operand.shape}"
        )
    return ValueType((targets_of(weights),), EdgeKind.CURRENT)


def check_delays(node: Node, weights: Matrix, delays: Matrix | None) -> None:
    """Raise unless `delays` are absent, or non-negative and stored exactly where weights are."""
    if delays is None:
        return
    if type(delays) is not type(weights) or delays.shape != weights.shape:
        raise node.fail("delays must be stored like the weights, one per synapse")
    stored, steps = values_of(weights), values_of(delays)
    if stored.size != steps.size or not np.array_equal(rows_of(weights), rows_of(delays)):
        raise node.fail("delays must be stored like the weights, one per synapse")
    if steps.size and not (steps.min() >= 0 and steps.max() <= LONGEST_DELAY):
        raise node.fail(f"expected delays of 0 to {LONGEST_DELAY} steps, got {steps.min()} .. {steps.max()}")
