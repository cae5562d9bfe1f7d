"""Connections and poolings of a spiking network on tensors."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from toolchain import fixedpoint, ir
from toolchain.ir import Matrix, Pooling, Synapses, Window
from toolchain.ir.matrix import columns_of, delay_slots, rows_of, sources_of, targets_of, values_of

_FLOAT32_EXACT: Final = 2**24
"""Integers below this are exact in float32, and so is every partial sum of a product."""
_BFLOAT16_EXACT: Final = 2**8
"""Integers up to this have all their digits in bfloat16, and so in TF32."""
_DENSE_ELEMENTS: Final = 2**24
"""A CSR matrix of up to this many elements is multiplied as a dense one: 64 MiB of float32."""


@final
@dataclass(frozen=True)
class SynapseKernel:
    """A connection ready to be multiplied: one matrix per delay slot.

    Attributes:
        slots: Delays in steps, each with the transposed matrix `[sources, targets]`.
        exponent: Shift of the integer result; None for a float connection.
    """

    slots: tuple[tuple[int, Tensor], ...]
    exponent: int | None

    def apply(self, x: Tensor, slot: Tensor) -> Tensor:
        """Return the current `[batch, targets]` of one slot; int32 if the connection is integer.

        Integers are multiplied in floating point of a width in which every sum is exact.
        """
        product = _multiply(x.flatten(1).to(slot.dtype), slot)
        return product if self.exponent is None else _shifted(product, self.exponent)


@final
@dataclass(frozen=True)
class ConvolutionKernel:
    """A convolution ready to be applied.

    Attributes:
        slots: One pair `(0, weights)`, since a convolution has no delays of its own.
        exponent: Weight exponent of integers; None for real numbers.
        window: Geometry of the kernel.
        groups: Number of groups of channels.
    """

    slots: tuple[tuple[int, Tensor], ...]
    exponent: int | None
    window: Window
    groups: int

    def apply(self, x: Tensor, slot: Tensor) -> Tensor:
        """Return the current `[batch, C, H, W]`; int32 if the connection is integer.

        Integers are gathered by window and multiplied as matrices: a library may compute a convolution, but
        not a product of matrices, by a transform whose intermediate results are not whole numbers.
        """
        window = self.window
        if self.exponent is None:
            return functional.conv2d(
                x.to(slot.dtype), slot, None, window.stride, window.padding, window.dilation, self.groups
            )
        patches = functional.unfold(
            x.to(slot.dtype), window.kernel, window.dilation, window.padding, window.stride
        )
        batch, _, positions = patches.shape
        by_group = slot.reshape(self.groups, len(slot) // self.groups, -1)
        product = by_group @ patches.reshape(batch, self.groups, -1, positions)
        # As in Lava, the sum of a convolution wraps at 24 bits.
        half = fixedpoint.STATE_LIMIT
        total = product.to(torch.int64) << self.exponent
        wrapped = total.add_(half).remainder_(2 * half).sub_(half).to(torch.int32)
        return wrapped.reshape(batch, len(slot), *window.positions((x.shape[2], x.shape[3])))


def pool(node: Pooling, x: Tensor) -> Tensor:
    """Return the sum over windows (float64, exact), or whether any of their elements is set."""
    # PyTorch itself pads by no more than half a window.
    rows, columns = node.padding
    padded = functional.pad(x.double(), (columns, columns, rows, rows))
    summed = functional.avg_pool2d(padded, node.kernel, node.stride, divisor_override=1)
    return summed if isinstance(node, ir.SumPool2d) else summed > 0


def synapse_kernel(node: Synapses, message: float, device: torch.device) -> SynapseKernel | ConvolutionKernel:
    """Return the kernel of a connection.

    Args:
        node: Float or fixed synapses.
        message: Largest magnitude of a message; 1 for spikes.
        device: Device to compute on.
    """
    if isinstance(node, ir.Conv2d | ir.FixedConv2d):
        return _convolution_kernel(node, message, device)
    slots = delay_slots(node.weights, node.delays)
    if isinstance(node, ir.Dense):
        kernels = tuple((steps, _tensor(matrix, torch.float64, device)) for steps, matrix in slots)
        return SynapseKernel(kernels, None)
    dtype = _exact_type(node.weights, message)
    kernels = tuple((steps, _tensor(matrix, dtype, device)) for steps, matrix in slots)
    return SynapseKernel(kernels, node.exponent)


def _convolution_kernel(
    node: ir.Conv2d | ir.FixedConv2d, message: float, device: torch.device
) -> ConvolutionKernel:
    fixed = isinstance(node, ir.FixedConv2d)
    by_target = node.weights.reshape(len(node.weights), -1)
    dtype = _exact_type(by_target, message) if fixed else torch.float64
    weights = torch.from_numpy(node.weights.astype(np.float64)).to(device, dtype)
    return ConvolutionKernel(((0, weights),), node.exponent if fixed else None, node.window, node.groups)


def _exact_type(weights: Matrix, message: float) -> torch.dtype:
    """Return the narrowest floating-point type in which every partial sum of integers is exact.

    PyTorch may be told to multiply float32 in TF32 or bfloat16. Both keep factors of up to eight bits exactly
    and add in float32, so float32 is used for such factors only; nothing narrows float64.
    """
    magnitudes = np.abs(values_of(weights).astype(np.float64))
    largest = float(np.bincount(rows_of(weights), magnitudes, minlength=1).max()) * message
    narrow = max(message, magnitudes.max(initial=0.0)) <= _BFLOAT16_EXACT
    return torch.float32 if narrow and largest < _FLOAT32_EXACT else torch.float64


def _shifted(product: Tensor, exponent: int) -> Tensor:
    total = product.to(torch.int64).to(torch.int32)
    return total << exponent if exponent > 0 else total >> -exponent


def _tensor(matrix: Matrix, dtype: torch.dtype, device: torch.device) -> Tensor:
    if isinstance(matrix, csr_array) and targets_of(matrix) * sources_of(matrix) > _DENSE_ELEMENTS:
        # Its shape is [targets, sources], since the product is formed from the left.
        index = torch.from_numpy(np.stack([rows_of(matrix), columns_of(matrix)]))
        values = torch.from_numpy(matrix.data.astype(np.float64)).to(dtype)
        size = (targets_of(matrix), sources_of(matrix))
        return torch.sparse_coo_tensor(index, values, size, device=device, check_invariants=True).coalesce()
    values = matrix.toarray() if isinstance(matrix, csr_array) else np.array(matrix)
    return torch.from_numpy(values.T.astype(np.float64)).to(dtype).contiguous().to(device)


def _multiply(x: Tensor, slot: Tensor) -> Tensor:
    if slot.layout is torch.sparse_coo:
        return torch.sparse.mm(slot, x.T.contiguous()).T
    return x @ slot
