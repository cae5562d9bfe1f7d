"""Random netx files, wider than what Lava-DL writes: what is read must equal Lava-DL, the rest be refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = dict[str, Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class NetxFile:
    """A file and what enters it.

    Attributes:
        layers: Data sets by name, one mapping per layer.
        x: `[steps, *shape]`; the same value at every step where the input layer has neurons.
        spoilt: What was done to it that no reader may pass over, or nothing.
    """

    layers: list[Values]
    x: NDArray[np.int64]
    spoilt: str = ""

    @property
    def constant(self) -> bool:
        """Whether its input layer has neurons, which netx drives by their bias."""
        first = self.layers[0]
        return first["type"] == "input" and "neuron/type" in first


def random_file(rng: Rng) -> NetxFile:
    """Return one to three layers behind any kind of input; about one in five spoilt by one nonsense."""
    layers: list[Values] = []
    shape = _shape(rng)
    entered = _enter(rng, layers, shape)
    source, joined = shape, False
    for _ in range(int(rng.integers(1, 4))):
        if len(source) == 3 and entered and rng.random() < 0.7:
            layer = _convolution(rng, source)
        else:
            if len(source) == 3 and not joined and (rng.random() < 0.95 or not layers):
                layers.append({"type": "flatten", "shape": [int(np.prod(source))]})
                joined = True
            layer = _dense(rng, int(np.prod(source)))
        layers.append(layer)
        source = tuple(layer["shape"]) if layer["type"] == "conv" else (int(np.prod(layer["shape"])),)
    steps = int(rng.integers(5, 16))
    x = (rng.random((steps, *shape)) < rng.choice([0.1, 0.4, 0.9])).astype(np.int64)
    if entered == "neurons":
        x = np.broadcast_to(rng.integers(-9, 10, shape), x.shape)
    if rng.random() < 0.2:
        return NetxFile(layers, x, _spoil(rng, layers))
    return NetxFile(layers, x)


def _shape(rng: Rng) -> tuple[int, ...]:
    if rng.random() < 0.4:
        return (int(rng.integers(1, 9)),)
    return (int(rng.integers(1, 5)), int(rng.integers(1, 10)), int(rng.integers(1, 10)))


def _enter(rng: Rng, layers: list[Values], shape: tuple[int, ...]) -> str:
    """Add an input layer, or none; return how values enter, empty where no layer says their shape."""
    kind = str(rng.choice(["", "unshaped", "shape", "shape", "neurons"]))
    if kind == "unshaped":
        layers.append({"type": "input"})
    if kind == "shape":
        layers.append({"type": "input", "shape": _array(rng, shape)})
    if kind == "neurons":
        weight, bias = int(rng.integers(-60, 61)) or 1, int(rng.integers(-90, 91))
        layer = {"type": "input", "shape": _array(rng, shape), **_neurons(rng, shape, 200)}
        if rng.random() < 0.8:
            layer["weight"] = np.array([weight + rng.choice([0, 0.4])], np.float32)
        if rng.random() < 0.8:
            layer["bias"] = rng.choice([np.float64(bias), np.float64(bias) + 0.5])
        layers.append(layer)
    return kind if kind != "unshaped" else ""


def _array(rng: Rng, values: tuple[int, ...]) -> NDArray[Any]:
    return np.array(values, np.float64 if rng.random() < 0.03 else _type(rng, np.int64, np.int32))


def _type(rng: Rng, usual: type[np.generic], *others: type[np.generic]) -> type[np.generic]:
    return usual if rng.random() < 0.85 else others[int(rng.integers(len(others)))]


def any_weights(rng: Rng, *shape: int) -> NDArray[Any]:
    """Return weights of every kind that 8 bits hold, and some that they do not, in any type."""
    makers: list[Callable[[], NDArray[Any]]] = [
        lambda: rng.integers(-20, 21, shape) * 2,
        lambda: rng.integers(-20, 21, shape),
        lambda: rng.integers(-128, 128, shape) * 2,
        lambda: rng.integers(-127, 128, shape) * 2,
        lambda: rng.integers(-127, 128, shape),
        lambda: rng.integers(-128, 128, shape),
        lambda: rng.integers(0, 256, shape),
        lambda: rng.integers(0, 20, shape),
        lambda: -rng.integers(0, 256, shape),
        lambda: -rng.integers(1, 257, shape),
        lambda: rng.integers(-200, 201, shape),
        lambda: rng.integers(-256, 256, shape),
        lambda: rng.integers(-9, 10, shape) * int(2 ** rng.integers(0, 5)),
        lambda: rng.choice([-256, -255, -1, 0, 1, 254, 255], shape),
        lambda: np.zeros(shape, np.int64),
    ]
    odds = np.array([6, 5, 1, 3, 4, 2, 2, 3, 1.5, 1, 0.7, 0.3, 4, 0.3, 0.1])
    weights = makers[int(rng.choice(len(makers), p=odds / odds.sum()))]()
    weights = weights * (rng.random(shape) < rng.choice([1.0, 0.6]))
    if rng.random() < 0.1:
        weights = weights + rng.random(shape) * np.sign(weights) * 0.9
    return weights.astype(_type(rng, np.float32, np.float64))


def _neurons(rng: Rng, shape: tuple[int, ...], drive: float) -> Values:
    """Return registers, one each or spread over channels or neurons; seldom none at all or a rare type."""
    limits = {"iDecay": (1, 4097), "vDecay": (0, 4096), "vThMant": (0, max(2, int(3 * drive)))}
    common = {"iDecay": [1, 1024, 4096], "vDecay": [0, 123, 1024, 4095], "vThMant": [80, 0, 2**17 - 1]}
    values: Values = {"neuron/type": str(rng.choice(["CUBA", "LOIHI"]))}
    kind = np.float32 if rng.random() < 0.03 else _type(rng, np.int64, np.int32)
    for name, (lowest, highest) in limits.items():
        sizes = [(), (), (), (1,), shape[:1], shape[::-1]]
        size = sizes[int(rng.integers(6))] if name != "vThMant" else sizes[int(rng.integers(5))]
        found = rng.integers(lowest, highest, size)
        if rng.random() < 0.3 and size == ():
            found = rng.choice(common[name])
        values[f"neuron/{name}"] = np.asarray(found).astype(kind)
    extras = {
        "refDelay": 1,
        "gradedSpike": False,
        "wgtExp": int(rng.integers(2)),
        "theta": 5120,
        "tauRho": 0.1,
    }
    return values | {f"neuron/{name}": value for name, value in extras.items() if rng.random() < 0.5}


def _bias(rng: Rng, shape: tuple[int, ...]) -> Values:
    """Return a bias of any shape that netx spreads, seldom one that it does not."""
    if rng.random() < 0.4:
        return {}
    sizes = [shape[:1], shape[:1], shape[::-1], (1,), ()]
    size = sizes[int(rng.choice(5, p=[0.4, 0.2, 0.25, 0.1, 0.05]))]
    reach = int(rng.choice([9, 90, 4095]))
    bias = rng.integers(-reach - (reach == 4095), reach + 1, size).astype(np.float32)
    return {"bias": bias + np.float32(rng.choice([0, 0.5], p=[0.9, 0.1])) * np.sign(bias)}


def _dense(rng: Rng, sources: int) -> Values:
    size = int(rng.integers(1, 9))
    weights = any_weights(rng, size, sources)
    layer: Values = {"type": "dense", "shape": [size], "weight": weights}
    if rng.random() < 0.2:
        layer["shape"] = [size, 1, 1]
    if rng.random() < 0.5:
        layer |= {"inFeatures": sources, "outFeatures": size}
    if rng.random() < 0.9:
        drive = float(np.abs(weights).sum(axis=1).mean()) / 2
        layer |= _neurons(rng, (size,), drive) | _bias(rng, (size,))
    elif rng.random() < 0.2:
        layer |= _bias(rng, (size,))
    if rng.random() < 0.25:
        layer |= {"type": "dense_rec", "weight_rec": any_weights(rng, size, size)}
        if rng.random() < 0.7:
            both = any_weights(rng, size, sources + size)
            layer |= {"weight": both[:, :sources], "weight_rec": both[:, sources:]}
    elif rng.random() < 0.3:
        layer["delay"] = _delay(rng, size, sources)
    if rng.random() < 0.1:
        layer |= {name: layer[name].ravel() for name in ("weight", "weight_rec") if name in layer}
    return layer


def _delay(rng: Rng, size: int, sources: int) -> NDArray[Any]:
    most = int(rng.choice([3, 9, 62, 75]))
    shapes = [(), (size,), (sources,), (size, sources), (1,)]
    shape = shapes[int(rng.choice(5, p=[0.2, 0.3, 0.2, 0.25, 0.05]))]
    return np.asarray(rng.integers(0, most + 1, shape)).astype(_type(rng, np.float32, np.int64))


def _convolution(rng: Rng, image: tuple[int, ...]) -> Values:
    channels, *size = image
    groups = int(rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    into, out = channels // groups, groups * int(rng.integers(1, 3))
    padding, dilation, stride = (
        tuple(int(n) for n in rng.integers(low, high, 2)) for low, high in ((0, 3), (1, 3), (1, 4))
    )
    kernel = tuple(
        int(rng.integers(1, min(4, (n + 2 * p - 1) // d + 1) + 1))
        for n, p, d in zip(size, padding, dilation, strict=True)
    )
    rows, columns = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
    )
    weights = any_weights(rng, out, into, *kernel)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    shape = (out, rows, columns)
    layer: Values = {"type": "conv", "shape": list(shape), "groups": groups}
    for name, pair in geometry.items():
        layer[name] = pair[0] if pair[0] == pair[1] and rng.random() < 0.5 else np.array(pair)
    if rng.random() < 0.5:
        layer |= {"inChannels": channels, "outChannels": out, "kernelSize": np.array(kernel)}
    layer["weight"] = weights[..., None] if rng.random() < 0.3 else weights
    drive = float(np.abs(weights).sum(axis=(1, 2, 3)).mean()) / 2
    return layer | _neurons(rng, shape, drive) | _bias(rng, shape)


def _spoil(rng: Rng, layers: list[Values]) -> str:
    """Make nonsense of one field of one layer; return what was done."""
    layer = layers[int(rng.integers(len(layers)))]
    name = str(rng.choice(sorted(layer)))
    action = str(rng.choice([*SPOILERS, "leave out"]))
    if action == "leave out":
        del layer[name]
    elif action == "nonsense":
        layer[name] = NONSENSE[int(rng.integers(len(NONSENSE)))]
    else:
        layer |= SPOILERS[action]
    return f"{action} {name}"


SPOILERS: Final[dict[str, Values]] = {
    "nonsense": {},
    "refractory": {"neuron/type": "CUBA", "neuron/refDelay": 3},
    "messages": {"neuron/type": "CUBA", "neuron/messageBits": 8},
    "graded": {"neuron/type": "CUBA", "neuron/gradedSpike": True},
    "sigma-delta": {"neuron/type": "SDNN"},
    "resonator": {"neuron/type": "RF_PHASE"},
    "pool": {"type": "pool"},
    "average": {"type": "average"},
    "concat": {"type": "concat"},
    "transposed": {"type": "convT"},
    "unpool": {"type": "unpool"},
    "complex": {"type": "dense_comp"},
    "second input": {"type": "input"},
    "delayed": {"delay": np.array([1])},
    "no neurons": {"neuron/type": "CUBA", "neuron/iDecay": 0},
    "too slow": {"neuron/vDecay": 4096},
    "too high": {"neuron/vThMant": 2**17},
    "grouped": {"groups": 3},
    "padded": {"padding": np.array([-1, 0])},
    "still": {"stride": 0},
    "recurrent": {"type": "dense_rec"},
}
NONSENSE: Final[list[Any]] = [
    "text",
    np.nan,
    np.inf,
    -1,
    0,
    0.5,
    2.0**40,
    np.zeros((2, 3)),
    np.arange(5),
    np.array([]),
    np.ones((1, 1, 1, 1, 1, 1)),
    np.array([1 + 1j]),
]
