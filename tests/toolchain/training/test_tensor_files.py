"""A network takes from a file only tensors that fit it, and its structure asks for no memory."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from toolchain.errors import CorruptArtifactError, TrainingError
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.training import NETWORK_FILES, FitOptions, fit, load_network, save_network
from toolchain.training.tensor_files import load_tensors, save_tensors

_DECAY, _WEIGHT, _MASK = "layers.hidden.dv", "synapses.decode.weight", "synapses.recur.mask"
_TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "mask": torch.tensor([True, False]),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "step": torch.tensor(3),
    "none": torch.zeros(0, 2),
    "repeated": torch.tensor([2.0]).sum().expand(1),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}


def _network() -> Network:
    return build_hrsnn(HrsnnShape(channels=6, classes=2, neurons=12), np.random.default_rng(0))


def _changed(tensors: dict[str, Tensor], name: str, how: str) -> dict[str, Tensor]:
    old = tensors[name]
    match how:
        case "gone":
            return {key: tensor for key, tensor in tensors.items() if key != name}
        case "more":
            return tensors | {f"{name}x": old}
        case "nan":
            new = torch.full(old.shape, torch.nan)
        case "infinite":
            new = torch.full(old.shape, torch.inf)
        case "other shape":
            new = torch.cat([old, old])
        case "empty":
            new = old[:0]
        case "whole":
            new = torch.ones(old.shape, dtype=torch.int64)
        case "complex":
            new = torch.ones(old.shape, dtype=torch.complex64)
        case "double":
            new = old.double()
        case _:
            new = torch.ones(old.shape, dtype=torch.float8_e4m3fn)
    return tensors | {name: new}


@pytest.mark.parametrize("name", [_DECAY, _WEIGHT])
@pytest.mark.parametrize(
    "how",
    ["gone", "more", "nan", "infinite", "other shape", "empty", "whole", "complex", "double", "eight bits"],
)
def test_a_tensor_that_does_not_fit_is_named(name: str, how: str, tmp_path: Path) -> None:
    save_network(_network(), tmp_path)
    path = tmp_path / "network.safetensors"
    save_tensors(path, _changed(load_tensors(path)[0], name, how))
    with pytest.raises(CorruptArtifactError, match=r"network\.safetensors' (holds|mixes)"):
        load_network(tmp_path)


def test_a_mask_of_other_bytes_is_a_mask(tmp_path: Path) -> None:
    save_network(_network(), tmp_path)
    path = tmp_path / "network.safetensors"
    tensors = load_tensors(path)[0]
    # As others write it: without a hash.
    save_file(tensors, path)
    length = tensors[_MASK].numel()
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[:8], "little")
    start, end = json.loads(content[8 : 8 + header])[_MASK]["data_offsets"]
    content[8 + header + start : 8 + header + end] = b"\x07" * length
    path.write_bytes(bytes(content))
    assert load_network(tmp_path).synapses["recur"].count == length


@pytest.mark.parametrize("size", [2**31 - 1, 10**6])
def test_a_structure_asks_for_no_memory(size: int, tmp_path: Path) -> None:
    save_network(_network(), tmp_path)
    path = tmp_path / "network.json"
    document = json.loads(path.read_text())
    document["layers"]["hidden"]["size"] = size
    path.write_text(json.dumps(document))
    peak = 0
    # The first reading also imports modules, which is not what is measured.
    for _ in range(2):
        tracemalloc.start()
        try:
            with pytest.raises(CorruptArtifactError, match=str(size)):
                load_network(tmp_path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10**7


@pytest.mark.parametrize("name", ["a.b", "", "training", "forward", "a\x1b"])
def test_names_that_pytorch_does_not_take_are_refused(name: str, tmp_path: Path) -> None:
    save_network(_network(), tmp_path)
    path = tmp_path / "network.json"
    path.write_text(path.read_text().replace('"hidden"', json.dumps(name)))
    with pytest.raises(CorruptArtifactError, match="cannot be called"):
        load_network(tmp_path)


def test_a_connection_that_stands_twice_is_refused(tmp_path: Path) -> None:
    save_network(_network(), tmp_path)
    path = tmp_path / "network.json"
    document = json.loads(path.read_text())
    document["connections"] += document["connections"][:1]
    path.write_text(json.dumps(document))
    with pytest.raises(CorruptArtifactError, match="two connections are called 'encode'"):
        load_network(tmp_path)


@pytest.mark.parametrize("how", ["gone", "more", "nan", "other shape", "whole", "complex"])
@pytest.mark.parametrize("part", ["network.synapses.decode.weight", "optimizer.1.exp_avg"])
def test_a_state_that_does_not_fit_is_refused(part: str, how: str, tmp_path: Path) -> None:
    x, labels = np.ones((4, 3, 6), np.float32), np.array([0, 1, 0, 1])
    options = FitOptions(1, 4, 0.01)
    fit(_network(), x, labels, options, seed=0, checkpoint=tmp_path)
    path = tmp_path / "state.safetensors"
    tensors, note = load_tensors(path)
    chosen = (
        next(name for name in sorted(tensors) if name.startswith(part.rpartition(".")[0]) and "exp" in name)
        if "optimizer" in part
        else part
    )
    save_tensors(path, _changed(tensors, chosen, how), note)
    with pytest.raises((TrainingError, CorruptArtifactError)):
        fit(_network(), x, labels, options, seed=0, checkpoint=tmp_path)


@pytest.mark.parametrize("note", ["", 'of "a" \\ b\n\x01 é 脈'])
def test_equal_tensors_are_equal_files(note: str, tmp_path: Path) -> None:
    # The library writes what is said of a file in an order that changes from call to call.
    contents = set[bytes]()
    for _ in range(20):
        save_tensors(tmp_path / "a.safetensors", _TENSORS, note)
        contents.add((tmp_path / "a.safetensors").read_bytes())
    assert len(contents) == 1
    tensors, read = load_tensors(tmp_path / "a.safetensors")
    assert (tensors.keys(), read) == (_TENSORS.keys(), note)


def test_tensors_and_their_note_come_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "state.safetensors", _TENSORS, "a note")
    found, note = load_tensors(tmp_path / "state.safetensors")
    assert note == "a note"
    assert found.keys() == _TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in _TENSORS.items())


@pytest.mark.parametrize("part", ["number", "name", "note"])
def test_what_was_changed_is_not_continued(part: str, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_tensors(path, _TENSORS, "a note")
    content = path.read_bytes()
    changed = {
        "number": content.replace(torch.tensor(5.0).numpy().tobytes(), torch.tensor(7.0).numpy().tobytes()),
        "name": content.replace(b'"mask"', b'"musk"'),
        "note": content.replace(b"a note", b"a vote"),
    }[part]
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(CorruptArtifactError, match="its hash differs"):
        load_tensors(path)


@pytest.mark.parametrize("name", NETWORK_FILES)
def test_a_file_of_a_network_larger_than_the_memory_is_refused_before_it_is_read(
    name: str, tmp_path: Path
) -> None:
    """A file of holes: it says that it has a tebibyte, and takes no room."""
    save_network(_network(), tmp_path)
    os.truncate(tmp_path / name, 2**40)
    with pytest.raises(CorruptArtifactError, match=rf"{name}.*TiB|{name}.* GiB"):
        load_network(tmp_path)
