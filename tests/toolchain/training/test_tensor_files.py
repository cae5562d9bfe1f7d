"""Tensors come back as they were written, or not at all."""

from pathlib import Path

import pytest
import torch

from toolchain.errors import CorruptArtifactError
from toolchain.training.tensor_files import load_tensors, save_tensors

_TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "mask": torch.tensor([True, False]),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "step": torch.tensor(3),
    "none": torch.zeros(0, 2),
}


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
