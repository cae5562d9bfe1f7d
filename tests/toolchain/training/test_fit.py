"""Training learns, resumes to the same numbers, and says when it fails."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toolchain.errors import CorruptArtifactError, FormatVersionError, MissingFileError, TrainingError
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.training import FitOptions, fit, load_network, save_network
from toolchain.training.checkpoint import save_tensors
from toolchain.training.fit import one_cycle

_OPTIONS = FitOptions(epochs=6, batch_size=16, learning_rate=0.01)


def _network(seed: int = 0) -> Network:
    return build_hrsnn(HrsnnShape(channels=6, classes=2, neurons=30), np.random.default_rng(seed))


def _task(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 fires on the upper channels."""
    labels = rng.integers(0, 2, 96)
    rates = np.where(labels[:, None] == 1, [0.1, 0.1, 0.1, 0.8, 0.8, 0.8], [0.8, 0.8, 0.8, 0.1, 0.1, 0.1])
    return rng.random((96, 10, 6)) < rates[:, None, :], labels


def _interrupt_after(epochs: int):
    def progress(done: int, total: int) -> None:
        if done == epochs:
            raise KeyboardInterrupt

    return progress


def test_training_learns(rng: np.random.Generator) -> None:
    records = fit(_network(), *_task(rng), _OPTIONS, seed=0)
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1].loss < records[0].loss
    assert records[-1].accuracy > 90


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, rng: np.random.Generator) -> None:
    task = _task(rng)
    whole = _network()
    expected = fit(whole, *task, _OPTIONS, seed=3)
    with pytest.raises(KeyboardInterrupt):
        fit(_network(), *task, _OPTIONS, seed=3, checkpoint=tmp_path, progress=_interrupt_after(2))
    continued = _network(seed=99)
    assert fit(continued, *task, _OPTIONS, seed=3, checkpoint=tmp_path) == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, continued.state_dict()[name])
    assert [item.name for item in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_state_of_another_training_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    task = _task(rng)
    options = FitOptions(epochs=1, batch_size=32, learning_rate=0.01)
    fit(_network(), *task, options, seed=3, checkpoint=tmp_path)
    with pytest.raises(TrainingError, match="other options"):
        fit(_network(), *task, options, seed=4, checkpoint=tmp_path)
    other = build_hrsnn(HrsnnShape(channels=6, classes=2, neurons=31), np.random.default_rng(0))
    with pytest.raises(TrainingError, match="another network"):
        fit(other, *task, options, seed=3, checkpoint=tmp_path)


def test_a_damaged_state_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    for note in ("", "{", "[]", '{"options": 1}'):
        save_tensors(tmp_path / "state.safetensors", {"network.x": torch.zeros(1)}, note)
        with pytest.raises(TrainingError, match="remove it|other options"):
            fit(_network(), *_task(rng), _OPTIONS, seed=0, checkpoint=tmp_path)


def test_a_loss_that_is_no_number_says_what_to_lower(rng: np.random.Generator) -> None:
    network = _network()
    with torch.no_grad():
        network.synapses["decode"].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="lower training.learning_rate"):
        fit(network, *_task(rng), _OPTIONS, seed=0)


def test_a_device_that_does_not_exist_is_named(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="use 'auto' or 'cpu'"):
        fit(_network(), *_task(rng), replace(_OPTIONS, device="cuda"), seed=0)


def test_the_learning_rate_rises_and_falls_once() -> None:
    rates = [one_cycle(part) for part in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(1.0, abs=1e-3)
    assert top == 30
    assert rates[:31] == sorted(rates[:31])
    assert rates[31:] == sorted(rates[31:], reverse=True)


def test_a_network_comes_back_bit_for_bit(tmp_path: Path) -> None:
    network = _network()
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    x = torch.ones(2, 8, 6)
    assert torch.equal(loaded(x).scores, network(x).scores)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_network(tmp_path)
    save_network(_network(), tmp_path)
    text = (tmp_path / "network.json").read_text()
    (tmp_path / "network.json").write_text(text.replace('"version": 1', '"version": 7'))
    with pytest.raises(FormatVersionError, match="update pumice"):
        load_network(tmp_path)
    (tmp_path / "network.json").write_text(text.replace('"hidden"', '"hiddem"'))
    with pytest.raises(CorruptArtifactError, match="well-formed"):
        load_network(tmp_path)
    (tmp_path / "network.json").write_text(text)
    (tmp_path / "network.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CorruptArtifactError, match="safetensors"):
        load_network(tmp_path)


def test_only_synapses_can_be_saved(tmp_path: Path) -> None:
    network = _network()
    network.synapses["decode"] = torch.nn.Linear(30, 2)
    with pytest.raises(TrainingError, match="Linear"):
        save_network(network, tmp_path)
