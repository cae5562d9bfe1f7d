"""Event recordings in their true formats, and their frames."""

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data import EventData, Recordings, Slicing, bin_events
from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError

_TYPE = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def _events(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), _TYPE)


def test_frames_of_equal_duration_cut_the_time() -> None:
    events = _events((0, 0, 100, 0), (1, 0, 149, 1), (2, 1, 151, 0), (0, 1, 200, 1))
    frames = bin_events(events, (2, 2, 3), 2)
    assert np.argwhere(frames).tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 1, 2], [1, 1, 1, 0]]


def test_frames_of_equal_count_share_the_events_whatever_their_order() -> None:
    events = _events((4, 0, 50, 0), (0, 0, 0, 0), (1, 0, 1, 0), (2, 0, 2, 0), (3, 0, 3, 0))
    frames = bin_events(events, (2, 1, 5), 2, slicing=Slicing.COUNT, binary=False)
    assert frames[:, 0, 0].tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]


@given(
    seed=st.integers(0, 1000),
    number=st.integers(0, 60),
    count=st.integers(1, 9),
    slicing=st.sampled_from(Slicing),
)
def test_no_event_is_lost(seed: int, number: int, count: int, slicing: Slicing) -> None:
    rng = np.random.default_rng(seed)
    events = np.zeros(number, _TYPE)
    for name, limit in (("x", 4), ("y", 3), ("t", 1000), ("p", 2)):
        events[name] = rng.integers(0, limit, number)
    counts = bin_events(events, (2, 3, 4), count, slicing=slicing, binary=False)
    assert counts.shape == (count, 2, 3, 4)
    assert counts.sum() == number
    binary = bin_events(events, (2, 3, 4), count, slicing=slicing)
    assert binary.dtype == bool
    np.testing.assert_array_equal(binary, counts > 0)


def test_impossible_frames_are_named() -> None:
    with pytest.raises(UsageError, match="count: expected a whole number, 1 or more, got 0"):
        bin_events(_events((0, 0, 0, 0)), (2, 1, 1), 0)
    with pytest.raises(UsageError, match="x = 7, but the sensor has 5"):
        bin_events(_events((7, 0, 0, 0)), (2, 1, 5), 1)


def _write_n_mnist(folder: Path) -> None:
    """One recording per part: five bytes an event: x, y, then polarity and 23 bits of time."""
    for part, label in (("Train", 3), ("Test", 8)):
        place = folder / "NMNIST" / part / str(label)
        place.mkdir(parents=True)
        events = b""
        for x, y, p, t in ((5, 9, 1, 100), (33, 0, 0, 2**17 + 5)):
            events += bytes([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255])
        (place / "00001.bin").write_bytes(events)


def test_n_mnist_is_read_through_tonic(tmp_path: Path) -> None:
    _write_n_mnist(tmp_path)
    recordings = Recordings(EventData.N_MNIST, tmp_path, train=False, partial=True)
    ((events, label),) = list(recordings)
    assert label == 8
    assert recordings.shape == (2, 34, 34)
    assert events["x"].tolist() == [5, 33]
    assert events["y"].tolist() == [9, 0]
    assert events["t"].tolist() == [100, 2**17 + 5]
    frames, labels = recordings.frames(2)
    assert frames.shape == (1, 2, 2, 34, 34)
    assert frames.sum() == 2
    assert labels.tolist() == [8]


def test_dvs_gesture_is_read_through_tonic(tmp_path: Path) -> None:
    place = tmp_path / "DVSGesture" / "ibmGestureTrain" / "user01_lab"
    place.mkdir(parents=True)
    np.save(place / "4.npy", np.array([[1, 2, 1, 10], [3, 4, 0, 20]], dtype=np.float64))
    recordings = Recordings(EventData.DVS_GESTURE, tmp_path, partial=True)
    events, label = recordings[0]
    assert label == 4
    assert events["t"].tolist() == [10_000, 20_000]
    assert recordings.frames(1)[0].sum() == 2


def test_shd_is_read_through_tonic(tmp_path: Path) -> None:
    place = tmp_path / "SHD"
    place.mkdir()
    with h5py.File(place / "shd_train.h5", "w") as file:
        kinds = {"times": np.float16, "units": np.uint16}
        for name, values in (("times", [0.0, 0.5]), ("units", [3, 699])):
            data = file.create_dataset(f"spikes/{name}", (1,), dtype=h5py.vlen_dtype(kinds[name]))
            data[0] = np.array(values, kinds[name])
        file["labels"] = np.array([17], np.uint16)
        file["extra/keys"] = np.array([b"zero"])
        file["extra/speaker"] = np.array([1])
    recordings = Recordings(EventData.SHD, tmp_path)
    frames, labels = recordings.frames(4)
    assert frames.shape == (1, 4, 1, 1, 700)
    assert np.argwhere(frames[0, :, 0, 0]).tolist() == [[0, 3], [3, 699]]
    assert labels.tolist() == [17]


def test_recordings_that_are_not_there_are_never_fetched(tmp_path: Path) -> None:
    for data in EventData:
        with pytest.raises(MissingFileError, match="does not exist"):
            Recordings(data, tmp_path)


def test_a_part_of_a_set_is_refused_unless_wanted(tmp_path: Path) -> None:
    _write_n_mnist(tmp_path)
    with pytest.raises(CorruptArtifactError, match="holds 1 recordings .* has 60000"):
        Recordings(EventData.N_MNIST, tmp_path)


def test_a_recording_that_is_cut_off_is_named(tmp_path: Path) -> None:
    _write_n_mnist(tmp_path)
    path = tmp_path / "NMNIST" / "Train" / "3" / "00001.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(CorruptArtifactError, match=r"00001\.bin' has 8 bytes"):
        Recordings(EventData.N_MNIST, tmp_path, partial=True)
    gesture = tmp_path / "DVSGesture" / "ibmGestureTrain" / "user01_lab" / "4.npy"
    gesture.parent.mkdir(parents=True)
    gesture.write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(CorruptArtifactError, match=r"4\.npy' cannot be read as events"):
        Recordings(EventData.DVS_GESTURE, tmp_path, partial=True)[0]


def test_without_tonic_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'pumice\[events\]'"):
        Recordings(EventData.SHD, tmp_path)
