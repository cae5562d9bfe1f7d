"""Blocks of steps in kernels of Triton, on a GPU: one launch for all steps of a direction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.neurons import NUMBERS, REFRACTORY, VTH
from toolchain.models.loops.neurons import KEEP_U as CURRENTS
from toolchain.models.loops.plan import GIVEN, Places, given, table_of
from toolchain.models.loops.run import BlockActivity, Run
from toolchain.models.loops.synapses import Weights

_OLDEST: Final = (8, 0)
"""Capability of the oldest GPUs that Triton serves."""
_MOST_AT_ONCE: Final = 1024
"""Neurons, or synapses of one of them, that a program computes at once."""
_TILE: Final = 4096
"""Synapses of several neurons that a program follows at once."""
_EVENTS: Final = 32
"""Steps of a sample at which the gradient of a weight is looked for at once."""
_RECALLED: Final = 128
"""Neurons of a program that runs them again."""


def has_triton(device: torch.device) -> bool:
    """Return whether kernels of Triton run on a device."""
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _OLDEST


@final
@dataclass(frozen=True)
class _Populations:
    """All populations on a device.

    Attributes:
        numbers: Their numbers, `[8, N]`; see `neurons`.
        table: Table of the layers; see `neurons`.
        slopes: Sharpness of the surrogate derivative of each.
        largest: Neurons of the largest layer.
        waits: Whether any has a refractory period.
        rises: Whether any adapts.
        learnt: A bit for each row of numbers whose gradients are wanted.
    """

    numbers: Tensor
    table: Tensor
    slopes: Tensor
    largest: int
    waits: bool
    rises: bool
    learnt: int

    @classmethod
    def of(
        cls, dynamics: Mapping[str, NeuronDynamics], places: Places, like: Tensor, *, backward: bool
    ) -> "_Populations":
        """Return populations in the places they have among all neurons."""
        numbers, learnt = like.new_zeros(NUMBERS, places.neurons), 0
        numbers[VTH] = torch.inf
        for name, each in dynamics.items():
            at = places.slice(name)
            for row, values in zip(GIVEN, given(each), strict=True):
                if values is not None:
                    numbers[row, at] = values.detach()
                    learnt |= int(backward and values.requires_grad) << row
            if each.refractory is not None:
                numbers[REFRACTORY, at] = each.refractory.to(like.dtype)
        kind = np.dtype(str(like.dtype).removeprefix("torch."))
        table, slopes = table_of(dynamics, places, kind, backward=backward)
        return cls(
            numbers,
            torch.from_numpy(table).to(like.device),
            torch.from_numpy(slopes).to(like.device),
            largest=max(size for _, size in places.layers.values()),
            waits=any(each.refractory is not None for each in dynamics.values()),
            rises=any(each.adaptation is not None for each in dynamics.values()),
            learnt=learnt,
        )

    @property
    def at_once(self) -> int:
        """Neurons that a program computes at once."""
        return _within(self.largest, 64, _MOST_AT_ONCE)

    @property
    def kinds(self) -> dict[str, bool]:
        """What kernels are made for."""
        return {"WAITS": self.waits, "RISES": self.rises}


def triton_passes(
    dynamics: Mapping[str, NeuronDynamics], places: Places, like: Tensor, *, backward: bool
) -> Callable[[Run, Weights], "TritonPasses"]:
    """Return how passes of these populations are made; see `Run.passes`.

    Args:
        dynamics: The populations.
        places: Place of each among all neurons.
        like: A tensor of the type of all numbers, on their device.
        backward: Whether gradients will be asked for.
    """
    populations: list[_Populations] = []

    def make(run: Run, weights: Weights) -> TritonPasses:
        if not populations:
            populations.append(_Populations.of(dynamics, places, like, backward=backward))
        return TritonPasses(populations[0], run, weights)

    return make


@final
class TritonPasses:
    """See `run.Passes`.

    Args:
        populations: The populations.
        run: The run.
        weights: Weights of its synapses.
    """

    def __init__(self, populations: _Populations, run: Run, weights: Weights) -> None:
        self._populations, self._run = populations, run
        self._lists = run.lists.merged
        self._weights = self._lists.merge(weights.listed)

    def advance(self, a: Tensor, tail: Tensor, state: Tensor) -> BlockActivity:
        """Run a block; see `run.Passes`."""
        run, own, (batch, steps, neurons) = self._run, self._populations, a.shape
        sent = torch.empty(a.shape, dtype=torch.uint8, device=a.device)
        v = a.new_empty(batch, steps, run.shown[1])
        u = a.new_empty(batch, steps, run.shown[1] if run.currents_too else 0)
        events = self._lists.first.new_empty(batch, 3, neurons)
        _start(
            "advance_block",
            (batch,),
            a,
            tail,
            state,
            sent,
            v,
            u,
            events,
            own.numbers,
            own.table,
            self._lists.first,
            self._lists.places,
            self._weights,
            steps,
            tail.shape[1],
            neurons,
            len(own.table),
            *run.shown,
            RECORDS=run.currents_too,
            **own.kinds,
            NEURONS=own.at_once,
            SYNAPSES=_within(self._lists.longest, 64, _MOST_AT_ONCE // 4),
            num_warps=min(own.at_once // 32, 8),
        )
        return BlockActivity(sent, v, u)

    def back(self) -> "TritonWayBack":
        """Return the way back through the run."""
        return TritonWayBack(self._populations, self._run, self._weights)


@final
class TritonWayBack:
    """See `run.WayBack`.

    Args:
        populations: The populations.
        run: The run.
        weights: Weights of its synapses, merged.
    """

    def __init__(self, populations: _Populations, run: Run, weights: Tensor) -> None:
        self._populations, self._run, self._weights = populations, run, weights
        self._lists = run.lists.merged
        self._followed = 32
        self._by_weights = torch.zeros_like(weights)
        self._later = run.rest()[0]
        learns = run.batch if populations.learnt else 0
        self._by_numbers = run.like.new_zeros(learns, NUMBERS, run.places.neurons)

    @property
    def by_weights(self) -> Sequence[Weights]:
        """Gradients with respect to the weights of synapses."""
        return [Weights(self._lists.part(self._by_weights), self._run.like)]

    @property
    def by_numbers(self) -> Tensor:
        """Gradients with respect to the numbers of neurons; zero where they are not wanted."""
        return self._by_numbers.sum(0)

    def take(
        self, a: Tensor, state: Tensor, sent: Tensor, by_spikes: Tensor, by_v: Tensor, future: Tensor
    ) -> Tensor:
        """Go back over a block; see `run.WayBack`."""
        own, (batch, steps, neurons) = self._populations, a.shape
        ahead, filters = future.shape[1], bool(own.learnt >> CURRENTS & 1)
        window = a.new_empty(batch, steps + ahead, neurons)
        window[:, steps:] = future
        past = [
            a.new_empty(a.shape if there else (0,)) for there in (filters, own.rises, own.waits)
        ]
        _start(
            "recall_block",
            (batch, len(own.table), -(-own.largest // _RECALLED)),
            a,
            state,
            sent,
            window,
            *past,
            own.numbers,
            own.table,
            steps,
            ahead,
            neurons,
            own.learnt,
            **own.kinds,
            NEURONS=_RECALLED,
            num_warps=4,
        )
        _start(
            "retreat_block",
            (batch,),
            state,
            sent,
            by_spikes,
            by_v,
            self._later,
            window,
            *past,
            a.new_empty(batch, neurons),
            self._by_numbers,
            own.numbers,
            own.table,
            own.slopes,
            self._lists.first,
            self._lists.places,
            self._weights,
            steps,
            ahead,
            neurons,
            len(own.table),
            self._run.heard[0],
            by_spikes.shape[2],
            self._run.shown[0],
            by_v.shape[2],
            own.learnt,
            **own.kinds,
            NEURONS=own.at_once,
            SOURCES=_TILE // self._followed,
            SYNAPSES=self._followed,
            num_warps=min(own.at_once // 32, 16),
        )
        _start(
            "learn_block",
            (neurons,),
            sent,
            window,
            self._by_weights,
            self._lists.first,
            self._lists.places,
            batch,
            steps,
            ahead,
            neurons,
            STEPS=_EVENTS,
            SYNAPSES=self._followed,
            num_warps=4,
        )
        return window[:, :steps]


def _start(kernel: str, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:  # noqa: ANN401
    """Start a kernel; rounded as PyTorch does, and nothing is loaded earlier than it stands there."""
    from toolchain.models.loops import triton_kernels  # noqa: PLC0415 - only where Triton is installed

    getattr(triton_kernels, kernel)[grid](*arguments, **constants, num_stages=1, enable_fp_fusion=False)


def _within(count: int, least: int, most: int) -> int:
    """Return the least of the fourfold of `least` that holds so many, at most `most`: few kernels are made."""
    at_once = least
    while at_once < min(count, most):
        at_once *= 4
    return at_once
