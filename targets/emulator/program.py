"""A graph on tensors: a session that steps a batch, and a program that runs whole stimuli."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from targets.emulator.kernels import (
    ConvolutionKernel,
    FixedNeurons,
    FloatNeurons,
    SynapseKernel,
    pool,
    synapse_kernel,
)
from toolchain.errors import TargetError
from toolchain.fixedpoint import encode_graded
from toolchain.ir import (
    AnyNode,
    Conv2d,
    Delay,
    Dense,
    EdgeKind,
    FixedConv2d,
    FixedDense,
    FixedLif,
    Graph,
    Input,
    Lif,
    MaxPool2d,
    Output,
    Stage,
    SumPool2d,
    Synapses,
    save_graph,
    verify,
)
from toolchain.ir.types import size_of
from toolchain.progress import Progress, no_progress
from toolchain.stimulus import Stimulus, fit_stimulus
from toolchain.trace import QUANTITIES, Trace, check_quantities

_BATCH_BYTES: Final = 256 * 2**20
"""Working memory of one batch; larger stimuli are cut."""


@final
class EmulatorSession:
    """A batch in the middle of a run.

    Args:
        graph: A verified graph.
        batch: Number of samples stepped together.
        device: Where to compute.
    """

    def __init__(self, graph: Graph, batch: int, device: torch.device) -> None:
        self._graph = graph
        self._batch = batch
        self._device = device
        self._fixed = graph.stage is Stage.FIXED
        self._types = verify(graph)
        self._span = graph.largest_delay() + 1
        self._kernels: dict[str, SynapseKernel | ConvolutionKernel] = {
            node.name: synapse_kernel(node, graph.largest_message(node), device) for node in graph.synapses
        }
        self._neurons: dict[str, FloatNeurons | FixedNeurons] = {
            node.name: FloatNeurons(node, device) if isinstance(node, Lif) else FixedNeurons(node, device)
            for node in graph.populations
        }
        self.reset()

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._t = 0
        self.state = {name: neurons.rest(self._batch) for name, neurons in self._neurons.items()}
        self._past: dict[str, list[Tensor]] = {
            node.name: [self._silence(node)] * self._span
            for node in self._graph
            if isinstance(node, Input | Delay | SumPool2d | MaxPool2d | Lif | FixedLif)
        }

    def step(self, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Advance one step.

        Args:
            values: `[batch, *features]` per input, in the model's units.

        Returns:
            Spikes per population, bool `[batch, *features]`.
        """
        spikes = self.advance({name: torch.from_numpy(np.array(array)) for name, array in values.items()})
        return {name: array.cpu().numpy() for name, array in spikes.items()}

    def advance(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Advance one step on tensors; returns spikes per population."""
        current: dict[str, Tensor] = {}
        spikes: dict[str, Tensor] = {}
        for node in self._graph:
            match node:
                case Input():
                    self._remember(node, self._enter(node, values[node.name]))
                case Delay():
                    self._remember(node, self._recall(node))
                case SumPool2d() | MaxPool2d():
                    self._remember(node, pool(node, self._past[node.inputs[0]][self._t % self._span]))
                case Dense() | Conv2d() | FixedDense() | FixedConv2d():
                    current[node.name] = self._conduct(node)
                case Lif() | FixedLif():
                    total = current[node.inputs[0]]
                    for name in node.inputs[1:]:
                        total = total + current[name]
                    fired, u, v = self._neurons[node.name].step(total, *self.state[node.name])
                    self.state[node.name] = (u, v)
                    spikes[node.name] = fired
                    self._remember(node, fired)
                case Output():
                    pass
                case _:
                    assert_never(node)
        self._t += 1
        return spikes

    def _silence(self, node: AnyNode) -> Tensor:
        kind = self._types[node.name]
        dtype = torch.float64 if kind.kind is EdgeKind.GRADED else torch.bool
        return torch.zeros(self._batch, *kind.shape, dtype=dtype, device=self._device)

    def _remember(self, node: AnyNode, value: Tensor) -> None:
        self._past[node.name][self._t % self._span] = value

    def _at(self, name: str, delay: int) -> Tensor | None:
        then = self._t - delay
        return self._past[name][then % self._span] if then >= 0 else None

    def _enter(self, node: Input, value: Tensor) -> Tensor:
        value = value.to(self._device)
        if node.edge is EdgeKind.SPIKE:
            return value.to(torch.bool)
        if self._fixed:
            return torch.from_numpy(encode_graded(value.cpu().numpy(), node.scale, node.bits)).to(
                self._device, torch.float64
            )
        return value.to(torch.float64)

    def _recall(self, node: Delay) -> Tensor:
        if isinstance(node.steps, int):
            held = self._at(node.inputs[0], node.steps)
            return self._silence(node) if held is None else held
        held = self._silence(node)
        for steps in np.unique(node.steps):
            past = self._at(node.inputs[0], int(steps))
            if past is not None:
                chosen = torch.from_numpy(node.steps == steps).to(self._device)
                held = torch.where(chosen, past, held)
        return held

    def _conduct(self, node: Synapses) -> Tensor:
        kernel = self._kernels[node.name]
        dtype = torch.float64 if kernel.exponent is None else torch.int32
        total: Tensor | None = None
        for delay, slot in kernel.slots:
            past = self._at(node.inputs[0], delay)
            if past is not None:
                part = kernel.apply(past, slot)
                total = part if total is None else total + part
        if total is None:
            shape = self._types[node.name].shape
            return torch.zeros(self._batch, *shape, dtype=dtype, device=self._device)
        return total


@final
class EmulatorProgram:
    """A graph made ready for the emulator.

    Args:
        graph: Float or fixed.
        device: `cpu` or `cuda`.
    """

    def __init__(self, graph: Graph, device: str) -> None:
        verify(graph)
        self._graph = graph
        self._device = torch.device(device)

    def session(self, batch: int) -> EmulatorSession:
        """Return a batch at rest that is stepped by hand."""
        return EmulatorSession(self._graph, batch, self._device)

    def run(
        self,
        stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run every sample from rest, cut into batches that fit the memory.

        Integers equal `toolchain.reference` bit for bit; floats are float64 and differ from it
        by the order of summation only.
        """
        check_quantities(record)
        fitted = fit_stimulus(self._graph, stimulus)
        records = _allocate(self._graph, fitted, record)
        size = self._batch_size(fitted.steps)
        for start in range(0, fitted.samples, size):
            part = slice(start, min(start + size, fitted.samples))
            self._run_batch(fitted.take(part), records, part)
            progress(part.stop, fitted.samples)
        return Trace(**records)

    def save(self, directory: Path) -> None:
        """Write the graph; the emulator needs nothing else."""
        save_graph(self._graph, directory)

    def _run_batch(
        self, stimulus: Stimulus, records: Mapping[str, Mapping[str, NDArray[Any]]], part: slice
    ) -> None:
        streams = {name: torch.from_numpy(np.array(array)) for name, array in stimulus.values.items()}
        try:
            session = self.session(stimulus.samples)
            with torch.inference_mode():
                for t in range(stimulus.steps):
                    spikes = session.advance({name: stream[:, t] for name, stream in streams.items()})
                    for name, values in records["spikes"].items():
                        values[part, t] = spikes[name].cpu().numpy()
                    for i, quantity in ((1, "v"), (0, "u")):
                        for name, values in records[quantity].items():
                            values[part, t] = session.state[name][i].cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise TargetError(
                f"the emulator ran out of memory with {stimulus.samples} samples: {error}"
            ) from None

    def _batch_size(self, steps: int) -> int:
        """Return how many samples run together: their states, history and stimulus fit the memory."""
        neurons = sum(node.vth.size for node in self._graph.populations)
        channels = sum(size_of(node.shape) for node in self._graph.inputs)
        history = self._graph.largest_delay() + 1
        per_sample = neurons * (64 + history) + channels * (steps + 8 * history)
        return max(1, _BATCH_BYTES // per_sample)


def _allocate(
    graph: Graph, stimulus: Stimulus, record: tuple[str, ...]
) -> dict[str, dict[str, NDArray[Any]]]:
    number = np.int32 if graph.stage is Stage.FIXED else np.float64
    kept = graph.recorded(record)
    records: dict[str, dict[str, NDArray[Any]]] = {quantity: {} for quantity in QUANTITIES}
    for node in graph.populations:
        extent = (stimulus.samples, stimulus.steps, *node.vth.shape)
        for quantity in kept[node.name]:
            records[quantity][node.name] = np.zeros(extent, np.bool_ if quantity == "spikes" else number)
    return records
