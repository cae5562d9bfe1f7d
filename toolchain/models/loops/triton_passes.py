"""Blocks of steps in kernels of Triton, on a GPU: one launch for all steps of a direction."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, final

import torch
from torch import Tensor

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.neurons import KEEP_U, NUMBERS
from toolchain.models.loops.plan import Places
from toolchain.models.loops.run import BlockActivity, Run
from toolchain.models.loops.synapses import Weights
from toolchain.models.loops.triton_layers import TritonLayers

_OLDEST: Final = (8, 0)
"""Capability of the oldest GPUs that kernels are made for."""
_NEURONS: Final = (64, 256, 1024)
"""Neurons that a program computes at once: as many of these as the largest layer has, or the most."""
_SERVED: Final = (64, 256)
"""Synapses of a neuron that are served at once, likewise."""
_FOLLOWED: Final = 16
"""Synapses of each of several neurons that are followed at once."""
_LEARNING: Final = 32
"""Synapses of a neuron that learn at once, and steps with spikes that they learn from."""
_RECALLED: Final = 128
"""Neurons of a program that runs them again."""
_SEARCHED: Final = 512
"""Steps that are searched for spikes at once."""
_WARP: Final = 32


def has_triton(device: torch.device) -> bool:
    """Return whether kernels of Triton run on a device.

    Args:
        device: Any device.
    """
    if device.type != "cuda" or torch.version.hip is not None or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _OLDEST


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
    return partial(TritonPasses, TritonLayers.of(dynamics, places, like, backward=backward))


@final
class TritonPasses:
    """See `run.Passes`.

    Args:
        layers: The layers.
        run: The run.
        weights: Weights of its synapses.
    """

    def __init__(self, layers: TritonLayers, run: Run, weights: Weights) -> None:
        self._layers, self._run, self._lists = layers, run, run.lists.merged
        self._weights = self._lists.merge(weights.listed)

    @property
    def remembers(self) -> bool:
        """Whether the way back needs states: it always runs again."""
        return True

    def advance(self, a: Tensor, tail: Tensor, state: Tensor) -> BlockActivity:
        """Run a block; see `run.Passes`."""
        run, layers, (batch, steps, neurons) = self._run, self._layers, a.shape
        sent = torch.empty(a.shape, dtype=torch.uint8, device=a.device)
        v = a.new_empty(batch, steps, run.shown[1])
        u = a.new_empty(batch, steps, run.shown[1] if run.currents_too else 0)
        at_once = _at_once(layers.largest, _NEURONS)
        _start(
            "triton_forward.advance_block",
            (batch,),
            warps=min(at_once // _WARP, 8),
            a=a,
            tail=tail,
            state=state,
            sent=sent,
            v_rows=v,
            u_rows=u,
            events=self._lists.first.new_empty(batch, 3, neurons),
            numbers=layers.numbers,
            table=layers.table,
            first=self._lists.first,
            places=self._lists.places,
            weights=self._weights,
            steps=steps,
            ahead=tail.shape[1],
            size=neurons,
            layers=len(layers.table),
            shown=run.shown[0],
            rows=run.shown[1],
            RECORDS=run.currents_too,
            WAITS=layers.waits,
            RISES=layers.rises,
            NEURONS=at_once,
            SYNAPSES=_at_once(self._lists.longest, _SERVED),
        )
        return BlockActivity(sent, v, u)

    def back(self) -> "TritonWayBack":
        """Return the way back through the run."""
        return TritonWayBack(self._layers, self._run, self._weights)


@final
class TritonWayBack:
    """See `run.WayBack`.

    Args:
        layers: The layers.
        run: The run.
        weights: Weights of its merged synapses.
    """

    def __init__(self, layers: TritonLayers, run: Run, weights: Tensor) -> None:
        self._layers, self._run, self._lists = layers, run, run.lists.merged
        self._weights, self._by_weights = weights, torch.zeros_like(weights)
        self._later = run.rest()[0]
        sums = run.batch if layers.learnt else 0
        self._by_numbers = run.like.new_zeros(sums, NUMBERS, run.places.neurons)

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
        layers, steps = self._layers, a.shape[1]
        window = a.new_empty(a.shape[0], steps + future.shape[1], a.shape[2])
        window[:, steps:] = future
        asked = {"past_u": layers.learns(KEEP_U), "past_rise": layers.rises, "past_wait": layers.waits}
        arguments = {
            "state": state,
            "sent": sent,
            "window": window,
            "numbers": layers.numbers,
            "table": layers.table,
            "steps": steps,
            "ahead": future.shape[1],
            "size": a.shape[2],
            "learnt": layers.learnt,
            "WAITS": layers.waits,
            "RISES": layers.rises,
            **{name: a.new_empty(a.shape if wanted else 0) for name, wanted in asked.items()},
        }
        grid = (a.shape[0], len(layers.table), -(-layers.largest // _RECALLED))
        _start("triton_forward.recall_block", grid, warps=4, a=a, NEURONS=_RECALLED, **arguments)
        self._retreat(by_spikes, by_v, arguments)
        self._learn(sent, window, steps)
        return window[:, :steps]

    def _retreat(self, by_spikes: Tensor, by_v: Tensor, arguments: Mapping[str, Any]) -> None:
        """Replace the potentials in the window by gradients."""
        layers, run = self._layers, self._run
        at_once = _at_once(layers.largest, _NEURONS)
        _start(
            "triton_backward.retreat_block",
            (run.batch,),
            warps=at_once // _WARP,
            **arguments,
            by_spikes=by_spikes,
            by_v=by_v,
            later=self._later,
            by_sent=run.like.new_empty(run.batch, run.places.neurons),
            by_numbers=self._by_numbers,
            slopes=layers.slopes,
            first=self._lists.first,
            places=self._lists.places,
            weights=self._weights,
            layers=len(layers.table),
            heard=run.heard[0],
            heard_rows=by_spikes.shape[2],
            shown=run.shown[0],
            shown_rows=by_v.shape[2],
            NEURONS=at_once,
            SOURCES=at_once // 2,
            SYNAPSES=_FOLLOWED,
        )

    def _learn(self, sent: Tensor, window: Tensor, steps: int) -> None:
        """Add what a block brings to the gradients of weights."""
        batch, length, neurons = window.shape
        _start(
            "triton_backward.learn_block",
            (neurons,),
            warps=4,
            sent=sent,
            window=window,
            by_weights=self._by_weights,
            events=torch.empty(neurons, 2, _SEARCHED, dtype=torch.int32, device=sent.device),
            first=self._lists.first,
            places=self._lists.places,
            batch=batch,
            steps=steps,
            ahead=length - steps,
            size=neurons,
            STEPS=_SEARCHED,
            EVENTS=_LEARNING,
            SYNAPSES=_LEARNING,
        )


def _start(kernel: str, grid: tuple[int, ...], *, warps: int, **arguments: Any) -> None:  # noqa: ANN401
    """Start a kernel.

    Multiplications and additions are rounded one by one, as PyTorch does. Nothing is loaded before its turn:
    what is read may have been written just before.

    Args:
        kernel: Name of its module here, and its own.
        grid: Number of programs.
        warps: Warps of each.
        arguments: What it takes, among it `sent`.
    """
    module, name = kernel.split(".")
    program = getattr(import_module(f"toolchain.models.loops.{module}"), name)
    # Triton starts kernels on the current device, wherever tensors are.
    with torch.cuda.device_of(arguments["sent"]):
        program[grid](**arguments, num_warps=warps, num_stages=1, enable_fp_fusion=False)


def _at_once(count: int, choices: Sequence[int]) -> int:
    """Return the least choice that is no less, else the last; few choices, so that few kernels are made."""
    return next((choice for choice in choices if choice >= count), choices[-1])
