"""A run of a network through the compiled loops, as one operation for autograd."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from toolchain.models.loops.neurons import NUMBERS, STATES
from toolchain.models.loops.passes import advance, retreat
from toolchain.models.loops.plan import GIVEN, Places
from toolchain.models.loops.products import EventProduct
from toolchain.models.loops.synapses import SynapseLists, Synapses
from toolchain.models.loops.vectors import LINE_BYTES
from toolchain.threads import in_threads, parts

_BLOCK: Final = 2**20
"""Numbers of one block of steps: what is computed of it stays in the cache."""
_FEWEST: Final = 8
"""Steps of a block, at least."""

Numbers = NDArray[Any]


class Current(NamedTuple):
    """A current that was computed for all steps.

    Attributes:
        delay: Steps that it takes.
        target: Layer that receives it.
    """

    delay: int
    target: str


@final
@dataclass(frozen=True)
class Run:
    """Everything of a run that is no tensor with a gradient.

    Attributes:
        batch: Number of samples.
        steps: Number of steps.
        places: Where the layers stand.
        numbers: Numbers of all neurons, `[8, N]`.
        layers: Table of the layers.
        slopes: Sharpness of the surrogate derivative of each.
        lists: The synapses between layers.
        products: What enters, and its weights.
        currents: What was computed for all steps.
        inner: Shapes of the matrices of the connections between layers.
        shown: First neuron and number of those whose potentials are asked for.
        heard: The same of those whose spikes are.
        currents_too: Whether their currents are, too.
        recompute: Whether inputs are computed again for the gradients instead of being stored.
    """

    batch: int
    steps: int
    places: Places
    numbers: Numbers
    layers: Numbers
    slopes: Numbers
    lists: SynapseLists
    products: Sequence[EventProduct]
    currents: Sequence[Current]
    inner: Sequence[tuple[int, ...]]
    shown: tuple[int, int]
    heard: tuple[int, int]
    currents_too: bool
    recompute: bool

    @property
    def block(self) -> int:
        """Steps of a block; no delay is longer, unless the run is shorter."""
        fitting = max(_BLOCK // (self.batch * self.places.neurons), _FEWEST, self.lists.longest)
        return min(fitting, self.steps)


@final
@dataclass
class _Stored:
    """What the backward pass needs of a block of steps.

    Attributes:
        start: First step.
        state: States before it.
        sent: Spikes.
        a: Input of all neurons; None if it is computed again.
        tail: What synapses brought from before the block.
    """

    start: int
    state: Numbers
    sent: Numbers
    a: Numbers | None
    tail: Numbers


class LoopPass(torch.autograd.Function):
    """All steps of a run. Tensors are weights of products, currents, inner weights, numbers of layers."""

    @staticmethod
    def forward(ctx: Any, run: Run, *tensors: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Return potentials, spikes and currents of the neurons that are asked for, `[B, T, R]`."""
        given = _Tensors.of(run, tensors)
        synapses = run.lists.gather([each.detach().numpy() for each in given.inner], run.numbers.dtype)
        needed = any(ctx.needs_input_grad)
        stored: list[_Stored] = []
        kind, neurons = run.numbers.dtype, run.places.neurons
        v_rows = np.empty((run.batch, run.steps, run.shown[1]), kind)
        u_rows = np.empty((run.batch, run.steps, run.shown[1] if run.currents_too else 0), kind)
        spikes = np.empty((run.batch, run.steps, run.heard[1]), kind)
        state = np.zeros((run.batch, STATES, neurons), kind)
        tail = np.zeros((run.batch, run.lists.longest, neurons), kind)
        heard = slice(run.heard[0], sum(run.heard))
        for start in range(0, run.steps, run.block):
            steps = slice(start, min(start + run.block, run.steps))
            before = state.copy() if needed else state
            a, after = _input(run, given.currents, steps, tail)
            sent, v, u = _advance(run, a, after, state, synapses)
            v_rows[:, steps], u_rows[:, steps], spikes[:, steps] = v, u, sent[:, :, heard]
            if needed:
                stored.append(_Stored(start, before, sent, None if run.recompute else a, tail))
            tail = after
        ctx.run, ctx.stored, ctx.synapses = run, stored, synapses
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        results = (torch.from_numpy(v_rows), torch.from_numpy(spikes), torch.from_numpy(u_rows))
        ctx.mark_non_differentiable(results[2])
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of all tensors."""
        run: Run = ctx.run
        given = _Tensors.of(run, ctx.saved_tensors)
        back = _Backward(run, ctx.synapses, given, [_numbers(each) for each in gradients[:2]])
        for block in reversed(ctx.stored):
            back.take(block)
        return (None, *back.gradients(ctx.needs_input_grad[1:]))


def _numbers(gradient: Tensor | None) -> Numbers | None:
    return None if gradient is None else gradient.detach().numpy()


@final
@dataclass(frozen=True)
class _Tensors:
    """The tensors of a run by what they are."""

    products: Sequence[Tensor]
    currents: Sequence[Tensor]
    inner: Sequence[Tensor]
    given: Sequence[Tensor | None]

    @classmethod
    def of(cls, run: Run, tensors: Sequence[Any]) -> "_Tensors":
        counts = np.cumsum([len(run.products), len(run.currents), len(run.inner)]).tolist()
        first, second, third = counts
        return cls(tensors[:first], tensors[first:second], tensors[second:third], tensors[third:])


def _input(run: Run, currents: Sequence[Tensor], steps: slice, tail: Numbers) -> tuple[Numbers, Numbers]:
    """Return the input of a block of steps, and what came for the steps after it."""
    count, ahead = steps.stop - steps.start, tail.shape[1]
    a = np.zeros((run.batch, count, run.places.neurons), run.numbers.dtype)
    near = min(ahead, count)
    a[:, :near] = tail[:, :near]
    after = np.zeros_like(tail)
    after[:, : ahead - near] = tail[:, near:]
    for product in run.products:
        product.add_to(a, steps.start)
    for current, values in zip(run.currents, currents, strict=True):
        late, source = _arrival(current.delay, steps)
        if late < count:
            arriving = values.detach().numpy()[:, source : source + count - late]
            a[:, late:, run.places.slice(current.target)] += arriving
    return a, after


def _arrival(delay: int, steps: slice) -> tuple[int, int]:
    """Return the first step of a block that a delayed stream reaches, and the step of the stream."""
    late = max(delay - steps.start, 0)
    return late, steps.start + late - delay


def _advance(
    run: Run, a: Numbers, tail: Numbers, state: Numbers, synapses: Synapses
) -> tuple[Numbers, Numbers, Numbers]:
    """Return spikes, potentials and currents of a block of steps; `a`, `tail` and `state` change."""
    sent = np.zeros(a.shape, np.uint8)
    v_rows = np.empty((*a.shape[:2], run.shown[1]), a.dtype)
    u_rows = np.empty((*a.shape[:2], run.shown[1] if run.currents_too else 0), a.dtype)
    in_threads(
        lambda part: advance(
            *part,
            a,
            tail,
            state,
            sent,
            v_rows,
            u_rows,
            run.shown[0],
            run.numbers,
            run.layers,
            synapses,
        ),
        parts(run.batch),
        torch.get_num_threads(),
    )
    return sent, v_rows, u_rows


@final
class _Backward:
    """The way back through a run, block by block."""

    def __init__(
        self, run: Run, synapses: Synapses, tensors: _Tensors, gradients: Sequence[Numbers | None]
    ) -> None:
        self._run, self._synapses, self._tensors = run, synapses, tensors
        self._by_v, self._by_spikes = gradients
        kind, neurons, ahead = run.numbers.dtype, run.places.neurons, run.lists.longest
        lanes = LINE_BYTES // kind.itemsize
        lines = [(begin, min(begin + lanes, run.batch)) for begin in range(0, run.batch, lanes)]
        self._parts = [lines[begin:end] for begin, end in parts(len(lines))]
        self._later = np.zeros((run.batch, STATES, neurons), kind)
        self._future = np.zeros((run.batch, ahead, neurons), kind)
        self._lines = {begin: np.zeros((ahead * neurons, lanes), kind) for begin, _ in lines}
        self._by_numbers = np.zeros((len(self._parts), NUMBERS, neurons), kind)
        self._by_synapses = [run.lists.blank(kind) for _ in self._parts]
        self._by_products = [each.no_gradient() for each in run.products]
        self._by_currents = [np.zeros(tuple(each.shape), kind) for each in tensors.currents]

    def take(self, block: _Stored) -> None:
        """Go back over a block."""
        run = self._run
        steps = slice(block.start, block.start + block.sent.shape[1])
        a = block.a
        if a is None:
            a, after = _input(run, self._tensors.currents, steps, block.tail)
            _advance(run, a, after, block.state.copy(), self._synapses)
        by_a = np.empty_like(a)
        by_v, by_spikes = (
            np.zeros((*a.shape[:2], 0), a.dtype) if each is None else np.ascontiguousarray(each[:, steps])
            for each in (self._by_v, self._by_spikes)
        )
        state = block.state.copy()

        def work(k: int) -> None:
            for begin, end in self._parts[k]:
                retreat(
                    begin,
                    end,
                    a,
                    state,
                    block.sent,
                    by_spikes,
                    run.heard[0],
                    by_v,
                    run.shown[0],
                    self._later,
                    by_a,
                    self._future,
                    self._lines[begin],
                    self._by_numbers[k],
                    self._by_synapses[k],
                    run.numbers,
                    run.layers,
                    run.slopes,
                    self._synapses,
                )

        in_threads(work, range(len(self._parts)), torch.get_num_threads())
        self._hand_on(by_a, steps)

    def _hand_on(self, by_a: Numbers, steps: slice) -> None:
        """Give the gradients of the input of a block to what made it."""
        run, count, ahead = self._run, by_a.shape[1], self._future.shape[1]
        near = min(ahead, count)
        self._future = np.concatenate((by_a[:, :near], self._future[:, : ahead - near]), axis=1)
        for product, gradient in zip(run.products, self._by_products, strict=True):
            product.learn(gradient, by_a, steps.start)
        for current, gradient in zip(run.currents, self._by_currents, strict=True):
            late, source = _arrival(current.delay, steps)
            if late < count:
                arriving = by_a[:, late:, run.places.slice(current.target)]
                gradient[:, source : source + count - late] = arriving

    def gradients(self, needed: Sequence[bool]) -> list[Tensor | None]:
        """Return the gradients of all tensors that need one."""
        run = self._run
        found: list[Tensor | None] = [
            each.gradient(gradient) for each, gradient in zip(run.products, self._by_products, strict=True)
        ]
        found += [torch.from_numpy(each) for each in self._by_currents]
        found += [
            torch.from_numpy(run.lists.scatter(self._by_synapses, k, shape))
            for k, shape in enumerate(run.inner)
        ]
        by_numbers = self._by_numbers.sum(axis=0)
        for name in run.places.layers:
            at = run.places.slice(name)
            found += [torch.from_numpy(by_numbers[row, at].copy()) for row in GIVEN]
        return [each if need else None for each, need in zip(found, needed, strict=True)]
