"""Samples from anywhere train to the same bytes; those that do not fit are refused by name."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.small_training import OPTIONS, interrupt_after, small_network, small_task
from toolchain.errors import ArgumentError
from toolchain.training import fit


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
    network = small_network()
    records = fit(network, inputs, labels, replace(OPTIONS, epochs=2), seed=5, **more)
    return records, b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())


def test_samples_from_anywhere_train_to_the_same_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = small_task(rng)
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
        _weights(mapped, labels, checkpoint=state, progress=interrupt_after(1))
    assert _weights(pairs, None, checkpoint=state) == expected


def test_values_may_come_with_their_samples(rng: np.random.Generator) -> None:
    x, _ = small_task(rng)
    values = rng.normal(size=(len(x), 2))
    expected = _weights(x, values)
    assert expected[0][-1].accuracy is None
    assert _weights(Recording(x, values), None) == expected


def test_samples_are_read_when_they_are_needed(rng: np.random.Generator) -> None:
    x, y = small_task(rng)
    samples = Recording(x)
    seen: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(len(samples.read))

    fit(small_network(), samples, y, OPTIONS, seed=0, progress=progress)
    # The first one says the shape; then each once an epoch.
    assert seen == [1 + epoch * len(x) for epoch in range(7)]
    for epoch in range(6):
        part = samples.read[1 + epoch * len(x) : 1 + (epoch + 1) * len(x)]
        assert sorted(part) == list(range(len(x)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_said_as_such(bad: float, rng: np.random.Generator) -> None:
    x, y = small_task(rng)
    x = x.astype(np.float64)
    x[41, 3, 2] = bad
    for inputs in (x, Recording(x), torch.from_numpy(x)):
        with pytest.raises(ArgumentError, match="^inputs: expected finite numbers, got .* in sample 41;"):
            fit(small_network(), inputs, y, OPTIONS, seed=0)
    with pytest.raises(ArgumentError, match="^labels: expected finite"):
        fit(small_network(), small_task(rng)[0], np.full((96, 2), np.nan), OPTIONS, seed=0)


def test_samples_that_do_not_fit_are_refused_before_anything_is_trained(rng: np.random.Generator) -> None:
    x, y = small_task(rng)
    network = small_network()
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
            fit(network, given, labels, replace(OPTIONS, batch_size=96), seed=0)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_sample_that_cannot_be_read_is_named(rng: np.random.Generator) -> None:
    _, y = small_task(rng)

    class Broken(Recording):
        def __getitem__(self, index: int) -> Any:
            raise KeyError(index)

    with pytest.raises(ArgumentError, match="inputs: expected a sample for index 0, got KeyError: 0"):
        fit(small_network(), Broken(y), y, OPTIONS, seed=0)


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
