"""All steps of a population that nothing of its own comes back to, as one operation for autograd.

A chunk of neurons passes through all steps before the next one begins, so that its state stays in the nearest
cache; neurons of a small population, of several samples. For the gradients it does so again: nothing is
stored but the input, which whoever computed it stores anyway.
"""

# ruff: noqa: PLR0917 - compiled loops take plain arrays
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from toolchain.compiled import njit
from toolchain.models.loops.neurons import BIAS, NUMBERS, REMEMBERS, STATES, U, V
from toolchain.models.loops.ownership import keep, unowned
from toolchain.models.loops.ruled_neurons import advance_ruled, retreat_ruled
from toolchain.threads import PARTS, in_threads, parts

Numbers = NDArray[Any]
_CHUNK: Final = 2**10
"""Neurons that advance together, at most."""
_CHUNK_STEPS: Final = 2**16
"""The same times steps: what is computed of a chunk for the gradients stays in the cache."""
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


class LonePass(torch.autograd.Function):
    """All steps of a population."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - one signature of many
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
        layout = _Layout.of(a)
        entering, numbers = layout.rows(a), layout.ordered(neurons.numbers)
        kind = neurons.numbers.dtype
        spikes = layout.empty(a.dtype)
        shown = layout.empty(torch.from_numpy(numbers).dtype) if neurons.shows else a.new_empty(0)
        recorded = torch.empty_like(shown) if neurons.records else a.new_empty(0)
        rows = [
            layout.rows(each) if each.numel() else np.empty((0, 0, 0), kind) for each in (shown, recorded)
        ]
        sent = layout.rows(spikes)

        def work(part: _Part) -> None:
            advance_lone(part, entering, sent, *rows, numbers, neurons.layer, layout.chunk)

        in_threads(work, layout.parts, torch.get_num_threads())
        ctx.save_for_backward(a)
        ctx.neurons, ctx.layout = neurons, layout
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
        (a,) = ctx.saved_tensors
        neurons: LoneNeurons = ctx.neurons
        layout: _Layout = ctx.layout
        numbers, by_a = layout.ordered(neurons.numbers), layout.empty(a.dtype)
        entering, leaving = layout.rows(a), layout.rows(by_a)
        nothing = np.empty((0, 0, 0), numbers.dtype)
        by_spikes, by_v = (nothing if each is None else layout.rows(each) for each in gradients[:2])
        by_numbers = np.zeros((len(layout.parts), *numbers.shape), numbers.dtype)

        def work(k: int) -> None:
            retreat_lone(
                layout.parts[k],
                entering,
                by_spikes,
                by_v,
                leaving,
                by_numbers[k],
                numbers,
                neurons.layer,
                neurons.slope,
                layout.chunk,
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
    def of(cls, a: Tensor) -> "_Layout":
        batch, steps, *features = a.shape
        size = int(np.prod(features))
        chunk = max(_SMALLEST, min(_CHUNK, _CHUNK_STEPS // max(steps, 1)))
        samples = parts(batch)
        chunks = -(-size // chunk)
        neurons = parts(chunks, max(1, PARTS // len(samples)))
        cut = [(*some, first * chunk, min(last * chunk, size)) for some in samples for first, last in neurons]
        last = len(features) == _MAPS and a.stride(2) == 1 and features[0] < size
        return cls(tuple(a.shape), last, chunk, cut)

    def empty(self, kind: torch.dtype) -> Tensor:
        """Return memory of this layout."""
        if not self.last:
            return torch.empty(self.shape, dtype=kind)
        batch, steps, channels, height, width = self.shape
        return torch.empty((batch, steps, height, width, channels), dtype=kind).movedim(4, 2)

    def rows(self, x: Tensor) -> Numbers:
        """Return numbers as they shall lie in memory, `[B, T, N]`: copied if they do not."""
        x = x.detach()
        batch, steps = self.shape[:2]
        x = x.movedim(2, 4) if self.last else x
        return x.reshape(batch, steps, -1).numpy() if x.numel() else np.empty((batch, steps, 0))

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


@njit(nogil=True, cache=True)
def advance_lone(
    part: Any,  # noqa: ANN401
    a: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    v_rows: Any,  # noqa: ANN401
    u_rows: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    chunk: int,
) -> None:
    """Run some neurons of some samples over all steps.

    Args:
        part: First sample and the one behind the last, first neuron and the one behind the last.
        a: Input `[B, T, N]`.
        sent: Gets the spikes, `[B, T, N]`.
        v_rows: Gets the potentials after the reset; empty if nobody asks.
        u_rows: Gets the currents; empty if nobody asks.
        numbers: Numbers of the neurons `[8, N]`.
        layer: Row of the table of layers.
        chunk: Neurons that advance together.
    """
    begin, end, low, high = part
    states = np.empty((STATES + 2, chunk), numbers.dtype)
    spikes, copied = np.empty(chunk, np.uint8), np.empty((NUMBERS, chunk), numbers.dtype)
    state, fired, own = unowned(states), unowned(spikes), unowned(copied)
    a, sent, v_rows, u_rows, layer = (
        unowned(a),
        unowned(sent),
        unowned(v_rows),
        unowned(u_rows),
        unowned(layer),
    )
    row, potential = state[STATES], state[STATES + 1]
    for start in range(low, high, chunk):
        size = min(chunk, high - start)
        together = min(chunk // size, end - begin)
        _tile(numbers, start, size, together, own)
        for b in range(begin, end, together):
            count = min(together, end - b)
            state[:] = 0
            for t in range(a.shape[1]):
                _gather(a, b, count, t, start, size, row)
                advance_ruled(row, state, fired, potential, own, layer, 0, count * size)
                _scatter(fired, sent, b, count, t, start, size)
                if v_rows.size:
                    _scatter(state[V], v_rows, b, count, t, start, size)
                if u_rows.size:
                    _scatter(state[U], u_rows, b, count, t, start, size)
    keep(states)
    keep(spikes)
    keep(copied)


@njit(nogil=True, cache=True)
def retreat_lone(
    part: Any,  # noqa: ANN401
    a: Any,  # noqa: ANN401
    by_spikes: Any,  # noqa: ANN401
    by_v: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
    chunk: int,
) -> None:
    """Take gradients of some neurons of some samples back over all steps.

    Args:
        part: First sample and the one behind the last, first neuron and the one behind the last.
        a: Input `[B, T, N]`.
        by_spikes: Gradients with respect to the spikes; empty if there are none.
        by_v: Gradients with respect to the potentials after the reset; empty if there are none.
        by_a: Gets the gradients with respect to the input.
        by_numbers: Gradients with respect to the numbers `[8, N]`, added up; see `retreat_ruled`.
        numbers: Numbers of the neurons.
        layer: Row of the table of layers.
        slope: Sharpness of the surrogate.
        chunk: Neurons that advance together.
    """
    begin, end, low, high = part
    kind, steps, remembers = numbers.dtype, a.shape[1], layer[REMEMBERS] != 0
    states, copied = np.empty((2 * STATES + 2, chunk), kind), np.empty((2 * NUMBERS, chunk), kind)
    states_before = np.empty((steps if remembers else 1, STATES, chunk), kind)
    potentials, spikes = np.empty((steps, chunk), kind), np.empty((steps, chunk), np.uint8)
    state, own, by_own = unowned(states), unowned(copied), unowned(copied)[NUMBERS:]
    past, potential, fired = unowned(states_before), unowned(potentials), unowned(spikes)
    a, by_spikes, by_v, by_a, layer = (
        unowned(a),
        unowned(by_spikes),
        unowned(by_v),
        unowned(by_a),
        unowned(layer),
    )
    later, row, by_row = state[STATES : 2 * STATES], state[2 * STATES], state[2 * STATES + 1]
    for start in range(low, high, chunk):
        size = min(chunk, high - start)
        together = min(chunk // size, end - begin)
        _tile(numbers, start, size, together, own)
        by_own[:] = 0
        for b in range(begin, end, together):
            count = min(together, end - b)
            width = count * size
            state[:] = 0
            for t in range(steps):
                if remembers:
                    past[t] = state[:STATES]
                _gather(a, b, count, t, start, size, row)
                advance_ruled(row, state, fired[t], potential[t], own, layer, 0, width)
            row[:] = 0
            for t in range(steps - 1, -1, -1):
                if by_v.size:
                    _gather(by_v, b, count, t, start, size, row)
                    _add(row, later[V], width)
                    row[:] = 0
                if by_spikes.size:
                    _gather(by_spikes, b, count, t, start, size, row)
                before = past[t if remembers else 0]
                retreat_ruled(
                    row, fired[t], potential[t], before, later, by_row, by_own, own, layer, slope, 0, width
                )
                _scatter(by_row, by_a, b, count, t, start, size)
        for k in range(together):
            _add(by_own[BIAS, k * size :], by_numbers[BIAS, start:], size)
    keep(states)
    keep(copied)
    keep(states_before)
    keep(potentials)
    keep(spikes)


@njit(nogil=True)
def _tile(numbers: Any, start: int, size: int, count: int, own: Any) -> None:  # noqa: ANN401
    """Copy the numbers of some neurons, once for each sample that advances with them."""
    for k in range(count):
        own[:NUMBERS, k * size : (k + 1) * size] = numbers[:, start : start + size]


@njit(nogil=True)
def _gather(x: Any, b: int, count: int, t: int, start: int, size: int, row: Any) -> None:  # noqa: ANN401
    """Put neighbouring neurons of several samples side by side."""
    for k in range(count):
        source, target = x[b + k, t, start : start + size], row[k * size : (k + 1) * size]
        for n in range(size):
            target[n] = source[n]


@njit(nogil=True)
def _scatter(row: Any, x: Any, b: int, count: int, t: int, start: int, size: int) -> None:  # noqa: ANN401
    """Undo `_gather`."""
    for k in range(count):
        source, target = row[k * size : (k + 1) * size], x[b + k, t, start : start + size]
        for n in range(size):
            target[n] = source[n]


@njit(nogil=True)
def _add(values: Any, sums: Any, size: int) -> None:  # noqa: ANN401
    for n in range(size):
        sums[n] += values[n]
