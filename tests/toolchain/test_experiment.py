"""The experiment file: every message names its key."""

from pathlib import Path

import pytest

from tests.small_run import TOML, small_experiment
from toolchain.errors import ExperimentError, MissingFileError
from toolchain.experiment import Experiment, load_experiment, parse_experiment


def test_the_defaults_are_a_complete_experiment() -> None:
    assert parse_experiment({}) == Experiment()
    assert Experiment().pruning is not None


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(TOML)
    assert load_experiment(path) == small_experiment()


def test_pruning_can_be_left_out() -> None:
    assert parse_experiment({"pruning": False}).pruning is None


@pytest.mark.parametrize(
    ("document", "key", "message"),
    [
        ({"modle": {}}, "modle", "did you mean 'model'"),
        ({"model": {"neuron": 5}}, "model.neuron", "did you mean 'neurons'"),
        ({"model": {"neurons": 0}}, "model.neurons", "greater than 0, got 0"),
        ({"model": {"neurons": "many"}}, "model.neurons", "valid integer"),
        ({"model": {"density": 1.5}}, "model.density", "less than or equal to 1"),
        ({"model": {"tau_mean_ms": float("nan")}}, "model.tau_mean_ms", "finite|greater than 0"),
        ({"encoding": {"name": "morse"}}, "encoding.name", "'rate', 'poisson', 'latency' or 'direct'"),
        ({"training": {"learning_rate": -1}}, "training.learning_rate", "greater than 0"),
        ({"data": {"test_fraction": 1}}, "data.test_fraction", "less than 1"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"model": 3}, "model", "got 3"),
        ({"pruning": {"neurons": 600}}, "pruning.neurons", "at most model.neurons = 512"),
    ],
)
def test_what_is_not_accepted_names_its_key(document: dict[str, object], key: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message) as caught:
        parse_experiment(document)
    assert caught.value.key == key
    assert caught.value.exit_code == 2


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="x.toml"):
        load_experiment(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("seed = = 1")
    with pytest.raises(ExperimentError, match="is not TOML"):
        load_experiment(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("seeed = 1")
    with pytest.raises(ExperimentError, match="did you mean 'seed'") as caught:
        load_experiment(tmp_path / "x.toml")
    assert "x.toml" in caught.value.__notes__[0]
