"""From integers to Lava-DL's netx files: what `lava.lib.dl.netx.hdf5.Network` can read, or why it cannot.

netx knows chains of layers. A layer has one threshold, one pair of decays, a bias in units of 64 and integer
weights without exponent; it may be recurrent within itself. Halves of a connection that were split by sign
are put together again. Whatever is written is read back, and must be the same integers.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, assert_never, cast, final

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.atomic import write_bytes
from toolchain.errors import FrontendError, PreconditionError
from toolchain.interchange.from_netx import BIAS_EXPONENT, LARGEST_DELAY, layers_to_graphs
from toolchain.interchange.netx_layers import Layer
from toolchain.ir import (
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
)
from toolchain.ir.matrix import Matrix

Integers = NDArray[np.int64]
Values = dict[str, Any]

_REASON: Final = "a chain of layers is all that netx reads"
_LAYERS: Final = "compile with --per-population --decay-profiles 1 --no-split-signs --no-exponents"


def to_netx(graph: Graph, path: Path) -> None:
    """Write a fixed graph as a netx file.

    Raises:
        PreconditionError: netx cannot hold it; names the node and why.
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
    chain = _Chain(graph)
    for node in graph:
        match node:
            case Input():
                chain.enter(node)
            case FixedLif():
                chain.layer(node)
            case SumPool2d() | MaxPool2d():
                raise PreconditionError(
                    f"pooling '{node.name}': netx raises NotImplementedError for poolings"
                )
            case FixedDense() | FixedConv2d() | Delay() | Output():
                pass
            case Dense() | Conv2d() | Lif():
                raise PreconditionError(f"node '{node.name}' is in real numbers, netx holds integers")
            case _:
                assert_never(node)
    for node in graph.outputs:
        if node.inputs != (chain.last,):
            raise PreconditionError(f"output '{node.name}' is not read from the last layer; {_REASON}")
    _prove(graph, chain)
    return chain.layers


@final
@dataclass
class _Chain:
    """Writes layers; remembers what each is made of, in integers."""

    graph: Graph
    layers: list[Values] = field(default_factory=list)
    last: str = ""
    entered: Input | None = None
    effective: list[tuple[str, Integers]] = field(default_factory=list)

    def enter(self, node: Input) -> None:
        if self.entered is not None:
            raise PreconditionError(f"input '{node.name}' is a second one; {_REASON}")
        self.entered, self.last = node, node.name
        if node.edge is EdgeKind.SPIKE:
            self.layers.append({"type": "input", "shape": np.array(node.shape)})

    def layer(self, node: FixedLif) -> None:
        forward, back = self._incoming(node)
        values: Values = {f"neuron/{name}": value for name, value in _registers(node).items()}
        bias = _bias(node)
        graded = self.entered is not None and self.last == self.entered.name and not self.layers
        if graded and self.entered is not None:
            self._graded(self.entered, forward, back)
            values |= {"type": "input", "shape": np.array(node.vth.shape), "weight": int(self.entered.scale)}
            if (bias != bias.ravel()[0]).any():
                raise PreconditionError(
                    f"population '{node.name}' has biases that differ; netx has one for the input"
                )
            values["bias"] = int(bias.ravel()[0])
        elif isinstance(forward[0], FixedConv2d):
            values |= self._convolution(node, cast("list[FixedConv2d]", forward), bias)
            if back:
                raise PreconditionError(f"'{back[0].name}' is recurrent beside a convolution; netx has none")
        else:
            values |= self._dense(node, cast("list[FixedDense]", forward), back, bias)
        self.layers.append(values)
        self.last = node.name

    def _incoming(self, node: FixedLif) -> tuple[list[FixedDense | FixedConv2d], list[FixedDense]]:
        """Return what comes from the layer before, and from the layer itself."""
        forward: list[FixedDense | FixedConv2d] = []
        back: list[FixedDense] = []
        for name in node.inputs:
            connection = cast("FixedDense | FixedConv2d", self.graph[name])
            source, steps = self.graph.source(connection.inputs[0])
            if source.name == node.name and steps == 1 and isinstance(connection, FixedDense):
                back.append(connection)
            elif source.name == self.last:
                forward.append(connection)
            else:
                raise PreconditionError(
                    f"connection '{name}' comes from '{source.name}' after {steps} steps: netx has "
                    "neither skips nor feedback between layers"
                )
        kinds = {type(connection) for connection in forward}
        if len(kinds) != 1:
            raise PreconditionError(
                f"population '{node.name}' is not one layer after '{self.last}'; {_REASON}"
            )
        return forward, back

    def _graded(self, entered: Input, forward: list[Any], back: list[FixedDense]) -> None:
        weights = [_matrix(item.weights) for item in forward]
        first = weights[0]
        eye = np.eye(len(first), dtype=np.int64) if first.ndim == 2 else np.ones_like(first)
        single = first.shape[1:] == (1, 1, 1) or first.ndim == 2
        if back or len(weights) > 1 or not single or not np.array_equal(first, eye) or forward[0].exponent:
            raise PreconditionError(
                f"input '{entered.name}' sends graded values through weights; netx adds them to "
                "neurons as they are"
            )
        if entered.scale != int(entered.scale) or entered.bits != 16:
            raise PreconditionError(
                f"input '{entered.name}' has scale {entered.scale:g}; netx multiplies by integers"
            )

    def _convolution(self, node: FixedLif, forward: list[FixedConv2d], bias: Integers) -> Values:
        first = forward[0]
        for item in forward[1:]:
            if (item.stride, item.padding, item.dilation, item.groups) != (
                first.stride,
                first.padding,
                first.dilation,
                first.groups,
            ) or item.weights.shape != first.weights.shape:
                raise PreconditionError(f"population '{node.name}' has several convolutions; {_REASON}")
        self._undelayed(first.name, first.inputs[0])
        maps = bias.reshape(len(bias), -1)
        if (maps != maps[:, :1]).any():
            raise PreconditionError(f"population '{node.name}' has biases that differ within a feature map")
        weights = np.sum([_effective(item) for item in forward], axis=0)
        self.effective.append((node.name, weights))
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
            "bias": maps[:, 0].astype(np.float32),
        }

    def _dense(
        self, node: FixedLif, forward: list[FixedDense], back: list[FixedDense], bias: Integers
    ) -> Values:
        weights = np.sum([_effective(item) for item in forward], axis=0)
        self.effective.append((node.name, weights))
        source = self.graph[self.last]
        if isinstance(source, Input | FixedLif):
            shape = source.shape if isinstance(source, Input) else source.vth.shape
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
        if back:
            recurrent = np.sum([_effective(item) for item in back], axis=0)
            self.effective.append((f"{node.name} to itself", recurrent))
            values["weight_rec"] = recurrent.astype(np.float32)
            if delays is not None or any(item.delays is not None for item in back):
                raise PreconditionError(
                    f"population '{node.name}' has delays and recurrence, which netx mixes up"
                )
        return values

    def _delays(self, node: FixedLif, forward: list[FixedDense]) -> Integers | None:
        """Return steps per synapse, those of `Delay` nodes included."""
        total = np.zeros_like(_matrix(forward[0].weights))
        taken = np.zeros(total.shape, bool)
        for place, item in enumerate(forward):
            _, steps = self.graph.source(item.inputs[0])
            stored = (_matrix(item.weights) != 0) | (place == 0)
            own = steps + (np.zeros_like(total) if item.delays is None else _matrix(item.delays))
            twice = stored & taken & (own != total)
            if twice.any():
                raise PreconditionError(
                    f"population '{node.name}' is reached by the same sources after different delays; "
                    "netx has "
                    "one synapse for each source"
                )
            total, taken = np.where(stored, own, total), taken | (_matrix(item.weights) != 0)
        if total.max(initial=0) > LARGEST_DELAY:
            raise PreconditionError(
                f"population '{node.name}' is reached after {total.max()} steps, netx knows {LARGEST_DELAY}"
            )
        return total if total.any() else None

    def _undelayed(self, name: str, source: str) -> None:
        if self.graph.source(source)[1]:
            raise PreconditionError(
                f"convolution '{name}' reads what was sent before; netx has no such delay"
            )


