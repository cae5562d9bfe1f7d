"""A hopeless training ends at an epoch that no race decides, and its folder is no finished run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.errors import CorruptArtifactError
from toolchain.files.documents import read_document
from toolchain.sweep.judging import (
    STOPPED,
    HopelessWatch,
    Judging,
    Phase,
    StoppedError,
    StoppedRun,
    is_judged,
    limits_of,
    scores_of,
)
from toolchain.sweep.rows import Figures, PointRow, PointState
from toolchain.training import EpochRecord


def _records(*accuracies: float) -> list[EpochRecord]:
    return [EpochRecord(i + 1, 1.0, 50.0, 1.0, each) for i, each in enumerate(accuracies)]


def test_limits_are_medians_after_the_first_quarter_and_before_the_last_epoch() -> None:
    trials = [(10.0, 20.0, 30.0, 40.0), (20.0, 30.0, 50.0, 60.0), (30.0, 70.0, 80.0, 90.0)]
    limits = limits_of(trials, least=3, epochs=4)
    assert limits[0] < -1e300
    assert limits[1:] == (30.0, 50.0)


def test_there_are_no_limits_before_enough_trials_have_ended() -> None:
    assert limits_of([(1.0, 2.0)] * 2, least=3, epochs=2) == ()
    assert limits_of([(1.0,)] * 5, least=3, epochs=1) == ()
    assert limits_of([(1.0,)] * 5, least=3, epochs=4) == ()


@given(st.lists(st.lists(st.floats(0, 100), min_size=5, max_size=5), min_size=3, max_size=9))
def test_half_of_the_trials_before_would_have_reached_a_limit(trials: list[list[float]]) -> None:
    limits = limits_of(trials, least=3, epochs=5)
    assert len(limits) == 4
    for epoch, limit in enumerate(limits):
        assert sum(scores[epoch] >= limit for scores in trials) * 2 >= len(trials)


def test_a_training_goes_on_while_it_was_once_as_good_as_half_of_the_others(tmp_path: Path) -> None:
    watch = HopelessWatch(tmp_path, (10.0, 20.0))
    watch(_records(30.0))
    watch(_records(30.0, 5.0))
    watch(_records(30.0, 5.0, 0.0))
    assert not (tmp_path / STOPPED).exists()


def test_a_hopeless_training_is_ended_with_a_note_of_why(tmp_path: Path) -> None:
    watch = HopelessWatch(tmp_path, (10.0, 20.0))
    with pytest.raises(StoppedError, match=r"ended after epoch 2: .* 15, half of the trials before had 20"):
        watch(_records(12.0, 15.0))
    assert read_document(tmp_path / STOPPED, StoppedRun).scores == (12.0, 15.0)


def test_a_training_that_was_ended_stays_so_while_its_limits_say_so(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        HopelessWatch(tmp_path, (10.0,))(_records(5.0))
    with pytest.raises(StoppedError):
        HopelessWatch(tmp_path, (8.0,)).begin()
    HopelessWatch(tmp_path, (5.0,)).begin()
    assert not (tmp_path / STOPPED).exists()
    HopelessWatch(tmp_path, ()).begin()


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    (tmp_path / STOPPED).write_text("{}")
    with pytest.raises(CorruptArtifactError, match="is not the note of a training"):
        HopelessWatch(tmp_path, (1.0,)).begin()


def test_scores_of_values_are_losses_with_a_minus() -> None:
    assert scores_of([EpochRecord(1, 1.0, None, 0.5)]) == (-0.5,)
    assert scores_of([EpochRecord(1, 1.0, None)]) == ()


def test_a_trial_is_judged_again_only_where_test_samples_are_asked_for() -> None:
    row = PointRow(name="a", settings={}, state=PointState.DONE, figures=Figures(fixed_validation=50.0))
    tested = row.model_copy(update={"figures": Figures(fixed_accuracy=50.0)})
    pruned = row.model_copy(update={"state": PointState.PRUNED})
    assert is_judged(row, Judging(Phase.SEARCH))
    assert not is_judged(row, Judging(Phase.FINAL))
    assert is_judged(tested, Judging(Phase.FINAL))
    assert is_judged(pruned, Judging(Phase.FINAL))
