"""Tensors on disk as safetensors, never pickle; a module takes from a file only what fits it exactly."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from toolchain.errors import CorruptArtifactError
from toolchain.files.atomic import replacing_file
from toolchain.files.disk import check_file
from toolchain.memory import budget

_HEADER: Final = 8
"""Bytes at the beginning that say how long the header is."""
_HEADER_GROWTH: Final = 24
"""Bytes of objects for every byte of a header of safetensors, measured."""
_PRECISIONS: Final = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
_INFINITE: Final = "vth"
"""The one quantity that may be infinite: the threshold of a read-out."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], note: str = "") -> None:
    """Write tensors, and a note in the header, as one safetensors file, atomically."""
    # A copy in any case: one number that stands for several counts as contiguous, but has no bytes in a row.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    needed = sum(tensor.nbytes for tensor in plain.values())
    with replacing_file(path, needed) as temporary:
        save_file(plain, temporary, metadata={"note": note, "sha256": _hash_of(plain, note)})
        _order_header(temporary)


def _order_header(path: Path) -> None:
    """Bring what is said of a file into one order: the library's changes from call to call.

    So equal tensors are equal files, byte for byte. The header keeps its length, filled up with spaces as the
    format allows, so that no tensor moves.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_HEADER), "little")
        header: dict[str, Any] = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= length  # noqa: S101 - both write JSON without a space
        file.seek(_HEADER)
        file.write(text.ljust(length))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read the tensors and the note of a safetensors file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not a safetensors file.
    """
    return parse_tensors(read_tensor_bytes(path), path)


def read_tensor_bytes(path: Path) -> bytes:
    """Return what stands in a safetensors file, for `parse_tensors`.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It takes more memory than a file may.
    """
    check_file("file", path)
    budget().check_file(path, 2 * path.stat().st_size)
    return path.read_bytes()


def parse_tensors(content: bytes, path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and the note that stand in a file as these bytes; see `load_tensors`.

    Sizes in the header are compared with the content before anything is made of them.
    """
    length = int.from_bytes(content[:_HEADER], "little")
    # The library reads up to 100 MB of names and shapes into objects.
    budget().check_document(path, _HEADER_GROWTH * length)
    budget().check_file(path, 2 * len(content))
    try:
        tensors = load(content)
        header: dict[str, Any] = json.loads(content[_HEADER : _HEADER + length])
    except (SafetensorError, KeyError, ValueError, RuntimeError, AssertionError, TypeError) as error:
        raise CorruptArtifactError(path, f"is not a safetensors file: {error}") from None
    stored = header.get("__metadata__", {})
    note = stored.get("note", "")
    # Files of others, and those of before, have none.
    if stored.get("sha256", "") not in {"", _hash_of(tensors, note)}:
        raise CorruptArtifactError(path, "was changed after it was written (its hash differs)")
    return {name: _plain(tensor) for name, tensor in tensors.items()}, note


def _hash_of(tensors: Mapping[str, Tensor], note: str) -> str:
    digest = hashlib.sha256(note.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fill_module(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a module, which may hold no numbers yet, the parameters and buffers that a file holds.

    Args:
        module: Module on PyTorch's meta device, where nothing is allocated: what describes it can ask for no
            more memory than the file brought.
        tensors: State of the module, by name.
        path: Path of the file, for messages.

    Raises:
        CorruptArtifactError: A tensor is missing, unknown, of another shape or type, or not finite.
    """
    check_state(tensors, module.state_dict(), path)
    precisions = {str(tensor.dtype) for tensor in tensors.values() if tensor.is_floating_point()}
    if len(precisions) > 1:
        raise CorruptArtifactError(path, f"mixes tensors of {', '.join(sorted(precisions))}")
    module.load_state_dict(dict(tensors), assign=True)


def check_state(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise unless tensors are those that are expected, of the same names, shapes and types, and finite.

    Raises:
        CorruptArtifactError: Names the first that is not.
    """
    check_names(tensors, expected, path)
    for name, like in expected.items():
        _check_tensor(name, tensors[name], like, path)


def check_names(tensors: Mapping[str, Tensor], expected: Mapping[str, Any], path: Path) -> None:
    """Raise unless a file holds exactly the tensors that it should."""
    for name in sorted(expected.keys() - tensors.keys()):
        raise CorruptArtifactError(path, f"holds no tensor '{name}'")
    for name in sorted(tensors.keys() - expected.keys()):
        raise CorruptArtifactError(path, f"holds a tensor '{name}', which its network does not have")


def _check_tensor(name: str, tensor: Tensor, like: Tensor, path: Path) -> None:
    if tensor.shape != like.shape:
        raise CorruptArtifactError(
            path, f"holds '{name}' as {list(tensor.shape)}, its network needs {list(like.shape)}"
        )
    if not like.is_floating_point():
        if tensor.dtype != like.dtype:
            raise CorruptArtifactError(path, f"holds '{name}' as {tensor.dtype}, expected {like.dtype}")
        return
    if tensor.dtype not in _PRECISIONS:
        raise CorruptArtifactError(path, f"holds '{name}' as {tensor.dtype}, expected real numbers")
    infinite = name.rpartition(".")[2] == _INFINITE
    good = torch.isfinite(tensor) | (tensor == torch.inf) if infinite else torch.isfinite(tensor)
    if not bool(good.all()):
        place = [int(index) for index in (~good).nonzero()[0]]
        value = float(tensor[tuple(place)])
        raise CorruptArtifactError(path, f"holds {value} in '{name}' at {place}, expected finite numbers")


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor with memory of its own; a bool whose byte is neither 0 nor 1 is true."""
    return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor.clone()
