"""From a training on small true files to predictions on new ones, by the command and from Python."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from tests.data_files import KEYS, WRITERS, tone
from toolchain.cli.main import main
from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.npz import write_arrays
from toolchain.workflow.build_folder import Build, TimeFirstWarning
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.load import load
from toolchain.workflow.new_samples import open_samples, stimuli
from toolchain.workflow.predict import predict_build
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train


def _csv(folder: Path) -> Path:
    (folder / "new.csv").write_text("length;width\n0,5;-0,5\n1,25;-2,5\n")
    return folder / "new.csv"


def _images(folder: Path) -> Path:
    for name, value in (("b.png", 200), ("a.png", 20)):
        Image.new("RGB", (9, 7), (value,) * 3).save(folder / name)
    return folder


def _wav(folder: Path) -> Path:
    for name, hertz in (("a.wav", 1800), ("b.wav", 300)):
        wavfile.write(folder / name, 8000, tone(hertz, 99))
    return folder


def _events(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    for name in ("a.npz", "b.npz"):
        events = {"t": np.arange(30), "x": rng.integers(0, 34, 30), "y": rng.integers(0, 34, 30)}
        write_arrays(folder / name, events | {"p": rng.integers(0, 2, 30)})
    return folder


def _npz(folder: Path) -> Path:
    Stimulus({"input": np.random.default_rng(5).random((2, 10, 6)) < 0.5}).save(folder / "new.npz")
    return folder / "new.npz"


NEW: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "csv": (_csv, ["row 2", "row 3"]),
    "images": (_images, ["a.png", "b.png"]),
    "wav": (_wav, ["a.wav", "b.wav"]),
    "events": (_events, ["a.npz", "b.npz"]),
    "npz": (_npz, []),
}
"""Two new samples of each kind, and where they come from."""
_VGG: dict[str, object] = {"model": {"name": "vgg", "layers": [2, "pool"]}}
SECTIONS: dict[str, dict[str, object]] = {
    **{name: {"model": {"neurons": 12}} for name in NEW},
    "images as they are": _VGG | {"encoding": {"name": "direct", "steps": 3}},
    "images as spikes": _VGG | {"encoding": {"name": "rate", "steps": 3}},
    "events in frames": _VGG | {"encoding": {"name": "bins", "steps": 3, "shrink": 4}},
}
"""What experiments say of network and code; the first word names the kind of data."""


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train and compile a tiny network of each kind."""
    made = dict[str, Path]()
    for name, sections in SECTIONS.items():
        folder, kind = tmp_path_factory.mktemp("new"), name.partition(" ")[0]
        (folder / "data").mkdir()
        data = {"name": kind, "path": str(WRITERS[kind](folder / "data"))} | KEYS.get(kind, {})
        names = {"classes": ["left", "right"]} if kind == "npz" else {}
        common = {"data": data | names, "training": {"epochs": 1}, "pruning": False}
        train(parse_experiment(common | sections), folder / "run")
        compile_run(folder / "run", target="emulator").save(folder / "build")
        made[name] = folder / "build"
    return made


