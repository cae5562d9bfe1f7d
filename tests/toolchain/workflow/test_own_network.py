"""Networks that the user's own code builds."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.data_files import write_houses, write_images
from tests.own_modules import CODE, own_document
from toolchain.errors import (
    ExperimentError,
    FrontendError,
    MissingFileError,
    ToolchainError,
    TrainingError,
    UsageError,
)
from toolchain.ir import Graph, Stage
from toolchain.ir.store import graph_document
from toolchain.models import FeedForward, Network
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.own_network import OwnNetwork
from toolchain.workflow.predict import predict_build
from toolchain.workflow.prepare import load_data
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train
from toolchain.workflow.untrained import untrained_network


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(CODE)
    return path


@pytest.mark.parametrize(("name", "model"), [("InLoop", {}), ("TimeFirst", {"time_first": True})])
@pytest.mark.filterwarnings("ignore")
def test_a_module_is_trained_as_it_is_and_kept_as_its_graph(
    name: str, model: dict[str, object], code: Path, tmp_path: Path
) -> None:
    experiment = parse_experiment(own_document(code, name, **model))
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
    experiment = parse_experiment(own_document(code, "InLoop"))
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
    document = own_document(code, "InLoop", flat=False)
    document["data"]["name"] = "digits"
    document["encoding"]["name"] = "rate"
    with pytest.raises(ToolchainError, match="does not run on the example") as caught:
        train(parse_experiment(document), tmp_path / "run")
    assert "a step is [1, 8, 8]; with `flat = true` below [model]" in caught.value.__notes__[0]
    with pytest.raises(ToolchainError) as flat:
        train(parse_experiment(own_document(code, "InLoop", time_first=True)), tmp_path / "flat")
    assert "`flat" not in "".join(getattr(flat.value, "__notes__", ()))
    assert not (tmp_path / "run").exists()


def test_a_sequential_network_is_read_without_being_run(code: Path) -> None:
    experiment = parse_experiment(own_document(code, "sequential"))
    network = untrained_network(experiment, load_data(experiment))
    assert isinstance(network, Network | FeedForward)


@pytest.mark.parametrize("pruning", [False, {"method": "magnitude", "neurons": 6, "synapse_fraction": 0.2}])
def test_a_network_of_linear_connections_is_pruned_and_kept(
    pruning: object, code: Path, tmp_path: Path
) -> None:
    experiment = parse_experiment(own_document(code, "recurrent") | {"pruning": pruning})
    run = train(experiment, tmp_path / "run")
    assert isinstance(run.network, Network)
    prediction = predict_build(compile_run(tmp_path / "run", target="emulator"), stage=Stage.FLOAT)
    assert prediction.accuracy == run.history.test


def test_a_sequential_network_with_biases_is_kept_as_it_was_built(code: Path, tmp_path: Path) -> None:
    experiment = parse_experiment(own_document(code, "sequential"))
    encoded = load_data(experiment)
    network = untrained_network(experiment, encoded)
    torch.manual_seed(experiment.seed)
    linear = nn.Linear(encoded.encoder.channels, 12)
    assert isinstance(network, Network)
    first = network.layer(next(iter(network.layers)))
    assert torch.equal(first.bias, linear.bias)
    assert first.bias.requires_grad
    assert train(experiment, tmp_path / "run").history.test is not None


def test_what_no_graph_holds_is_said_before_the_training(code: Path) -> None:
    experiment = parse_experiment(own_document(code, "filtered"))
    with pytest.raises(FrontendError, match="bias in front of a current filter") as caught:
        untrained_network(experiment, load_data(experiment))
    assert "filtered" in caught.value.__notes__[0]


def test_the_same_seed_builds_the_same_numbers_and_leaves_those_of_others(code: Path) -> None:
    experiment = parse_experiment(own_document(code, "InLoop"))
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
        ("weightless", "'.*net.py:weightless' has no parameters that are trained"),
        ("frozen", "'.*net.py:frozen' has no parameters that are trained"),
        ("lazy", "has lazy layers; give them the sizes of their inputs"),
        ("leaves", "ends in SystemExit: 3"),
        ("fails", "ends in RuntimeError: out of luck"),
        ("InLop", "defines no function or class 'InLop'.*did you mean 'InLoop'"),
        ("not-a-name", "expected 'FILE.py:NAME'"),
    ],
)
def test_what_cannot_be_trained_is_said(name: str, message: str, code: Path) -> None:
    experiment = parse_experiment(own_document(code, name))
    with pytest.raises(ExperimentError, match=message) as caught:
        untrained_network(experiment, load_data(experiment))
    assert caught.value.key == "model.module"


def test_a_result_without_gradient_is_refused_before_the_training(code: Path) -> None:
    experiment = parse_experiment(own_document(code, "Detached"))
    with pytest.raises(FrontendError, match="has no gradient.*leave `no_grad`, `detach`"):
        untrained_network(experiment, load_data(experiment))


def test_a_batch_that_the_module_cannot_take_is_named(code: Path, tmp_path: Path) -> None:
    document = own_document(code, "Still", flat=False)
    document["data"] = {"name": "digits", "train_samples": 41, "test_samples": 20}
    document["encoding"] = {"name": "direct", "steps": 3}
    document["training"]["batch_size"] = 40
    with pytest.raises(TrainingError, match="fails on a batch of 1 samples: Expected more than 1 value"):
        train(parse_experiment(document), tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "encoding", "steps"),
    [("Still", "direct", 3), ("pictures", "direct", 5), ("made", "direct", 4), ("pictures", "rate", 5)],
)
def test_new_samples_are_shown_for_the_steps_of_the_network(
    name: str, encoding: str, steps: int, code: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    document = own_document(code, name, flat=False)
    document["data"] = {"name": "images", "path": str(write_images(tmp_path / "photos")), "size": [6, 5]}
    document["encoding"] = {"name": encoding, "steps": 5}
    document["training"]["epochs"] = 1
    said = f"shows a picture for {steps} steps.*says `steps = 5`: the {steps} of the"
    with pytest.warns(UserWarning, match=said) if name in {"Still", "made"} else nullcontext():
        train(parse_experiment(document), tmp_path / "run")
    build = compile_run(tmp_path / "run", target="emulator")
    assert build.encoder is not None
    assert build.stimulus is not None
    assert build.encoder.steps == build.stimulus.steps == steps
    said = predict_build(build, tmp_path / "photos").scores["output"]
    for scores in predict_build(build).scores["output"]:
        assert (said == scores).all(axis=1).any()


def _houses(code: Path, name: str, table: Path) -> dict[str, Any]:
    data = {"name": "csv", "path": str(table), "targets": ["price", "rent"]}
    return own_document(code, name) | {"data": data, "encoding": {"name": "rate", "steps": 5}}


def test_real_values_of_a_module_are_those_of_its_build(code: Path, tmp_path: Path) -> None:
    experiment = parse_experiment(_houses(code, "Values", write_houses(tmp_path)))
    history = train(experiment, tmp_path / "run").history
    prediction = predict_build(compile_run(tmp_path / "run", target="emulator"), stage=Stage.FLOAT)
    assert prediction.real is not None
    assert prediction.real.errors == history.test_error


@pytest.mark.parametrize(("name", "changes"), [("Means", "a factor of 0.2"), ("Shares", "softmax")])
def test_scores_that_a_module_changes_are_no_real_values(
    name: str, changes: str, code: Path, tmp_path: Path
) -> None:
    experiment = parse_experiment(_houses(code, name, write_houses(tmp_path)))
    with pytest.raises(FrontendError, match=f"returns its scores after {changes}, which no read-out"):
        untrained_network(experiment, load_data(experiment))


def test_samples_that_lie_otherwise_are_noticed(code: Path) -> None:
    experiment = parse_experiment(own_document(code, "TimeFirst"))
    with pytest.raises(
        ExperimentError, match=r"samples that lie as \[time, batch, \.\.\.\]; say with `time_first`"
    ) as caught:
        untrained_network(experiment, load_data(experiment))
    assert caught.value.key == "model.time_first"


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere.py"):
        experiment = parse_experiment(own_document(tmp_path / "nowhere.py", "Net"))
        untrained_network(experiment, load_data(experiment))
    (tmp_path / "bad.py").write_text("def (")
    experiment = parse_experiment(own_document(tmp_path / "bad.py", "Net"))
    with pytest.raises(ExperimentError, match="SyntaxError"):
        untrained_network(experiment, load_data(experiment))


def test_a_module_is_not_pruned_by_sparse_training(code: Path, tmp_path: Path) -> None:
    document = own_document(code, "InLoop") | {"pruning": {"method": "gradual"}}
    with pytest.raises(UsageError, match="this one is a module of your own"):
        train(parse_experiment(document), tmp_path / "run")
