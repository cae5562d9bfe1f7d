"""What fits a network's inputs, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.graphs import feed_forward
from toolchain import ir
from toolchain.errors import ArgumentError, StimulusError
from toolchain.execution.stimulus import Stimulus, check_stimulus, fit_stimulus
from toolchain.ir import EdgeKind, Graph


def _graded() -> Graph:
    graph = feed_forward()
    node = ir.Input(name="x", shape=(2,), edge=EdgeKind.GRADED, scale=4.0, bits=4)
    return graph.map(lambda item: node if isinstance(item, ir.Input) else item)


def test_the_name_input_stands_for_the_only_input() -> None:
    fitted = fit_stimulus(feed_forward(), np.ones((3, 4, 2)))
    assert list(fitted.values) == ["x"]
    assert fitted.values["x"].dtype == bool
    assert (fitted.samples, fitted.steps) == (3, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((3, 4, 5)), r"expects \[batch, time, 2\], got \[3, 4, 5\]"),
        (np.ones((3, 2)), "got"),
        (np.ones((0, 4, 2)), "no samples or no steps"),
        (np.full((1, 1, 2), 0.5), "only 0 and 1"),
        (np.array([[["a", "b"]]]), "bool, integer or float"),
        ({"y": np.ones((1, 1, 2))}, r"named \['x'\], got \['y'\]"),
        (Stimulus({"x": np.ones((2, 3, 2))}, labels=np.array([1])), "labels must be 2 integers"),
        (Stimulus({"x": np.ones((2, 3, 2))}, lengths=np.array([1, 4])), r"lengths must lie in 1 \.\. 3"),
    ],
)
def test_what_does_not_fit_is_explained(values: Any, message: str) -> None:
    with pytest.raises((ArgumentError, StimulusError), match=message):
        fit_stimulus(feed_forward(), values)


def test_graded_inputs_take_any_finite_number() -> None:
    assert fit_stimulus(_graded(), np.full((1, 1, 2), 0.3)).values["x"].dtype == np.float64
    with pytest.raises(ArgumentError, match="input 'x': expected finite numbers, got NaN .* in sample 0"):
        fit_stimulus(_graded(), np.full((1, 1, 2), np.nan))


def test_a_stimulus_comes_back_from_disk(tmp_path: Path) -> None:
    stimulus = Stimulus({"x": np.ones((2, 3, 2), bool)}, np.array([0, 1]), np.array([3, 2]))
    stimulus.save(tmp_path / "s.npz")
    loaded = Stimulus.load(tmp_path / "s.npz")
    assert np.array_equal(loaded.values["x"], stimulus.values["x"])
    assert loaded.labels is not None
    assert loaded.lengths is not None
    assert loaded.take(slice(0, 1)).lengths is not None


def test_a_file_without_input_is_refused(tmp_path: Path) -> None:
    Stimulus({}, np.array([0, 1])).save(tmp_path / "s.npz")
    with pytest.raises(StimulusError, match="holds no input"):
        Stimulus.load(tmp_path / "s.npz")


def test_inputs_must_agree_in_batch_and_time() -> None:
    graph = feed_forward()
    second = [ir.Input(name="y", shape=(2,)), ir.Dense(name="more", inputs=("y",), weights=np.ones((3, 2)))]
    two = graph.with_nodes([graph.nodes[0], *second, *graph.nodes[1:]])
    with pytest.raises(StimulusError, match="disagree"):
        fit_stimulus(two, {"x": np.ones((1, 2, 2)), "y": np.ones((1, 3, 2))})


def test_a_large_stimulus_is_checked_a_few_samples_at_a_time_and_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toolchain.execution.stimulus._CHECKED_VALUES", 8)
    frames = np.full((7, 2, 2), 0.5, np.float32)
    checked = check_stimulus(_graded(), frames)
    assert checked.values["x"] is frames
    frames[6, 1, 0] = np.nan
    with pytest.raises(ArgumentError, match="input 'x': expected finite numbers, got NaN or infinity"):
        check_stimulus(_graded(), frames)
    with pytest.raises(StimulusError, match="expected only 0 and 1"):
        check_stimulus(feed_forward(), np.full((7, 2, 2), 2))
    with pytest.raises(StimulusError, match=r"expects \[batch, time, 2\], got \[7, 2, 3\]"):
        check_stimulus(_graded(), np.ones((7, 2, 3)))


def test_batches_of_a_data_loader_are_joined() -> None:
    samples = torch.rand(10, 4, 3) < 0.5
    labels = torch.arange(10) % 3
    pairs = DataLoader(TensorDataset(samples, labels), batch_size=4)
    joined = Stimulus.of_batches(pairs)
    assert np.array_equal(joined.values["input"], samples.numpy())
    assert joined.labels is not None
    assert np.array_equal(joined.labels, labels.numpy())
    alone = Stimulus.of_batches(DataLoader(TensorDataset(samples), batch_size=3))
    assert np.array_equal(alone.values["input"], samples.numpy())
    assert alone.labels is None
    assert np.array_equal(Stimulus.of_batches(samples.split(3)).values["input"], samples.numpy())
    lists = Stimulus.of_batches([[[[0, 1]]], [[[1, 1]], [[0, 0]]]])
    assert lists.values["input"].tolist() == [[[0, 1]], [[1, 1]], [[0, 0]]]


_SOME = np.zeros((2, 4, 3))


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([], "expected batches of samples, got none"),
        ([_SOME, np.zeros((2, 5, 3))], r"batch 1: expected samples \[4, 3\], .* got \[5, 3\]"),
        ([(_SOME, np.zeros(2, int)), _SOME], "batch 1: .*all with labels of one kind or none"),
        ([(_SOME, np.zeros(3, int))], "batch 0: labels: .*as many labels as samples"),
        ([_SOME, "ab"], "batch 1: samples"),
        ([np.zeros((2, 3)), 3], "batch 1"),
    ],
)
def test_batches_that_do_not_go_together_are_named(batches: list[object], said: str) -> None:
    with pytest.raises(StimulusError, match=said):
        Stimulus.of_batches(batches)
