"""Exact and faster models for Lava's own `Conv` process, selected by the run configuration.

Lava's model calls a two-dimensional convolution for every pair of channels. These collect what each
position sees in one matrix and multiply it with the kernels: one product of a BLAS. Integers are
multiplied in a floating-point type in which every partial sum is exact.
"""

# pyright: reportAssignmentType=false, reportCallIssue=false, reportArgumentType=false
# Lava declares an attribute by assigning a LavaPyType where the builder later puts the value.
from typing import Any, Final

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv

from .integers import wrap_sum
from .jobs import Array

_FLOAT32_EXACT: Final = 2**24


class Convolver:
    """A convolution in Lava's order of axes, prepared once and applied at every step.

    Args:
        weight: `[out, columns, rows, in / groups]`, flipped as Lava wants it.
        stride: Step from one position to the next, columns and rows.
        padding: Zeros added on both sides, columns and rows.
        dilation: Distance between the elements of the kernel, columns and rows.
        groups: Number of groups of channels.
    """

    def __init__(self, weight: Array, stride: Array, padding: Array, dilation: Array, groups: int) -> None:
        self.kernel = weight.shape[1:3]
        self.stride, self.padding, self.dilation = stride.tolist(), padding.tolist(), dilation.tolist()
        self.groups = groups
        upright = weight[:, ::-1, ::-1, :]
        # [groups, elements of the kernel and input channels, output channels]
        grouped = upright.reshape(groups, len(weight) // groups, -1)
        self.matrix = np.ascontiguousarray(grouped.transpose(0, 2, 1))
        self.reach = float(np.abs(grouped).astype(np.float64).sum(axis=2).max(initial=0.0))
        self._typed: dict[type[np.floating[Any]], Array] = {}
        self._patches: Array | None = None

    def __call__(self, x: Array, largest: float | None) -> Array:
        """Return the sums `[columns, rows, out]` as floating-point numbers.

        Args:
            x: `[columns, rows, in]`.
            largest: Largest magnitude in `x`, if sums are to be exact integers; None for reals.
        """
        exact32 = largest is not None and self.reach * largest < _FLOAT32_EXACT
        number = np.float32 if exact32 else np.float64
        if number not in self._typed:
            self._typed[number] = self.matrix.astype(number)
        patches = self._collect(x, number)
        columns, rows, groups, elements = patches.shape
        product = np.matmul(patches.reshape(-1, groups, elements).transpose(1, 0, 2), self._typed[number])
        return product.transpose(1, 0, 2).reshape(columns, rows, -1)

    def _collect(self, x: Array, number: type[np.floating[Any]]) -> Array:
        """Return what every position sees: `[columns, rows, groups, elements of the kernel and channels]`."""
        (left, top), (right, down) = self.padding, self.stride
        padded = np.pad(x, ((left, left), (top, top), (0, 0)))
        extents = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        columns = (padded.shape[0] - extents[0]) // right + 1
        rows = (padded.shape[1] - extents[1]) // down + 1
        channels = x.shape[2] // self.groups
        shape = (columns, rows, self.groups, *self.kernel, channels)
        if self._patches is None or self._patches.dtype != number:
            self._patches = np.empty(shape, number)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                first, other = i * self.dilation[0], j * self.dilation[1]
                part = padded[
                    first : first + right * (columns - 1) + 1 : right,
                    other : other + down * (rows - 1) + 1 : down,
                ]
                self._patches[:, :, :, i, j] = part.reshape(columns, rows, self.groups, channels)
        return self._patches.reshape(columns, rows, self.groups, -1)


def exact_sums(convolver: Convolver, x: Array) -> Array:
    """Return sums of integers, wrapped at 24 bits as in Lava's model."""
    largest = 1.0 if x.dtype == bool else float(np.abs(x).max())
    return wrap_sum(convolver(x, largest).astype(np.int64))


class _ConvolutionModel(PyLoihiProcessModel):
    """Sends what it computed in the step before, as every connection of Lava does."""

    s_in: Any = None
    a_out: Any = None
    a_buf: Any = None
    weight: Any = None
    # Lava's own model holds these in 8 bits, so that more than 127 groups wrap around in silence.
    kernel_size: Array = LavaPyType(np.ndarray, np.int32)
    stride: Array = LavaPyType(np.ndarray, np.int32)
    padding: Array = LavaPyType(np.ndarray, np.int32)
    dilation: Array = LavaPyType(np.ndarray, np.int32)
    groups: Array = LavaPyType(np.ndarray, np.int32)
    num_message_bits: Array = LavaPyType(np.ndarray, np.int32)
    weight_exp: Array = LavaPyType(np.ndarray, np.int32)
    num_weight_bits: Array = LavaPyType(np.ndarray, np.int32)
    _convolver: Convolver | None = None

    def run_spk(self) -> None:
        """Send the last sums and compute the next."""
        self.a_out.send(self.a_buf)
        graded = self.num_message_bits.item() > 0
        x = self.s_in.recv() if graded else self.s_in.recv().astype(bool)
        if self._convolver is None:
            self._convolver = Convolver(
                self.weight, self.stride, self.padding, self.dilation, int(self.groups.item())
            )
        self.a_buf = self.convolve(self._convolver, x) if x.any() else np.zeros_like(self.a_buf)

    def convolve(self, convolver: Convolver, x: Array) -> Array:
        """Return the sums in the type of the model."""
        del convolver, x
        raise TypeError("a convolution model must say how it sums")


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedConvolutionModel(_ConvolutionModel):
    """Integers; sums wrap at 24 bits as in Lava's model."""

    s_in = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_buf = LavaPyType(np.ndarray, np.int32, precision=24)
    weight = LavaPyType(np.ndarray, np.int32, precision=8)

    def convolve(self, convolver: Convolver, x: Array) -> Array:
        """Return exact sums, wrapped."""
        return exact_sums(convolver, x)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatConvolutionModel(_ConvolutionModel):
    """Reals in double precision."""

    s_in = LavaPyType(PyInPort.VEC_DENSE, float, precision=24)
    a_out = LavaPyType(PyOutPort.VEC_DENSE, float)
    a_buf = LavaPyType(np.ndarray, float)
    weight = LavaPyType(np.ndarray, float)

    def convolve(self, convolver: Convolver, x: Array) -> Array:
        """Return the sums."""
        return convolver(x, None)
