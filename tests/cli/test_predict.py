"""`pumice predict`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from toolchain.cli.main import main
from toolchain.execution.stimulus import Stimulus
from toolchain.workflow.load import load
from toolchain.workflow.predict import predict_build


def test_classes_and_scores_are_told_to_people_machines_and_files(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    Stimulus({"input": rng.random((12, 6, 64)) < 0.3}).save(tmp_path / "x.npz")
    arguments = ["predict", str(small_build), "--input", str(tmp_path / "x.npz")]
    expected = predict_build(load(small_build), Stimulus.load(tmp_path / "x.npz"))
    (scores,) = expected.scores.values()
    assert main([*arguments, "-o", str(tmp_path / "p.csv")]) == 0
    said = capsys.readouterr().out
    assert "Prediction of 12 samples" in said
    assert "2 more samples" in said
    assert "-o writes" not in said
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [int(row[1]) for row in rows] == expected.classes.tolist()
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"] == expected.classes.tolist()
    assert document["scores"] == {name: each.tolist() for name, each in expected.scores.items()}
    assert document["accuracy"] is None
    assert scores.shape == (12, 10)


def test_the_samples_of_the_build_have_an_accuracy(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(small_build), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    right = np.mean(np.array(document["classes"]) == np.array(document["labels"]))
    assert document["accuracy"] == pytest.approx(100 * right)


def test_a_file_of_another_kind_and_one_of_the_build_are_refused_before_the_work(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*arguments: object, **options: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("toolchain.workflow.predict.predict_build", work)
    for place, said in (
        (tmp_path / "p.xlsx", "neither .csv nor .npz"),
        (tmp_path / "no" / "p.csv", "does not exist"),
        (small_build / "stimulus.npz", "is a file of the build"),
    ):
        assert main(["predict", str(small_build), "-o", str(place)]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
