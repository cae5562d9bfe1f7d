"""ONNX files, read as data: nothing outside of the file is read, and nothing larger than what is stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from toolchain.errors import CorruptArtifactError
from toolchain.files.disk import check_file
from toolchain.interchange.onnx.protobuf_memory import object_bytes
from toolchain.memory import budget

_LARGEST: Final = 2**31 - 1
"""Bytes of a model: a limit of the format."""
_COPIES: Final = 4
"""A model is read, parsed, and its tensors become arrays, which are made real numbers."""
_FIELDS: Final[dict[int, str]] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT8: "int32_data",
    TensorProto.UINT8: "int32_data",
    TensorProto.INT16: "int32_data",
    TensorProto.UINT16: "int32_data",
    TensorProto.INT32: "int32_data",
    TensorProto.INT64: "int64_data",
    TensorProto.BOOL: "int32_data",
    TensorProto.FLOAT16: "int32_data",
}


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read a model.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not an ONNX model, is too large, or keeps values in other files.
    """
    check_file("file", path)
    if path.stat().st_size > _LARGEST:
        raise CorruptArtifactError(path, "is larger than 2 GiB, which no ONNX model is")
    budget().check_file(path, _COPIES * path.stat().st_size)
    content = path.read_bytes()
    objects = object_bytes(memoryview(content), onnx.ModelProto.DESCRIPTOR, budget().documents)
    budget().check_document(path, objects)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RecursionError, ValueError) as error:
        raise CorruptArtifactError(path, f"is not an ONNX model: {error}") from None
    if not model.graph.node:
        raise CorruptArtifactError(path, "is not an ONNX model: it has no nodes")
    # Bytes that are not text come out as bytes.
    if not all(isinstance(text, str) for text in _names(model)):
        raise CorruptArtifactError(path, "has names that are not text")
    return model


def _names(model: onnx.ModelProto) -> Iterator[object]:
    for node in model.graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (item.name for item in node.attribute)
    yield from (item.name for item in (*model.graph.input, *model.graph.output, *model.graph.initializer))
    for item in model.metadata_props:
        yield from (item.key, item.value)


def tensor_values(path: Path, tensor: onnx.TensorProto) -> NDArray[Any]:
    """Return the values of a tensor, after its claims were checked.

    Raises:
        CorruptArtifactError: It keeps its values elsewhere, is of another sort, or claims more than it holds.
    """
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise CorruptArtifactError(
            path, f"keeps the values of '{tensor.name}' in another file; save it as one"
        )
    if tensor.data_type not in _FIELDS or tensor.HasField("segment"):
        raise CorruptArtifactError(path, f"holds '{tensor.name}' as something that is not read")
    if any(extent < 0 for extent in tensor.dims):
        raise CorruptArtifactError(path, f"claims that '{tensor.name}' has shape {list(tensor.dims)}")
    size = int(np.prod(np.array(list(tensor.dims), dtype=object)))
    width = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    stored = len(tensor.raw_data) // width if tensor.raw_data else len(_field(tensor))
    if size != stored or len(tensor.raw_data) % width:
        raise CorruptArtifactError(path, f"claims {size} values of '{tensor.name}', but stores {stored}")
    try:
        return np.array(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, OverflowError) as error:
        raise CorruptArtifactError(path, f"holds '{tensor.name}', which cannot be read: {error}") from None


def _field(tensor: onnx.TensorProto) -> Any:  # noqa: ANN401 - a repeated field of numbers
    return getattr(tensor, _FIELDS[tensor.data_type])
