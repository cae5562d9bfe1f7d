"""ONNX files of few bytes that become many objects are refused before they are parsed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.peak_memory import peak_of
from toolchain.errors import CorruptArtifactError
from toolchain.interchange.onnx.file import read_onnx
from toolchain.interchange.onnx.protobuf_memory import object_bytes


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


MANY = 6 * 10**5
HOSTILE: dict[str, Callable[[], bytes]] = {
    "nodes": lambda: _field(7, _field(1, b"") * MANY),
    "tensors": lambda: _field(7, _field(5, b"") * MANY),
    "attributes": lambda: _field(7, _field(1, _field(5, b"") * MANY)),
    "texts": lambda: _field(7, _field(1, _field(1, b"") * MANY)),
    "numbers of a byte": lambda: _field(7, _field(1, _field(5, _field(8, b"\1" * 30 * MANY)))),
    "attributes of attributes": lambda: _field(
        7, _field(1, _field(5, _field(6, _field(1, _field(5, b"") * MANY))))
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_many_objects_in_few_bytes_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(HOSTILE[name]())
    with pytest.raises(CorruptArtifactError, match="of memory once parsed; documents may take"):
        read_onnx(tmp_path / "x.onnx")


def test_a_refused_file_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(HOSTILE["attributes of attributes"]())
    imports = "from pathlib import Path; from toolchain.interchange.onnx.file import read_onnx"
    peak = peak_of(imports, "read_onnx(Path(sys.argv[1]))", tmp_path / "x.onnx")
    assert peak.said.startswith("CorruptArtifactError")
    assert peak.mebibytes < 50


def test_weights_count_as_what_they_are(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((500, 500)), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [1, 500]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weights]))
    onnx.save(model, tmp_path / "x.onnx")
    assert read_onnx(tmp_path / "x.onnx") == model
    content = (tmp_path / "x.onnx").read_bytes()
    assert object_bytes(memoryview(content), onnx.ModelProto.DESCRIPTOR, 2**40) < 30_000


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x0f", b"\x0b", b"\x3a\x05\x0a"]
)
def test_what_is_no_protobuf_ends_the_count(content: bytes) -> None:
    assert object_bytes(memoryview(content), onnx.ModelProto.DESCRIPTOR, 2**40) <= 70_000
