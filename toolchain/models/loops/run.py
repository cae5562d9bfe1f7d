"""A run of a network as one operation for autograd: blocks of steps forward, and back.

What happens within a block is behind two protocols: compiled loops on the CPU, operations of PyTorch on every
other device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, final

import torch
from torch import Tensor

from toolchain.errors import ArgumentError
from toolchain.models.loops.plan import GIVEN, Places
from toolchain.models.loops.products import Product, arrival
from toolchain.models.loops.synapses import SynapseLists, Weights

STATES: Final = 4
_BLOCK: Final = 2**20
"""Numbers of one block of steps: what is computed of it stays in the cache."""
_BLOCK_ELSEWHERE: Final = 2**24
"""The same on a device that is no CPU, which wants few and large products."""
_FEWEST: Final = 8
"""Steps of a block, at least."""


class EarlyCurrent(NamedTuple):
    """A current that was computed for all steps.

    Attributes:
        delay: Steps that it takes.
        target: Layer that receives it.
    """

    delay: int
    target: str


class BlockActivity(NamedTuple):
    """What a block of steps did.

    Attributes:
        sent: Spikes of all neurons, uint8 `[B, T, N]`.
        v: Potentials of the neurons that are shown, after the reset, `[B, T, R]`.
        u: Their currents, `[B, T, R]`; of size 0 if nobody asks.
    """

    sent: Tensor
    v: Tensor
    u: Tensor


class WayBack(Protocol):
    """The way back through the blocks of a run, the last one first.

    Attributes:
        by_weights: Gradients with respect to the weights of synapses, which are added up.
        by_numbers: Those with respect to the numbers of neurons, `[8, N]`; see `neurons`.
    """

    @property
    def by_weights(self) -> Sequence[Weights]: ...  # noqa: D102

    @property
    def by_numbers(self) -> Tensor: ...  # noqa: D102

    def take(
        self, a: Tensor, state: Tensor, sent: Tensor, by_spikes: Tensor, by_v: Tensor, future: Tensor
    ) -> Tensor:
        """Go back over a block, and return the gradients with respect to its input, `[B, T, N]`.

        Args:
            a: What `Passes.advance` left.
            state: States before the block, which may be changed; of no neurons unless `Passes.remembers`.
            sent: Spikes of the block.
            by_spikes: Gradients with respect to the spikes that are heard, `[B, T, R]`; of size 0 for none.
            by_v: Those with respect to the potentials that are shown, likewise.
            future: Those with respect to the input of the steps after the block, `[B, D, N]`.
        """
        ...


class Passes(Protocol):
    """What computes a block of steps.

    Attributes:
        remembers: Whether the way back needs the states before a block.
    """

    @property
    def remembers(self) -> bool: ...  # noqa: D102

    def advance(self, a: Tensor, tail: Tensor, state: Tensor) -> BlockActivity:
        """Run a block.

        Args:
            a: Input `[B, T, N]`; becomes what the way back needs.
            tail: Gets what they bring after the block, `[B, D, N]`, added to what is there.
            state: States `[B, 4, N]`, see `neurons`; become those after the block.
        """
        ...

    def back(self) -> WayBack:
        """Return the way back through the run."""
        ...


@final
@dataclass(frozen=True)
class Run:
    """Everything of a run that is no tensor with a gradient.

    Attributes:
        batch: Number of samples.
        steps: Number of steps.
        places: Where the layers stand.
        like: A tensor of the type and on the device of all numbers.
        lists: The synapses between layers.
        passes: From a run and the weights of its synapses to what computes blocks.
        products: What enters, and its weights.
        currents: What was computed for all steps.
        inner: Shapes of the matrices of the connections between layers.
        shown: First neuron and number of those whose potentials are asked for.
        heard: The same of those whose spikes are.
        currents_too: Whether currents of those that are shown are asked for.
        recompute: Whether inputs and spikes are computed again for the gradients instead of being stored.
        backward: Whether there will be gradients.
    """

    batch: int
    steps: int
    places: Places
    like: Tensor
    lists: SynapseLists
    passes: Callable[["Run", Weights], Passes]
    products: Sequence[Product]
    currents: Sequence[EarlyCurrent]
    inner: Sequence[tuple[int, ...]]
    shown: tuple[int, int]
    heard: tuple[int, int]
    currents_too: bool
    recompute: bool
    backward: bool

    @property
    def blocks(self) -> list[slice]:
        """The steps of each block; no delay is longer, unless the run is shorter."""
        numbers = _BLOCK if self.like.device.type == "cpu" else _BLOCK_ELSEWHERE
        fitting = max(numbers // (self.batch * self.places.neurons), _FEWEST, self.lists.longest)
        return [slice(start, min(start + fitting, self.steps)) for start in range(0, self.steps, fitting)]

    def rest(self) -> tuple[Tensor, Tensor]:
        """Return states at rest, and nothing that is on its way."""
        neurons = self.places.neurons
        return (
            self.like.new_zeros(self.batch, STATES, neurons),
            self.like.new_zeros(self.batch, self.lists.longest, neurons),
        )


class _Stored(NamedTuple):
    """What the backward pass needs of a block of steps.

    Attributes:
        state: States before it; None if they are not needed.
        tail: What synapses brought from before the block; None unless the rest is computed again.
        a: What `Passes.advance` made of the input; None if it is computed again.
        sent: Spikes; None if they are computed again.
    """

    state: Any
    tail: Any
    a: Any
    sent: Any


@final
@dataclass(frozen=True)
class _Given:
    """The tensors of a run by what they are: of products, currents, inner connections and neurons."""

    products: Sequence[Any]
    currents: Sequence[Any]
    inner: Sequence[Any]
    numbers: Sequence[Any]

    @classmethod
    def of(cls, run: Run, values: Sequence[Any]) -> "_Given":
        first = len(run.products)
        second = first + len(run.currents)
        third = second + len(run.inner)
        return cls(values[:first], values[first:second], values[second:third], values[third:])


class LoopPass(torch.autograd.Function):
    """All steps of a run. Tensors are weights of products, currents, inner weights, numbers of layers."""

    @staticmethod
    def forward(ctx: Any, run: Run, *tensors: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Return potentials, spikes and currents of the neurons that are asked for, `[B, T, R]`."""
        given = _Given.of(run, tensors)
        currents = [each.detach() for each in given.currents]
        weights = run.lists.gather(given.inner, run.like)
        passes = run.passes(run, weights)
        v = run.like.new_empty(run.batch, run.steps, run.shown[1])
        u = run.like.new_empty(run.batch, run.steps, run.shown[1] if run.currents_too else 0)
        spikes = run.like.new_empty(run.batch, run.steps, run.heard[1])
        heard = slice(run.heard[0], sum(run.heard))
        state, tail = run.rest()
        stored: list[Tensor | None] = []
        again = run.backward and (run.recompute or passes.remembers)
        for steps in run.blocks:
            before = state.clone() if again else None
            a, after = _input(run, currents, steps, tail)
            activity = passes.advance(a, after, state)
            v[:, steps], u[:, steps], spikes[:, steps] = activity.v, activity.u, activity.sent[:, :, heard]
            if run.backward:
                whole = _Stored(before, None, a, activity.sent)
                stored += _Stored(before, tail, None, None) if run.recompute else whole
            tail = after
        # What is computed again needs the currents, and weights that nobody changed in the meantime.
        needed = [*given.products, *given.currents] if run.recompute else []
        ctx.run = run
        ctx.save_for_backward(*((*weights, *needed, *stored) if run.backward else ()))
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(u)
        return v, spikes, u

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of all tensors."""
        if torch.is_grad_enabled():
            raise ArgumentError(
                "create_graph",
                "False, since compiled loops have no gradients of gradients",
                "True",
                "set the network's `compiled = False`",
            )
        run: Run = ctx.run
        listed, rows, *others = ctx.saved_tensors
        count = len(run.products) + len(run.currents) if run.recompute else 0
        currents = [each.detach() for each in others[len(run.products) : count]]
        blocks = [_Stored(*others[k : k + 4]) for k in range(count, len(others), 4)]
        back = _Backward(run, Weights(listed, rows), currents, gradients[:2], ctx.needs_input_grad[1:])
        for steps, block in reversed(list(zip(run.blocks, blocks, strict=True))):
            back.take(steps, block)
        return (None, *back.gradients())


def _input(run: Run, currents: Sequence[Tensor], steps: slice, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Return the input of a block of steps, and what came for the steps after it."""
    count, ahead = steps.stop - steps.start, tail.shape[1]
    a = run.like.new_zeros(run.batch, count, run.places.neurons)
    near = min(ahead, count)
    a[:, :near] = tail[:, :near]
    after = torch.zeros_like(tail)
    after[:, : ahead - near] = tail[:, near:]
    for product in run.products:
        product.add_to(a, steps.start)
    for current, values in zip(run.currents, currents, strict=True):
        late, source = arrival(current.delay, steps.start)
        if late < count:
            a[:, late:, run.places.slice(current.target)] += values[:, source : source + count - late]
    return a, after


