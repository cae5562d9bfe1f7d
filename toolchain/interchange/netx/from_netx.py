"""From Lava-DL's netx files to integers: the network that `lava.lib.dl.netx.hdf5.Network` would build.

A file is a chain of layers with integer weights. Its meaning is netx's own: `du = iDecay - 1`, `dv = vDecay`,
a bias times 64 and a threshold times 64; the weight exponent `wgtExp` is written and never read. Registers
may differ per channel or per neuron. What netx would change, drop or not run is refused by layer and field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from scipy.sparse import csr_array

from toolchain import fixedpoint, ir
from toolchain.arrays import Ints
from toolchain.confined.reader import ConfinedReader, read_hdf5
from toolchain.errors import CorruptArtifactError, FrontendError, IRError
from toolchain.fixedpoint import SignMode
from toolchain.interchange.netx.layers import NetxLayer, in_lavas_order, read_layers
from toolchain.interchange.netx.weights import changed_by_netx
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Origin, verify
from toolchain.ir.imported import Imported
from toolchain.ir.matrix import Matrix, values_of, with_values
from toolchain.ir.types import size_of
from toolchain.ir.windows import Window
from toolchain.passes import DequantizeGraph
from toolchain.visible import visible

INPUT: Final = "input"
GRADED_BITS: Final = 16
LARGEST_DELAY: Final = 62
BIAS_EXPONENT: Final = 6
BIAS_LIMITS: Final = (-fixedpoint.BIAS_MANTISSA_MAX - 1, fixedpoint.BIAS_MANTISSA_MAX)
_REFUSED: Final = {
    "pool": "netx does not run poolings",
    "average": "netx does not run averages",
    "concat": "netx does not run skips",
    "convT": "netx does not run transposed convolutions",
    "unpool": "netx does not run unpooling",
    "dense_comp": "its resonators have no counterpart here",
}


def from_netx(path: Path, reader: ConfinedReader | None = None) -> Imported:
    """Read a netx file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not a netx file, or is damaged.
        FrontendError: A layer has no counterpart, or none that netx itself runs; names it and why.
    """
    layers = read_layers(path, read_hdf5(path, reader))
    try:
        return layers_to_graphs(layers, visible(path.stem))
    except IRError as error:
        raise CorruptArtifactError(path, f"is not a network: {error}") from None


def layers_to_graphs(layers: Sequence[NetxLayer], name: str) -> Imported:
    """Return the network of a chain of layers, in integers and in real numbers.

    Raises:
        FrontendError: A layer has no counterpart.
        IRError: The layers do not fit one another.
    """
    builder = _GraphBuilder()
    for layer in layers:
        builder.add(layer)
    return builder.finished(name)


@final
@dataclass
class _GraphBuilder:
    """Adds layers one after another.

    Attributes:
        source: Name of the node that the next layer reads; empty before the first.
        shape: Shape of what that node sends.
        joined: Whether a `flatten` came since the last dense layer; netx remembers it over convolutions.
        never: Whether the last layer cannot fire, so that its potentials are read.
        silent: Name of the last layer if it has no neurons, else empty.
    """

    nodes: list[AnyNode] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    source: str = ""
    shape: tuple[int, ...] = ()
    joined: bool = False
    never: bool = False
    silent: str = ""

    def add(self, layer: NetxLayer) -> None:
        """Add one layer."""
        if layer.kind in _REFUSED:
            raise layer.fail(f"is not read: {_REFUSED[layer.kind]}")
        if "delay" in layer.values and layer.kind != "dense":
            raise layer.fail(f"has a 'delay', which netx {'mixes up' if 'rec' in layer.kind else 'drops'}")
        if self.silent and layer.kind != "flatten":
            raise layer.fail(f"reads '{self.silent}', which has no neurons and so sends nothing in netx")
        match layer.kind:
            case "input":
                self._enter(layer)
            case "flatten":
                self._flatten(layer)
            case "conv":
                self._convolution(layer)
            case "dense" | "dense_rec":
                self._dense(layer)
            case _:
                raise layer.fail("is of a type that netx does not know")

    def _enter(self, layer: NetxLayer) -> None:
        """Add where values enter; with neurons they are a current `weight x + bias`."""
        if layer.number > 0:
            raise layer.fail("is an input, but is not the first layer")
        if not layer.has_neuron and "shape" not in layer.values:
            return
        self.source, self.shape = INPUT, layer.shape()
        if not layer.has_neuron:
            self.nodes.append(ir.Input(name=INPUT, shape=self.shape))
            return
        weight, bias = (self._single(layer, name, other) for name, other in (("weight", 64), ("bias", 0)))
        if weight == 0:
            raise layer.fail("has a 'weight' of 0: nothing would enter")
        self.nodes.append(
            ir.Input(name=INPUT, shape=self.shape, edge=EdgeKind.GRADED, scale=abs(weight), bits=GRADED_BITS)
        )
        self.notes.append(f"the input is sent as round({weight} x), {GRADED_BITS} bits")
        self._identity(layer, -1 if weight < 0 else 1)
        self._population(layer, np.full(self.shape, bias), (f"{layer.name}.weights",))

    def _single(self, layer: NetxLayer, name: str, otherwise: int) -> int:
        """Return the one value by which netx transforms what enters."""
        if name not in layer.values:
            return otherwise
        values = layer.cut(name, self.notes)
        if values.size != 1:
            raise layer.fail(f"expected one '{name}' for all that enters, got {values.size}")
        return int(values.ravel()[0])

    def _flatten(self, layer: NetxLayer) -> None:
        self.joined = True
        if self.source and "shape" in layer.values:
            size = int(np.prod(layer.whole("shape")))
            if size != size_of(self.shape):
                raise layer.fail(f"says 'shape' of {size} values, but {list(self.shape)} come from before it")

    def _identity(self, layer: NetxLayer, sign: int) -> None:
        name, size = f"{layer.name}.weights", size_of(self.shape)
        if len(self.shape) == 1:
            eye = csr_array((np.full(size, sign), np.arange(size), np.arange(size + 1)), shape=(size, size))
            self._matrix(layer, name, INPUT, eye, None)
            return
        self._kernels(layer, name, np.full((self.shape[0], 1, 1, 1), sign), {"groups": self.shape[0]})

    def _convolution(self, layer: NetxLayer) -> None:
        if not self.source:
            raise layer.fail("is a convolution, and no layer before it says the shape of the input")
        if not layer.has_neuron:
            raise layer.fail("has no 'neuron', without which netx does not run a convolution")
        weights = layer.cut("weight", self.notes)
        weights = weights[..., 0] if weights.ndim == 5 and weights.shape[4] == 1 else weights
        if weights.ndim != 4 or len(self.shape) != 3:
            raise layer.fail(f"has a 'weight' of shape {weights.shape} over {list(self.shape)}")
        stride, padding, dilation = (
            layer.pair(name, least) for name, least in (("stride", 1), ("padding", 0), ("dilation", 1))
        )
        groups, into = layer.one("groups"), self.shape[0]
        if groups < 1 or len(weights) % groups or weights.shape[1] * groups != into:
            raise layer.fail(
                f"has a 'weight' of shape {weights.shape} in {groups} groups over {into} channels"
            )
        window = Window((weights.shape[2], weights.shape[3]), stride, padding, dilation)
        shape = (len(weights), *window.positions((self.shape[1], self.shape[2])))
        if shape != layer.shape():
            raise layer.fail(f"says 'shape' {list(layer.shape())}, but its convolution makes {list(shape)}")
        for name, expected in (
            ("inChannels", (into,)),
            ("outChannels", (len(weights),)),
            ("kernelSize", window.kernel),
        ):
            layer.declared(name, expected, "its 'weight' says")
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        names = self._kernels(layer, f"{layer.name}.weights", weights, geometry)
        self.shape = shape
        self._population(layer, _bias(layer, shape, self.notes), names)

    def _kernels(
        self, layer: NetxLayer, name: str, weights: Ints, geometry: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Add a convolution; odd weights of both signs need one of each sign, since it has no exponent."""
        mode = fixedpoint.sign_mode_of(weights)
        parts = {name: weights}
        if mode is SignMode.MIXED and (weights % 2).any():
            parts = _by_sign(name, weights)
        for part, values in parts.items():
            sign = fixedpoint.sign_mode_of(values)
            _check_held(layer, "weight", weights, values, sign)
            common: dict[str, Any] = {"name": part, "inputs": (self.source,), **geometry}
            self.nodes.append(
                ir.FixedConv2d(weights=values.astype(np.int32), exponent=0, sign_mode=sign, **common)
            )
        return tuple(parts)

    def _dense(self, layer: NetxLayer) -> None:
        size, sources = size_of(layer.shape()), self._sources(layer)
        weights = self._weights(layer, "weight", size, sources)
        parts = [weights]
        name = f"{layer.name}.weights"
        if layer.kind == "dense_rec":
            parts.append(self._weights(layer, "weight_rec", size, size))
        changed = changed_by_netx(*parts)
        if changed is not None:
            lowest, highest = min(part.min() for part in parts), max(part.max() for part in parts)
            raise layer.fail(
                f"has a 'weight' of {lowest} .. {highest}, of which netx would make another: it {changed}"
            )
        names = self._matrix(layer, name, self.source, weights, _delays(layer, weights, self.notes))
        if layer.kind == "dense_rec":
            before = f"{layer.name}.before"
            self.nodes.append(ir.Delay(name=before, inputs=(layer.name,), shape=(size,)))
            names += self._matrix(layer, f"{layer.name}.recurrent", before, parts[1], None)
        self.shape, self.joined = (size,), False
        self._population(layer, _bias(layer, self.shape, self.notes), names)

    def _sources(self, layer: NetxLayer) -> int:
        """Return how many values a dense layer reads; add the input where the file has none."""
        if not self.source:
            weights = layer.numbers("weight")
            self.shape = (weights.size // size_of(layer.shape()),)
            if weights.ndim == 2:
                self.shape = weights.shape[1:]
            self.source = INPUT
            self.nodes.append(ir.Input(name=INPUT, shape=self.shape))
        if len(self.shape) == 3 and self.source != INPUT and not self.joined:
            raise layer.fail(
                f"reads images {list(self.shape)} without a layer 'flatten' between, which netx refuses"
            )
        sources = size_of(self.shape)
        layer.declared("inFeatures", (sources,), "before it are")
        layer.declared("outFeatures", (size_of(layer.shape()),), "its 'shape' says")
        return sources

    def _weights(self, layer: NetxLayer, name: str, size: int, sources: int) -> Ints:
        weights = layer.cut(name, self.notes)
        if weights.ndim > 2 or weights.size != size * sources or (weights.ndim == 2 and len(weights) != size):
            raise layer.fail(
                f"has a '{name}' of shape {weights.shape}, expected {(size, sources)} for {sources} sources "
                f"and {size} neurons"
            )
        return weights.reshape(size, sources)

    def _matrix(
        self, layer: NetxLayer, name: str, source: str, weights: Matrix, delays: Ints | None
    ) -> tuple[str, ...]:
        """Add a dense connection; odd weights of both signs are doubled and halved by the exponent.

        Where they are too large to be doubled, there is one connection of each sign.
        """
        values = values_of(weights).astype(np.int64)
        mode, doubled = fixedpoint.sign_mode_of(values), 0
        parts: dict[str, Matrix] = {name: weights}
        if mode is SignMode.MIXED and (values % 2).any():
            if values.min() >= -128 and values.max() <= 127:
                doubled = 1
            else:
                parts = dict(_by_sign(name, np.asarray(weights)))
        for part, matrix in parts.items():
            shifted = values_of(matrix).astype(np.int64) << doubled
            sign = fixedpoint.sign_mode_of(shifted)
            _check_held(layer, part, values, shifted, sign)
            integers: Matrix = with_values(matrix, shifted.astype(np.int32))
            common: dict[str, Any] = {"name": part, "inputs": (source,), "delays": delays}
            self.nodes.append(ir.FixedDense(weights=integers, exponent=-doubled, sign_mode=sign, **common))
        return tuple(parts)

    def _population(self, layer: NetxLayer, bias: Ints, inputs: tuple[str, ...]) -> None:
        lowest, highest = BIAS_LIMITS
        if bias.min() < lowest or bias.max() > highest:
            raise layer.fail(
                f"has a 'bias' of {bias.min()} .. {bias.max()}, the register holds {lowest} .. {highest}"
            )
        cuba, shape = layer.neuron(self.shape, self.notes), self.shape
        if cuba.default and bias.any():
            raise layer.fail("has a 'bias' but no neurons, which netx would not integrate")
        # What enters reaches the potential itself: netx puts it where a bias stands, behind the current.
        du = np.full(shape, fixedpoint.DECAY_UNITY - 1) if layer.kind == "input" else cuba.du
        self.nodes.append(
            ir.FixedLif(
                name=layer.name,
                inputs=inputs,
                du=du.astype(np.int32),
                dv=cuba.dv.astype(np.int32),
                vth=cuba.vth.astype(np.int32),
                bias_mantissa=bias.astype(np.int32),
                bias_exponent=np.full(shape, BIAS_EXPONENT),
                scale=np.ones(shape),
                origin=Origin.whole(layer.name, size_of(shape)),
            )
        )
        self.source, self.silent = layer.name, layer.name if cuba.default else ""
        self.never = bool((cuba.vth >= fixedpoint.THRESHOLD_MAX).all())

    def finished(self, name: str) -> Imported:
        """Return the network, read where it ends."""
        if self.source in {"", INPUT}:
            raise FrontendError("no layer has neurons: there is nothing to run")
        decode = Decode.LAST_V if self.never else Decode.SPIKE_COUNT
        self.nodes.append(ir.Output(name="output", inputs=(self.source,), decode=decode))
        fixed = Graph(tuple(self.nodes), name=name)
        verify(fixed)
        return Imported(DequantizeGraph()(fixed), tuple(dict.fromkeys(self.notes)), fixed)


def _by_sign(name: str, weights: Ints) -> dict[str, Ints]:
    return {f"{name}.excitatory": np.maximum(weights, 0), f"{name}.inhibitory": np.minimum(weights, 0)}


def _check_held(layer: NetxLayer, name: str, all_of_it: Ints, weights: Ints, mode: SignMode) -> None:
    if not np.array_equal(fixedpoint.apply_weight_rule(weights, mode, fixedpoint.WEIGHT_BITS), weights):
        raise layer.fail(
            f"has a '{name}' of {all_of_it.min()} .. {all_of_it.max()}, which 8 bits and a sign do not hold"
        )


def _delays(layer: NetxLayer, weights: Ints, notes: list[str]) -> Ints | None:
    """Return steps per synapse: one for all, one per target, one per source, or one each.

    A vector is per target if it has as many elements as there are targets, else per source, as in netx.
    """
    if "delay" not in layer.values:
        return None
    steps = layer.cut("delay", notes)
    if steps.max() > LARGEST_DELAY:
        notes.append(
            f"delays of layer {layer.number} beyond {LARGEST_DELAY} steps are {LARGEST_DELAY}, as in netx"
        )
        steps = np.clip(steps, 0, LARGEST_DELAY)
    if steps.min() < 0:
        raise layer.fail(f"has a 'delay' of {steps.min()} steps, expected 0 or more")
    if steps.ndim == 1 and len(steps) == len(weights):
        steps = steps.reshape(-1, 1)
    elif steps.shape not in {(), weights.shape[1:], weights.shape}:
        raise layer.fail(
            f"has a 'delay' of shape {steps.shape} for weights {weights.shape}, expected one, one per "
            "target, one per source or one per synapse"
        )
    return np.array(np.broadcast_to(steps, weights.shape)) if steps.any() else None


def _bias(layer: NetxLayer, shape: tuple[int, ...], notes: list[str]) -> Ints:
    """Return the bias of every neuron: one per channel, or one each in the order in which netx takes it."""
    if "bias" not in layer.values:
        return np.zeros(shape, np.int64)
    bias = layer.cut("bias", notes)
    spread = in_lavas_order(bias, shape)
    if len(shape) > 1 and bias.shape not in {shape[:1], shape[::-1]}:
        spread = None
    if spread is None:
        raise layer.fail(
            f"has a 'bias' of shape {bias.shape}, expected one per channel {shape[:1]}"
            + (f" or one per neuron {shape[::-1]} (columns, rows, channels)" if len(shape) > 1 else "")
        )
    return spread
