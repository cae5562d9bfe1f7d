"""Training learns, resumes to the same numbers, and says when it fails."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.networks import part
from toolchain.errors import (
    ArgumentError,
    CorruptArtifactError,
    FormatVersionError,
    MissingFileError,
    TrainingError,
)
from toolchain.models import CubaLif, HrsnnShape, MaskedSynapses, Network, build_hrsnn
from toolchain.models.learnt import LEARNABLE
from toolchain.reset import Reset
from toolchain.training import FitOptions, fit, load_network, save_network
from toolchain.training.fit_options import one_cycle
from toolchain.training.tensor_files import save_tensors

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
    assert records[-1].accuracy is not None
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
    with pytest.raises(CorruptArtifactError, match="holds no tensor"):
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


class Recording:
    """A sequence of samples that remembers which were read."""

    def __init__(self, *columns: Any) -> None:
        self.columns = columns
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        items = tuple(column[index] for column in self.columns)
        return items[0] if len(items) == 1 else items


def _weights(inputs: Any, labels: Any, **more: Any) -> tuple[Any, bytes]:
    network = _network()
    records = fit(network, inputs, labels, replace(_OPTIONS, epochs=2), seed=5, **more)
    return records, b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())


def test_samples_from_anywhere_train_to_the_same_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = _task(rng)
    expected = _weights(x, y)
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=x.shape)
    mapped[...] = x
    np.save(tmp_path / "y.npy", y.astype(np.int32))
    labels = np.load(tmp_path / "y.npy", mmap_mode="r")
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    pairs = torch.utils.data.Subset(data, range(len(x)))
    assert _weights(mapped, labels) == expected
    assert _weights(list(x), y.tolist()) == expected
    assert _weights(torch.from_numpy(x).float().requires_grad_(), torch.from_numpy(y)) == expected
    assert _weights(Recording(x), y) == expected
    assert _weights(Recording(x, y), None) == expected
    assert _weights(pairs, None) == expected
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        _weights(mapped, labels, checkpoint=state, progress=_interrupt_after(1))
    assert _weights(pairs, None, checkpoint=state) == expected


def test_values_may_come_with_their_samples(rng: np.random.Generator) -> None:
    x, _ = _task(rng)
    values = rng.normal(size=(len(x), 2))
    expected = _weights(x, values)
    assert expected[0][-1].accuracy is None
    assert _weights(Recording(x, values), None) == expected


def test_samples_are_read_when_they_are_needed(rng: np.random.Generator) -> None:
    x, y = _task(rng)
    samples = Recording(x)
    seen: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(len(samples.read))

    fit(_network(), samples, y, _OPTIONS, seed=0, progress=progress)
    # The first one says the shape; then each once an epoch.
    assert seen == [1 + epoch * len(x) for epoch in range(7)]
    for epoch in range(6):
        part = samples.read[1 + epoch * len(x) : 1 + (epoch + 1) * len(x)]
        assert sorted(part) == list(range(len(x)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_said_as_such(bad: float, rng: np.random.Generator) -> None:
    x, y = _task(rng)
    x = x.astype(np.float64)
    x[41, 3, 2] = bad
    for inputs in (x, Recording(x), torch.from_numpy(x)):
        with pytest.raises(ArgumentError, match="^inputs: expected finite numbers, got .* in sample 41;"):
            fit(_network(), inputs, y, _OPTIONS, seed=0)
    with pytest.raises(ArgumentError, match="^labels: expected finite"):
        fit(_network(), _task(rng)[0], np.full((96, 2), np.nan), _OPTIONS, seed=0)


def test_samples_that_do_not_fit_are_refused_before_anything_is_trained(rng: np.random.Generator) -> None:
    x, y = _task(rng)
    network = _network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ragged = [sample[: 10 - (i == 7)] for i, sample in enumerate(x)]
    for inputs, labels, message in (
        # Thirty samples of the size of the layer would broadcast.
        (
            np.ones((30, 6)),
            y[:30],
            r"inputs: expected \[samples, time, 6\], got \[30, 6\]; .*if time is missing",
        ),
        (x[:, :, :5], y, "inputs: expected"),
        (x[:0], y[:0], "inputs: expected at least one sample"),
        ([], [], "inputs: expected at least one sample"),
        (Recording(x[:, 0]), y, "inputs, one sample in a batch: expected"),
        (ragged, y, "inputs: expected samples of one shape.* for sample 7"),
        (Recording(x), None, r"labels: expected labels, or pairs \(sample, label\)"),
        (x, None, "labels: expected"),
        (iter(x), y, "inputs: expected an array, a tensor or a sequence"),
        (x, y[:95], "labels: expected as many as samples, 96, got 95"),
        (x, y + 1, "labels: expected classes 0 .. 1, got 2"),
        (Recording(x, y + 1), None, "labels: expected classes 0 .. 1, got 2"),
        (Recording(x, y * 1.0), None, "labels: expected one class per sample"),
    ):
        with pytest.raises(ArgumentError, match=f"^{message}"):
            given: Any = inputs
            fit(network, given, labels, replace(_OPTIONS, batch_size=96), seed=0)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_sample_that_cannot_be_read_is_named(rng: np.random.Generator) -> None:
    _, y = _task(rng)

    class Broken(Recording):
        def __getitem__(self, index: int) -> Any:
            raise KeyError(index)

    with pytest.raises(ArgumentError, match="inputs: expected a sample for index 0, got KeyError: 0"):
        fit(_network(), Broken(y), y, _OPTIONS, seed=0)


def test_training_takes_networks_of_one_input() -> None:
    network = _network()
    network.inputs["more"] = 3
    with pytest.raises(ArgumentError, match="network: expected one input"):
        fit(network, np.ones((2, 3, 6)), [0, 1], _OPTIONS, seed=0)


_MEMORY = r"""
import re, sys
import numpy as np
from toolchain.models import HrsnnShape, build_hrsnn
from toolchain.training import Callback, FitOptions, fit

