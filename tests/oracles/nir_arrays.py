"""Convolutions, poolings and parameters of NIR in plain loops of NumPy."""

from typing import Any

import nir
import numpy as np

Array = np.ndarray[Any, Any]


class MalformedError(ValueError):
    """The specification gives the graph no meaning."""


def unstated() -> Any:
    """The shape of a node that reads whatever comes; `nir` declares that there is always a shape."""
    return {"input": None}


def spread(values: Any, shape: tuple[int, ...]) -> Array:
    """A parameter for every element: one for all, or as NumPy broadcasts."""
    array = np.asarray(values, np.float64)
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    if array.size == 1:
        array = array.reshape(())
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise MalformedError(f"{array.shape} is for {shape}") from None


def matrix(weight: Any, x: Array) -> Array:
    weight = np.asarray(weight, np.float64)
    if x.shape != weight.shape[1:]:
        raise MalformedError(f"{weight.shape} times {x.shape}")
    return weight @ x


def check_declared(declared: Any, shape: tuple[int, ...]) -> None:
    if declared is not None and tuple(np.ravel(declared)) not in {shape, (1, *shape)}:
        raise MalformedError(f"declared {declared}, came {shape}")


def _pair(value: Any) -> tuple[int, int]:
    one = np.ravel(value).astype(int)
    return int(one[0]), int(one[-1])


def convolution(node: nir.Conv1d | nir.Conv2d, x: Array) -> Array:
    """Cross-correlation, element by element of the output."""
    kernels = np.asarray(node.weight, np.float64)
    line = isinstance(node, nir.Conv1d)
    if x.ndim != kernels.ndim - 1:
        raise MalformedError(f"{kernels.shape} reads {x.shape}")
    extents = x.shape[1:]
    if node.input_shape is not None and tuple(np.ravel(node.input_shape)) != extents:
        raise MalformedError(f"declares {node.input_shape}, reads {x.shape}")
    if line:
        kernels, x = kernels[:, :, None], x[:, None]
    stride, dilation = ((1, _pair(v)[0]) if line else _pair(v) for v in (node.stride, node.dilation))
    padding = _padding(node.padding, kernels.shape[2:], dilation, line)
    groups = int(np.ravel(node.groups)[0])
    if x.shape[0] != kernels.shape[1] * groups:
        raise MalformedError(f"{kernels.shape} in {groups} groups reads {x.shape}")
    x = np.pad(x, [(0, 0), (padding[0],) * 2, (padding[1],) * 2])
    rows, columns = (
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:], kernels.shape[2:], stride, dilation, strict=True)
    )
    outputs = len(kernels)
    y = np.zeros((outputs, rows, columns))
    for o in range(outputs):
        first = o // (outputs // groups) * kernels.shape[1]
        part = x[first : first + kernels.shape[1]]
        for i in range(rows):
            for j in range(columns):
                a, b = i * stride[0], j * stride[1]
                seen = part[:, a : a + dilation[0] * (kernels.shape[2] - 1) + 1 : dilation[0]]
                seen = seen[:, :, b : b + dilation[1] * (kernels.shape[3] - 1) + 1 : dilation[1]]
                y[o, i, j] = (seen * kernels[o]).sum()
    y += spread(node.bias, (outputs,))[:, None, None]
    return y[:, 0] if line else y


def _padding(padding: Any, kernel: Any, dilation: tuple[int, int], line: bool) -> tuple[int, int]:
    if isinstance(padding, str):
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return (0, 0) if padding == "valid" else (total[0] // 2, total[1] // 2)
    return (0, _pair(padding)[0]) if line else _pair(padding)


def pooling(node: nir.SumPool2d | nir.AvgPool2d, x: Array) -> Array:
    kernel, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
    if x.ndim != 3:
        raise MalformedError(f"a pooling reads {x.shape}")
    x = np.pad(x, [(0, 0), (padding[0],) * 2, (padding[1],) * 2])
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:], kernel, stride, strict=True))
    y = np.zeros((len(x), rows, columns))
    for i in range(rows):
        for j in range(columns):
            a, b = i * stride[0], j * stride[1]
            y[:, i, j] = x[:, a : a + kernel[0], b : b + kernel[1]].sum(axis=(1, 2))
    return y / (kernel[0] * kernel[1]) if isinstance(node, nir.AvgPool2d) else y
