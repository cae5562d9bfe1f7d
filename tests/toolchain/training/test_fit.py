"""Training learns, resumes to the same numbers, and says when it fails."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.networks import part
from tests.small_training import OPTIONS, interrupt_after, small_network, small_task
from toolchain.errors import (
    ArgumentError,
    CorruptArtifactError,
    FormatVersionError,
    MissingFileError,
    TrainingError,
)
from toolchain.models import Connection, CubaLif, HrsnnShape, MaskedSynapses, Network, build_hrsnn
from toolchain.models.learnt import LEARNABLE
from toolchain.reset import Reset
from toolchain.training import FitOptions, fit, load_network, save_network
from toolchain.training.fit_options import one_cycle
from toolchain.training.tensor_files import save_tensors


def test_training_learns(rng: np.random.Generator) -> None:
    records = fit(small_network(), *small_task(rng), OPTIONS, seed=0)
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1].loss < records[0].loss
    assert records[-1].accuracy is not None
    assert records[-1].accuracy > 90


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, rng: np.random.Generator) -> None:
    task = small_task(rng)
    whole = small_network()
    expected = fit(whole, *task, OPTIONS, seed=3)
    with pytest.raises(KeyboardInterrupt):
        fit(small_network(), *task, OPTIONS, seed=3, checkpoint=tmp_path, progress=interrupt_after(2))
    continued = small_network(seed=99)
    assert fit(continued, *task, OPTIONS, seed=3, checkpoint=tmp_path) == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, continued.state_dict()[name])
    assert [item.name for item in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_state_of_another_training_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    task = small_task(rng)
    options = FitOptions(epochs=1, batch_size=32, learning_rate=0.01)
    fit(small_network(), *task, options, seed=3, checkpoint=tmp_path)
    with pytest.raises(TrainingError, match="other options"):
        fit(small_network(), *task, options, seed=4, checkpoint=tmp_path)
    other = build_hrsnn(HrsnnShape(channels=6, classes=2, neurons=31), np.random.default_rng(0))
    with pytest.raises(TrainingError, match="another network"):
        fit(other, *task, options, seed=3, checkpoint=tmp_path)


def test_a_damaged_state_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    for note in ("", "{", "[]", '{"options": 1}'):
        save_tensors(tmp_path / "state.safetensors", {"network.x": torch.zeros(1)}, note)
        with pytest.raises(TrainingError, match="remove it|other options"):
            fit(small_network(), *small_task(rng), OPTIONS, seed=0, checkpoint=tmp_path)


def test_a_device_that_does_not_exist_is_named(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="use 'auto' or 'cpu'"):
        fit(small_network(), *small_task(rng), replace(OPTIONS, device="cuda"), seed=0)


def test_the_learning_rate_rises_and_falls_once() -> None:
    rates = [one_cycle(part) for part in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(1.0, abs=1e-3)
    assert top == 30
    assert rates[:31] == sorted(rates[:31])
    assert rates[31:] == sorted(rates[31:], reverse=True)


def test_a_network_comes_back_bit_for_bit(tmp_path: Path) -> None:
    network = small_network()
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    x = torch.ones(2, 8, 6)
    assert torch.equal(loaded(x).scores, network(x).scores)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_network(tmp_path)
    save_network(small_network(), tmp_path)
    text = (tmp_path / "network.json").read_text()
    (tmp_path / "network.json").write_text(text.replace('"version": 1', '"version": 7'))
    with pytest.raises(FormatVersionError, match="update pumice"):
        load_network(tmp_path)
    (tmp_path / "network.json").write_text(text.replace('"hidden"', '"hiddem"'))
    with pytest.raises(CorruptArtifactError, match="holds no tensor"):
        load_network(tmp_path)
    (tmp_path / "network.json").write_text(text)
    (tmp_path / "network.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CorruptArtifactError, match="safetensors"):
        load_network(tmp_path)


def test_only_synapses_can_be_saved(tmp_path: Path) -> None:
    network = small_network()
    network.synapses["decode"] = torch.nn.Linear(30, 2)
    with pytest.raises(TrainingError, match="Linear"):
        save_network(network, tmp_path)


def _of_two_inputs(rng: np.random.Generator) -> Network:
    synapses = {
        Connection(name, source, target): MaskedSynapses(torch.from_numpy(rng.normal(size=shape)).float())
        for name, source, target, shape in (
            ("one", "left", "hidden", (9, 3)),
            ("two", "right", "hidden", (9, 4)),
            ("decode", "hidden", "readout", (2, 9)),
        )
    }
    layers = {"hidden": CubaLif(9, dv=0.2), "readout": CubaLif(2, vth=float("inf"))}
    return Network(inputs={"left": 3, "right": 4}, layers=layers, connections=synapses, output="readout")


def test_several_inputs_are_learnt_from_by_their_names(rng: np.random.Generator) -> None:
    network = _of_two_inputs(rng)
    labels = np.arange(48) % 2
    left = rng.random((48, 8, 3)) < 0.3
    right = rng.random((48, 8, 4)) < 0.1 + 0.6 * labels[:, None, None]
    given = {"right": right, "left": torch.from_numpy(left)}
    options = FitOptions(8, 16, 0.02)
    records = fit(network, given, labels, options, seed=0, validation=(given, labels))
    assert records[-1].loss < records[0].loss
    assert records[-1].validation_accuracy is not None
    assert records[-1].validation_accuracy > 65


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([np.ones((2, 3, 3))] * 2, "a mapping of samples by the names.*'left', 'right', got a list"),
        ({"left": np.ones((2, 3, 3))}, r"got samples for \['left'\]"),
        ({"left": np.ones((2, 3, 3)), "right": np.ones((2, 3, 5))}, r"inputs\['right'\]: expected"),
        ({"left": np.ones((2, 3, 3)), "right": np.ones((3, 3, 4))}, "2 samples of 3 steps, as the first"),
        ({"left": np.ones((2, 3, 3)), "right": np.ones((2, 5, 4))}, "2 samples of 3 steps.*got 2 of 5"),
    ],
)
def test_several_inputs_that_do_not_go_together_are_named(
    inputs: Any, words: str, rng: np.random.Generator
) -> None:
    with pytest.raises(ArgumentError, match=words):
        fit(_of_two_inputs(rng), inputs, [0, 1], OPTIONS, seed=0)


def test_several_inputs_come_with_labels_beside_them(rng: np.random.Generator) -> None:
    given = {"left": np.ones((2, 3, 3)), "right": np.ones((2, 3, 4))}
    with pytest.raises(ArgumentError, match="labels, one per sample, beside several inputs"):
        fit(_of_two_inputs(rng), given, None, OPTIONS, seed=0)


def test_a_network_or_options_of_another_kind_are_refused_by_name() -> None:
    inputs, labels = np.zeros((2, 3, 4), np.float32), np.zeros(2, int)
    stranger: Any = torch.nn.Sequential()
    nothing: Any = {}
    with pytest.raises(
        ArgumentError, match="network: expected a Network.*as_model makes one of an nn.Sequential"
    ):
        fit(stranger, inputs, labels, FitOptions(1, 1, 0.1), seed=0)
    with pytest.raises(ArgumentError, match=r"options: expected FitOptions\(\.\.\.\), got dict"):
        fit(stranger, inputs, labels, nothing, seed=0)


def _learning(seed: int = 0) -> Network:
    """A network whose neurons learn all they can, and whose recurrent synapses learn delays."""
    network = small_network(seed)
    size = network.layer("hidden").size
    hidden = CubaLif(
        size,
        du=0.6,
        dv=network.layer("hidden").dv,
        vth=network.layer("hidden").vth,
        reset=Reset.SUBTRACT,
        refractory=1,
        adaptation=0.5,
        adaptation_decay=0.1,
        train=LEARNABLE,
        hold_rheobase=True,
    )
    loop = part(network, "synapses.recur", MaskedSynapses)
    weight = loop.weight.detach().clone()
    network.layers["hidden"] = hidden
    network.synapses["recur"] = MaskedSynapses(
        weight, loop.mask, delays=torch.full(weight.shape, 1.0), longest_delay=4
    )
    encode = part(network, "synapses.encode", MaskedSynapses)
    network.synapses["encode"] = MaskedSynapses(
        encode.weight.detach().clone(), encode.mask, delays=1, longest_delay=3
    )
    return network


def test_what_neurons_and_delays_learn_continues_bit_for_bit(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    task = small_task(rng)
    whole = _learning()
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    expected = fit(whole, *task, OPTIONS, seed=3, checkpoint=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(_learning(), *task, OPTIONS, seed=3, checkpoint=tmp_path / "part", progress=interrupt_after(2))
    continued = _learning(seed=99)
    assert fit(continued, *task, OPTIONS, seed=3, checkpoint=tmp_path / "part") == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, continued.state_dict()[name])
    changed = {name for name, value in before.items() if not torch.equal(value, whole.state_dict()[name])}
    offsets = {f"layers.hidden.parametrizations.{name}.original" for name in LEARNABLE}
    delays = {"synapses.recur.delays.position", "synapses.encode.delays.position"}
    assert offsets | delays <= changed
    assert not {name for name in changed if name.endswith("start")}
    network = part(whole, "synapses.recur", MaskedSynapses)
    assert network.delays is not None
    assert network.delays.width == 0


def test_a_network_that_learnt_comes_back_bit_for_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    network = _learning()
    fit(network, *small_task(rng), replace(OPTIONS, epochs=2), seed=3)
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    x = torch.ones(2, 8, 6)
    assert torch.equal(loaded(x).scores, network(x).scores)
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in network.parameters()]
    # It can go on learning from there.
    fit(loaded, *small_task(rng), replace(OPTIONS, epochs=1), seed=3)
    assert not torch.equal(loaded.layer("hidden").dv, network.layer("hidden").dv)


def test_a_network_of_plain_neurons_has_the_file_it_had(tmp_path: Path) -> None:
    save_network(small_network(), tmp_path)
    document = json.loads((tmp_path / "network.json").read_text())
    assert set(document["layers"]["hidden"]) == {"size", "train_bias", "surrogate", "slope"}
    assert set(document["connections"][0]) == {"name", "source", "target", "delay"}


def test_time_constants_and_delays_have_learning_rates_of_their_own() -> None:
    options = replace(OPTIONS, weight_decay=0.1, neuron_rate=0.5, delay_rate=10.0)
    network = _learning()
    groups = options.build(network).param_groups
    assert [(group["share"], group["weight_decay"], len(group["params"])) for group in groups] == [
        (1.0, 0.1, 3),
        (0.5, 0.0, 6),
        (10.0, 0.0, 2),
    ]
    assert len(options.build(small_network()).param_groups) == 1
