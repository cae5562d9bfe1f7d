"""A graph as a PyTorch module: in real numbers, in integers, or by any choice of the integer rules."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, assert_never, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.errors import ArgumentError, TrainingError
from toolchain.intake import check_shape
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Stage
from toolchain.ir.matrix import with_values
from toolchain.models import NetworkRecord
from toolchain.models.entering import tensor_of
from toolchain.models.over_steps import largest_over_steps, last_step, mean_over_steps, total_over_steps
from toolchain.models.surrogates import Surrogate
from toolchain.training.graph_connection import TrainedConnection
from toolchain.training.graph_parts import GraphActivity, GraphParts
from toolchain.training.integer_rules import ALL_RULES, Rule, straight_through
from toolchain.training.neuron_numbers import KEPT_SHARES, acting_numbers
from toolchain.training.neuron_update import NeuronUpdate
from toolchain.training.step_by_step import run_steps

if TYPE_CHECKING:
    from toolchain.training.whole_run import Loops, NodeGroup


@final
class GraphNetwork(nn.Module):
    """The network of a graph, whatever frontend it came from; weights and biases are its parameters.

    Given the fixed graph that the float graph became, it computes what the chip computes: integers by
    exactly the rules of `fixedpoint` (equal to the emulator bit for bit), with gradients that pass
    straight through the rounding (see `NeuronUpdate`). Scales, exponents, thresholds, decays and what a
    spike does are those of the fixed graph and stay; weights and biases are rounded afresh in every forward
    pass. A weight of a dense matrix that is zero is no synapse and stays zero; so does the bias of a
    population that has none.

    With fewer rules it computes what the network would be if the chip had only those limits.

    Args:
        graph: Float graph.
        fixed: The fixed graph quantized from it; None for real numbers.
        rules: Integer rules that hold; all by default.
        precision: Type of what is not an integer that float32 holds exactly.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.

    Raises:
        TrainingError: The first graph is not a float graph.
    """

    def __init__(
        self,
        graph: Graph,
        fixed: Graph | None = None,
        *,
        rules: frozenset[Rule] = ALL_RULES,
        precision: torch.dtype = torch.float64,
        surrogate: Surrogate = Surrogate.FAST_SIGMOID,
        slope: float = 2.0,
    ) -> None:
        super().__init__()
        if graph.stage is not Stage.FLOAT:
            raise TrainingError(f"'{graph.name}' is in integers already; give its float graph")
        self.graph, self.fixed = graph, fixed
        self.rules: frozenset[Rule] = frozenset() if fixed is None else rules
        self.precision = precision
        self.surrogate, self.slope = surrogate, slope
        self.compiled = True
        """Whether a run goes over all steps at once, in compiled loops where they know it; see `obstacle`."""
        self._loops: Loops = {}
        # Modules and parameters may have no dots in their names.
        self._places = {node.name: f"node{i}" for i, node in enumerate(graph)}
        self.connections = nn.ModuleDict()
        self.biases = nn.ParameterDict()
        for node in graph:
            if isinstance(node, ir.Dense | ir.Conv2d):
                place = self._places[node.name]
                self.connections[place] = TrainedConnection(graph, fixed, node, self.rules, precision)
            elif isinstance(node, ir.Lif):
                bias = torch.from_numpy(_rows(node.bias)).to(precision)
                self.biases[self._places[node.name]] = nn.Parameter(bias, requires_grad=bool(bias.any()))

    def connection(self, name: str) -> TrainedConnection:
        """Return the module of a connection of the graph."""
        return cast("TrainedConnection", self.connections[self._places[name]])

    def forward(
        self, x: Tensor | Mapping[str, Tensor], *, record: bool = False, lengths: Tensor | None = None
    ) -> NetworkRecord:
        """Run a batch from rest.

        Args:
            x: Values `[batch, time, *features]` in the model's units, or one such tensor per input.
            record: Whether to keep spikes, potentials and currents of every population; the latter two in
                the units of the fixed graph, if there is one.
            lengths: Number of valid steps of each sample; later ones are not read. None if all are valid.

        Returns:
            Scores of the first output, in the model's units, and records.
        """
        streams = self._streams(x)
        entering = {node.name: self._enter(node, streams[node.name]) for node in self.graph.inputs}
        done = self._run(entering, record=record)
        scores = self._scores(done, lengths)
        if not record:
            return NetworkRecord(scores, {}, {}, {})
        spikes = {node.name: done.sent[node.name] for node in self.graph.populations}
        return NetworkRecord(scores, spikes, done.v, done.u)

    def obstacle(self, *, record: bool = False) -> str | None:
        """Return why a run, or a part of it, goes step by step through autograd; None if it goes in loops.

        Args:
            record: Whether potentials and currents are recorded.

        Returns:
            The reason as a clause.
        """
        if not self.compiled:
            return "`compiled` is False"
        if record and torch.is_grad_enabled():
            return "potentials and currents are recorded with their gradients"
        device = next(self.parameters()).device.type
        if device != "cpu":
            return f"the network is on '{device}'"
        if self.precision not in {torch.float32, torch.float64}:
            return f"its numbers are {self.precision}"
        return next((group.obstacle for group in self._groups if group.obstacle is not None), None)

    @cached_property
    def _groups(self) -> "tuple[NodeGroup, ...]":
        return _whole_run().groups_of(self.graph)

    def _run(self, entering: Mapping[str, Tensor], *, record: bool) -> GraphActivity:
        in_steps = not self.compiled or (record and torch.is_grad_enabled())
        on_cpu = next(iter(entering.values())).device.type == "cpu"
        in_loops = not in_steps and on_cpu and self.precision in {torch.float32, torch.float64}
        looped = {
            node.name
            for group in self._groups
            for node in group.populations
            if in_loops and group.obstacle is None
        }
        output = self.graph.outputs[0]
        shown = {node.name for node in self.graph.populations} if record else set[str]()
        if output.reads_potential:
            shown.add(output.inputs[0])
        parts = GraphParts(
            self.graph,
            {node.name: self.connection(node.name) for node in self.graph.synapses},
            {node.name: self._neurons(node, in_loops=node.name in looped) for node in self._populations},
            {node.name: self._bias(node) for node in self._populations},
            frozenset(shown),
            records=record,
        )
        if not in_steps:
            return _whole_run().WholeRun(parts, entering, self._loops, compiled=in_loops).run(self._groups)
        nodes = [node for node in self.graph if not isinstance(node, ir.Input | ir.Output)]
        first = next(iter(entering.values()))
        wanted = [node.name for node in self._populations]
        return run_steps(parts, nodes, entering, wanted, (first.shape[0], first.shape[1]))

    @property
    def _populations(self) -> list[ir.Lif]:
        return [node for node in self.graph if isinstance(node, ir.Lif)]

    def _streams(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        given = dict(x) if isinstance(x, Mapping) else {self.graph.inputs[0].name: x}
        names = [node.name for node in self.graph.inputs]
        if set(given) != set(names):
            raise ArgumentError("x", f"tensors named {names}", f"{sorted(map(str, given))}")
        streams = {name: tensor_of(values, "x") for name, values in given.items()}
        for node in self.graph.inputs:
            check_shape(streams[node.name].shape, f"x of input '{node.name}'", ("batch", "time", *node.shape))
        return streams

    def tuned(self) -> Graph:
        """Return the float graph with the weights and biases that act now.

        Where weights and biases are rounded, the rounded ones: the network that was trained is the one
        that computed with them.
        """

        def change(node: AnyNode) -> AnyNode:
            match node:
                case ir.Dense():
                    return replace(
                        node, weights=with_values(node.weights, self.connection(node.name).trained())
                    )
                case ir.Conv2d():
                    values = with_values(node.weights, self.connection(node.name).trained())
                    return replace(node, weights=np.asarray(values))
                case ir.Lif():
                    bias = np.broadcast_to(self._bias(node).detach().cpu().double().numpy(), node.vth.shape)
                    if self.fixed is not None:
                        scale = cast("ir.FixedLif", self.fixed[node.name]).scale
                        bias = bias / (scale * 2.0**fixedpoint.ALIGNMENT_BITS)
                    return replace(node, bias=bias)
                case _:
                    return node

        return self.graph.map(change)

    def hold_in_range(self) -> None:
        """Move weights that no integer can follow back to the edge of their range."""
        for module in self.connections.values():
            cast("TrainedConnection", module).hold_in_range()

    def _enter(self, node: ir.Input, stream: Tensor) -> Tensor:
        if node.edge is EdgeKind.SPIKE or self.fixed is None:
            return stream.to(self.precision)
        if Rule.INPUT not in self.rules:
            return stream.double() * node.scale
        integers = fixedpoint.encode_graded(stream.cpu().numpy(), node.scale, node.bits)
        return torch.from_numpy(integers).to(stream.device, torch.float64)

    def _neurons(self, node: ir.Lif, *, in_loops: bool) -> NeuronUpdate:
        """Return the update of a population by the rules that hold."""
        fixed = None if self.fixed is None else cast("ir.FixedLif", self.fixed[node.name])
        numbers = acting_numbers(node, fixed, self.rules)
        reach = sum(self.connection(name).reach for name in node.inputs)
        wide = self.rules == ALL_RULES and reach >= fixedpoint.INPUT_LIMIT
        leaks = any(not np.isin(numbers[name], (0, 1)).all() for name in KEPT_SHARES if name in numbers)
        # What decays is rounded in two parts in the loops, and a sum of current and input has 24 bits.
        single = reach <= fixedpoint.INPUT_LIMIT / 2 if in_loops else not (leaks or wide)
        kind = self._state_type(single=single)
        device = next(self.parameters()).device
        tensors = {name: torch.from_numpy(np.array(each)).to(device, kind) for name, each in numbers.items()}
        waits = node.refractory
        return NeuronUpdate(
            **tensors,
            unit=1.0 if fixed is None else 2.0**fixedpoint.ALIGNMENT_BITS,
            truncates=Rule.TRUNCATION in self.rules,
            saturates=Rule.SATURATION in self.rules,
            wide=wide,
            surrogate=self.surrogate,
            slope=self.slope,
            reset=node.reset,
            refractory=None if waits is None else torch.from_numpy(np.array(waits)).to(device),
            max_spikes=node.max_spikes,
        )

    def _state_type(self, *, single: bool) -> torch.dtype:
        """Return the type of a state: float32 where it is exact and precise enough for gradients, if any."""
        if self.fixed is None:
            return self.precision
        precise = self.precision is torch.float32 or not torch.is_grad_enabled()
        return torch.float32 if single and precise and self.rules == ALL_RULES else torch.float64

    def _bias(self, node: ir.Lif) -> Tensor:
        """Return the bias of a population in the units of v, rounded if that rule holds."""
        bias = self.biases[self._places[node.name]]
        if self.fixed is not None:
            scale = cast("ir.FixedLif", self.fixed[node.name]).scale
            rows = scale if bias.shape == scale.shape else scale.reshape(len(scale), -1)[:, 0]
            bias = bias.double() * torch.from_numpy(np.array(rows)).to(bias.device)
            bias = bias * 2.0**fixedpoint.ALIGNMENT_BITS
            if Rule.BIAS in self.rules:
                mantissa, exponent = fixedpoint.split_bias(bias.detach().cpu().numpy())
                bias = straight_through(bias, np.left_shift(mantissa, exponent))
        return bias.reshape(*bias.shape, *[1] * (node.vth.ndim - bias.dim()))

    def _scores(self, done: GraphActivity, lengths: Tensor | None) -> Tensor:
        output = self.graph.outputs[0]
        name = output.inputs[0]
        values = done.v[name] if output.reads_potential else done.sent[name]
        if output.reads_potential and self.fixed is not None:
            unit = cast("ir.FixedLif", self.fixed[name]).scale * 2.0**fixedpoint.ALIGNMENT_BITS
            values = values.double() / torch.from_numpy(unit).to(values.device)
        read = _read(output.decode, values, lengths).to(self.precision)
        if output.weights is not None:
            read = read @ torch.from_numpy(np.array(output.weights)).to(read).T
        return read if output.bias is None else read + torch.from_numpy(np.array(output.bias)).to(read)


def _whole_run() -> Any:  # noqa: ANN401 - a module, imported when it is needed first, since it needs Numba
    return import_module("toolchain.training.whole_run")


def _read(decode: Decode, values: Tensor, lengths: Tensor | None) -> Tensor:
    """Return class scores of whole samples from `[batch, time, N]`."""
    match decode:
        case Decode.SPIKE_COUNT | Decode.NONE:
            return total_over_steps(values, lengths)
        case Decode.LAST_V:
            return last_step(values, lengths)
        case Decode.MEAN_V | Decode.SPIKE_RATE:
            return mean_over_steps(values, lengths)
        case Decode.MAX_V:
            return largest_over_steps(values, lengths)
        case _:
            assert_never(decode)


def _rows(values: Floats) -> Floats:
    """Return one value per neuron or channel if the positions of a channel are alike, else all."""
    flat = values.reshape(len(values), -1)
    return flat[:, 0].copy() if (flat == flat[:, :1]).all() else values.copy()
