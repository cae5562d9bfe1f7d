"""What an experiment hands to the training of its network."""

from pathlib import Path
from typing import Any

import pytest

from tests.small_run import small_experiment
from toolchain.training import ActivityPenalty
from toolchain.workflow import train as module


class _TrainedError(Exception):
    """Ends a run where its training would begin."""


def _callbacks(folder: Path, monkeypatch: pytest.MonkeyPatch, **training: float) -> tuple[Any, ...]:
    given: list[Any] = []

    def fit(*_: Any, callbacks: tuple[Any, ...], **__: Any) -> None:
        given.extend(callbacks)
        raise _TrainedError

    monkeypatch.setattr(module, "fit", fit)
    section = {"epochs": 1, "batch_size": 128, "calibration_samples": 32} | training
    with pytest.raises(_TrainedError):
        module.train(small_experiment(pruning=False, training=section), folder)
    return tuple(given)


def test_penalties_of_an_experiment_are_a_callback_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _callbacks(tmp_path / "free", monkeypatch) == ()
    (penalty,) = _callbacks(tmp_path / "paid", monkeypatch, operation_penalty=1e-5, rate_penalty=0.5)
    assert isinstance(penalty, ActivityPenalty)
    assert penalty.settings() == {"rate_penalty": 0.5, "operation_penalty": 1e-5}
