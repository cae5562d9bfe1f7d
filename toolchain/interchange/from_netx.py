"""From Lava-DL's netx files to integers: the network that `lava.lib.dl.netx.hdf5.Network` would build.

A file is a chain of layers with integer weights. Its meaning is netx's own: `du = iDecay - 1`, `dv = vDecay`,
a bias times 64 and a threshold times 64; the weight exponent `wgtExp` is written and never read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import fixedpoint
from toolchain.errors import CorruptArtifactError, FrontendError, IRError
from toolchain.fixedpoint import SignMode
from toolchain.interchange.hdf5 import Hdf5Reader
from toolchain.interchange.imported import Imported
from toolchain.interchange.netx_layers import Cuba, Layer, read_layers
from toolchain.ir import (
    AnyNode,
    Decode,
    Delay,
    EdgeKind,
    FixedConv2d,
    FixedDense,
    FixedLif,
    Graph,
    Input,
    Origin,
    Output,
    verify,
)
from toolchain.ir.matrix import Matrix, values_of, with_values
from toolchain.ir.types import size_of
from toolchain.passes import DequantizeGraph

Integers = NDArray[np.int64]

INPUT: Final = "input"
GRADED_BITS: Final = 16
LARGEST_DELAY: Final = 62
BIAS_EXPONENT: Final = 6
_REFUSED: Final = {
    "pool": "netx does not run poolings",
    "average": "netx does not run averages",
    "concat": "netx does not run skips",
    "convT": "netx does not run transposed convolutions",
    "unpool": "netx does not run unpooling",
    "dense_comp": "its resonators have no counterpart here",
}


def from_netx(path: Path, reader: Hdf5Reader | None = None) -> Imported:
    """Read a netx file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not a netx file, or is damaged.
        FrontendError: A layer has no counterpart, or none that netx itself runs; names it and why.
    """
    if reader is None:
        with Hdf5Reader() as own:
            return from_netx(path, own)
    layers = read_layers(path, reader.read(path))
    try:
        return layers_to_graphs(layers, path.stem)
    except IRError as error:
        raise CorruptArtifactError(path, f"is not a network: {error}") from None


def layers_to_graphs(layers: Sequence[Layer], name: str) -> Imported:
    """Return the network of a chain of layers, in integers and in real numbers.

    Raises:
        FrontendError: A layer has no counterpart.
        IRError: The layers do not fit one another.
    """
    chain = _Chain()
    for layer in layers:
        chain.add(layer)
    return chain.finished(name)


@final
@dataclass
class _Chain:
    """Adds layers one after another."""

    nodes: list[AnyNode] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    source: str = ""
    shape: tuple[int, ...] = ()
    never: bool = False

    def add(self, layer: Layer) -> None:
        """Add one layer."""
        if layer.kind in _REFUSED:
            raise FrontendError(f"layer {layer.number} is '{layer.kind}': {_REFUSED[layer.kind]}")
        match layer.kind:
            case "input":
                self._enter(layer)
            case "flatten":
                return
            case "conv":
                self._convolution(layer)
            case "dense":
                self._dense(layer, recurrent=False)
            case "dense_rec":
                self._dense(layer, recurrent=True)
            case _:
                raise FrontendError(f"layer {layer.number} is '{layer.kind}', which netx does not know")

    def _enter(self, layer: Layer) -> None:
        """Add where values enter; with neurons they are a current `weight x + bias`."""
        if self.source:
            raise FrontendError(f"layer {layer.number} is an input, but is not the first")
        self.source, self.shape = INPUT, layer.shape("shape")
        if not layer.has_neuron:
            self.nodes.append(Input(name=INPUT, shape=self.shape))
            return
        weight, bias = layer.whole("weight", 64), layer.whole("bias", 0)
        if weight == 0:
            raise FrontendError("the input layer multiplies by 0: nothing would enter")
        self.nodes.append(
            Input(name=INPUT, shape=self.shape, edge=EdgeKind.GRADED, scale=abs(weight), bits=GRADED_BITS)
        )
        self.notes.append(f"the input is sent as round({weight} x), {GRADED_BITS} bits")
        self._identity(layer, -1 if weight < 0 else 1)
        self._population(layer, np.full(self.shape[0], bias), (f"{layer.name}.weights",))

    def _identity(self, layer: Layer, sign: int) -> None:
        name, size = f"{layer.name}.weights", size_of(self.shape)
        if len(self.shape) == 1:
            eye = csr_array((np.full(size, sign), np.arange(size), np.arange(size + 1)), shape=(size, size))
            self._matrix(name, INPUT, eye, None)
            return
        self._kernels(layer, name, np.full((self.shape[0], 1, 1, 1), sign), {"groups": self.shape[0]})

    def _convolution(self, layer: Layer) -> None:
        self._begin(layer)
        weights = layer.integers("weight", self.notes)
        weights = (
            weights.reshape(weights.shape[:4]) if weights.ndim == 5 and weights.shape[4] == 1 else weights
        )
        if weights.ndim != 4 or len(self.shape) != 3:
            raise FrontendError(f"layer {layer.number} has kernels {weights.shape} over {self.shape}")
        if "delay" in layer.values:
            raise FrontendError(f"layer {layer.number} has delays before a convolution, which netx drops")
        geometry = {name: layer.pair(name) for name in ("stride", "padding", "dilation")}
        names = self._kernels(
            layer, f"{layer.name}.weights", weights, {**geometry, "groups": layer.whole("groups", 1)}
        )
        bias = (
            layer.integers("bias", self.notes) if "bias" in layer.values else np.zeros(len(weights), np.int64)
        )
        self.shape = layer.shape("shape")
        self._population(layer, bias, names)

    def _kernels(
        self, layer: Layer, name: str, weights: Integers, geometry: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Add a convolution; odd weights of both signs need one of each sign, since it has no exponent."""
        mode = fixedpoint.sign_mode_of(weights)
        parts = {name: weights}
        if mode is SignMode.MIXED and (weights % 2).any():
            parts = {
                f"{name}.excitatory": np.maximum(weights, 0),
                f"{name}.inhibitory": np.minimum(weights, 0),
            }
        for part, values in parts.items():
            sign = fixedpoint.sign_mode_of(values)
            _check_held(layer, values, sign)
            common: dict[str, Any] = {"name": part, "inputs": (self.source,), **geometry}
            self.nodes.append(
                FixedConv2d(weights=values.astype(np.int32), exponent=0, sign_mode=sign, **common)
            )
        return tuple(parts)

    def _dense(self, layer: Layer, *, recurrent: bool) -> None:
        self._begin(layer)
        size, sources = size_of(layer.shape("shape")), size_of(self.shape)
        weights = layer.integers("weight", self.notes)
        if weights.size != size * sources:
            raise FrontendError(f"layer {layer.number} has {weights.shape} weights from {sources} to {size}")
        weights = weights.reshape(size, sources)
        delays = _delays(layer, weights, self.notes)
        name = f"{layer.name}.weights"
        names = [name]
        self._matrix(name, self.source, weights, delays)
        if recurrent:
            if delays is not None:
                raise FrontendError(
                    f"layer {layer.number} has delays and recurrence, where netx loses the weights' exponent"
                )
            back = layer.integers("weight_rec", self.notes)
            if back.size != size * size:
                raise FrontendError(
                    f"layer {layer.number} has {back.shape} recurrent weights of {size} neurons"
                )
            names.append(f"{layer.name}.recurrent")
            self.nodes.append(Delay(name=f"{layer.name}.before", inputs=(layer.name,), shape=(size,)))
            self._matrix(names[1], f"{layer.name}.before", back.reshape(size, size), None)
        bias = layer.integers("bias", self.notes) if "bias" in layer.values else np.zeros(size, np.int64)
        self.shape = (size,)
        self._population(layer, bias, tuple(names))

    def _matrix(self, name: str, source: str, weights: Matrix, delays: Integers | None) -> None:
        """Add a dense connection; odd weights of both signs are doubled and halved by the exponent."""
        values = values_of(weights)
        mode, doubled = fixedpoint.sign_mode_of(values), 0
        held = values.astype(np.int64)
        if mode is SignMode.MIXED and (held % 2).any():
            doubled, held = 1, held * 2
        if not np.array_equal(fixedpoint.apply_weight_rule(held, mode, fixedpoint.WEIGHT_BITS), held):
            raise FrontendError(
                f"'{name}' has weights {values.min()} .. {values.max()}, which 8 bits do not hold; "
                "netx would clip"
            )
        common: dict[str, Any] = {"name": name, "inputs": (source,), "delays": delays}
        integers: Matrix = with_values(weights, held.astype(np.int32))
        self.nodes.append(FixedDense(weights=integers, exponent=-doubled, sign_mode=mode, **common))

    def _begin(self, layer: Layer) -> None:
        """Add an input of the shape that a first layer asks for, where the file has none."""
        if self.source:
            return
        if layer.kind == "conv":
            raise FrontendError("the file begins with a convolution and does not say the shape of its input")
        size = size_of(layer.shape("shape"))
        self.source, self.shape = INPUT, (layer.integers("weight", self.notes).size // size,)
        self.nodes.append(Input(name=INPUT, shape=self.shape))

    def _population(self, layer: Layer, bias: Integers, inputs: tuple[str, ...]) -> None:
        cuba = layer.neuron(self.notes)
        shape = self.shape if layer.kind in {"conv", "input"} else (size_of(self.shape),)
        values = _spread(layer, bias, shape)
        if cuba.default and values.any():
            raise FrontendError(
                f"layer {layer.number} has a bias but no neurons, which netx would not integrate"
            )
        self._neurons(layer.name, cuba, values, shape, inputs)
        self.source, self.shape, self.never = layer.name, shape, cuba.vth >= fixedpoint.THRESHOLD_MAX

    def _neurons(
        self, name: str, cuba: Cuba, bias: Integers, shape: tuple[int, ...], inputs: tuple[str, ...]
    ) -> None:
        origin = Origin.whole(name, size_of(shape))
        self.nodes.append(
            FixedLif(
                name=name,
                inputs=inputs,
                du=np.full(shape, cuba.du),
                dv=np.full(shape, cuba.dv),
                vth=np.full(shape, cuba.vth),
                bias_mantissa=bias.astype(np.int32),
                bias_exponent=np.full(shape, BIAS_EXPONENT),
                scale=np.ones(shape),
                origin=origin,
            )
        )

    def finished(self, name: str) -> Imported:
        """Return the network, read where it ends."""
        decode = Decode.LAST_V if self.never else Decode.SPIKE_COUNT
        self.nodes.append(Output(name="output", inputs=(self.source,), decode=decode))
        fixed = Graph(tuple(self.nodes), name=name)
        verify(fixed)
        return Imported(DequantizeGraph()(fixed), tuple(dict.fromkeys(self.notes)), fixed)


def _check_held(layer: Layer, weights: Integers, mode: SignMode) -> None:
    if not np.array_equal(fixedpoint.apply_weight_rule(weights, mode, fixedpoint.WEIGHT_BITS), weights):
        raise FrontendError(
            f"layer {layer.number} has weights {weights.min()} .. {weights.max()}, which 8 bits do not hold"
        )


def _delays(layer: Layer, weights: Integers, notes: list[str]) -> Integers | None:
    """Return steps per synapse; one per target if there are as many as targets, else one per source."""
    if "delay" not in layer.values:
        return None
    steps = layer.integers("delay", notes)
    if steps.size and steps.max() > LARGEST_DELAY:
        notes.append(
            f"delays of layer {layer.number} beyond {LARGEST_DELAY} steps are {LARGEST_DELAY}, as in netx"
        )
        steps = np.clip(steps, 0, LARGEST_DELAY)
    if steps.ndim == 1 and steps.size == weights.shape[0]:
        steps = steps.reshape(-1, 1)
    if steps.ndim > 2 or (steps.size and steps.min() < 0):
        raise FrontendError(f"layer {layer.number} has delays {steps.shape} of {steps.min()} or more steps")
    try:
        return np.array(np.broadcast_to(steps, weights.shape))
    except ValueError:
        raise FrontendError(
            f"layer {layer.number} has delays of shape {steps.shape} for weights {weights.shape}"
        ) from None


def _spread(layer: Layer, bias: Integers, shape: tuple[int, ...]) -> Integers:
    """Return the bias of every neuron: one for all, one per channel, or one each."""
    limit = fixedpoint.BIAS_MANTISSA_MAX
    if bias.size and np.abs(bias).max() > limit:
        raise FrontendError(f"layer {layer.number} has a bias of {np.abs(bias).max()}, at most {limit} fit")
    if bias.size == size_of(shape):
        return bias.reshape(shape)
    if bias.size in {1, shape[0]}:
        return np.array(np.broadcast_to(bias.reshape(-1, *[1] * (len(shape) - 1)), shape))
    raise FrontendError(f"layer {layer.number} has {bias.size} biases for neurons {shape}")