@pytest.mark.parametrize("name", NEW)
def test_new_files_are_predicted_with_their_names(
    name: str, builds: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, sources = NEW[name]
    path = write(tmp_path)
    expected = predict_build(load(builds[name]), path)
    assert list(expected.sources) == sources
    assert expected.class_names == ("left", "right")
    assert list(expected.names) == [("left", "right")[k] for k in expected.classes]
    table = tmp_path / "out" / "p.csv"
    table.parent.mkdir()
    assert main(["predict", str(builds[name]), "--input", str(path), "-o", str(table)]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in (*sources, *expected.names))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(expected.names)
    assert [row["source"] for row in rows if "source" in row] == sources
    assert main(["predict", str(builds[name]), "--input", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"] == expected.classes.tolist()
    assert document["names"] == list(expected.names)
    assert document["class_names"] == ["left", "right"]
    assert document["sources"] == (sources or None)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_files_of_the_training_are_predicted_as_the_samples_that_the_build_holds(
    name: str, builds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test part is among the files: every score of it comes back."""
    build, folder = load(builds[name]), builds[name].parent / "data"
    path = folder / f"a.{name}" if name in {"csv", "npz"} else folder
    held_out, again = predict_build(build), predict_build(build, path)
    assert again.accuracy is not None

    def scores(prediction: object) -> set[bytes]:
        return {row.tobytes() for each in prediction.scores.values() for row in each}  # pyright: ignore[reportAttributeAccessIssue]

    assert scores(held_out) <= scores(again)
    monkeypatch.setattr("toolchain.workflow.new_samples._TOGETHER", 5)
    told: list[tuple[int, int]] = []
    parts = predict_build(build, path, progress=lambda *each: told.append(each))
    assert np.array_equal(next(iter(parts.scores.values())), next(iter(again.scores.values())))
    assert parts.sources == again.sources
    assert told[-1] == (24, 24)
    few = predict_build(build, path, samples=7)
    assert np.array_equal(few.classes, again.classes[:7])
    assert few.sources == again.sources[:7]


def test_what_a_run_and_a_build_keep_is_the_same_and_sealed(builds: dict[str, Path], tmp_path: Path) -> None:
    run, build = TrainedRun.load(builds["csv"].parent / "run"), load(builds["csv"])
    assert run.encoder == build.encoder
    assert build.encoder is not None
    assert build.encoder.reading.columns == ("length", "width")
    build.save(tmp_path / "again")
    assert load(tmp_path / "again").encoder == build.encoder
    place = tmp_path / "again" / "input.json"
    place.write_text(place.read_text().replace("width", "depth"))
    with pytest.raises(CorruptArtifactError, match="input.json' was changed after the build was written"):
        load(tmp_path / "again")


def test_a_build_does_not_take_the_input_of_another(builds: dict[str, Path], tmp_path: Path) -> None:
    one, other = load(builds["csv"]), load(builds["wav"])
    mixed = Build(one.float_graph, one.fixed_graph, one.target, one.quantization, encoder=other.encoder)
    mixed.save(tmp_path / "mixed")
    with pytest.raises(
        CorruptArtifactError, match=r"new samples enter as \[32\], which is no input of the graph"
    ):
        load(tmp_path / "mixed")


def test_arrays_that_enter_and_arrays_to_encode_are_told_apart(
    builds: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = load(builds["csv"])
    assert build.encoder is not None
    rows = np.array([[0.5, -0.5], [1.25, -2.5]])
    trains = build.encoder.encode(rows)
    np.savez(tmp_path / "raw.npz", input=rows)
    Stimulus({"input": trains}).save(tmp_path / "enters.npz")
    expected = predict_build(build, _csv(tmp_path)).scores["output"]
    for given in (tmp_path / "raw.npz", str(tmp_path / "enters.npz"), trains, Stimulus.of(trains)):
        assert np.array_equal(predict_build(build, given).scores["output"], expected)
    with pytest.raises(UsageError, match=r"samples \[16, 2\], and the network was trained on \[2\]"):
        predict_build(build, tmp_path / "enters.npz", encoded=False)
    assert main(["predict", str(builds["csv"]), "--input", str(tmp_path / "raw.npz"), "--encoded"]) == 2
    assert "expects [batch, time, 2]" in " ".join(capsys.readouterr().err.split())


def test_arrays_that_could_be_both_have_to_be_named(
    builds: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(0).random((24, 4, 2)) * 9
    folder = builds["csv"].parent / "frames"
    folder.mkdir()
    Stimulus({"input": values}, np.arange(24) % 2).save(folder / "a.npz")
    data = {"name": "npz", "path": str(folder / "a.npz"), "scale": True}
    sections = {"model": {"neurons": 12}, "training": {"epochs": 1}, "pruning": False}
    train(parse_experiment({"data": data, **sections}), folder / "run")
    build = compile_run(folder / "run", target="emulator")
    build.save(folder / "build")
    assert main(["predict", str(folder / "build"), "--input", str(folder / "a.npz")]) == 2
    assert "say which by --raw or --encoded" in " ".join(capsys.readouterr().err.split())
    assert main(["predict", str(folder / "build"), "--input", str(folder / "a.npz"), "--raw"]) == 0
    held = build.stimulus
    assert held is not None
    held.save(tmp_path / "held.npz")
    own = predict_build(build).scores["output"]
    assert np.array_equal(predict_build(build, tmp_path / "held.npz", encoded=True).scores["output"], own)
    raw = predict_build(build, folder / "a.npz", encoded=False)
    assert {row.tobytes() for row in own} <= {row.tobytes() for row in raw.scores["output"]}


def test_a_build_without_its_training_says_so(builds: dict[str, Path], tmp_path: Path) -> None:
    known = load(builds["csv"])
    assert known.encoder is not None
    build = Build(known.float_graph, known.fixed_graph, known.target, known.quantization)
    path = _csv(tmp_path)
    with pytest.raises(UsageError, match="which this build does not know.*compile the run folder"):
        predict_build(build, path)
    with pytest.raises(UsageError, match="does not know how the samples of its training were encoded"):
        list(stimuli(build, known.encoder.read(path)))
    np.savez(tmp_path / "x.npz", input=known.encoder.encode([[1, 2]]))
    assert isinstance(open_samples(build, tmp_path / "x.npz"), Stimulus)


def test_time_in_the_place_of_samples_is_said(builds: dict[str, Path], tmp_path: Path) -> None:
    build = load(builds["csv"])
    trains = np.zeros((16, 3, 2), bool)
    with pytest.warns(
        TimeFirstWarning, match="16 samples of 3 steps.* samples of 16 steps: if time stands first"
    ):
        predict_build(build, trains)
    with pytest.raises(UsageError, match=r"labels must be 16 integers.*got int64\[3\]; if time stands first"):
        predict_build(build, Stimulus({"input": trains}, np.zeros(3, int)))


def test_names_of_files_are_shown_and_not_obeyed(
    builds: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "[red]a\x1b[2J,\udcff.wav"
    wavfile.write(tmp_path / "a.wav", 8000, tone(300, 1))
    (tmp_path / "new").mkdir()
    (tmp_path / "a.wav").rename(tmp_path / "new" / name)
    table = tmp_path / "p.csv"
    assert main(["predict", str(builds["wav"]), "-i", str(tmp_path / "new"), "-o", str(table)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert r"[red]a\x1b[2J" in said
    with table.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["source"] == "[red]a\x1b[2J,\\udcff.wav"
    predict_build(load(builds["wav"]), tmp_path / "new").save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as arrays:
        assert arrays["class_names"].tolist() == ["left", "right"]
        assert arrays["sources"].tolist() == [name]
