"""Event recordings of strangers: whatever their bytes say, the damaged one is named."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.event_files import (
    EVENTS,
    aedat4,
    write_cifar10_dvs,
    write_dvs_gesture,
    write_n_mnist,
    write_shd,
)
from toolchain.confined import reader
from toolchain.confined.reader import ConfinedReader
from toolchain.data import EventData, Recordings
from toolchain.data.events.event_sources import SOURCES
from toolchain.errors import CorruptArtifactError

WRITERS: dict[EventData, Callable[[Path], Path]] = {
    EventData.N_MNIST: write_n_mnist,
    EventData.CIFAR10_DVS: write_cifar10_dvs,
    EventData.DVS_GESTURE: write_dvs_gesture,
    EventData.SHD: write_shd,
}
HEADS = (b"", b"junk", b"\x93NUMPY\x01", b"\x89HDF\r\n\x1a\n", b"#!AER-DAT4.0\r\n")


@pytest.fixture(scope="module")
def started() -> Iterator[ConfinedReader]:
    with ConfinedReader() as process:
        yield process


@pytest.fixture(autouse=True)
def _one_process(started: ConfinedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """To start a process takes longer than most of these tests."""
    monkeypatch.setattr("toolchain.data.events.recordings.ConfinedReader", lambda: started)


def _read(data: EventData, folder: Path) -> list[tuple[np.ndarray, int]]:
    return list(Recordings(data, folder, partial=True))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (EventData.N_MNIST, "Train/10/1.bin"),
        (EventData.N_MNIST, "Train/three/1.bin"),
        (EventData.N_MNIST, "Train/1.bin"),
        (EventData.CIFAR10_DVS, "cow/1.aedat4"),
        (EventData.DVS_GESTURE, "ibmGestureTrain/user01_lab/11.npy"),
        (EventData.DVS_GESTURE, "ibmGestureTrain/user01_lab/-1.npy"),
        (EventData.DVS_GESTURE, "ibmGestureTrain/user01_lab/04.npy"),
    ],
)
def test_a_name_that_is_no_class_is_said(data: EventData, name: str, tmp_path: Path) -> None:
    good = WRITERS[data](tmp_path)
    bad = tmp_path / good.relative_to(tmp_path).parts[0] / name
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_bytes(good.read_bytes())
    with pytest.raises(CorruptArtifactError, match=f"{bad.name}.* which is no class"):
        _read(data, tmp_path)


@pytest.mark.parametrize("label", [20, 65535])
def test_a_label_that_is_no_class_is_said(label: int, tmp_path: Path) -> None:
    write_shd(tmp_path, labels=(1, label))
    with pytest.raises(CorruptArtifactError, match=f"recording 1: has label {label}, expected 0 .. 19"):
        _read(EventData.SHD, tmp_path)


@pytest.mark.parametrize(
    ("data", "event", "said"),
    [
        (EventData.N_MNIST, (0, 34, 0, 0), "event 1 has x = 34, expected 0 .. 33"),
        (EventData.N_MNIST, (0, 0, 35, 0), "event 1 has y = 35, expected 0 .. 33"),
        (EventData.CIFAR10_DVS, (0, 128, 0, 0), "event 1 has x = 128, expected 0 .. 127"),
        (EventData.CIFAR10_DVS, (0, 0, -1, 0), "event 1 has y = 65535, expected 0 .. 127"),
        (EventData.CIFAR10_DVS, (-1, 0, 0, 0), "event 1 has t = 18446744073709551615, expected 0 .. "),
        (EventData.CIFAR10_DVS, (2**62, 0, 0, 0), "event 1 has t = 4611686018427387904, expected 0 .. "),
        (EventData.DVS_GESTURE, (0, -1, 0, 0), "event 1 has x = -1.0, expected 0 .. 127"),
        (EventData.DVS_GESTURE, (0, 0, 0, 2), "event 1 has p = 2.0, expected 0 .. 1"),
        (EventData.DVS_GESTURE, (-5000, 0, 0, 0), "event 1 has t = -5.0, expected 0 .. "),
    ],
)
def test_an_event_that_no_sensor_sends_is_named(
    data: EventData, event: tuple[int, int, int, int], said: str, tmp_path: Path
) -> None:
    writers = {
        EventData.N_MNIST: write_n_mnist,
        EventData.CIFAR10_DVS: write_cifar10_dvs,
        EventData.DVS_GESTURE: write_dvs_gesture,
    }
    path = writers[data](tmp_path, (EVENTS[0], event))
    with pytest.raises(CorruptArtifactError, match=f"{path.name}' {said}"):
        _read(data, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
def test_times_that_are_no_times_are_named_with_their_recording(value: float, tmp_path: Path) -> None:
    write_shd(tmp_path, ((0.0,), (0.0, value)), ((1,), (1, 1)))
    with pytest.raises(CorruptArtifactError, match=r"shd_train\.h5' recording 1: event 1 has t = "):
        _read(EventData.SHD, tmp_path)
    rows = np.zeros((3, 4))
    rows[2, 3] = value
    np.save(write_dvs_gesture(tmp_path), rows)
    with pytest.raises(CorruptArtifactError, match=r"4\.npy' event 2 has t = "):
        _read(EventData.DVS_GESTURE, tmp_path)


@pytest.mark.parametrize(
    ("times", "units", "labels", "said"),
    [
        (((0,), (0,)), ((3,), (700,)), (0, 0), "recording 1: event 0 has x = 700, expected 0 .. 699"),
        (((0,), (0, 0)), ((3,), (0,)), (0, 0), "recording 1: holds unequal numbers of times and places"),
        (((0,), ()), ((3,), ()), (0, 0), "recording 1: holds no event"),
        (((0,), (0,)), ((3,), (0,)), (0,), r"holds \[2\] 'spikes/times', but \[1\] labels"),
        ((), (), (), "holds no recordings"),
    ],
)
def test_lists_that_do_not_fit_one_another_are_named(
    times: list[list[float]], units: list[list[int]], labels: list[int], said: str, tmp_path: Path
) -> None:
    write_shd(tmp_path, times, units, labels)
    with pytest.raises(CorruptArtifactError, match=said):
        _read(EventData.SHD, tmp_path)


@pytest.mark.parametrize("name", ["labels", "spikes", "spikes/times", "spikes/units"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "holds no '"),
        (np.zeros(2), "expected lists of numbers|expected whole numbers|holds no 'spikes"),
        (np.zeros((2, 2), int), "is not a list|holds no 'spikes"),
        (h5py.SoftLink("/extra/speaker"), "is a link to somewhere else"),
        (h5py.ExternalLink("other.h5", "/secret"), "is a link to somewhere else"),
        (h5py.ExternalLink("pipe", "/secret"), "is a link to somewhere else"),
    ],
)
def test_files_of_shd_that_hold_something_else_are_refused(
    name: str, value: object, said: str, tmp_path: Path
) -> None:
    path = write_shd(tmp_path)
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["secret"] = np.arange(2)
    # Whoever opens it waits for ever.
    os.mkfifo(path.parent / "pipe")
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(CorruptArtifactError, match=said):
        _read(EventData.SHD, tmp_path)


def test_values_of_other_files_are_not_read(tmp_path: Path) -> None:
    path = write_shd(tmp_path)
    (path.parent / "secret").write_bytes(bytes(4))
    with h5py.File(path, "a") as file:
        del file["labels"]
        file.create_dataset("labels", (2,), "u2", external=[(str(path.parent / "secret"), 0, 4)])
    with pytest.raises(CorruptArtifactError, match="keeps its values in another file"):
        _read(EventData.SHD, tmp_path)


@pytest.mark.parametrize("data", EventData)
@pytest.mark.parametrize("content", HEADS, ids=repr)
def test_files_of_other_bytes_are_named(data: EventData, content: bytes, tmp_path: Path) -> None:
    path = WRITERS[data](tmp_path)
    path.write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=path.name):
        _read(data, tmp_path)


@pytest.mark.parametrize("data", EventData)
def test_a_recording_that_is_cut_off_anywhere_is_read_or_named(data: EventData, tmp_path: Path) -> None:
    path = WRITERS[data](tmp_path)
    content = path.read_bytes()
    recordings = Recordings(data, tmp_path, partial=True)
    for size in np.linspace(0, len(content) - 1, 25).astype(int).tolist():
        path.write_bytes(content[:size])
        try:
            read = len(recordings[0][0])
        except CorruptArtifactError as error:
            read = path.name in str(error)
        assert read


def test_objects_and_tables_of_other_shapes_are_refused(tmp_path: Path) -> None:
    path = write_dvs_gesture(tmp_path)
    np.save(path, np.array([[{}] * 4]), allow_pickle=True)
    with pytest.raises(CorruptArtifactError, match="objects"):
        _read(EventData.DVS_GESTURE, tmp_path)
    for rows in (np.zeros((3, 5)), np.zeros(4), np.zeros((3, 4), "U1")):
        np.save(path, rows)
        with pytest.raises(CorruptArtifactError, match="expected numbers in four columns"):
            _read(EventData.DVS_GESTURE, tmp_path)


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = write_dvs_gesture(tmp_path)
    claimed = np.lib.format.header_data_from_array_1_0(np.zeros((1, 4))) | {"shape": (10**12, 4)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, claimed)
    with pytest.raises(CorruptArtifactError, match="is damaged or of another format"):
        _read(EventData.DVS_GESTURE, tmp_path)


@pytest.mark.parametrize("data", [EventData.N_MNIST, EventData.CIFAR10_DVS])
def test_no_recording_is_larger_than_may_be_read(
    data: EventData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[data](tmp_path)
    monkeypatch.setitem(reader._MOST, SOURCES[data].form, 20)
    with pytest.raises(CorruptArtifactError, match="more than 20 are not read"):
        _read(data, tmp_path)


def test_streams_of_other_sensors_are_no_events(tmp_path: Path) -> None:
    path = write_cifar10_dvs(tmp_path)
    path.write_bytes(aedat4([], stream="IMUS"))
    with pytest.raises(CorruptArtifactError, match="holds no events"):
        _read(EventData.CIFAR10_DVS, tmp_path)


def test_a_decoder_that_panics_or_dies_names_its_file_and_the_next_is_read(tmp_path: Path) -> None:
    path = write_cifar10_dvs(tmp_path)
    content = path.read_bytes()
    recordings = Recordings(EventData.CIFAR10_DVS, tmp_path, partial=True)
    # The offset of the first table, then one that points far out of the file.
    for offset in (2**16, 2**30, 2**32 - 1):
        path.write_bytes(content[:18] + offset.to_bytes(4, "little") + content[22:])
        with pytest.raises(CorruptArtifactError, match="damaged"):
            recordings[0]
    path.write_bytes(content)
    assert recordings[0][0].tolist() == list(EVENTS)
