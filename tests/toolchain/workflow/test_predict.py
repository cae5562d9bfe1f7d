"""What a build says of samples: scores, classes, files."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from targets.emulator.program import EmulatorProgram
from tests.graphs import recurrent, spikes
from toolchain.errors import ArgumentError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity.decode import scores
from toolchain.ir import Stage
from toolchain.target import parts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_graph, compile_run
from toolchain.workflow.predict import Prediction, predict_build
from toolchain.workflow.run import run_build

SAMPLES = 7


@pytest.fixture
def build(rng: np.random.Generator) -> Build:
    labels = np.array([0, 1, 0, 1, 1, 0, 1])
    return compile_graph(recurrent(rng), stimulus=Stimulus({"x": spikes(rng, SAMPLES, 12, 6)}, labels))


@pytest.mark.parametrize("stage", list(Stage))
def test_scores_are_those_of_a_run_however_samples_are_cut(
    stage: Stage, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = EmulatorProgram.run

    def watched(program: EmulatorProgram, stimulus: Stimulus, **options: Any) -> Trace:
        sizes.append(stimulus.samples)
        return original(program, stimulus, **options)

    graph = build.graph(stage)
    expected = scores(graph, run_build(build, stage=stage), graph.outputs[0])
    monkeypatch.setattr(parts, "ROOM_BYTES", 1)
    monkeypatch.setattr(EmulatorProgram, "run", watched)
    told: list[tuple[int, int]] = []
    prediction = predict_build(build, stage=stage, progress=lambda *done: told.append(done))
    assert sum(sizes) == SAMPLES
    assert told[-1] == (SAMPLES, SAMPLES)
    (got,) = prediction.scores.values()
    assert np.array_equal(got, expected)
    assert np.array_equal(prediction.classes, expected.argmax(axis=1))


def test_of_the_first_samples_alone_are_the_first_scores(build: Build) -> None:
    (few,), (all_of_them,) = (predict_build(build, samples=n).scores.values() for n in (3, None))
    assert np.array_equal(few, all_of_them[:3])


def test_a_trained_network_says_what_its_integers_say(small_run: Path) -> None:
    build = compile_run(small_run, target="emulator")
    prediction = predict_build(build)
    assert build.stimulus is not None
    assert np.array_equal(prediction.labels, build.stimulus.labels)  # pyright: ignore[reportArgumentType]
    assert prediction.accuracy == 100 * np.mean(prediction.classes == prediction.labels)
    assert torch.from_numpy(next(iter(prediction.scores.values()))).isfinite().all()


@pytest.mark.parametrize("labels", [None, np.array([1, 0])])
def test_a_table_and_arrays_hold_every_class_and_score(labels: Any, tmp_path: Path) -> None:
    first, second = np.array([[0.5, 1.0 / 3], [-2.0, -1e-9]]), np.array([[1.0], [2.0]])
    prediction = Prediction({"a": first, "b, c": second}, labels)
    prediction.save(tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    middle = [] if labels is None else ["label"]
    assert head == ["sample", "class", *middle, "a 0", "a 1", "b, c 0"]
    assert [row[:2] for row in rows] == [["0", "0"], ["1", "1"]]
    assert np.array_equal(np.array([row[2 + len(middle) :] for row in rows], float), np.c_[first, second])
    prediction.save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as arrays:
        assert np.array_equal(arrays["scores/a"], first)
        assert np.array_equal(arrays["scores/b, c"], second)
        assert arrays["classes"].tolist() == [0, 1]
        assert ("labels" in arrays) is (labels is not None)


def test_what_is_shown_counts_classes_and_says_what_is_right() -> None:
    prediction = Prediction({"o": np.eye(3)[[0, 2, 2]]}, np.array([0, 2, 1]))
    assert repr(prediction) == "Prediction of 3 samples: 1 of class 0, 2 of class 2; 66.67 % are right"
    assert prediction.summary().rows[1] == [1, 2, 2, "0", "0", "1"]


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ({}, None, r"scores: expected arrays \[samples, classes\] by the names of outputs, got none"),
        (np.eye(2), None, "scores: expected arrays .* got ndarray"),
        ({"o": np.array([[1.0, np.nan]])}, None, r"scores\['o'\]: expected finite numbers"),
        ({"o": np.zeros((3, 0))}, None, r"scores\['o'\]: expected \[samples, classes\], got \[3, 0\]"),
        ({"o": np.zeros((0, 3))}, None, r"scores\['o'\]: expected \[samples, classes\], got \[0, 3\]"),
        ({"o": np.zeros(3)}, None, r"scores\['o'\]: expected \[samples, classes\], got \[3\]"),
        ({"o": np.eye(3), "p": np.eye(2)}, None, r"scores\['p'\]: expected \[3, classes\], got \[2, 2\]"),
        ({"o": np.eye(3)}, np.array([0, 1]), "labels: expected one class per sample"),
        ({"o": np.eye(3)}, np.array([0.5, 1, 2]), "labels: expected one class per sample"),
    ],
)
def test_what_is_no_prediction_is_refused_by_name(scores: Any, labels: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Prediction(scores, labels)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither \.csv nor \.npz"):
        Prediction({"o": np.eye(2)}).save(tmp_path / "p.json")
    assert not list(tmp_path.iterdir())


def test_scores_are_called_by_their_classes_as_far_as_those_have_names() -> None:
    named = Prediction({"o": np.eye(2), "p": np.eye(2, 3)}, class_names=("left", "right"))
    head, rows = named.rows()
    assert head == ["sample", "class", "name", "o left", "o right", "p 0", "p 1", "p 2"]
    assert all(len(row) == len(head) for row in rows)
    numbered = Prediction({"o": np.eye(2)}, class_names=("0", "1"))
    assert numbered.rows()[0] == ["sample", "class", "score 0", "score 1"]
    with pytest.raises(ArgumentError, match="class_names: expected a name for each of 2 classes, got 3"):
        Prediction({"o": np.eye(2)}, class_names=("a", "b", "c"))
