"""`[task]` follows from the data, and what contradicts them is refused by its key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolchain.errors import CorruptArtifactError, ExperimentError
from toolchain.files.npz import write_arrays
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.prepare import EncodedData, load_data
from toolchain.workflow.sections.task import ForecastTask, usual_task

_SERIES = {"name": "mackey_glass", "samples": 300}
_TABLE = {"name": "csv", "path": "a.csv"}


def _parsed(data: dict[str, Any], **sections: Any) -> Experiment:
    return parse_experiment({"data": data, "pruning": False, **sections})


@pytest.mark.parametrize(
    ("data", "task", "code"),
    [
        ({"name": "digits"}, "classification", "rate"),
        (_TABLE | {"label": "c"}, "classification", "rate"),
        (_TABLE | {"targets": ["c"]}, "regression", "rate"),
        (_TABLE, "forecast", "values"),
        ({"name": "lorenz63"}, "forecast", "values"),
        (_SERIES, "forecast", "values"),
        ({"name": "npz", "path": "a.npz"}, "", "as_is"),
    ],
)
def test_the_task_and_the_code_follow_from_the_data(data: dict[str, Any], task: str, code: str) -> None:
    experiment = _parsed(data)
    assert usual_task(experiment.data) == task
    assert experiment.task is None
    assert experiment.encoding.name == code
    if task:
        assert _parsed(data, task={"name": task}).task is not None


def test_keys_of_a_forecast_name_the_task() -> None:
    task = _parsed(_SERIES, task={"window": 5}).task
    assert task == ForecastTask(window=5)


@pytest.mark.parametrize(
    ("data", "task", "key", "said"),
    [
        (_SERIES, {"name": "classification"}, "task.name", "'mackey_glass' are a series to forecast: leave"),
        (_TABLE, {"name": "classification"}, "task.name", "name the column of the classes by `label`"),
        (_TABLE, {"name": "regression"}, "task.name", "what is to be said of a row by `targets`"),
        (_TABLE | {"label": "c"}, {"name": "regression"}, "task.name", "name `targets` instead"),
        (_TABLE | {"targets": ["c"]}, {"window": 3}, "task.name", "`targets` is given: leave it out"),
        ({"name": "digits"}, {"name": "forecast"}, "task.name", "samples for classification: a series is"),
        ({"name": "digits"}, {"name": "regression"}, "task.name", "real values come from csv"),
        (
            {"name": "npz", "path": "a"},
            {"name": "forecast"},
            "task.name",
            "classification or regression: a series",
        ),
        ({"name": "digits"}, {"name": "guess"}, "task.name", "got 'guess'; known here: classification"),
        (_SERIES, {"name": "forecast", "horizon": 0}, "task.horizon", "expected more than 0, got 0"),
        (_SERIES, {"name": "forecast", "windw": 3}, "task.windw", "did you mean 'window'"),
        (
            _SERIES,
            {"name": "regression", "window": 3},
            "task.window",
            "to 'regression': it belongs to forecast",
        ),
        (_TABLE | {"label": "a", "targets": ["b"]}, None, "data.targets", "does not go with `label`"),
        (_TABLE | {"test_path": "b.csv"}, None, "data.test_path", "the rows are a series, split in time"),
        (_TABLE | {"frames": 2}, None, "data.frames", "the rows are a series, split in time"),
    ],
)
def test_what_contradicts_the_data_is_refused_by_its_key(
    data: dict[str, Any], task: dict[str, Any] | None, key: str, said: str
) -> None:
    with pytest.raises(ExperimentError, match=said) as caught:
        _parsed(data, **({} if task is None else {"task": task}))
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (_SERIES, {"name": "rate"}, "'rate' does not suit .* choose values, fields, poisson_fields or delta"),
        ({"name": "digits"}, {"name": "values"}, "'values' does not suit .* choose rate"),
        ({"name": "digits"}, {"name": "fields"}, "'fields' does not suit"),
        (_SERIES, {"name": "delta", "rows": True}, "shows pictures"),
    ],
)
def test_a_code_of_other_samples_is_refused(data: dict[str, Any], code: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentError, match=said) as caught:
        load_data(_parsed(data, encoding=code))
    assert caught.value.key.startswith("encoding.")


def _arrays(folder: Path, labels: np.ndarray, **sections: Any) -> EncodedData:
    write_arrays(folder / "a.npz", {"input": np.random.default_rng(0).random((12, 5, 3)), "labels": labels})
    return load_data(_parsed({"name": "npz", "path": str(folder / "a.npz")}, **sections))


@pytest.mark.parametrize("columns", [(), (2,)])
def test_real_labels_of_arrays_are_normalised_values_to_learn(
    columns: tuple[int, ...], tmp_path: Path
) -> None:
    labels = np.random.default_rng(1).normal(50, 10, (12, *columns))
    encoded = _arrays(tmp_path, labels)
    data = encoded.data
    assert data.scale is not None
    assert encoded.outputs is not None
    assert encoded.outputs.forecast is None
    together = [data.scale.in_units(part.labels) for part in (data.train, data.validation, data.test)]
    assert sorted(np.concatenate(together)[:, 0]) == pytest.approx(sorted(labels.reshape(12, -1)[:, 0]))
    assert data.train.labels.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert data.train.labels.std(axis=0) == pytest.approx(1)
    assert data.classes == tuple(f"output {i}" for i in range(labels.reshape(12, -1).shape[1]))


def test_labels_of_the_other_kind_than_the_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="`labels` are real numbers: number classes from 0"):
        _arrays(tmp_path, np.linspace(0, 1, 12), task={"name": "classification"})
    with pytest.raises(ExperimentError, match="`labels` are classes, .*: store them as real numbers"):
        _arrays(tmp_path, np.arange(12) % 2, task={"name": "regression"})
    with pytest.raises(CorruptArtifactError, match="for whole numbers give labels.astype"):
        _arrays(tmp_path, np.arange(12.0) % 2)
