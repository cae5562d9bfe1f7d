"""A container of named layers and named connections that runs forward in time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, assert_never, cast, final

import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError, FeedbackError, FrontendError
from toolchain.intake import Axes, check_shape, choice_of, count_of, name_of, real_of
from toolchain.models.delays import recalled
from toolchain.models.entering import tensor_of
from toolchain.models.input_code import InputCode, optional_code
from toolchain.models.neurons import CubaLif, MaskedSynapses
from toolchain.models.over_steps import largest_over_steps, last_step, mean_over_steps, total_over_steps
from toolchain.options import LONGEST_MS, MOST, SHORTEST_MS, hold, whole

if TYPE_CHECKING:
    from toolchain.models.loops.network import LoopRecord


class Readout(Enum):
    """How class scores are read from the output layer over the steps of a sample."""

    SPIKE_COUNT = "spike_count"
    LAST_V = "last_v"
    MEAN_V = "mean_v"
    MAX_V = "max_v"


def check_part_names(names: Iterable[str], what: str) -> None:
    """Raise for a name that PyTorch refuses for a module, or that stands twice.

    Raises:
        FrontendError: Says which name.
    """
    known: set[str] = set()
    for name in names:
        if name in known:
            raise FrontendError(f"two {what}s are called '{name}'; names must be unique")
        if not name or "." in name or not name.isprintable() or hasattr(nn.ModuleDict(), name):
            raise FrontendError(f"a {what} cannot be called {name!r}; use letters, digits and underscores")
        known.add(name)


@final
@dataclass(frozen=True)
class Connection:
    """A named arrow between two layers.

    Attributes:
        name: Unique name, under which the module stands.
        source: Name of the input or layer that is read.
        target: Name of the layer that receives the current.
        delay: Steps that a spike takes; at least 1 where the source does not stand before the target.
    """

    name: str
    source: str
    target: str
    delay: int = 0

    def __post_init__(self) -> None:
        for end in ("name", "source", "target"):
            name_of(getattr(self, end), end)
        hold(self, delay=whole())


@final
@dataclass(frozen=True)
class NetworkRecord:
    """What a forward run did, time on the second axis.

    Attributes:
        scores: Class scores `[batch, classes]`.
        spikes: Spikes `[batch, time, N]` per layer.
        v: Potentials per layer; empty unless asked for.
        u: Currents per layer; empty unless asked for.
    """

    scores: Tensor
    spikes: Mapping[str, Tensor]
    v: Mapping[str, Tensor]
    u: Mapping[str, Tensor]


@final
class Network(nn.Module):
    """Layers of neurons and the connections between them.

    Args:
        inputs: Number of channels per named input.
        layers: Neuron populations in the order in which they are computed within a step.
        connections: Arrows and the module that computes each one's current. Any module
            that maps `[..., sources]` to `[..., targets]` runs; the frontend knows `Synapses`
            and `nn.Linear`.
        output: Name of the layer that is read.
        readout: How that layer is read.
        input_code: Integers that stand for the real values that enter; None if spikes enter.
        dt_ms: Length of a step.

    Raises:
        ArgumentError: A number means nothing.
        FrontendError: A connection names an unknown layer, or a name stands twice or cannot be one.
        FeedbackError: A connection goes backwards without delay.
    """

    def __init__(
        self,
        *,
        inputs: Mapping[str, int],
        layers: Mapping[str, CubaLif],
        connections: Mapping[Connection, nn.Module],
        output: str,
        readout: Readout = Readout.MEAN_V,
        input_code: InputCode | None = None,
        dt_ms: float = 1.0,
    ) -> None:
        super().__init__()
        check_part_names(layers, "layer")
        check_part_names([arrow.name for arrow in connections], "connection")
        self.inputs = {
            name_of(name, "inputs"): count_of(size, f"inputs['{name}']", least=1, most=MOST)
            for name, size in inputs.items()
        }
        self.layers = nn.ModuleDict(layers)
        self.connections = tuple(connections)
        self.synapses = nn.ModuleDict({arrow.name: module for arrow, module in connections.items()})
        self.output = output
        self.readout = choice_of(readout, "readout", Readout)
        self.input_code = optional_code(input_code, "input_code")
        self.dt_ms = real_of(dt_ms, "dt_ms", least=SHORTEST_MS, most=LONGEST_MS)
        self.compiled = True
        """Whether compiled loops run the network where they know it; see `obstacle`.

        A parameter that the loss cannot depend on, such as weights of a layer that nobody reads, has a
        gradient of zeros from the loops and none (`None`) from autograd, so that an optimizer lets it decay
        after the former and skips it after the latter."""
        self.recompute = False
        """Whether they compute inputs again for the gradients instead of storing them: half the memory of a
        long sequence, for a third more time."""
        self._lists: Any = None
        self._check()

    def _check(self) -> None:
        if not self.inputs:
            raise FrontendError("the network has no input")
        both = self.inputs.keys() & set(self.layers)
        if both:
            raise FrontendError(f"'{min(both)}' names an input and a layer; names must be unique")
        order = dict.fromkeys(self.inputs, -1) | {name: i for i, name in enumerate(self.layers)}
        for arrow in self.connections:
            for end in (arrow.source, arrow.target):
                if end not in order:
                    raise FrontendError(
                        f"connection '{arrow.name}' names layer '{end}'; known: {', '.join(order)}"
                    )
            if arrow.target in self.inputs:
                raise FrontendError(f"connection '{arrow.name}' ends in input '{arrow.target}'")
            if order[arrow.source] >= order[arrow.target] and arrow.delay < 1:
                between = [
                    name for name, i in order.items() if order[arrow.target] <= i <= order[arrow.source]
                ]
                raise FeedbackError(between)
        if self.output not in self.layers:
            raise FrontendError(
                f"output layer '{self.output}' does not exist; known: {', '.join(self.layers)}"
            )

    def with_parts(
        self, layers: Mapping[str, CubaLif], connections: Mapping[Connection, nn.Module]
    ) -> "Network":
        """Return a network of other layers and connections, fed and read in the same way."""
        return Network(
            inputs=self.inputs,
            layers=layers,
            connections=connections,
            output=self.output,
            readout=self.readout,
            input_code=self.input_code,
            dt_ms=self.dt_ms,
        )

    def layer(self, name: str) -> CubaLif:
        """Return a layer by name."""
        return cast("CubaLif", self.layers[name])

    def forward(
        self, x: Tensor | Mapping[str, Tensor], *, record: bool = False, lengths: Tensor | None = None
    ) -> NetworkRecord:
        """Run a batch from rest, in compiled loops where they know the network; see `obstacle`.

        Args:
            x: Values `[batch, time, channels]`, or one such tensor per input name. They are computed in the
                network's own precision, whatever type of number they have.
            record: Whether to keep potentials and currents of every layer.
            lengths: Number of valid steps of each sample; later ones are not read. None if all are valid.

        Raises:
            ArgumentError: It is not of that shape: the time may be missing.
        """
        streams = self._streams(x)
        if self.obstacle(record=record) is not None:
            return self._step_by_step(streams, record=record, lengths=lengths)
        done = self._in_loops(streams, tuple(self.layers), record=record)
        return NetworkRecord(
            self._scores(done.spikes[self.output], done.v[self.output], lengths),
            done.spikes,
            done.v if record else {},
            done.u,
        )

    def scores(self, x: Tensor | Mapping[str, Tensor], lengths: Tensor | None = None) -> Tensor:
        """Return the class scores `[batch, classes]` of a batch alone: no spike is stored as a number.

        Args:
            x: As for a call of the network.
            lengths: Likewise.

        Raises:
            ArgumentError: It is not of the right shape.
        """
        if self.obstacle() is not None:
            return self(x, lengths=lengths).scores
        heard = (self.output,) if self.readout is Readout.SPIKE_COUNT else ()
        done = self._in_loops(self._streams(x), heard, record=False)
        v = done.v[self.output]
        return self._scores(done.spikes.get(self.output, v), v, lengths)

    def obstacle(self, *, record: bool = False) -> str | None:
        """Return why a run goes step by step through autograd, as a clause; None if it goes in loops.

        Args:
            record: Whether potentials and currents are recorded.
        """
        if not self.compiled:
            return "`compiled` is False"
        if record and torch.is_grad_enabled():
            return "potentials and currents are recorded with their gradients"
        inner = [
            (arrow.name, self.synapses[arrow.name])
            for arrow in self.connections
            if arrow.source not in self.inputs
        ]
        return _plan().obstacle(inner, self.layer(self.output).bias)

    def _in_loops(self, streams: Mapping[str, Tensor], heard: Sequence[str], *, record: bool) -> "LoopRecord":
        module = import_module("toolchain.models.loops.network")
        if self._lists is None:
            self._lists = _plan().KnownSynapses()
        return module.run_loops(
            {name: self.layer(name).dynamics for name in self.layers},
            [(arrow, self.synapses[arrow.name]) for arrow in self.connections],
            streams,
            self._lists,
            output=self.output,
            heard=heard,
            record=record,
            recompute=self.recompute,
            backward=torch.is_grad_enabled(),
        )

    def _step_by_step(
        self, streams: Mapping[str, Tensor], *, record: bool, lengths: Tensor | None
    ) -> NetworkRecord:
        """Run a batch step by step, every operation known to autograd: what the loops are compared with."""
        first = next(iter(streams.values()))
        batch, steps = first.shape[:2]
        # What comes straight from an input needs no loop: one product for all steps. It is taken apart at
        # once, because the gradient of a slice fills a tensor of all steps, at every step.
        ahead = {
            arrow.name: self.synapses[arrow.name](streams[arrow.source]).unbind(1)
            for arrow in self.connections
            if arrow.source in self.inputs
        }
        # Masks, kernels of delays and all that neurons learn are computed once, for all steps.
        carry = {name: _carried(module) for name, module in self.synapses.items() if name not in ahead}
        dynamics = {name: self.layer(name).dynamics for name in self.layers}
        rest = {name: first.new_zeros(batch, self.layer(name).size) for name in self.layers}
        state = {name: each.rest(rest[name]) for name, each in dynamics.items()}
        spikes: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        potentials: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        currents: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        for t in range(steps):
            for name in self.layers:
                a = rest[name]
                for arrow in self.connections:
                    if arrow.target != name or t < arrow.delay:
                        continue
                    sent = t - arrow.delay
                    early = ahead.get(arrow.name)
                    a = a + (carry[arrow.name](spikes[arrow.source], sent) if early is None else early[sent])
                s, state[name] = dynamics[name].step(a, state[name])
                spikes[name].append(s)
                if record or name == self.output:
                    potentials[name].append(state[name].v)
                if record:
                    currents[name].append(state[name].u)
        over_time = {name: torch.stack(rows, dim=1) for name, rows in spikes.items()}
        v_over_time = {name: torch.stack(rows, dim=1) for name, rows in potentials.items() if rows}
        u_over_time = {name: torch.stack(rows, dim=1) for name, rows in currents.items() if rows}
        scores = self._scores(over_time[self.output], v_over_time[self.output], lengths)
        return NetworkRecord(scores, over_time, v_over_time if record else {}, u_over_time)

    def _streams(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return inputs by name, of the right shapes and of the network's type and device."""
        given = dict(x) if isinstance(x, Mapping) else {next(iter(self.inputs)): x}
        if set(given) != set(self.inputs):
            raise ArgumentError("x", f"tensors named {sorted(self.inputs)}", f"{sorted(map(str, given))}")
        like = self.layer(self.output).bias
        streams: dict[str, Tensor] = {}
        extent: Axes = ("batch", "time")
        for name, values in given.items():
            stream = tensor_of(values, "x")
            check_shape(stream.shape, f"x of input '{name}'", (*extent, self.inputs[name]))
            extent = tuple(stream.shape[:2])
            streams[name] = stream.to(like.device, like.dtype)
        return streams

    def _scores(self, spikes: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
        match self.readout:
            case Readout.SPIKE_COUNT:
                return total_over_steps(spikes, lengths)
            case Readout.LAST_V:
                return last_step(v, lengths)
            case Readout.MEAN_V:
                return mean_over_steps(v, lengths)
            case Readout.MAX_V:
                return largest_over_steps(v, lengths)
            case _:
                assert_never(self.readout)


def _plan() -> Any:  # noqa: ANN401 - a module, imported when it is needed first, since it needs Numba
    return import_module("toolchain.models.loops.plan")


def _carried(module: nn.Module) -> Callable[[Sequence[Tensor], int], Tensor]:
    """Return a connection as a function of all that its source sent, and of the step that arrives."""
    if not isinstance(module, MaskedSynapses):
        return lambda past, t: cast("Tensor", module(past[t]))
    weight = module.effective
    if module.delays is None:
        return lambda past, t: nn.functional.linear(past[t], weight)
    kernel = module.delays.kernel()
    steps = kernel.shape[-1]
    # Sources of one step beside those of the step before it: `recalled` puts values in the same order.
    wide = (weight[:, None] * kernel.movedim(2, 1)).flatten(1)
    return lambda past, t: nn.functional.linear(recalled(past, t, steps), wide)