@final
class _Backward:
    """The way back through a run, block by block."""

    def __init__(
        self,
        run: Run,
        weights: Weights,
        currents: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> None:
        self._run, self._currents = run, currents
        self._by_v, self._by_spikes = gradients
        self._needed = _Given.of(run, needed)
        self._passes = run.passes(run, weights)
        self._way = self._passes.back()
        self._future = run.rest()[1]
        self._by_products = [
            each.no_gradient() if wanted else None
            for each, wanted in zip(run.products, self._needed.products, strict=True)
        ]
        self._by_currents = [
            run.like.new_zeros(run.batch, run.steps, run.places.layers[each.target][1]) if wanted else None
            for each, wanted in zip(run.currents, self._needed.currents, strict=True)
        ]

    def take(self, steps: slice, block: _Stored) -> None:
        """Go back over a block."""
        a, sent = block.a, block.sent
        if self._run.recompute:
            a, after = _input(self._run, self._currents, steps, block.tail)
            sent = self._passes.advance(a, after, block.state.clone()).sent
        by_v, by_spikes = (
            a.new_zeros(*a.shape[:2], 0) if each is None else each[:, steps].contiguous()
            for each in (self._by_v, self._by_spikes)
        )
        state = a.new_empty(len(a), STATES, 0) if block.state is None else block.state.clone()
        by_a = self._way.take(a, state, sent, by_spikes, by_v, self._future)
        near = min(by_a.shape[1], self._future.shape[1])
        self._future = torch.cat((by_a[:, :near], self._future[:, : self._future.shape[1] - near]), dim=1)
        self._hand_on(by_a, steps)

    def _hand_on(self, by_a: Tensor, steps: slice) -> None:
        """Give the gradients of the input of a block to what made it."""
        run, count = self._run, by_a.shape[1]
        for product, gradient in zip(run.products, self._by_products, strict=True):
            if gradient is not None:
                product.learn(gradient, by_a, steps.start)
        for current, gradient in zip(run.currents, self._by_currents, strict=True):
            late, source = arrival(current.delay, steps.start)
            if gradient is not None and late < count:
                arriving = by_a[:, late:, run.places.slice(current.target)]
                gradient[:, source : source + count - late] = arriving

    def gradients(self) -> list[Tensor | None]:
        """Return the gradients of all tensors that need one."""
        run = self._run
        grown: list[Tensor | None] = [
            None if gradient is None else product.gradient(gradient)
            for product, gradient in zip(run.products, self._by_products, strict=True)
        ]
        grown += self._by_currents
        by_weights, by_numbers = self._way.by_weights, self._way.by_numbers
        for k, (shape, wanted) in enumerate(zip(run.inner, self._needed.inner, strict=True)):
            grown.append(run.lists.scatter(by_weights, k, shape) if wanted else None)
        rows = [by_numbers[row, run.places.slice(name)] for name in run.places.layers for row in GIVEN]
        grown += [
            row.clone() if wanted else None for row, wanted in zip(rows, self._needed.numbers, strict=True)
        ]
        return grown