def _registers(node: FixedLif) -> Values:
    for name in ("du", "dv", "vth"):
        values = getattr(node, name)
        if (values != values.ravel()[0]).any():
            raise PreconditionError(
                f"population '{node.name}' has {name} of {values.min()} .. {values.max()}; netx has "
                "one for a layer: " + _LAYERS
            )
    return {
        "type": "CUBA",
        "iDecay": int(node.du.ravel()[0]) + 1,
        "vDecay": int(node.dv.ravel()[0]),
        "vThMant": int(node.vth.ravel()[0]),
        "refDelay": 1,
        "gradedSpike": False,
    }


def _bias(node: FixedLif) -> Integers:
    """Return the bias in the units of netx."""
    bias = node.bias.astype(np.int64)
    if (bias % 2**BIAS_EXPONENT).any() or (np.abs(bias) > 4095 * 2**BIAS_EXPONENT).any():
        raise PreconditionError(
            f"population '{node.name}' has a bias that is not a multiple of 64 up to 4095 times 64, "
            "as netx has it"
        )
    return bias >> BIAS_EXPONENT


def _effective(node: FixedDense | FixedConv2d) -> Integers:
    """Return what a spike really adds, in units of 64."""
    weights = _matrix(node.weights)
    if node.exponent >= 0:
        return weights << node.exponent
    if (weights % 2**-node.exponent).any():
        raise PreconditionError(
            f"connection '{node.name}' has weights times 2^{node.exponent}; netx has no exponents: {_LAYERS}"
        )
    return weights >> -node.exponent


def _matrix(weights: Matrix) -> Integers:
    return (weights.toarray() if isinstance(weights, csr_array) else np.asarray(weights)).astype(np.int64)


def _prove(graph: Graph, chain: _Chain) -> None:
    """Raise unless what netx would read is what is here."""
    layers = [
        Layer(number, str(values["type"]), {name: _stored(value) for name, value in values.items()})
        for number, values in enumerate(chain.layers)
    ]
    try:
        read = layers_to_graphs(layers, graph.name)
    except FrontendError as error:
        raise PreconditionError(f"netx would not read it: {error}") from None
    if read.fixed is None:  # pragma: no cover - netx files hold integers
        raise PreconditionError("netx would not read integers")
    found = iter(
        np.sum([_effective(cast("FixedDense", read.fixed[name])) for name in names], axis=0)
        for population in read.fixed.populations
        for names in _grouped(read.fixed, population)
    )
    skipped = 1 if chain.layers[0].keys() & {"weight"} and chain.layers[0]["type"] == "input" else 0
    for _ in range(skipped):
        next(found)
    for (name, expected), values in zip(chain.effective, found, strict=True):
        if not np.array_equal(expected, values):
            raise PreconditionError(f"netx would read other weights than those of '{name}'")


def _grouped(graph: Graph, population: Any) -> list[list[str]]:  # noqa: ANN401 - either population
    """Return the connections of a population by where they come from."""
    groups: dict[str, list[str]] = {}
    for name in population.inputs:
        groups.setdefault(graph[name].inputs[0], []).append(name)
    return list(groups.values())


def _stored(value: Any) -> NDArray[Any]:  # noqa: ANN401 - numbers or text
    return np.asarray(value)
