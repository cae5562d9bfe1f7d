"""Real targets and present values beside the samples of a stimulus."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs import feed_forward
from toolchain.errors import ArgumentError, StimulusError
from toolchain.execution.stimulus import Stimulus, fit_stimulus

X = np.ones((2, 3, 2))
TARGETS = np.array([[0.5, -1.0], [1e-9, 3.0]])


def test_real_targets_and_present_values_come_back_from_disk(tmp_path: Path) -> None:
    given = Stimulus({"x": X}, TARGETS.astype(np.float32), present=TARGETS + 1)
    given.save(tmp_path / "s.npz")
    loaded = Stimulus.load(tmp_path / "s.npz")
    assert loaded.real
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.float64
    assert np.array_equal(loaded.labels, TARGETS.astype(np.float32))
    assert np.array_equal(loaded.companions["present"], TARGETS + 1)
    assert np.array_equal(loaded.take(slice(1, 2)).companions["present"], TARGETS[1:] + 1)
    with np.load(tmp_path / "s.npz") as arrays:
        assert set(arrays) == {"x", "labels", "labels/present"}


def test_an_input_that_is_called_like_present_values_is_another_array(tmp_path: Path) -> None:
    given = Stimulus({"labels/present": X, "present": X + 1}, TARGETS, present=TARGETS)
    given.save(tmp_path / "s.npz")
    loaded = Stimulus.load(tmp_path / "s.npz")
    assert np.array_equal(loaded.values["labels/present"], X)
    assert np.array_equal(loaded.values["present"], X + 1)
    assert np.array_equal(loaded.companions["present"], TARGETS)


def test_a_stimulus_that_fits_keeps_what_stands_beside_it() -> None:
    fitted = fit_stimulus(feed_forward(), Stimulus({"x": X}, TARGETS, present=TARGETS))
    assert fitted.real
    assert set(fitted.companions) == {"labels", "present"}


@pytest.mark.parametrize(
    ("companions", "said"),
    [
        ({"labels": TARGETS[:, :1]}, r"labels: expected real values \[2, 2\], .* got \[2, 1\]"),
        ({"labels": TARGETS[:1]}, r"labels: expected real values \[2, 2\], .* got \[1, 2\]"),
        ({"labels": np.array([0, 1]), "present": TARGETS[:1]}, r"present: expected real values \[2, 2\]"),
        ({"labels": np.where(TARGETS == 0.5, np.nan, TARGETS)}, "labels: .*NaN or infinity in sample 0"),
        ({"labels": np.array([0.5, 1.5])}, "for whole numbers give labels.astype"),
        ({"labels": TARGETS * 1e101}, r"labels: expected values of at most 1e\+100, got 3e\+101; scale them"),
        ({"present": np.ones(2)}, "present: expected .samples, outputs."),
    ],
)
def test_what_is_no_target_of_the_outputs_is_refused(companions: dict[str, Any], said: str) -> None:
    with pytest.raises((ArgumentError, StimulusError), match=said):
        fit_stimulus(feed_forward(), Stimulus({"x": X}, **companions))


def test_batches_have_labels_of_one_kind() -> None:
    joined = Stimulus.of_batches([(X, TARGETS), (X, TARGETS * 2)])
    assert joined.labels is not None
    assert np.array_equal(joined.labels, np.concatenate([TARGETS, TARGETS * 2]))
    with pytest.raises(StimulusError, match="batch 1: .*labels of one kind"):
        Stimulus.of_batches([(X, TARGETS), (X, np.array([0, 1]))])
