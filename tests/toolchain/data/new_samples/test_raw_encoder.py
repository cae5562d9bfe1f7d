"""New samples are encoded bit for bit as those of the training, whatever file they are in."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from tests.attack.mutations import mutations
from tests.data_files import CLASSES, KEYS, WRITERS, opened, tone, write_images, write_wav
from toolchain.data import RawEncoder
from toolchain.data.codes.input_encoder import InputEncoder, gathered
from toolchain.errors import (
    ArgumentError,
    CorruptArtifactError,
    MissingFileError,
    SeriesError,
    ToolchainError,
    UsageError,
)
from toolchain.execution.stimulus import Stimulus
from toolchain.files.documents import parse_document
from toolchain.workflow.experiment import parse_experiment

_PLACES: dict[str, Callable[[Path], Path]] = {
    "idx": lambda path: path / "t10k-images-idx3-ubyte.gz",
    "fashion_mnist": lambda path: path / "t10k-images-idx3-ubyte.gz",
    "nmnist": lambda path: path / "NMNIST" / "Test",
    "dvs_gesture": lambda path: path / "DVSGesture" / "ibmGestureTest",
    "cifar10_dvs": lambda path: path / "CIFAR10DVS",
    "shd": lambda path: path / "SHD" / "shd_test.h5",
    "braille": lambda path: path / "one.npz",
}
"""Where samples lie that were also learnt or tested; of other kinds it is the path of the set."""
_SUBSETS = {*_PLACES} - {"cifar10_dvs"}
"""Kinds of which only some samples lie there."""


def _encoders(
    name: str, path: Path, encoding: dict[str, Any], **keys: object
) -> tuple[InputEncoder, RawEncoder]:
    """Return what encoded a set for its training, and what a file keeps of it."""
    data = opened(name, path, **keys)
    section = {"data": {"name": name, "path": str(path)} | KEYS.get(name, {}), "encoding": encoding}
    encoder = InputEncoder(data, parse_experiment(section).encoding)
    kept = RawEncoder.of(encoder, seed=3).model_dump_json()
    return encoder, RawEncoder.model_validate_json(kept)


def _trained(encoder: InputEncoder) -> Counter[tuple[bytes, int]]:
    """Count what entered for the training, the validation and the test, with the classes."""
    data = encoder.data
    return Counter(
        (sample.tobytes(), int(label))
        for part in (data.train, data.validation, data.test)
        for sample, label in zip(
            gathered(encoder.part(part, np.random.default_rng(0), [0])), part.labels, strict=True
        )
    )


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"cifar10"}))
def test_files_that_were_learnt_enter_as_they_did(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    encoder, raw = _encoders(name, path, {})
    samples = raw.read(_PLACES.get(name, lambda same: same)(path))
    entered = raw.encode(samples.samples[i] for i in range(len(samples)))
    assert entered.shape == (len(samples), encoder.steps, encoder.channels)
    known = _trained(encoder)
    if samples.labels is None:
        # Neither IDX pictures nor gestures in the folders of their users say what they show.
        assert name in {"idx", "fashion_mnist", "dvs_gesture"}
        assert {each.tobytes() for each in entered} <= {each for each, _ in known}
        return
    counted = Counter((each.tobytes(), int(k)) for each, k in zip(entered, samples.labels, strict=True))
    assert counted <= known if name in _SUBSETS else counted == known


@pytest.mark.parametrize("kind", ["u1", "i2", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    ("shape", "encoding"), [((5,), {"steps": 4}), ((2, 5), {"name": "direct", "steps": 2})]
)
def test_arrays_are_scaled_by_the_extremes_of_the_training(
    kind: str, shape: tuple[int, ...], encoding: dict[str, Any], tmp_path: Path
) -> None:
    values = (np.random.default_rng(0).random((20, *shape)) * 90 + 3).astype(kind)
    Stimulus({"input": values}, np.arange(20) % 2).save(tmp_path / "a.npz")
    encoder, raw = _encoders("npz", tmp_path / "a.npz", {"name": "rate"} | encoding, scale=True)
    samples = raw.read(tmp_path / "a.npz")
    entered = raw.encode(samples.samples)
    assert Counter(each.tobytes() for each in entered) == Counter(
        each for each, _ in _trained(encoder).elements()
    )
    # What is beyond the extremes is clipped, as in the test part.
    beyond = raw.encode(values[:1].astype("f8") * 100)
    assert np.array_equal(beyond, raw.encode(np.full((1, *shape), 1e9)))


def test_frames_of_a_table_are_rows_cut_into_pieces(tmp_path: Path) -> None:
    rows = [f"{i % 7},{(i * 5) % 11},{i},{i % 3},{'ab'[i % 2]}" for i in range(20)]
    (tmp_path / "a.csv").write_text("\n".join(["p,q,r,s,c", *rows]))
    encoder, raw = _encoders("csv", tmp_path / "a.csv", {"name": "delta"}, label="c", frames=2)
    samples = raw.read(tmp_path / "a.csv")
    entered = raw.encode(samples.samples)
    assert Counter(each.tobytes() for each in entered) == Counter(
        each for each, _ in _trained(encoder).elements()
    )
    # Whoever has rows gives rows.
    assert np.array_equal(raw.encode([[0, 0, 0, 0]]), raw.encode(np.zeros((1, 2, 2))))


def test_a_random_code_says_the_same_of_a_sample_whatever_is_beside_it(tmp_path: Path) -> None:
    path = WRITERS["csv"](tmp_path)
    _, raw = _encoders("csv", path, {"name": "poisson", "steps": 50})
    values = raw.read(path).samples
    whole = raw.encode(values)
    assert np.array_equal(whole[7:9], raw.encode(values[7:9]))
    assert 0 < whole.mean() < 1


def test_rows_have_numbers_and_columns_may_stand_anywhere(tmp_path: Path) -> None:
    path = WRITERS["csv"](tmp_path)
    _, raw = _encoders("csv", path, {})
    first = raw.read(path)
    rows = [line.split(";") for line in path.read_text().splitlines()]
    moved = [f"{width}\t{length}\tmore" for _, length, width, _ in rows]
    (tmp_path / "new.tsv").write_bytes("\r\n".join([*moved[:3], "", *moved[3:]]).encode("utf-16"))
    samples = raw.read(tmp_path / "new.tsv")
    assert samples.labels is None
    assert samples.sources[:3] == ("row 2", "row 3", "row 5")
    assert np.array_equal(samples.samples, first.samples)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("length,species\n1,left\n", "no column 'width'; known: length, species"),
        ("length,width\n1,2\n,3\n", "row 3, column 'length': expected a number, got ''"),
        ("length,width\n1,inf\n", "not finite"),
        ("length,width\n", "holds no rows"),
        (
            "length,width,species\n1,2,left\n1,2,\n",
            "row 3, column 'species': names no class, and other rows do",
        ),
        (
            "length,width,species\n1,2,left\n1,2,top\n",
            "row 3: class 'top' was not learnt.*learnt: left, right",
        ),
    ],
)
def test_a_table_of_another_kind_is_refused(text: str, said: str, tmp_path: Path) -> None:
    _, raw = _encoders("csv", WRITERS["csv"](tmp_path), {})
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises((SeriesError, CorruptArtifactError), match=said) as caught:
        raw.read(tmp_path / "new.csv")
    if "no column" in said:
        assert caught.value.__notes__ == ["the network was trained on the columns length, width"]


def test_rows_whose_class_is_asked_for_may_stand_with_a_question_mark(tmp_path: Path) -> None:
    _, raw = _encoders("csv", WRITERS["csv"](tmp_path), {})
    (tmp_path / "new.csv").write_text("length,width,species\n1,2,?\n3,4,\n")
    assert raw.read(tmp_path / "new.csv").labels is None


def test_rows_with_gaps_are_left_out_as_in_the_training_and_said(tmp_path: Path) -> None:
    _, raw = _encoders("csv", WRITERS["csv"](tmp_path), {}, gaps="drop")
    (tmp_path / "new.csv").write_text("length,width\n1,2\n,3\n4,5\n")
    with pytest.warns(UserWarning, match="1 rows of .*new.csv' have gaps and are left out"):
        assert raw.read(tmp_path / "new.csv").sources == ("row 2", "row 4")


def test_sound_of_another_rate_than_any_of_the_training_is_refused(tmp_path: Path) -> None:
    folder = write_wav(tmp_path)
    wavfile.write(folder / "right" / "0.wav", 16_000, tone(1800, 0, 16_000))
    encoder, raw = _encoders("wav", folder, {})
    # One rate of the training is brought to the other, as it was there.
    samples = raw.read(folder / "right" / "0.wav")
    assert (raw.encode([samples.samples[0]])[0].tobytes(), 1) in _trained(encoder)
    wavfile.write(tmp_path / "new.wav", 11_025, tone(1800, 0, 11_025))
    with pytest.raises(
        UsageError, match=r"new\.wav' has 11,025 samples.*8,000 and 16,000; bring it to 8,000"
    ):
        _ = raw.read(tmp_path / "new.wav").samples[0]


def test_pictures_of_another_size_are_scaled_only_if_those_of_the_training_were(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, scaled = _encoders("images", write_images(tmp_path / "a"), {})
    _, exact = _encoders("idx", WRITERS["idx"](tmp_path / "b"), {})
    for size in (8, 9):
        Image.fromarray(np.full((size, size), 77, np.uint8)).save(tmp_path / f"{size}.png")
        assert scaled.encode([scaled.read(tmp_path / f"{size}.png").samples[0]]).shape == (1, 16, 30)
    assert (exact.read(tmp_path / "8.png").samples[0] == 77).all()
    with pytest.raises(UsageError, match=r"9\.png' has 9 x 9 pixels, expected 8 x 8; scale it"):
        _ = exact.read(tmp_path / "9.png").samples[0]
    np.savez(tmp_path / "9.npz", input=np.zeros((2, 1, 9, 9)))
    with pytest.raises(
        UsageError, match=r"holds samples \[1, 9, 9\], and the network was trained on \[1, 8, 8\]"
    ):
        exact.read(tmp_path / "9.npz")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("csv", "a CSV file with the columns length, width"),
        ("npz", r"arrays: an .npz with an array 'input' \[samples, 10, 6\]"),
        ("images", "pictures: an image file, a folder of them"),
        ("events", r"recordings of events: a file \.npz"),
        ("wav", "sound: a WAV file"),
        ("shd", "recordings of SHD"),
    ],
)
def test_files_of_another_kind_are_refused_with_what_is_expected(
    name: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    _, raw = _encoders(name, WRITERS[name](tmp_path / "x"), {})
    (tmp_path / "new").mkdir()
    (tmp_path / "new.xyz").write_text("nothing")
    for place in (tmp_path / "new", *([] if name in {"csv", "shd"} else [tmp_path / "new.xyz"])):
        with pytest.raises(UsageError, match=said):
            raw.read(place)
    with pytest.raises(MissingFileError, match=r"nothing' does not exist"):
        raw.read(tmp_path / "nothing")


def test_folders_name_classes_only_where_all_of_them_do(tmp_path: Path) -> None:
    folder = write_wav(tmp_path)
    _, raw = _encoders("wav", folder, {})
    assert raw.read(folder / CLASSES[1]).labels is None
    assert raw.read(folder).sources[0] == "left/0.wav"
    (folder / "other").mkdir()
    (folder / "left" / "0.wav").rename(folder / "other" / "0.wav")
    with pytest.raises(
        CorruptArtifactError, match=r"other/0\.wav: class 'other' was not learnt.*left, right"
    ):
        raw.read(folder)


def test_trains_that_are_no_spikes_are_refused_where_spikes_were_learnt(tmp_path: Path) -> None:
    _, raw = _encoders("npz", WRITERS["npz"](tmp_path), {})
    assert (raw.spikes, raw.changes_nothing) == (True, True)
    with pytest.raises(UsageError, match="holds 0.5"):
        raw.encode(np.full((1, 10, 6), 0.5))


def test_frames_that_enter_in_a_row_are_not_taken_for_what_enters(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((12, 3, 2, 4, 4)) < 0.3
    np.savez(tmp_path / "frames.npz", input=frames, labels=np.arange(12) % 2)
    _, raw = _encoders("npz", tmp_path / "frames.npz", {})
    assert not raw.changes_nothing
    assert np.array_equal(raw.encode(frames), frames.reshape(12, 3, 32))


@pytest.mark.parametrize("name", ["csv", "events", "images", "npz", "wav"])
def test_a_changed_description_is_refused_or_encodes(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    _, raw = _encoders(name, path, {})
    outcomes = Counter[str]()
    for mutation in mutations(raw.model_dump_json()):
        try:
            changed = parse_document(mutation.content, tmp_path / "input.json", RawEncoder)
            assert changed.encode([changed.read(path).samples[0]]).shape[2:] == changed.features, (
                mutation.told
            )
        except ToolchainError as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["ok"] += 1
    assert outcomes["ok"] > 10
    assert outcomes["CorruptArtifactError"] > 100


@pytest.mark.parametrize(
    ("name", "samples", "said"),
    [
        ("csv", [[1.0, 2.0, 3.0]], r"expected samples \[2\].* got one of shape \[3\]"),
        ("csv", [["a", "b"]], "expected numbers"),
        ("csv", [[np.nan, 1.0]], "finite"),
        ("csv", [], "at least one sample"),
        ("wav", [np.zeros((2, 5))], "expected waveforms"),
        ("events", [np.zeros(3)], "expected a structured array"),
    ],
)
def test_samples_of_your_own_are_checked(name: str, samples: list[Any], said: str, tmp_path: Path) -> None:
    _, raw = _encoders(name, WRITERS[name](tmp_path), {})
    with pytest.raises(ArgumentError, match=said):
        raw.encode(samples)
