"""What opens without a word and should not: one class, no tests of a class, tests that were trained on."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from tests.data_files import WRITERS, keys_of, opened, tone, write_wav
from toolchain.cli.main import main
from toolchain.errors import SeriesError, UsageError
from toolchain.execution.stimulus import Stimulus


def _classes(labels: list[int], folder: Path) -> Path:
    Stimulus({"input": np.random.default_rng(0).random((len(labels), 3))}, np.array(labels)).save(
        folder / "a.npz"
    )
    return folder / "a.npz"


@pytest.mark.parametrize("labels", [[0] * 9, [3] * 9])
def test_a_set_of_one_class_is_refused(labels: list[int], tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"are of one class, '{labels[0]}'; a network learns to tell classes"
    ):
        opened("npz", _classes(labels, tmp_path))


def test_a_class_of_which_nothing_is_left_to_train_on_is_refused(tmp_path: Path) -> None:
    path = _classes([0] * 9 + [1, 2], tmp_path)
    with pytest.raises(UsageError, match="has no sample of class '[12]' to train on; add samples of it"):
        opened("npz", path, test_fraction=0.5, validation_fraction=0)
    with pytest.raises(UsageError, match="has no sample of class .*'2' to train on.*`train_samples`"):
        opened("npz", path, test_fraction=0.1, validation_fraction=0, train_samples=4)


def test_a_class_that_is_not_tested_and_one_without_samples_are_said(tmp_path: Path) -> None:
    path = _classes([0] * 9 + [1] * 9 + [2], tmp_path)
    with pytest.warns(UserWarning, match="has no sample of class '2' to test on: the accuracy says nothing"):
        opened("npz", path, validation_fraction=0)
    path = _classes([1] * 9 + [2] * 9, tmp_path)
    with pytest.warns(UserWarning, match="no sample of class '0' at all: are the classes numbered from 0"):
        assert len(opened("npz", path).classes) == 3


@pytest.mark.parametrize("way", ["same", "dotted", "link", "hard link"])
@pytest.mark.parametrize("name", ["npz", "csv", "images", "wav", "events"])
def test_nothing_is_tested_on_what_it_was_trained_on(name: str, way: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    path = WRITERS[name](tmp_path / "x")
    other = tmp_path / "x" / ".." / path.relative_to(tmp_path) if way == "dotted" else path
    if way == "link":
        other = tmp_path / "y"
        other.symlink_to(path)
    elif way == "hard link":
        other = tmp_path / "y"
        shutil.copytree(path, other, copy_function=os.link) if path.is_dir() else os.link(path, other)
    with pytest.raises(UsageError, match="is read for the test and for the training.*`test_path`"):
        opened(name, path, test_path=str(other))


def test_a_test_folder_inside_of_the_training_folder_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path)
    (tmp_path / "later").mkdir()
    write_wav(tmp_path / "later")
    with pytest.raises(
        UsageError, match=r"later/left/0\.wav' is read for the test and for the training: a net"
    ):
        opened("wav", tmp_path, test_path=str(tmp_path / "later"))


def test_a_test_table_has_the_columns_of_the_training(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,c\n" + "1,2,a\n3,4,b\n" * 9)
    (tmp_path / "b.csv").write_text("more,y,c,x\n" + "7,20,a,10\n9,40,b,30\n" * 2)
    other = str(tmp_path / "b.csv")
    data = opened("csv", tmp_path / "a.csv", label="c", test_path=other, validation_fraction=0)
    assert data.reading.columns == ("x", "y")
    assert data.test.samples.tolist() == [[1, 1]] * 4
    (tmp_path / "b.csv").write_text("x,c\n10,a\n30,b\n")
    with pytest.raises(SeriesError, match="no column 'y'; known: x, c"):
        opened("csv", tmp_path / "a.csv", label="c", test_path=other)


@pytest.mark.parametrize("name", ["images", "wav", "events", "spoken_digits", "braille"])
def test_an_empty_folder_is_said_to_be_empty(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no ") as caught:
        opened(name, tmp_path)
    assert "does not exist" not in str(caught.value)


@pytest.mark.parametrize("name", ["wav", "images", "events"])
def test_no_option_is_named_that_the_command_has_not(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = keys_of(name, tmp_path / "nothing")
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in section.items())
    (tmp_path / "e.toml").write_text(f"[data]\n{lines}\n")
    assert main(["train", str(tmp_path / "e.toml"), "-o", str(tmp_path / "run")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "does not exist" in said
    assert "folders called train and test" in said
    assert "--train" not in said


def test_a_file_in_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match="is a file, expected a folder"):
        opened("images", tmp_path / "a.png")


def test_all_rates_of_a_set_are_known(tmp_path: Path) -> None:
    folder = write_wav(tmp_path)
    wavfile.write(folder / "right" / "0.wav", 16_000, tone(1800, 0, 16_000))
    assert opened("wav", folder).reading.rates == (8000, 16_000)
