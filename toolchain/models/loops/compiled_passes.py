"""Blocks of steps in compiled loops, on the CPU."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import final

import numpy as np
import torch
from torch import Tensor

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.neurons import NUMBERS, REMEMBERS
from toolchain.models.loops.passes import advance, retreat
from toolchain.models.loops.plan import Numbers, Places, numbers_of, table_of
from toolchain.models.loops.run import BlockActivity, Run
from toolchain.models.loops.synapses import Synapses, Weights
from toolchain.models.loops.vectors import LINE_BYTES
from toolchain.threads import in_threads, parts


def compiled_passes(
    dynamics: Mapping[str, NeuronDynamics], places: Places, like: Tensor, *, backward: bool
) -> Callable[[Run, Weights], "CompiledPasses"]:
    """Return how passes of these populations are made; see `Run.passes`.

    Args:
        dynamics: The populations.
        places: Place of each among all neurons.
        like: A tensor of the type of all numbers.
        backward: Whether gradients will be asked for.
    """
    kind = like.numpy().dtype
    table, slopes = table_of(dynamics, places, kind, backward=backward)
    return partial(CompiledPasses, numbers_of(dynamics, places, kind), table, slopes)


@final
class CompiledPasses:
    """See `run.Passes`.

    Args:
        numbers: Numbers of all neurons, `[8, N]`.
        layers: Table of the layers.
        slopes: Sharpness of the surrogate derivative of each.
        run: The run.
        weights: Weights of its synapses.
    """

    def __init__(
        self, numbers: Numbers, layers: Numbers, slopes: Numbers, run: Run, weights: Weights
    ) -> None:
        self._numbers, self._layers, self._slopes = numbers, layers, slopes
        self._run, self._synapses = run, run.lists.with_weights(weights)

    @property
    def remembers(self) -> bool:
        """Whether any layer remembers more than its potentials."""
        return bool(self._layers[:, REMEMBERS].any())

    def advance(self, a: Tensor, tail: Tensor, state: Tensor) -> BlockActivity:
        """Run a block; see `run.Passes`."""
        run = self._run
        sent = torch.zeros(a.shape, dtype=torch.uint8)
        v = a.new_empty(*a.shape[:2], run.shown[1])
        u = a.new_empty(*a.shape[:2], run.shown[1] if run.currents_too else 0)
        in_threads(
            lambda part: advance(
                *part,
                a=a.numpy(),
                tail=tail.numpy(),
                state=state.numpy(),
                sent=sent.numpy(),
                v_rows=v.numpy(),
                u_rows=u.numpy(),
                shown=run.shown[0],
                numbers=self._numbers,
                layers=self._layers,
                synapses=self._synapses,
            ),
            parts(run.batch),
            torch.get_num_threads(),
        )
        return BlockActivity(sent, v, u)

    def back(self) -> "CompiledWayBack":
        """Return the way back through the run."""
        return CompiledWayBack(self._run, self._numbers, self._layers, self._slopes, self._synapses)


@final
class CompiledWayBack:
    """See `run.WayBack`; samples go in lines, and each part of the lines has sums of its own."""

    def __init__(
        self, run: Run, numbers: Numbers, layers: Numbers, slopes: Numbers, synapses: Synapses
    ) -> None:
        self._run, self._synapses = run, synapses
        self._numbers, self._layers, self._slopes = numbers, layers, slopes
        kind, neurons = numbers.dtype, run.places.neurons
        lanes = LINE_BYTES // kind.itemsize
        lines = [(begin, min(begin + lanes, run.batch)) for begin in range(0, run.batch, lanes)]
        self._parts = [lines[begin:end] for begin, end in parts(len(lines))]
        steps = max((each.stop - each.start for each in run.blocks), default=0)
        extent = (steps + run.lists.longest) * neurons
        self._memory = [
            (np.zeros((extent, lanes), kind), np.empty((lanes, neurons), kind), np.empty(lanes**2, kind))
            for _ in self._parts
        ]
        self._lines = {begin: np.zeros((run.lists.longest * neurons, lanes), kind) for begin, _ in lines}
        self._later = run.rest()[0].numpy()
        self._by_numbers = np.zeros((len(self._parts), NUMBERS, neurons), kind)
        self._by_weights = [run.lists.blank(run.like) for _ in self._parts]

    @property
    def by_weights(self) -> Sequence[Weights]:
        """Gradients with respect to the weights of synapses, which are added up."""
        return self._by_weights

    @property
    def by_numbers(self) -> Tensor:
        """Gradients with respect to the numbers of neurons."""
        return torch.from_numpy(self._by_numbers.sum(axis=0))

    def take(
        self, a: Tensor, state: Tensor, sent: Tensor, by_spikes: Tensor, by_v: Tensor, future: Tensor
    ) -> Tensor:
        """Go back over a block; see `run.WayBack`."""
        by_a = torch.empty_like(a)
        arrays = [each.numpy() for each in (a, state, sent, by_spikes, by_v, by_a, future)]

        def work(part: int) -> None:
            for begin, end in self._parts[part]:
                self._take_line(begin, end, part, arrays)

        in_threads(work, range(len(self._parts)), torch.get_num_threads())
        return by_a

    def _take_line(self, begin: int, end: int, part: int, arrays: Sequence[Numbers]) -> None:
        a, state, sent, by_spikes, by_v, by_a, future = arrays
        window, rows, brought = self._memory[part]
        retreat(
            begin,
            end,
            a,
            state,
            sent,
            by_spikes,
            self._run.heard[0],
            by_v,
            shown=self._run.shown[0],
            later=self._later,
            by_a=by_a,
            future=future,
            lines=self._lines[begin],
            window=window,
            rows=rows,
            brought=brought,
            by_numbers=self._by_numbers[part],
            by_synapses=self._run.lists.with_weights(self._by_weights[part]),
            numbers=self._numbers,
            layers=self._layers,
            slopes=self._slopes,
            synapses=self._synapses,
        )
