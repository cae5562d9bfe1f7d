"""All steps of a population that nothing of its own comes back to, as one operation for autograd.

For the gradients, potentials before the reset are stored, and the input can be forgotten; or the input, where
spikes leave more behind than a potential, and then the neurons run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from toolchain.models.loops.lone_passes import advance_lone, rerun_lone, retreat_lone
from toolchain.models.loops.neurons import BIAS, REMEMBERS
from toolchain.threads import PARTS, in_threads, parts

Numbers = NDArray[Any]
_CHUNK: Final = 2**12
"""Neurons that advance together, at most: their state stays in the cache."""
_CHUNK_STEPS: Final = 2**16
"""The same times steps, where they run again: what is computed of a chunk stays in the cache."""
_SMALLEST: Final = 64
_MAPS: Final = 3


@final
@dataclass(frozen=True)
class LoneNeurons:
    """A population, and what is asked of it.

    Attributes:
        numbers: Numbers of the neurons, see `neurons`, `[8, N]`, in the order of the features.
        layer: Its row of the table of layers, of kind `RULED`.
        slope: Sharpness of the surrogate derivative.
        shows: Whether potentials are asked for.
        records: Whether currents are asked for, too.
    """

    numbers: Numbers
    layer: Numbers
    slope: Any
    shows: bool
    records: bool

    @property
    def remembers(self) -> bool:
        """Whether spikes leave more behind than a potential."""
        return bool(self.layer[REMEMBERS])


class LonePass(torch.autograd.Function):
    """All steps of a population."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        neurons: LoneNeurons,
        a: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return spikes of the type of `a`, potentials after the reset and currents, each like `a` or empty.

        Args:
            ctx: Context of autograd.
            neurons: The population.
            a: Synaptic input `[B, T, *features]`, channels first or last in memory.
            bias: Biases, flat; they stand in the numbers already.
        """
        del bias
        layout = _Layout.of(a, remembers=neurons.remembers)
        entering, numbers = layout.rows(a), layout.ordered(neurons.numbers)
        kind = torch.from_numpy(numbers).dtype
        needed = any(ctx.needs_input_grad)
        spikes = layout.empty(a.dtype)
        shown, recorded, driven = (
            layout.empty(kind) if asked else a.new_empty(0, dtype=kind)
            for asked in (neurons.shows, neurons.records, needed and not neurons.remembers)
        )
        rows = [layout.rows(each) for each in (spikes, shown, recorded, driven)]

        def work(part: _Part) -> None:
            sent, v_rows, u_rows, before_reset = rows
            layer, chunk = neurons.layer, layout.chunk
            advance_lone(
                part, entering, sent, v_rows, u_rows, before_reset, numbers, layer=layer, chunk=chunk
            )

        in_threads(work, layout.parts, torch.get_num_threads())
        ctx.save_for_backward(a if neurons.remembers else driven)
        ctx.neurons, ctx.layout, ctx.kind = neurons, layout, a.dtype
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(recorded)
        return spikes, shown, recorded

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - the decorator hides the signature
        ctx: Any,  # noqa: ANN401 - torch's context
        *gradients: Tensor | None,
    ) -> tuple[None, Tensor, Tensor]:
        """Return gradients with respect to the input and the biases."""
        neurons: LoneNeurons = ctx.neurons
        layout: _Layout = ctx.layout
        (driven,) = ctx.saved_tensors
        numbers, by_a = layout.ordered(neurons.numbers), layout.empty(ctx.kind)
        stored, leaving = layout.rows(driven), layout.rows(by_a)
        nothing = np.empty((0, 0, 0), numbers.dtype)
        by_spikes, by_v = (nothing if each is None else layout.rows(each) for each in gradients[:2])
        by_numbers = np.zeros((len(layout.parts), *numbers.shape), numbers.dtype)
        back = rerun_lone if neurons.remembers else retreat_lone

        def work(k: int) -> None:
            layer, slope = neurons.layer, neurons.slope
            part = layout.parts[k]
            back(
                part,
                stored,
                by_spikes,
                by_v,
                leaving,
                by_numbers[k],
                numbers,
                layer,
                slope=slope,
                chunk=layout.chunk,
            )

        in_threads(work, range(len(layout.parts)), torch.get_num_threads())
        by_bias = layout.unordered(by_numbers[:, BIAS].sum(axis=0))
        return None, by_a, torch.from_numpy(by_bias)


_Part = tuple[int, int, int, int]


@final
@dataclass(frozen=True)
class _Layout:
    """How the input of a population lies in memory, and how its work is cut.

    Attributes:
        shape: `[B, T, *features]`.
        last: Whether the channels of its feature maps are last in memory.
        chunk: Neurons that advance together.
        parts: First sample and the one behind the last, first neuron and the one behind the last.
    """

    shape: tuple[int, ...]
    last: bool
    chunk: int
    parts: Sequence[_Part]

    @classmethod
    def of(cls, a: Tensor, *, remembers: bool) -> "_Layout":
        batch, steps, *features = a.shape
        size = int(np.prod(features))
        chunk = max(_SMALLEST, min(_CHUNK, _CHUNK_STEPS // max(steps, 1))) if remembers else _CHUNK
        samples = parts(batch)
        chunks = -(-size // chunk)
        neurons = parts(chunks, max(1, PARTS // len(samples)))
        cut = [(*some, first * chunk, min(last * chunk, size)) for some in samples for first, last in neurons]
        last = len(features) == _MAPS and a.stride(2) == 1 and features[0] < size
        return cls(tuple(a.shape), last, chunk, cut)

    def empty(self, kind: torch.dtype) -> Tensor:
        """Return memory of this layout: NumPy's, which asks for large pages of it; they are faster to get."""
        batch, steps, *features = self.shape
        order = (batch, steps, *features[1:], features[0]) if self.last else self.shape
        memory = torch.from_numpy(np.empty(order, torch.empty((), dtype=kind).numpy().dtype))
        return memory.movedim(-1, 2) if self.last else memory

    def rows(self, x: Tensor) -> Numbers:
        """Return numbers as they shall lie in memory, `[B, T, N]`: copied if they do not."""
        batch, steps = self.shape[:2]
        x = x.detach()
        if not x.numel():
            return x.reshape(0, 0, 0).numpy()
        return (x.movedim(2, 4) if self.last else x).reshape(batch, steps, -1).numpy()

    def ordered(self, numbers: Numbers) -> Numbers:
        """Return one number per neuron, in the order of the features, in the order of memory."""
        if not self.last:
            return numbers
        maps = numbers.reshape(*numbers.shape[:-1], *self.shape[2:])
        return np.ascontiguousarray(np.moveaxis(maps, -3, -1)).reshape(numbers.shape)

    def unordered(self, numbers: Numbers) -> Numbers:
        """Undo `ordered`."""
        if not self.last:
            return numbers
        channels, height, width = self.shape[2:]
        return np.moveaxis(numbers.reshape(height, width, channels), -1, 0).reshape(-1)
