"""Networks that the user's own code builds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toolchain.errors import ExperimentError, MissingFileError, ToolchainError, UsageError
from toolchain.ir import Graph
from toolchain.ir.store import graph_document
from toolchain.models import FeedForward, Network
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.own_network import OwnNetwork
from toolchain.workflow.prepare import load_data
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train
from toolchain.workflow.untrained import untrained_network

_CODE = """
import torch
from torch import nn

from toolchain.models import CubaLif, Spiking


class InLoop(nn.Module):
    def __init__(self, channels, classes, hidden=12):
        super().__init__()
        self.inner, self.outer = nn.Linear(channels, hidden), nn.Linear(hidden, classes)
        self.drop = nn.Dropout(0.2)
        self.norm = nn.BatchNorm1d(hidden)
        self.first, self.last = Spiking(vth=1.0, dv=0.2), Spiking(vth=1.0, dv=0.2)

    def forward(self, x):
        spikes = []
        for t in range(x.shape[1]):
            s = self.first(self.norm(self.inner(x[:, t])))
            spikes.append(self.last(self.outer(self.drop(s))))
        return torch.stack(spikes)


class TimeFirst(InLoop):
    def forward(self, x):
        return super().forward(x.transpose(0, 1)).mean(0) * len(x)


def sequential(channels, classes):
    return nn.Sequential(
        nn.Linear(channels, 12), CubaLif(12, dv=0.2), nn.Linear(12, classes), CubaLif(classes, vth=1e9)
    )


def two_too_many(channels, classes):
    return InLoop(channels, classes + 2)


def nothing(**_):
    return 3


def asks(colour):
    return None


def fails():
    raise RuntimeError("out of luck")
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(_CODE)
    return path


def _document(code: Path, name: str, **model: object) -> dict[str, Any]:
    return {
        "data": {"name": "sequential_digits", "train_samples": 80, "test_samples": 40},
        "encoding": {"steps": 2},
        "model": {"module": f"{code}:{name}", "flat": True, **model},
        "training": {"epochs": 2, "batch_size": 20, "calibration_samples": 16},
    }


@pytest.mark.parametrize(("name", "model"), [("InLoop", {}), ("TimeFirst", {"time_first": True})])
@pytest.mark.filterwarnings("ignore")
def test_a_module_is_trained_as_it_is_and_kept_as_its_graph(
    name: str, model: dict[str, object], code: Path, tmp_path: Path
) -> None:
    experiment = parse_experiment(_document(code, name, **model))
    run = train(experiment, tmp_path / "run")
    code.unlink()
    assert isinstance(run.network, Graph)
    assert run.own is not None
    assert run.own.source.equal
    build = compile_run(tmp_path / "run", target="emulator")
    assert build.facts.source == run.own.source
    loaded = TrainedRun.load(tmp_path / "run")
    assert loaded.classes == tuple("0123456789")


def _numbers(run: TrainedRun) -> tuple[dict[str, Any], dict[str, Any]]:
    assert isinstance(run.network, Graph)
    return graph_document(run.network)


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_was_interrupted_goes_on_with_the_same_numbers(code: Path, tmp_path: Path) -> None:
    experiment = parse_experiment(_document(code, "InLoop"))
    whole = train(experiment, tmp_path / "whole")

    def stop(_: str, done: int, __: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(experiment, tmp_path / "run", stop)
    again = train(experiment, tmp_path / "run")
    assert again.history == whole.history
    (document, arrays), (other, others) = (_numbers(each) for each in (whole, again))
    assert document == other
    for name, array in arrays.items():
        assert np.array_equal(array, others[name])


def test_a_module_that_takes_rows_is_told_how_pictures_become_rows(code: Path, tmp_path: Path) -> None:
    document = _document(code, "InLoop", flat=False)
    document["data"]["name"] = "digits"
    document["encoding"]["name"] = "rate"
    with pytest.raises(ToolchainError, match="does not run on the example") as caught:
        train(parse_experiment(document), tmp_path / "run")
    assert "a step is [1, 8, 8]; with `flat = true` below [model]" in caught.value.__notes__[0]
    with pytest.raises(ToolchainError) as flat:
        train(parse_experiment(_document(code, "InLoop", time_first=True)), tmp_path / "flat")
    assert "`flat" not in "".join(getattr(flat.value, "__notes__", ()))
    with pytest.raises(UsageError, match="another experiment; choose another place, or delete it"):
        train(parse_experiment(_document(code, "TimeFirst")), tmp_path / "run")


def test_a_sequential_network_is_read_without_being_run(code: Path) -> None:
    experiment = parse_experiment(_document(code, "sequential"))
    network = untrained_network(experiment, load_data(experiment))
    assert isinstance(network, Network | FeedForward)


def test_the_same_seed_builds_the_same_numbers_and_leaves_those_of_others(code: Path) -> None:
    experiment = parse_experiment(_document(code, "InLoop"))
    encoded = load_data(experiment)
    before = torch.get_rng_state()
    first, second = (untrained_network(experiment, encoded) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(first, OwnNetwork)
    assert isinstance(second, OwnNetwork)
    for one, other in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two_too_many", "has 12 outputs, the data 10"),
        ("nothing", "returns a int, no torch.nn.Module"),
        ("asks", "asks for 'colour'; give it a default, or ask for shape, channels, steps, classes"),
        ("fails", "ends in RuntimeError: out of luck"),
        ("InLop", "defines no function or class 'InLop'.*did you mean 'InLoop'"),
        ("not-a-name", "expected 'FILE.py:NAME'"),
    ],
)
def test_what_cannot_be_trained_is_said(name: str, message: str, code: Path) -> None:
    experiment = parse_experiment(_document(code, name))
    with pytest.raises(ExperimentError, match=message) as caught:
        untrained_network(experiment, load_data(experiment))
    assert caught.value.key == "model.module"


def test_samples_that_lie_otherwise_are_noticed(code: Path) -> None:
    experiment = parse_experiment(_document(code, "TimeFirst"))
    with pytest.raises(ToolchainError):
        untrained_network(experiment, load_data(experiment))


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere.py"):
        experiment = parse_experiment(_document(tmp_path / "nowhere.py", "Net"))
        untrained_network(experiment, load_data(experiment))
    (tmp_path / "bad.py").write_text("def (")
    experiment = parse_experiment(_document(tmp_path / "bad.py", "Net"))
    with pytest.raises(ExperimentError, match="SyntaxError"):
        untrained_network(experiment, load_data(experiment))
