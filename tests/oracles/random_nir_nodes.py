"""Random nodes of a NIR graph: numbers, neurons, connections, with shapes that belong together."""

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from toolchain.interchange.nir.conventions import CONVENTIONS

Shape = tuple[int, ...]


@dataclass
class RandomNodes:
    """Makes nodes as a convention has them; each maker returns also the shape of what its node sends."""

    rng: np.random.Generator
    convention: str
    exact: bool

    def __post_init__(self) -> None:
        self.dt = CONVENTIONS[self.convention].dt
        small = self.exact or self.convention == "norse"
        kinds: Any = [np.float64] if small else [np.float64, np.float64, np.float32, np.float16]
        self.dtype = self.rng.choice(kinds)

    def maybe(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    # Numbers.

    def number(self, shape: Shape, low: float, high: float) -> np.ndarray:
        values = self.rng.uniform(low, high, shape)
        if self.exact:
            values = np.rint(values * 4) / 4
        return values.astype(self.dtype)

    def weights(self, *shape: int) -> np.ndarray:
        values = self.rng.normal(size=shape) * 2
        return (np.rint(values * 2) / 2 if self.exact else values).astype(self.dtype)

    def part(self, shape: Shape) -> Shape:
        """A shape that NumPy broadcasts to another; mostly itself."""
        if self.maybe(0.6):
            return shape
        kept = tuple(extent if self.maybe(0.5) else 1 for extent in shape)
        return kept[int(self.rng.integers(len(shape) + 1)) :]

    def tau(self, shape: Shape) -> np.ndarray:
        if self.exact:
            return self.dt * 2.0 ** self.rng.integers(0, 3, shape)
        return (self.dt / self.rng.uniform(0.05, 0.95, shape)).astype(self.dtype)

    def threshold(self, part: Shape, reset: np.ndarray) -> np.ndarray:
        threshold = (self.number(part, 0.5, 2.0) + np.maximum(reset, 0)).astype(self.dtype)
        if self.exact:
            return np.maximum(threshold, 0.5)
        return np.ceil(threshold).astype(np.int32) if self.maybe(0.1) else threshold

    # Nodes.

    def neuron(self, shape: Shape) -> nir.NIRNode:
        part = self.part(shape)
        if len(shape) > 1 and self.maybe(0.92):
            part = (shape[0], *[1] * (len(shape) - 1)) if self.maybe(0.6) else (1,)
        zero = np.zeros(part, self.dtype)
        leak = self.number(part, -0.5, 0.5) if self.maybe(0.3) else zero
        reset = zero
        if self.convention in {"norse", "spikingjelly"}:
            reset = leak
        if self.convention in {"nir", "norse"} and self.maybe(0.2):
            reset = self.number(part, -0.5, 0.5)
        threshold = self.threshold(part, np.maximum(leak, reset) if self.convention == "norse" else reset)
        r = self.number(part, 0.5, 3.0)
        kind = self.rng.choice(["lif", "lif", "cubalif", "cubalif", "if", "threshold", "li", "cubali", "i"])
        step = 1.0 if CONVENTIONS[self.convention].integrator.name == "ADDED" else 1 / self.dt
        wide = np.float64 if step > 1 else self.dtype
        match kind:
            case "lif":
                return nir.LIF(self.tau(part), r, leak, threshold, reset)
            case "cubalif":
                w_in = self.number(self.part(part), 0.5, 2.0) if self.maybe(0.5) else 1.0
                return _with(
                    nir.CubaLIF(self.tau(part), self.tau(part), r, leak, threshold, reset),
                    w_in=np.asarray(w_in),
                )
            case "if":
                zeros = self.convention != "spikingjelly" or self.maybe(0.5)
                return nir.IF((r * step).astype(wide), threshold, zero if zeros else reset)
            case "threshold":
                return nir.Threshold(np.maximum(threshold, np.asarray(0.25, self.dtype)))
            case "li":
                return nir.LI(self.tau(part), r, leak)
            case "cubali":
                return nir.CubaLI(self.tau(part), self.tau(part), r, leak, self.number(part, 0.5, 2.0))
            case _:
                return nir.I((r * step).astype(wide))

    def dense(self, shape: Shape, targets: int | None = None) -> tuple[nir.NIRNode, Shape]:
        outputs = targets or int(self.rng.integers(1, 6))
        weights = self.weights(outputs, shape[0])
        if self.maybe(0.5):
            return nir.Linear(weights), (outputs,)
        bias = self.number((outputs,) if self.maybe(0.9) else (1,), -0.5, 0.5)
        return nir.Affine(weights, bias), (outputs,)

    def scale(self, shape: Shape) -> tuple[nir.NIRNode, Shape]:
        part = (shape[0], *[1] * (len(shape) - 1)) if self.maybe(0.92) else self.part(shape)
        return nir.Scale(self.number(part, -1.5, 1.5)), shape

    def delay(self, shape: Shape) -> tuple[nir.NIRNode, Shape]:
        part = (1,) if self.maybe(0.5) else self.part(shape)
        steps = self.rng.integers(0, 4, part)
        fine = np.float64 if self.dtype == np.float16 else self.dtype
        return nir.Delay((steps * self.dt).astype(fine)), shape

    def flatten(self, shape: Shape) -> tuple[nir.NIRNode, Shape]:
        declared: Any = np.array(shape) if self.maybe(0.5) else None
        return nir.Flatten({"input": declared}, 0, -1), (int(np.prod(shape)),)

    def convolution(
        self, shape: Shape, *, same: bool = False, padded: bool = True
    ) -> tuple[nir.NIRNode, Shape]:
        line = len(shape) == 2
        groups = int(self.rng.choice([g for g in (1, 2, 3) if shape[0] % g == 0]))
        groups = groups if self.maybe(0.4) else 1
        outputs = shape[0] if same else groups * int(self.rng.integers(1, 4))
        kernel, stride, padding, dilation, extents = [], [], [], [], []
        for extent in shape[1:]:
            k = 3 if same else int(self.rng.integers(1, min(3, extent) + 1))
            d = 1 if same or extent < 2 * k or self.maybe(0.7) else 2
            s = 1 if same or self.maybe(0.6) else 2
            p = 1 if same else int(self.rng.choice([0, 0, 1, 2])) if padded else 0
            for values, value in ((kernel, k), (stride, s), (padding, p), (dilation, d)):
                values.append(value)
            extents.append((extent + 2 * p - d * (k - 1) - 1) // s + 1)
        weight = self.weights(outputs, shape[0] // groups, *kernel)
        bias = self.number((outputs,), -0.5, 0.5) if self.maybe(0.5) else np.zeros(outputs, self.dtype)
        declared: Any = None if self.maybe(0.3) else shape[1] if line else shape[1:]
        sends = (outputs, *extents)
        if line:
            return nir.Conv1d(declared, weight, stride[0], padding[0], dilation[0], groups, bias), sends
        around: Any = tuple(padding)
        whole = all(d * (k - 1) == 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True))
        if whole and stride == [1, 1] and self.maybe(0.5):
            around = "same"
        elif not any(padding) and self.maybe(0.3):
            around = "valid"
        return nir.Conv2d(declared, weight, tuple(stride), around, tuple(dilation), groups, bias), sends

    def pooling(self, shape: Shape, *, padded: bool = True) -> tuple[nir.NIRNode, Shape]:
        most = 2 if self.exact else 3
        kernel = [int(self.rng.integers(1, min(most, extent) + 1)) for extent in shape[1:]]
        stride = [k if self.maybe(0.7) else int(self.rng.integers(1, 3)) for k in kernel]
        padding = [int(padded and k > 1 and self.maybe(0.2)) for k in kernel]
        axes = zip(shape[1:], kernel, stride, padding, strict=True)
        sends = (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in axes))
        kind = nir.AvgPool2d if self.maybe(0.5) else nir.SumPool2d
        return kind(np.array(kernel), np.array(stride), np.array(padding)), sends


def _with(node: nir.NIRNode, **changes: Any) -> nir.NIRNode:
    for name, value in changes.items():
        setattr(node, name, value)
    return node