class Watch(Callback):
    # What this process holds itself; pages of a mapped file are the system's, which takes them back at need.
    most = 0
    def after_step(self, network):
        held = int(re.search(r"RssAnon:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024
        self.most = max(self.most, held)

def trained(samples):
    watch = Watch()
    x = np.memmap(sys.argv[1], np.uint8, "r", shape=(samples, 25, 4_000))
    network = build_hrsnn(HrsnnShape(channels=4_000, classes=2, neurons=10), np.random.default_rng(0))
    options = FitOptions(1, 16, 0.01, device="cpu")
    fit(network, x, np.arange(samples) % 2, options, seed=0, callbacks=(watch,))
    return watch.most

before = trained(64)
print(trained(int(sys.argv[2])) - before)
"""


def _growth(file: Path, samples: int) -> int:
    """Return by how many bytes the memory grows from 64 samples to more, of 100 kB on disk each."""
    with file.open("wb") as made:
        made.truncate(samples * 100_000)
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(file), str(samples)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")
def test_a_gigabyte_on_disk_trains_in_little_memory(tmp_path: Path) -> None:
    assert _growth(tmp_path / "x", 10_000) < 200 * 2**20


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
    network = _network(seed)
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
    task = _task(rng)
    whole = _learning()
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    expected = fit(whole, *task, _OPTIONS, seed=3, checkpoint=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(_learning(), *task, _OPTIONS, seed=3, checkpoint=tmp_path / "part", progress=_interrupt_after(2))
    continued = _learning(seed=99)
    assert fit(continued, *task, _OPTIONS, seed=3, checkpoint=tmp_path / "part") == expected
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
    fit(network, *_task(rng), replace(_OPTIONS, epochs=2), seed=3)
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    x = torch.ones(2, 8, 6)
    assert torch.equal(loaded(x).scores, network(x).scores)
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in network.parameters()]
    # It can go on learning from there.
    fit(loaded, *_task(rng), replace(_OPTIONS, epochs=1), seed=3)
    assert not torch.equal(loaded.layer("hidden").dv, network.layer("hidden").dv)


def test_a_network_of_plain_neurons_has_the_file_it_had(tmp_path: Path) -> None:
    save_network(_network(), tmp_path)
    document = json.loads((tmp_path / "network.json").read_text())
    assert set(document["layers"]["hidden"]) == {"size", "train_bias", "surrogate", "slope"}
    assert set(document["connections"][0]) == {"name", "source", "target", "delay"}


def test_time_constants_and_delays_have_learning_rates_of_their_own() -> None:
    options = replace(_OPTIONS, weight_decay=0.1, neuron_rate=0.5, delay_rate=10.0)
    network = _learning()
    groups = options.build(network).param_groups
    assert [(group["share"], group["weight_decay"], len(group["params"])) for group in groups] == [
        (1.0, 0.1, 3),
        (0.5, 0.0, 6),
        (10.0, 0.0, 2),
    ]
    assert len(options.build(_network()).param_groups) == 1
