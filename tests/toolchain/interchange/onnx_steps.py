"""Random operators of a classifier, each with shapes and attributes wider than exporters draw."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.toolchain.interchange.onnx_builder import CURVED, TYPES, Builder
from toolchain.arrays import Array


def _pads(b: Builder, axes: int, attributes: dict[str, Any], most: int) -> dict[str, Any]:
    way = b.rng.random()
    if way < 0.2:
        attributes["auto_pad"] = str(b.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    elif way < 0.5:
        attributes["pads"] = b.rng.integers(0, most + 1, 2 * axes).tolist()
    elif way < 0.8:
        attributes["pads"] = b.rng.integers(0, most + 1, axes).tolist() * 2
    return attributes


def _conv(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    axes = value.ndim - 2
    if axes not in {1, 2}:
        return None
    channels = value.shape[1]
    groups = int(b.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    outputs = groups * int(b.rng.integers(1, 4 if groups == 1 else 3))
    kernel = [int(b.rng.integers(1, min(3, n) + 1)) for n in value.shape[2:]]
    attributes: dict[str, Any] = {"group": groups} if groups > 1 or b.rng.random() < 0.3 else {}
    if b.rng.random() < 0.4:
        attributes["strides"] = b.rng.integers(1, 4, axes).tolist()
    if b.rng.random() < 0.3:
        attributes["dilations"] = b.rng.integers(1, 3, axes).tolist()
    inputs = [x, b.constant(b.normal(outputs, channels // groups, *kernel))]
    if b.rng.random() < 0.6:
        inputs.append(b.constant(b.normal(outputs)))
    return b.add("Conv", inputs, **_pads(b, axes, attributes, 2))


def _pool(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    axes = value.ndim - 2
    if axes not in {1, 2}:
        return None
    if b.rng.random() < 0.2:
        return b.add(str(b.rng.choice(["GlobalAveragePool", "GlobalMaxPool"])), [x])
    kind = str(b.rng.choice(["AveragePool", "MaxPool", "MaxPool"]))
    kernel = [int(b.rng.integers(1, min(3, n) + 1)) for n in value.shape[2:]]
    attributes: dict[str, Any] = {"kernel_shape": kernel}
    if b.rng.random() < 0.7:
        attributes["strides"] = b.rng.integers(1, 4, axes).tolist()
    if b.opset >= 10 and b.rng.random() < 0.2:
        attributes["ceil_mode"] = 1
    if kind == "AveragePool" and b.rng.random() < 0.5:
        attributes["count_include_pad"] = 1
    if kind == "MaxPool" and b.opset >= 10 and b.rng.random() < 0.2:
        attributes["dilations"] = b.rng.integers(1, 3, axes).tolist()
    return b.add(kind, [x], **_pads(b, axes, attributes, max(min(kernel) - 1, 0)))


def _norm(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    if value.ndim < 2:
        return None
    c = value.shape[1]
    parts = [b.rng.uniform(-0.5, 1.5, c), b.normal(c), b.normal(c), b.rng.uniform(0.2, 2, c)]
    attributes: dict[str, Any] = {"epsilon": 1e-3} if b.rng.random() < 0.5 else {}
    return b.add("BatchNormalization", [x, *(b.constant(part) for part in parts)], **attributes)


def _odd_shape(b: Builder, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts with another: some axes 1, some missing, seldom some more."""
    kept = [n if b.rng.random() < 0.5 else 1 for n in shape]
    kept = kept[int(b.rng.integers(0, len(kept) + 1)) :]
    if kept and kept[0] == 1 and len(kept) < len(shape) and b.rng.random() < 0.1:
        kept[0] = int(b.rng.integers(1, 4))
    if b.rng.random() < 0.1:
        kept = [1] * (len(shape) - len(kept) + int(b.rng.integers(0, 2))) + kept
    if b.rng.random() < 0.5 and len(shape) == 4:
        kept = [shape[1], 1, 1]
    return tuple(kept)


