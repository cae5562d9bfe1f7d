"""Stories of users with a network of another framework, from their data to Lava.

Needs `make frameworks`, which installs them.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import pumice
from toolchain.cli.main import main

MISSING = [name for name in ("snntorch", "spikingjelly") if find_spec(name) is None]
pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does"),
    pytest.mark.filterwarnings("ignore"),
]

_NET = """
import snntorch as snn
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.inner, self.outer = nn.Linear(channels, 24), nn.Linear(24, classes)
        self.first, self.last = snn.Leaky(beta=0.9), snn.Leaky(beta=0.9)

    def forward(self, x):
        one, two = self.first.init_leaky(), self.last.init_leaky()
        spikes = []
        for step in range(x.shape[0]):
            sent, one = self.first(self.inner(x[step]), one)
            sent, two = self.last(self.outer(sent), two)
            spikes.append(sent)
        return torch.stack(spikes)
"""
_EXPERIMENT = """
[data]
name = "npz"
path = "mine.npz"
validation_fraction = 0.1

[model]
module = "net.py:Net"
time_first = true

[training]
epochs = 6
batch_size = 16
"""


def test_a_snntorch_network_on_samples_of_ones_own_in_npz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 2
    trains = rng.random((160, 12, 8)) < 0.15 + 0.3 * (labels[:, None, None] == (np.arange(8) % 2))
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", input=trains, labels=labels)
    Path("net.py").write_text(_NET)
    Path("mine.toml").write_text(_EXPERIMENT)

    assert main(["train", "mine.toml", "-o", "run"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert main(["compile", "run", "--target", "lava", "-o", "build"]) == 0
    assert main(["compare", "build", "--exact", "lava", "--samples", "4"]) == 0
    assert "equal reference and emulator" in capsys.readouterr().out
    assert main(["predict", "build", "-o", "classes.csv"]) == 0
    judgement = pumice.compare(pumice.load("build"))
    assert judgement.comparison.fixed_accuracy is not None
    assert judgement.comparison.fixed_accuracy >= 90


def test_a_residual_convolutional_network_of_spikingjelly() -> None:
    from spikingjelly.activation_based import functional, layer, neuron  # noqa: PLC0415 - not in every place
    from torch import nn  # noqa: PLC0415 - beside it

    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.maps = layer.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.norm, self.fire = layer.BatchNorm2d(channels), neuron.LIFNode(tau=2.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.fire(self.norm(self.maps(x)))

    torch.manual_seed(0)
    network = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode(), Block(4), Block(4),
        layer.AvgPool2d(2), layer.Flatten(), layer.Linear(64, 3), neuron.LIFNode(),
    )  # fmt: skip
    functional.set_step_mode(network, "m")
    frames = (np.random.default_rng(0).random((6, 5, 2, 8, 8)) < 0.3).astype(np.float32)

    build = pumice.compile(network, frames.swapaxes(0, 1), target="lava")
    assert build.facts.source is not None
    assert build.facts.source.equal
    pumice.compare(build, exact=("lava",), samples=2).require_exact()
