"""Crafted ONNX files: tensors elsewhere, claims without content, depths and sizes of any sort."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Make = Callable[[Path], object]
_FLAT: Final = helper.make_node("Flatten", ["x"], ["f"], name="flat")


def _model(
    nodes: list[onnx.NodeProto], tensors: list[TensorProto] | None = None, shape: Any = (None, 1, 4, 4)
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        tensors or [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


def _written(make: Callable[[], bytes]) -> Make:
    return lambda path: path.write_bytes(make())


def _tensor(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def _dense(weights: TensorProto) -> bytes:
    return _model([_FLAT, helper.make_node("Gemm", ["f", "w"], ["y"], name="last")], [weights])


def small_classifier() -> bytes:
    """Return a good model of one layer."""
    return _dense(_tensor("w", 16, 3))


def _elsewhere(location: str) -> Make:
    def make() -> bytes:
        tensor = _tensor("w", 16, 3)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "192")):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        return _dense(tensor)

    return _written(make)


def _claiming(*shape: int) -> bytes:
    tensor = _tensor("w", 16, 3)
    del tensor.dims[:]
    tensor.dims.extend(shape)
    return _dense(tensor)


def _deep(levels: int) -> bytes:
    """A branch in a branch in a branch, written by hand: the library itself refuses to go so deep."""
    graph = b""
    for _ in range(levels):
        attribute = b"\x0a\x04then" + _field(6, graph)  # `then`, a graph
        node = _field(4, b"If") + _field(5, attribute)
        graph = _field(1, node)
    return _field(7, graph)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def _chain(nodes: int) -> bytes:
    names = ["x", *(f"t{number}" for number in range(nodes - 1)), "y"]
    return _model([helper.make_node("Relu", [a], [b], name=b) for a, b in pairwise(names)])


def _filled(shape: tuple[int, ...]) -> bytes:
    """Weights that are made by the file itself, out of their shape alone."""
    size = numpy_helper.from_array(np.array(shape, np.int64), "size")
    return _model(
        [
            _FLAT,
            helper.make_node("ConstantOfShape", ["size"], ["w"], name="make"),
            helper.make_node("Gemm", ["f", "w"], ["y"], name="last"),
        ],
        [size],
    )


def _grown(operator: str, *counts: int) -> bytes:
    """Weights that the file lets grow."""
    many = numpy_helper.from_array(np.array(counts, np.int64), "many")
    return _model(
        [
            _FLAT,
            helper.make_node(operator, ["small", "many"], ["w"], name="grow"),
            helper.make_node("Gemm", ["f", "w"], ["y"], name="last"),
        ],
        [_tensor("small", 16, 1), many],
    )


def _picture(**attributes: Any) -> bytes:
    shape: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]} | attributes
    return _model(
        [
            helper.make_node("Conv", ["x", "k"], ["c"], name="conv", **shape),
            helper.make_node("Relu", ["c"], ["r"], name="relu"),
            helper.make_node("Flatten", ["r"], ["f"], name="flat"),
            helper.make_node("Gemm", ["f", "w"], ["y"], name="last"),
        ],
        [_tensor("k", 1, 1, 3, 3), _tensor("w", 16, 3)],
    )


def _pooled(operator: str, **attributes: Any) -> bytes:
    return _model(
        [
            helper.make_node(operator, ["x"], ["p"], name="pool", **attributes),
            helper.make_node("Flatten", ["p"], ["f"], name="flat"),
            helper.make_node("Gemm", ["f", "w"], ["y"], name="last"),
        ],
        [_tensor("w", 16, 3)],
    )


def _note(text: str) -> bytes:
    model = onnx.ModelProto.FromString(_dense(_tensor("w", 16, 3)))
    entry = model.metadata_props.add()
    entry.key, entry.value = "pumice.graph", text
    return bytes(model.SerializeToString())


ONNX: Final[dict[str, Make]] = {
    "external data of the system": _elsewhere("/etc/passwd"),
    "external data above": _elsewhere("../../../../etc/passwd"),
    "external data in a device": _elsewhere("/dev/zero"),
    "external data of the file itself": _elsewhere("mutant.bin"),
    "a tensor that claims 10^15": _written(lambda: _claiming(10**15, 3)),
    "a tensor that claims 2^62 and 0": _written(lambda: _claiming(2**62, 0)),
    "a tensor of negative size": _written(lambda: _claiming(-16, -3)),
    "1,000 branches in one another": _written(lambda: _deep(1_000)),
    "20,000 branches in one another": _written(lambda: _deep(20_000)),
    "100,000 nodes": _written(lambda: _chain(100_000)),
    "weights made of a shape of 10^12": _written(lambda: _filled((10**6, 10**6))),
    "weights made of a shape of 2^32": _written(lambda: _filled((16, 2**28))),
    "weights tiled 10^9 times": _written(lambda: _grown("Tile", 1, 10**9)),
    "weights expanded to 10^11": _written(lambda: _grown("Expand", 16, 10**10)),
    "padding of 100,000": _written(lambda: _picture(pads=[10**5] * 4)),
    "dilation of 1,000,000": _written(lambda: _picture(dilations=[10**6] * 2, pads=[10**6] * 4)),
    "a stride of 0": _written(lambda: _picture(strides=[0, 0])),
    "10^9 groups": _written(lambda: _picture(group=10**9)),
    "pooling with padding of 100,000": _written(
        lambda: _pooled("MaxPool", kernel_shape=[2, 2], pads=[10**5] * 4)
    ),
    "a kernel of 10^9": _written(lambda: _pooled("AveragePool", kernel_shape=[10**9] * 2, pads=[10**9] * 4)),
    "an input of 2^62": _written(
        lambda: _model(
            [_FLAT, helper.make_node("Gemm", ["f", "w"], ["y"])], [_tensor("w", 16, 3)], (None, 2**62)
        )
    ),
    "a note of 100 MB": _written(lambda: _note("[" * 100_000_000)),
    "a note of brackets": _written(lambda: _note('{"format": "pumice-graph", "nodes": ' + "[" * 100_000)),
    "an operator of ours": _written(
        lambda: _note('{"format": "pumice-graph", "version": 1, "nodes": [{"kind": "eval"}]}')
    ),
    "a field of 2^60 bytes": lambda path: path.write_bytes(b"\x3a" + _varint(2**60) + b"x"),
}