def _arithmetic(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    kind = str(b.rng.choice(["Add", "Sub", "Mul", "Div"]))
    constant = b.rng.uniform(0.3, 1.5, _odd_shape(b, value.shape)) * b.rng.choice([-1, 1])
    inputs = [x, b.constant(constant)]
    if b.rng.random() < 0.4:
        inputs.reverse()
    return b.add(kind, inputs)


def _two(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    fitting = [name for name in b.order if _broadcasts(value.shape, b.known(name).shape)]
    kind = str(b.rng.choice(["Add", "Add", "Add", "Sub", "Sum", "Max", "Min", "Mul", "Mean"]))
    inputs = [x, str(b.rng.choice(fitting))]
    if b.rng.random() < 0.3:
        inputs.reverse()
    if kind in {"Max", "Min"} and b.rng.random() < 0.5:
        inputs[1] = b.constant(b.normal(*_odd_shape(b, value.shape)))
    return b.add(kind, inputs)


def _broadcasts(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return all(n == m or 1 in {n, m} for n, m in zip(first[::-1], second[::-1], strict=False))


def _concat(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    axis = int(b.rng.integers(1, value.ndim)) if value.ndim > 1 else 0
    rest = tuple(np.delete(value.shape, axis))
    fitting = [
        n
        for n in b.order
        if b.known(n).ndim == value.ndim and tuple(np.delete(b.known(n).shape, axis)) == rest
    ]
    chosen = [str(name) for name in b.rng.choice(fitting, int(b.rng.integers(1, 4)))]
    return b.add("Concat", [x, *chosen], axis=axis if b.rng.random() < 0.7 else axis - value.ndim)


def _rectifier(b: Builder, x: str) -> list[str] | None:
    kind = str(b.rng.choice(["Relu"] * 6 + ["LeakyRelu", "Abs", "PRelu", "Clip", "Clip"]))
    if kind == "PRelu":
        shape = b.known(x).shape
        return b.add(kind, [x, b.constant(b.normal(*(shape[1:2] + (1,) * (len(shape) - 2))))])
    if kind == "LeakyRelu":
        return b.add(kind, [x], alpha=float(b.rng.uniform(0, 0.5)))
    if kind != "Clip":
        return b.add(kind, [x])
    low, high = [(0.0, 6.0), (-1.0, 1.0), (0.1, 0.5), (-0.3, np.inf)][int(b.rng.integers(4))]
    if b.opset < 11:
        bound: dict[str, Any] = {"max": high} if np.isfinite(high) else {}
        return b.add(kind, [x], min=low, **bound)
    bounds = [b.constant(np.array(low)), b.constant(np.array(high)) if np.isfinite(high) else ""]
    return b.add(kind, [x, *bounds])


def _shape(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    kind = str(
        b.rng.choice(["Flatten", "Reshape", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Computed"])
    )
    if kind == "Flatten":
        return b.add(kind, [x], axis=1)
    if kind == "Transpose":
        perm = [0, *(1 + b.rng.permutation(value.ndim - 1))] if value.ndim > 1 else [0]
        return b.add(kind, [x], perm=[int(axis) for axis in perm])
    if kind == "Computed":
        return _computed_reshape(b, x)
    if kind == "Reshape":
        shape = _factors(b, value)
        return b.add(kind, [x, b.constant(np.array(shape, np.int64))])
    ones = [axis for axis in range(1, value.ndim) if value.shape[axis] == 1]
    axes = [int(b.rng.choice(ones))] if ones else []
    if kind == "Unsqueeze":
        axes = [int(b.rng.integers(1, value.ndim + 1))]
    if not axes or value.ndim > 4:
        return None
    if b.opset < 13:
        return b.add(kind, [x], axes=axes)
    return b.add(kind, [x, b.constant(np.array(axes, np.int64))])


def _factors(b: Builder, value: Array) -> list[int]:
    size = int(value.size)
    first = int(b.rng.choice([n for n in range(1, size + 1) if size % n == 0]))
    shapes = [[1, -1], [-1, size], [0, -1], [1, first, -1], [-1, first, size // first], [1, first, 1, -1]]
    return shapes[int(b.rng.integers(len(shapes)))]


def _computed_reshape(b: Builder, x: str) -> list[str] | None:
    """As exporters flatten: the batch is taken from the shape at run time."""
    shape = b.add("Shape", [x])
    if shape is None:
        return None
    b.order.remove(shape[0])
    index = b.constant(np.array([0], np.int64))
    batch = b.add("Gather", [shape[0], index], axis=0)
    if batch is None:
        return None
    b.order.remove(batch[0])
    whole = b.add("Concat", [batch[0], b.constant(np.array([-1], np.int64))], axis=0)
    if whole is None:
        return None
    b.order.remove(whole[0])
    return b.add("Reshape", [x, whole[0]])


def _choose(b: Builder, x: str) -> list[str] | None:
    """Slices, choices and splits."""
    value = b.known(x)
    if value.ndim < 2:
        return None
    axis, way = int(b.rng.integers(1, value.ndim)), b.rng.random()
    extent = value.shape[axis]
    if way < 0.3:
        index = b.rng.integers(-extent, extent, int(b.rng.integers(1, extent + 1)))
        return b.add("Gather", [x, b.constant(index.astype(np.int64))], axis=axis)
    if way < 0.5 and extent % 2 == 0 and b.opset < 18:
        return b.add("Split", [x], outputs=2, axis=axis)
    start, end = sorted(int(n) for n in b.rng.integers(-extent, extent + 1, 2))
    if b.opset < 10:
        return b.add("Slice", [x], starts=[start], ends=[end], axes=[axis])
    step = int(b.rng.choice([1, 1, 2, -1]))
    bounds = (start, end) if step > 0 else (end, start)
    parts = [b.constant(np.array([n], np.int64)) for n in (*bounds, axis, step)]
    return b.add("Slice", [x, *parts])


def dense(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    outputs = int(b.rng.integers(1, 7))
    if value.ndim == 2 and b.rng.random() < 0.6:
        turned = int(b.rng.integers(2))
        weights = b.normal(outputs, value.shape[1])
        inputs = [x, b.constant(weights if turned else weights.T)]
        if b.rng.random() < 0.7 or b.opset < 11:
            inputs.append(b.constant(b.normal(*(outputs,) if b.rng.random() < 0.7 else (1, 1))))
        attributes: dict[str, Any] = {"transB": turned} | (
            {"alpha": 0.5, "beta": 2.0} if b.rng.random() < 0.2 else {}
        )
        return b.add("Gemm", inputs, **attributes)
    if b.rng.random() < 0.2 and value.ndim > 1:
        return b.add("MatMul", [b.constant(b.normal(outputs, value.shape[-2])), x])
    return b.add("MatMul", [x, b.constant(b.normal(outputs, value.shape[-1]).T)])


def _reduce(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    if value.ndim < 2:
        return None
    kind = str(b.rng.choice(["ReduceMean", "ReduceMean", "ReduceSum"]))
    axes = sorted({int(axis) for axis in b.rng.integers(1, value.ndim, 2)}) if b.rng.random() < 0.5 else [-1]
    if value.ndim == 4 and b.rng.random() < 0.5:
        axes = [2, 3] if b.rng.random() < 0.5 else [1, 2]
    kept = {"keepdims": int(b.rng.integers(2))}
    if b.opset < (13 if kind == "ReduceSum" else 18):
        return b.add(kind, [x], axes=axes, **kept)
    return b.add(kind, [x, b.constant(np.array(axes, np.int64))], **kept)


def _pad(b: Builder, x: str) -> list[str] | None:
    value = b.known(x)
    if value.ndim not in {3, 4}:
        return None
    axes = value.ndim - 2
    pads = [0, 0, *b.rng.integers(0, 3, axes).tolist()] * 2 if b.rng.random() < 0.5 else [
        0, 0, *b.rng.integers(0, 3, axes).tolist(), 0, 0, *b.rng.integers(0, 3, axes).tolist()
    ]  # fmt: skip
    level = float(b.rng.choice([0.0, 0.0, 0.5]))
    if b.opset < 11:
        return b.add("Pad", [x], pads=pads, value=level)
    inputs = [x, b.constant(np.array(pads, np.int64))]
    return b.add("Pad", inputs if level == 0 else [*inputs, b.constant(np.array(level))])


def _passed(b: Builder, x: str) -> list[str] | None:
    kind = str(b.rng.choice(["Identity", "Dropout", "Cast", "Neg"]))
    if kind == "Cast":
        return b.add(kind, [x], to=TYPES[b.dtype])
    return b.add(kind, [x])


def _curved(b: Builder, x: str) -> list[str] | None:
    kind = str(b.rng.choice([*CURVED, "Softmax", "LogSoftmax", "MatMul"]))
    return b.add(kind, [x, x] if kind == "MatMul" else [x])


STEPS: list[tuple[Callable[[Builder, str], list[str] | None], float]] = [
    (_rectifier, 5), (_conv, 5), (_pool, 2), (_norm, 1.5), (_arithmetic, 3), (_two, 2), (_concat, 1),
    (_shape, 2.5), (_choose, 1), (dense, 2.5), (_reduce, 0.7), (_pad, 0.7), (_passed, 1), (_curved, 0.25),
]  # fmt: skip
