"""Records of a training show themselves, and stay the tuple that they are."""

import copy
import io
from pathlib import Path

import numpy as np
import pytest

from tests.small_training import small_network, small_task
from toolchain.errors import UsageError
from toolchain.training import EpochRecord, FitOptions, Records, fit

RECORDS = Records(EpochRecord(i, 1 / i, 10.0 * i, 2 / i, 9.0 * i) for i in range(1, 4))


def test_fit_returns_a_tuple_that_says_how_it_went(rng: np.random.Generator) -> None:
    task = small_task(rng)
    records = fit(small_network(), *task, FitOptions(2, 16, 0.01), seed=0, validation=task)
    assert isinstance(records, tuple)
    assert records == tuple(records)
    assert [each.epoch for each in records] == [1, 2]
    assert repr(records).startswith(f"Records of 2 epochs: loss {records[-1].loss:.4g}, accuracy")
    assert "validation loss" in repr(records)


def test_it_behaves_as_a_tuple() -> None:
    assert RECORDS[0] == EpochRecord(1, 1.0, 10.0, 2.0, 9.0)
    assert RECORDS[1:] == tuple(RECORDS)[1:]
    assert hash(RECORDS) == hash(tuple(RECORDS))
    assert copy.deepcopy(RECORDS) == RECORDS
    assert len(RECORDS) == 3
    first, *_, last = RECORDS
    assert (first.epoch, last.epoch) == (1, 3)


def test_a_table_has_a_row_for_each_epoch_and_leaves_out_those_between() -> None:
    summary = RECORDS.summary()
    assert list(summary.head) == [
        "epoch",
        "loss",
        "accuracy, %",
        "validation loss",
        "validation accuracy, %",
    ]
    assert list(summary.rows[1]) == ["2", "0.5", "20.00", "1", "18.00"]
    many = Records(EpochRecord(i, 1.0, None) for i in range(1, 100))
    assert [row[0] for row in many.summary().rows] == [str(i) for i in (*range(1, 6), *range(95, 100))]
    assert list(many.summary().head) == ["epoch", "loss"]


def test_curves_hold_the_numbers_of_training_and_validation() -> None:
    figure = RECORDS.plot()
    loss, accuracy = figure.axes
    drawn = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in loss.lines}
    assert drawn == {"training": [1.0, 0.5, 1 / 3], "validation": [2.0, 1.0, 2 / 3]}
    assert [np.asarray(line.get_ydata()).tolist() for line in accuracy.lines] == [[10, 20, 30], [9, 18, 27]]
    page = RECORDS._repr_html_()
    assert page.count("<svg") == 2
    assert "<table>" in page


def test_values_that_are_learnt_have_no_accuracy(tmp_path: Path) -> None:
    records = Records((EpochRecord(1, 0.25, None), EpochRecord(2, 0.125, None)))
    figure = records.plot()
    assert len(figure.axes) == 1
    figure.savefig(tmp_path / "training.png")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    assert repr(records) == "Records of 2 epochs: loss 0.125"
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    assert b"validation" not in buffer.getvalue()


def test_no_epoch_is_said_and_not_plotted() -> None:
    assert repr(Records()) == "Records of no epoch"
    assert "<svg" not in Records()._repr_html_()
    with pytest.raises(UsageError, match="there is no epoch to plot"):
        Records().plot()
