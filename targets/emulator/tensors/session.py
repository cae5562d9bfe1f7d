"""A batch in the middle of a run, on tensors: one step at a time, on any device."""

from collections.abc import Mapping
from typing import Any, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from targets.emulator.tensors.kernels import (
    ConvolutionKernel,
    SynapseKernel,
    pool,
    synapse_kernel,
)
from targets.emulator.tensors.neurons import FixedNeurons, FloatNeurons, TensorNeurons
from toolchain import ir
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import fit_step
from toolchain.fixedpoint import encode_graded
from toolchain.ir import AnyNode, EdgeKind, Graph, Population, Stage, Synapses
from toolchain.target.records import Records


@final
class TensorSession:
    """A batch in the middle of a run.

    Args:
        graph: A verified graph.
        batch: Number of samples that advance together.
        device: Device to compute on.
    """

    def __init__(self, graph: Graph, batch: int, device: torch.device) -> None:
        self._graph = graph
        self._batch = batch
        self._device = device
        self._fixed = graph.stage is Stage.FIXED
        self._types = graph.types
        self._span = graph.largest_delay() + 1
        self._clipping = ClippingTally.of(graph)
        self._kernels: dict[str, SynapseKernel | ConvolutionKernel] = {
            node.name: synapse_kernel(node, graph.largest_message(node), device) for node in graph.synapses
        }
        self._neurons: dict[str, TensorNeurons] = {
            node.name: FloatNeurons(node, device) if isinstance(node, ir.Lif) else FixedNeurons(node, device)
            for node in graph.populations
        }
        self.reset()

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """Inputs that `step` had to clip since the last reset."""
        return self._clipping.clipped

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._clipping.reset()
        self._t = 0
        self.state = {name: neurons.rest(self._batch) for name, neurons in self._neurons.items()}
        self._past: dict[str, list[Tensor]] = {
            node.name: [self._silence(node)] * self._span
            for node in self._graph
            if isinstance(node, ir.Input | ir.Delay | ir.SumPool2d | ir.MaxPool2d | ir.Lif | ir.FixedLif)
        }

    def step(self, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Advance one step.

        Args:
            values: `[batch, *features]` per input, in the model's units.

        Returns:
            Spikes per population `[batch, *features]`: bool, or uint8 where a neuron may send several.
        """
        with torch.inference_mode():
            fitted = fit_step(self._graph.inputs, values, self._batch)
            self._clipping.add(fitted)
            spikes = self._advance({name: torch.from_numpy(array) for name, array in fitted.items()})
            return {name: array.cpu().numpy() for name, array in spikes.items()}

    def advance(self, values: Mapping[str, NDArray[Any]], records: Records) -> None:
        """Advance over a block of steps.

        Args:
            values: `[batch, steps, *features]` per input, in the model's units.
            records: Room for what is recorded, `[batch, steps, *features]` by quantity and population,
                written.
        """
        rows: dict[tuple[str, str], list[Tensor]] = {
            (quantity, name): [] for quantity, arrays in records.items() for name in arrays
        }
        streams = {name: torch.from_numpy(np.array(array)) for name, array in values.items()}
        steps = next(iter(streams.values())).shape[1]
        with torch.inference_mode():
            for t in range(steps):
                spikes = self._advance({name: stream[:, t] for name, stream in streams.items()})
                for (quantity, name), steps_of in rows.items():
                    after = self.state[name]
                    steps_of.append({"spikes": spikes[name], "u": after.u, "v": after.v}[quantity])
            for (quantity, name), steps_of in rows.items():
                records[quantity][name][:] = torch.stack(steps_of, dim=1).cpu().numpy()

    def _advance(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        current: dict[str, Tensor] = {}
        spikes: dict[str, Tensor] = {}
        for node in self._graph:
            match node:
                case ir.Input():
                    self._remember(node, self._enter(node, values[node.name]))
                case ir.Delay():
                    self._remember(node, self._recall(node))
                case ir.SumPool2d() | ir.MaxPool2d():
                    self._remember(node, pool(node, self._past[node.inputs[0]][self._t % self._span]))
                case ir.Dense() | ir.Conv2d() | ir.FixedDense() | ir.FixedConv2d():
                    current[node.name] = self._conduct(node)
                case ir.Lif() | ir.FixedLif():
                    total = current[node.inputs[0]]
                    for name in node.inputs[1:]:
                        total = total + current[name]
                    sent, self.state[node.name] = self._neurons[node.name].step(total, self.state[node.name])
                    spikes[node.name] = sent
                    self._remember(node, sent)
                case ir.Output():
                    pass
                case _:
                    assert_never(node)
        self._t += 1
        return spikes

    def _silence(self, node: AnyNode) -> Tensor:
        sent = self._types[node.name]
        source, _ = self._graph.source(node.name)
        dtype = torch.uint8 if isinstance(source, Population) else torch.float64
        if sent.kind is EdgeKind.SPIKE:
            dtype = torch.bool
        return torch.zeros(self._batch, *sent.shape, dtype=dtype, device=self._device)

    def _remember(self, node: AnyNode, value: Tensor) -> None:
        self._past[node.name][self._t % self._span] = value

    def _at(self, name: str, delay: int) -> Tensor | None:
        then = self._t - delay
        return self._past[name][then % self._span] if then >= 0 else None

    def _enter(self, node: ir.Input, value: Tensor) -> Tensor:
        value = value.to(self._device)
        if node.edge is EdgeKind.SPIKE:
            return value.to(torch.bool)
        if self._fixed:
            return torch.from_numpy(encode_graded(value.cpu().numpy(), node.scale, node.bits)).to(
                self._device, torch.float64
            )
        return value.to(torch.float64)

    def _recall(self, node: ir.Delay) -> Tensor:
        if isinstance(node.steps, int):
            past = self._at(node.inputs[0], node.steps)
            return self._silence(node) if past is None else past
        delayed = self._silence(node)
        for steps in np.unique(node.steps):
            past = self._at(node.inputs[0], int(steps))
            if past is not None:
                applies = torch.from_numpy(node.steps == steps).to(self._device)
                delayed = torch.where(applies, past, delayed)
        return delayed

    def _conduct(self, node: Synapses) -> Tensor:
        kernel = self._kernels[node.name]
        dtype = torch.float64 if kernel.exponent is None else torch.int32
        total: Tensor | None = None
        for delay, slot in kernel.slots:
            past = self._at(node.inputs[0], delay)
            if past is not None:
                current = kernel.apply(past, slot)
                total = current if total is None else total + current
        if total is None:
            shape = self._types[node.name].shape
            return torch.zeros(self._batch, *shape, dtype=dtype, device=self._device)
        return total
