"""From integers to Lava-DL's netx files: what `lava.lib.dl.netx.hdf5.Network` can read, or why it cannot.

netx knows chains of layers. A layer has registers, one for all or one per neuron, a bias in units of 64 and
integer weights without exponent; it may be recurrent within itself. Halves of a connection that were split by
sign are put together again. Whatever is written is read back, and must be the same integers. What netx cannot
hold is reported all at once.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, assert_never, cast, final

import h5py
import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.arrays import Ints
from toolchain.errors import PreconditionError
from toolchain.files.atomic import write_bytes
from toolchain.interchange.netx.from_netx import (
    BIAS_EXPONENT,
    BIAS_LIMITS,
    GRADED_BITS,
    LARGEST_DELAY,
)
from toolchain.interchange.netx.proof import prove
from toolchain.interchange.netx.weights import changed_by_netx, matrix_of, total_weights
from toolchain.ir import EdgeKind, Graph, Stage
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import sources_of, targets_of

Values = dict[str, Any]

_OPTIONS: Final = "`Quantization(weight_bits=8, split_signs=False, exponents=False)`"
"""What the compiler is told so that weights are as netx holds them."""
_OTHERS: Final = '`written="nir"` and `written="lava"` hold them'


def to_netx(graph: Graph, path: Path) -> None:
    """Write a fixed graph as a netx file.

    Raises:
        PreconditionError: netx cannot hold it; names every node that it cannot hold, why, and what to do.
    """
    layers = netx_layers(graph)
    # In memory first: after a full disk the HDF5 library can neither close a file nor let go of it.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for number, values in enumerate(layers):
            group = file.create_group(f"layer/{number}")
            for name, value in values.items():
                if isinstance(value, str):
                    length = (1,) if name == "type" else ()
                    group.create_dataset(name, length, "S10", data=np.full(length, value, "S10"))
                else:
                    group.create_dataset(name, data=value)
        file.create_dataset("simulation/Ts", data=1)
    write_bytes(path, content.getvalue())


def netx_layers(graph: Graph) -> list[Values]:
    """Return the layers of a fixed graph as netx stores them, proved by reading them back.

    Raises:
        PreconditionError: netx cannot hold the graph.
    """
    if graph.stage is not Stage.FIXED:
        raise PreconditionError("netx holds integers; export the fixed graph")
    writer = _LayerWriter(graph)
    for node in graph:
        match node:
            case ir.Input():
                writer.enter(node)
            case ir.FixedLif():
                writer.layer(node)
            case ir.SumPool2d() | ir.MaxPool2d():
                writer.refuse(f"pooling '{node.name}': netx raises NotImplementedError for poolings")
                writer.reported.add(node.name)
            case ir.FixedDense() | ir.FixedConv2d() | ir.Delay() | ir.Output():
                pass
            case ir.Dense() | ir.Conv2d() | ir.Lif():
                raise PreconditionError(f"node '{node.name}' is in real numbers, netx holds integers")
            case _:
                assert_never(node)
    for node in graph.outputs:
        if node.inputs != (writer.last,):
            writer.refuse(f"output '{node.name}' is not read from the last layer, '{writer.last}'")
    writer.check()
    prove(graph, writer.layers, writer.effective)
    return writer.layers


def _beyond(node: ir.FixedLif) -> str:
    """Return what a population does at a spike beside a reset to zero."""
    names = {
        "reset": f"reset '{node.reset.value}'",
        "refractory": "a refractory period",
        "adaptation": "an adaptive threshold",
        "max_spikes": "several spikes in a step",
    }
    return ", ".join(said for name, said in names.items() if not node.has_default(name))


@final
@dataclass
class _LayerWriter:
    """Writes layers; remembers what each is made of, in integers, and what netx cannot hold.

    Attributes:
        last: Node from which the next layer has to come.
        reported: Nodes that were refused, so that what reads them is not refused for it once more.
        curable: Obstacles that other options of the compiler remove.
        lasting: Obstacles that no option removes.
    """

    graph: Graph
    layers: list[Values] = field(default_factory=list)
    last: str = ""
    entered: ir.Input | None = None
    effective: list[tuple[str, Ints]] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    curable: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)

    def refuse(self, why: str) -> None:
        """Remember what netx cannot hold, whatever the compiler does."""
        self.lasting.append(why)

    def check(self) -> None:
        """Raise for all obstacles at once, with what to do."""
        obstacles = [*self.curable, *self.lasting]
        if not obstacles:
            return
        advice = f"compile with {_OPTIONS}" if self.curable else f"no option of the compiler helps: {_OTHERS}"
        if self.curable and self.lasting:
            advice += f"; no option helps with the last {len(self.lasting)}: {_OTHERS}"
        listed = f": {obstacles[0]}; "
        if len(obstacles) > 1:
            listed = "".join(f"\n- {line}" for line in obstacles) + "\n"
        raise PreconditionError(f"netx cannot hold the network{listed}{advice}")

    def enter(self, node: ir.Input) -> None:
        """Begin with an input."""
        if self.entered is not None:
            self.refuse(f"input '{node.name}' is a second one, after '{self.entered.name}'")
            self.reported.add(node.name)
            return
        self.entered, self.last = node, node.name
        if node.edge is EdgeKind.SPIKE:
            self.layers.append({"type": "input", "shape": np.array(node.shape)})

    def layer(self, node: ir.FixedLif) -> None:
        """Add a population with its connections."""
        if not node.is_plain:
            self.refuse(
                f"population '{node.name}' has {_beyond(node)}: neurons that netx builds return to zero"
            )
        forward, back = self._incoming(node)
        values: Values = {f"neuron/{name}": value for name, value in _registers(node).items()}
        bias = self._bias(node)
        entered = self.entered
        if entered is not None and entered.edge is EdgeKind.GRADED and self.last == entered.name:
            values |= self._graded(entered, node, forward, back, bias)
        elif forward and isinstance(forward[0], ir.FixedConv2d):
            values |= self._convolution(node, cast("list[ir.FixedConv2d]", forward), bias)
            if back:
                self.refuse(f"'{back[0].name}' is recurrent beside a convolution")
        elif forward:
            values |= self._dense(node, cast("list[ir.FixedDense]", forward), back, bias)
        self.layers.append(values)
        self.last = node.name

    def _incoming(
        self, node: ir.FixedLif
    ) -> tuple[list[ir.FixedDense | ir.FixedConv2d], list[ir.FixedDense]]:
        """Return the connections from the layer before, and those from the layer itself."""
        forward: list[ir.FixedDense | ir.FixedConv2d] = []
        back: list[ir.FixedDense] = []
        refused = len(self.lasting)
        for name in node.inputs:
            connection = cast("ir.FixedDense | ir.FixedConv2d", self.graph[name])
            source, steps = self.graph.source(connection.inputs[0])
            if isinstance(connection, ir.FixedDense):
                needed = 8 * targets_of(connection.weights) * sources_of(connection.weights)
                check_node(name, "as netx writes matrices it", needed)
            if source.name == node.name and steps == 1 and isinstance(connection, ir.FixedDense):
                back.append(connection)
            elif source.name == self.last:
                forward.append(connection)
            elif source.name not in self.reported:
                self.refuse(
                    f"connection '{name}' comes from '{source.name}' after {steps} steps: netx has neither "
                    "skips nor feedback between layers"
                )
        if len({type(connection) for connection in forward}) > 1:
            self.refuse(f"population '{node.name}' has a convolution and a dense connection")
            return [], back
        if not forward and refused == len(self.lasting) and not self.reported:
            self.refuse(f"population '{node.name}' reads nothing of the layer before, '{self.last}'")
        return forward, back

    def _graded(
        self,
        entered: ir.Input,
        node: ir.FixedLif,
        forward: list[ir.FixedDense | ir.FixedConv2d],
        back: list[ir.FixedDense],
        bias: Ints,
    ) -> Values:
        """Return the input layer: neurons to whose potential netx adds what enters."""
        first = matrix_of(forward[0].weights) if forward else np.zeros(0)
        eye = np.eye(len(first), dtype=np.int64) if first.ndim == 2 else np.ones_like(first)
        single = first.shape[1:] == (1, 1, 1) or first.ndim == 2
        alone = len(forward) == 1 and not back and not forward[0].exponent
        if not alone or not single or not np.array_equal(first, eye):
            self.refuse(
                f"input '{entered.name}' sends graded values through weights; netx adds them to neurons as "
                "they are"
            )
        elif (node.du != fixedpoint.DECAY_UNITY - 1).any():
            self.refuse(f"population '{node.name}' filters the graded input by its current; netx does not")
        if entered.scale != int(entered.scale) or entered.bits != GRADED_BITS:
            self.refuse(
                f"input '{entered.name}' has scale {entered.scale:g}; netx multiplies by integers, 16 bits"
            )
        if (bias != bias.ravel()[0]).any():
            self.refuse(f"population '{node.name}' has biases that differ; netx has one for the input")
        return {
            "type": "input",
            "shape": np.array(node.vth.shape),
            "weight": int(entered.scale),
            "bias": int(bias.ravel()[0]),
        }

    def _convolution(self, node: ir.FixedLif, forward: list[ir.FixedConv2d], bias: Ints) -> Values:
        first = forward[0]
        geometries = {
            (item.stride, item.padding, item.dilation, item.groups, item.weights.shape) for item in forward
        }
        if len(geometries) > 1:
            self.refuse(f"population '{node.name}' has convolutions of several geometries")
            return {}
        if self.graph.source(first.inputs[0])[1]:
            self.refuse(f"convolution '{first.name}' reads what was sent before; netx has no such delay")
        weights = self._total(node, forward)
        self.effective.append((node.name, weights))
        if weights.min() < -fixedpoint.PURE_WEIGHT_MAX or weights.max() > fixedpoint.PURE_WEIGHT_MAX:
            self.curable.append(
                f"population '{node.name}' has weights {weights.min()} .. {weights.max()}, which 8 bits and "
                "a sign do not hold"
            )
        return {
            "type": "conv",
            "shape": np.array(node.vth.shape),
            "inChannels": weights.shape[1] * first.groups,
            "outChannels": weights.shape[0],
            "kernelSize": np.array(weights.shape[2:]),
            "stride": np.array(first.stride),
            "padding": np.array(first.padding),
            "dilation": np.array(first.dilation),
            "groups": first.groups,
            "weight": weights.astype(np.float32),
            "bias": np.atleast_1d(_stored(bias, channels=True)).astype(np.float32),
        }

    def _dense(
        self, node: ir.FixedLif, forward: list[ir.FixedDense], back: list[ir.FixedDense], bias: Ints
    ) -> Values:
        weights = self._total(node, forward)
        self.effective.append((node.name, weights))
        source = self.graph[self.last]
        if isinstance(source, ir.Input | ir.FixedLif):
            shape = source.shape if isinstance(source, ir.Input) else source.vth.shape
            if len(shape) > 1:
                self.layers.append({"type": "flatten", "shape": np.array([int(np.prod(shape))])})
        values: Values = {
            "type": "dense_rec" if back else "dense",
            "shape": np.array(node.vth.shape),
            "inFeatures": weights.shape[1],
            "outFeatures": weights.shape[0],
            "weight": weights.astype(np.float32),
            "bias": bias.astype(np.float32),
        }
        delays = self._delays(node, forward)
        if delays is not None:
            values["delay"] = delays
        parts = [weights]
        if back:
            parts.append(self._total(node, back))
            self.effective.append((f"{node.name} to itself", parts[1]))
            values["weight_rec"] = parts[1].astype(np.float32)
            if delays is not None or any(item.delays is not None for item in back):
                self.refuse(f"population '{node.name}' has delays and recurrence, which netx mixes up")
        self._check_weights(node, parts)
        return values

    def _check_weights(self, node: ir.FixedLif, parts: list[Ints]) -> None:
        lowest, highest = min(part.min() for part in parts), max(part.max() for part in parts)
        if lowest == highest == 0:
            self.refuse(f"population '{node.name}' has weights that are all 0, by which netx divides")
            return
        changed = changed_by_netx(*parts)
        if changed is not None:
            self.curable.append(f"population '{node.name}' has weights {lowest} .. {highest}: netx {changed}")

    def _total(self, node: ir.FixedLif, parts: Sequence[ir.FixedDense | ir.FixedConv2d]) -> Ints:
        total, exponent = total_weights(parts)
        if (total % 2**-exponent).any():
            self.curable.append(
                f"population '{node.name}' has weights times 2^{exponent}; netx has no exponents"
            )
        return total >> -exponent

    def _bias(self, node: ir.FixedLif) -> Ints:
        """Return the bias in the units of netx."""
        bias = node.bias.astype(np.int64)
        lowest, highest = (limit << BIAS_EXPONENT for limit in BIAS_LIMITS)
        if (bias % 2**BIAS_EXPONENT).any() or bias.min() < lowest or bias.max() > highest:
            self.refuse(
                f"population '{node.name}' has biases {bias.min()} .. {bias.max()}; netx has multiples of 64 "
                f"in {lowest} .. {highest}"
            )
        return bias >> BIAS_EXPONENT

    def _delays(self, node: ir.FixedLif, forward: list[ir.FixedDense]) -> Ints | None:
        """Return steps per synapse, those of `Delay` nodes included."""
        total = np.zeros_like(matrix_of(forward[0].weights))
        taken = np.zeros(total.shape, bool)
        for place, item in enumerate(forward):
            _, steps = self.graph.source(item.inputs[0])
            stored = (matrix_of(item.weights) != 0) | (place == 0)
            own = steps + (np.zeros_like(total) if item.delays is None else matrix_of(item.delays))
            if (stored & taken & (own != total)).any():
                self.refuse(
                    f"population '{node.name}' is reached by the same sources after different delays; netx "
                    "has one synapse for each source"
                )
            total, taken = np.where(stored, own, total), taken | (matrix_of(item.weights) != 0)
        if total.max(initial=0) > LARGEST_DELAY:
            self.refuse(
                f"population '{node.name}' is reached after {total.max()} steps, netx knows {LARGEST_DELAY}"
            )
        return total if total.any() else None


def _registers(node: ir.FixedLif) -> Values:
    return {
        "type": "CUBA",
        "iDecay": _stored(node.du + 1),
        "vDecay": _stored(node.dv),
        "vThMant": _stored(node.vth),
        "refDelay": 1,
        "gradedSpike": False,
    }


def _stored(values: NDArray[Any], *, channels: bool = False) -> Ints:
    """Return values of neurons as netx spreads them: one, one per channel, or columns, rows, channels.

    Args:
        values: Values of neurons, `[N]` or `[C, H, W]`.
        channels: Whether there has to be one per channel at least.
    """
    array = values.astype(np.int64)
    if not channels and (array == array.ravel()[0]).all():
        return np.array(array.ravel()[0])
    maps = array.reshape(len(array), -1)
    return maps[:, 0] if (maps == maps[:, :1]).all() else array.transpose()
