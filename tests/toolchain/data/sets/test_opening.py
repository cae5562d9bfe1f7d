"""Every kind of data opens in three parts; what is broken or missing is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from tests.data_files import (
    CLASSES,
    EACH,
    WRITERS,
    idx,
    keys_of,
    opened,
    tone,
    write_braille,
    write_npz,
    write_wav,
)
from toolchain.data import DataSet, SampleKind, Series, open_data
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import MackeyGlassData
from toolchain.errors import CorruptArtifactError, MissingFileError, SeriesError, ToolchainError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.npz import write_arrays
from toolchain.workflow.experiment import Experiment, parse_experiment

_SMALL = sorted(WRITERS.keys() - {"cifar10"})
"""CIFAR-10 has files of ten thousand records; its example is tested with fewer."""


def _options(name: str, path: Path, **keys: object) -> Experiment:
    return parse_experiment({"data": keys_of(name, path, **keys)})


def _bytes(sample: object) -> bytes:
    return np.asarray(sample).tobytes()


@pytest.mark.parametrize("name", _SMALL)
def test_the_parts_share_no_sample_and_have_every_class(name: str, tmp_path: Path) -> None:
    data = opened(name, WRITERS[name](tmp_path))
    parts = (data.train, data.validation, data.test)
    samples = [{_bytes(part.samples[i]) for i in range(len(part))} for part in parts]
    assert sum(map(len, samples)) == sum(map(len, parts)) == len(set.union(*samples))
    assert set(data.train.labels) == set(range(len(data.classes)))
    assert len(data.validation) == round(0.1 * (len(data.train) + len(data.validation)))
    assert data.origin is not None
    assert (data.origin.train, data.origin.validation, data.origin.test) == tuple(map(len, parts))


@pytest.mark.parametrize("name", _SMALL)
def test_a_seed_gives_the_same_parts_and_another_others(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    one, again, other = (opened(name, path, split_seed=seed) for seed in (3, 3, 4))
    assert one.origin == again.origin

    def first(data: DataSet) -> list[bytes]:
        return [_bytes(data.train.samples[i]) for i in range(len(data.train))]

    assert first(one) == first(again)
    assert first(one) != first(other)


@pytest.mark.parametrize("name", _SMALL)
def test_the_digest_says_whether_files_are_the_same(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = WRITERS[name](tmp_path)
    before = opened(name, path).origin
    elsewhere = tmp_path_factory.mktemp("moved") / "here"
    shutil.move(tmp_path, elsewhere)
    after = opened(name, elsewhere / path.relative_to(tmp_path)).origin
    assert before is not None
    assert after is not None
    assert before.sha256 == after.sha256
    assert before.path != after.path


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_path_that_holds_nothing_says_what_is_expected_and_where_it_is(name: str, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        opened(name, tmp_path / "nothing")
    assert str(tmp_path / "nothing") in str(caught.value)
    if name in KNOWN:
        assert isinstance(caught.value, MissingFileError)
        assert KNOWN[name].layout in str(caught.value)
        assert "nothing is downloaded here" in str(caught.value)


def test_fewer_samples_keep_the_share_of_every_class(tmp_path: Path) -> None:
    data = opened("spoken_digits", WRITERS["spoken_digits"](tmp_path), train_samples=20, test_samples=10)
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 10)
    assert np.bincount(data.test.labels).tolist() == [1] * 10


def test_the_official_test_of_spoken_digits_is_their_first_five_recordings(tmp_path: Path) -> None:
    data = opened("spoken_digits", WRITERS["spoken_digits"](tmp_path))
    assert (data.hertz, data.kind) == (8000, SampleKind.SOUND)
    assert len(data.test) == 50
    assert _bytes(data.test.samples[7]) == _bytes((tone(300 + 250, 2) / 2**15).astype(np.float32))


def test_equal_letters_of_overlapping_folds_count_once(tmp_path: Path) -> None:
    data = opened("braille", write_braille(tmp_path))
    assert len(data.train) + len(data.validation) + len(data.test) == 42
    assert data.classes == ("space", "A", "E", "I", "O", "U", "Y")


def test_a_test_part_of_its_own_is_taken_as_a_whole(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    shutil.copy(path, tmp_path / "test.npz")
    data = opened("npz", path, test_path=str(tmp_path / "test.npz"), validation_fraction=0)
    assert (len(data.train), len(data.validation), len(data.test)) == (24, 0, 24)


def test_folders_called_train_and_test_are_the_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        write_wav(tmp_path / part)
    data = opened("wav", tmp_path)
    assert data.classes == CLASSES
    assert len(data.test) == 2 * EACH


def test_scaling_knows_nothing_of_the_test_part(tmp_path: Path) -> None:
    values = np.arange(40.0).reshape(20, 2)
    Stimulus({"input": values}, np.arange(20) % 2).save(tmp_path / "a.npz")
    Stimulus({"input": values * 9 - 50}, np.arange(20) % 2).save(tmp_path / "b.npz")
    other = str(tmp_path / "b.npz")
    data = opened("npz", tmp_path / "a.npz", test_path=other, scale=True, validation_fraction=0)
    np.testing.assert_allclose(data.train.samples, values // 2 / 19)
    np.testing.assert_allclose(data.test.samples, np.clip((values * 9 - 50 - [0, 1]) / 38, 0, 1))


def test_words_of_a_table_are_its_classes(tmp_path: Path) -> None:
    data = opened("csv", WRITERS["csv"](tmp_path), frames=2)
    assert data.classes == ("left", "right")
    assert data.shape == (2, 1)
    assert data.train.samples.shape[1:] == (2, 1)


def test_a_table_without_label_is_a_series_and_so_are_chaotic_systems(tmp_path: Path) -> None:
    series = open_data(_options("csv", WRITERS["csv"](tmp_path), label="").data)
    assert isinstance(series, Series)
    assert (series.train, series.validation, series.test) == (17, 19, 24)
    glass = open_data(MackeyGlassData(name="mackey_glass", samples=100))
    assert isinstance(glass, Series)
    assert len(glass.values) == 100


def test_a_broken_recording_is_named_and_the_rest_usable_if_asked(tmp_path: Path) -> None:
    folder = write_wav(tmp_path)
    broken = folder / "left" / "3.wav"
    broken.write_bytes(broken.read_bytes()[:-100])
    data = opened("wav", folder)
    with pytest.raises(CorruptArtifactError, match=r'left/3\.wav.*`broken = "skip"` leaves such files out'):
        [part.samples[i] for part in (data.train, data.validation, data.test) for i in range(len(part))]
    with pytest.warns(UserWarning, match=r"1 of 24 files are broken and left out: .*left/3\.wav"):
        data = opened("wav", folder, broken="skip")
    assert data.origin is not None
    assert data.origin.left_out == (str(broken),)
    assert len(data.train) + len(data.validation) + len(data.test) == 2 * EACH - 1


@pytest.mark.parametrize("name", ["images", "events", "nmnist"])
def test_files_of_other_kinds_are_skipped_alike(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    broken = min(file for file in path.rglob("*") if file.is_file())
    broken.write_bytes(b"broken")
    with pytest.warns(UserWarning, match="1 of"):
        data = opened(name, path, broken="skip")
    assert data.origin is not None
    assert data.origin.left_out == (str(broken),)


def test_a_folder_in_which_everything_is_broken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "a.wav").write_bytes(b"")
    for choice in ("refuse", "skip"):
        with pytest.raises(CorruptArtifactError, match=r"a\.wav"):
            opened("wav", tmp_path, broken=choice)


def test_recordings_of_other_rates_are_brought_to_that_of_the_first(tmp_path: Path) -> None:
    folder = write_wav(tmp_path)
    wavfile.write(folder / "right" / "0.wav", 16_000, tone(1800, 0, 16_000))
    data = opened("wav", folder)
    assert data.hertz == 8000
    lengths = {len(data.train.samples[i]) for i in range(len(data.train))}
    assert lengths == {1600}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"input": np.zeros((4, 3))}, "no array 'labels', but: input"),
        ({"labels": np.zeros(4, int)}, "no array 'input'"),
        ({"input": np.zeros((4, 3)), "labels": np.zeros(3, int)}, "as many labels as samples"),
        ({"input": np.zeros(4), "labels": np.zeros(4, int)}, r"expected numbers \[samples, channels\]"),
        ({"input": np.full((4, 3), np.nan), "labels": np.zeros(4, int)}, "finite"),
        ({"input": np.zeros((4, 3)), "labels": np.array([0, 1, -1, 0])}, "number the classes from 0"),
        ({"input": np.zeros((4, 3)), "labels": np.array([0, 1, 9**9, 0])}, "number from 0"),
    ],
)
def test_arrays_that_are_no_samples_are_named(
    arrays: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    write_arrays(tmp_path / "a.npz", arrays)
    with pytest.raises(CorruptArtifactError, match=said):
        opened("npz", tmp_path / "a.npz")


def test_tables_that_cannot_be_learnt_are_named(tmp_path: Path) -> None:
    path = WRITERS["csv"](tmp_path)
    with pytest.raises(SeriesError, match="no column 'kind'"):
        opened("csv", path, label="kind")
    with pytest.raises(SeriesError, match="2 columns of numbers, no multiple of `frames` = 3"):
        opened("csv", path, frames=3)
    path.write_text("a,b\n1,x\n2,\n")
    with pytest.raises(SeriesError, match="row 3, column 'b': expected the name of a class, got ''"):
        opened("csv", path, label="b")


def test_a_part_without_samples_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    with pytest.raises(UsageError, match="test part of 'npz' is left without samples"):
        opened("npz", path, test_fraction=0.001)
    with pytest.raises(UsageError, match="`validation_fraction` = 0.001"):
        opened("npz", path, validation_fraction=0.001)


def test_published_pictures_need_their_official_test(tmp_path: Path) -> None:
    path = WRITERS["fashion_mnist"](tmp_path)
    assert len(opened("mnist", path).test) == 30
    (path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(30, 10, np.uint8)))
    with pytest.raises(CorruptArtifactError, match="other sizes or classes"):
        opened("mnist", path)
    (path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(MissingFileError, match="t10k-labels"):
        opened("mnist", path)


def test_recordings_may_lie_in_their_own_folder_and_lack_a_test_if_that_is_fine(tmp_path: Path) -> None:
    path = WRITERS["nmnist"](tmp_path) / "NMNIST"
    assert len(opened("nmnist", path).test) == 30
    shutil.rmtree(path / "Test")
    with pytest.warns(UserWarning, match="'nmnist' has no sample of class '6', '7', '8', '9' to test on"):
        assert len(opened("nmnist", path).test) == 6
    with pytest.raises(CorruptArtifactError, match="30 recordings.*published set has 60000"):
        opened("nmnist", path, partial=False)


@pytest.mark.parametrize("kind", ["?", "i1", "u1", "i8", "f2", "f4", "f8"])
def test_numbers_of_every_type_are_scaled_by_the_extremes_of_training(kind: str, tmp_path: Path) -> None:
    low, high = (0, 1) if kind == "?" else (10, 250) if kind == "u1" else (-120, 120)
    train = np.array([low, high] * 10).astype(kind)[:, None]
    beyond = train if kind == "?" else np.array([low - 5, high + 5] * 10).astype(kind)[:, None]
    for name, values in (("a", train), ("b", beyond)):
        np.savez(tmp_path / f"{name}.npz", input=values, labels=np.arange(20) % 2)
    data = opened("npz", tmp_path / "a.npz", test_path=str(tmp_path / "b.npz"), scale=True)
    assert np.array_equal(data.train.samples[:, 0], data.train.labels)
    assert np.array_equal(data.test.samples[:, 0], data.test.labels)


def test_values_too_far_apart_to_be_scaled_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", input=np.array([-1e308, 1e308] * 10)[:, None], labels=np.arange(20) % 2)
    with pytest.raises(UsageError, match="too far apart"), np.errstate(over="ignore"):
        opened("npz", tmp_path / "a.npz", scale=True)


def test_an_official_test_is_taken_however_its_files_are_named(tmp_path: Path) -> None:
    for part, count in (("train", 20), ("t10k", 10)):
        pictures = np.arange(count * 4, dtype=np.uint8).reshape(count, 2, 2)
        (tmp_path / f"{part}-images.idx3-ubyte").write_bytes(idx(pictures))
        (tmp_path / f"{part}-labels.idx1-ubyte").write_bytes(idx((np.arange(count) % 2).astype(np.uint8)))
    data = opened("idx", tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 10)
