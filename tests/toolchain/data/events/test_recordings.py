"""Event recordings in their true formats: as tonic reads them, from threads and processes."""

import copy
import importlib
import importlib.util
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import pytest

from tests.event_files import (
    EVENTS,
    write_cifar10_dvs,
    write_dvs_gesture,
    write_n_mnist,
    write_shd,
)
from toolchain.data import EventData, Recordings
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError, UsageError

WRITERS: dict[EventData, Callable[[Path], Path]] = {
    EventData.N_MNIST: write_n_mnist,
    EventData.CIFAR10_DVS: write_cifar10_dvs,
    EventData.DVS_GESTURE: write_dvs_gesture,
    EventData.SHD: write_shd,
}
TONIC = {
    EventData.N_MNIST: "NMNIST",
    EventData.CIFAR10_DVS: "CIFAR10DVS",
    EventData.DVS_GESTURE: "DVSGesture",
    EventData.SHD: "SHD",
}


def _read(data: EventData, folder: Path) -> list[tuple[np.ndarray, int]]:
    return list(Recordings(data, folder, partial=True))


@pytest.mark.parametrize("data", EventData)
def test_recordings_are_what_tonic_reads(data: EventData, tmp_path: Path) -> None:
    WRITERS[data](tmp_path)
    theirs = getattr(importlib.import_module("tonic.datasets"), TONIC[data])
    # tonic fetches what it believes to be missing.
    known = type(theirs.__name__, (theirs,), {"_check_exists": lambda _: True})(str(tmp_path))
    ours = Recordings(data, tmp_path, partial=True)
    assert ours.shape == tuple(reversed(theirs.sensor_size))
    assert len(ours) == len(known) > 0
    for (events, label), (expected, target) in zip(ours, known, strict=True):
        assert label == int(target)
        assert set(events.dtype.names or ()) == set(expected.dtype.names)
        for name in expected.dtype.names:
            assert events[name].dtype == np.int64
            assert events[name].tolist() == expected[name].astype(np.int64).tolist()
    if data is not EventData.SHD:
        assert ours[0][0].tolist() == list(EVENTS)


def test_times_of_fractions_and_clocks_that_began_anew_are_tonics(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.random(400)).astype(np.float16)
    write_shd(tmp_path, [times.tolist()], [rng.integers(0, 700, 400).tolist()], [3])
    raw = rng.integers(0, 34, (500, 5), np.uint8)
    raw[::50, 1] = 240
    path = write_n_mnist(tmp_path)
    path.write_bytes(raw.tobytes())
    for data, name in ((EventData.SHD, "SHD"), (EventData.N_MNIST, "NMNIST")):
        theirs = getattr(importlib.import_module("tonic.datasets"), name)
        known = type(name, (theirs,), {"_check_exists": lambda _: True})(str(tmp_path))
        expected = np.sort(known[0][0], order="t", kind="stable")
        events = Recordings(data, tmp_path, partial=True)[0][0]
        assert events["t"].tolist() == expected["t"].tolist()
        assert sorted(events["x"].tolist()) == sorted(expected["x"].tolist())


def test_frames_hold_every_recording(tmp_path: Path) -> None:
    write_shd(tmp_path)
    frames, labels = Recordings(EventData.SHD, tmp_path).frames(4)
    assert frames.shape == (2, 4, 1, 1, 700)
    assert np.argwhere(frames[0, :, 0, 0]).tolist() == [[0, 3], [3, 699]]
    assert labels.tolist() == [17, 0]
    assert Recordings(EventData.SHD, tmp_path).frames(1, binary=False)[0].sum() == 5
    with pytest.raises(ArgumentError, match="got 1000000000000 of 2 recordings.*the whole needs"):
        Recordings(EventData.SHD, tmp_path).frames(10**12)


def test_events_come_in_the_order_of_time(tmp_path: Path) -> None:
    write_dvs_gesture(tmp_path, ((2000, 1, 0, 0), (1000, 2, 0, 0), (2000, 0, 0, 0)))
    ((events, _),) = _read(EventData.DVS_GESTURE, tmp_path)
    assert events[["t", "x"]].tolist() == [(1000, 2), (2000, 1), (2000, 0)]


def test_milliseconds_of_small_integers_do_not_wrap(tmp_path: Path) -> None:
    write_dvs_gesture(tmp_path, ((30_000_000, 1, 0, 0),), kind="i2")
    assert _read(EventData.DVS_GESTURE, tmp_path)[0][0]["t"].tolist() == [30_000_000]


def test_recordings_are_a_sequence_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("Train/3/00002.bin", "Train/3/00001.bin", "Train/0/00009.bin", "Test/8/00003.bin"):
        write_n_mnist(tmp_path, name=name)
    recordings = Recordings(EventData.N_MNIST, tmp_path, partial=True)
    assert [label for _, label in recordings] == [0, 3, 3]
    assert [label for _, label in recordings[1:]] == [3, 3]
    assert recordings[-3][1] == 0
    with pytest.raises(IndexError):
        recordings[3]
    assert _read_label(Recordings(EventData.N_MNIST, tmp_path, train=False, partial=True)) == 8


def _read_label(recordings: Recordings) -> int:
    return recordings[0][1]


def test_any_folder_name_will_do(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/tab\tline\n\xff"))
    for data, write in WRITERS.items():
        write(odd)
        assert len(_read(data, odd)[0][0])


def test_one_process_reads_all_recordings_and_ends_with_them(tmp_path: Path) -> None:
    write_shd(tmp_path)
    recordings = Recordings(EventData.SHD, tmp_path)
    list(recordings)
    process = recordings._reader._process
    assert process is not None
    list(recordings)
    assert recordings._reader._process is process
    del recordings
    assert process.poll() is not None


def _sum_in(recordings: Recordings, queue: "SimpleQueue[int]") -> None:
    queue.put(sum(int(events["x"].sum()) for _ in range(20) for events, _ in recordings))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_threads_and_forked_processes_may_share_recordings(tmp_path: Path) -> None:
    write_shd(tmp_path)
    recordings = Recordings(EventData.SHD, tmp_path)
    once = sum(int(events["x"].sum()) for events, _ in recordings)
    context = multiprocessing.get_context("fork")
    queue: SimpleQueue[int] = context.SimpleQueue()
    child = context.Process(target=_sum_in, args=(recordings, queue))
    child.start()
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda i: int(recordings[i % 2][0]["x"].sum()), range(40)))
    assert sum(read) == 20 * once
    assert queue.get() == 20 * once
    child.join()
    assert child.exitcode == 0


def test_recordings_can_be_sent_to_another_process(tmp_path: Path) -> None:
    write_shd(tmp_path)
    recordings = Recordings(EventData.SHD, tmp_path)
    list(recordings)
    # Copied as for a process that is not forked: in parts, without what cannot be sent.
    copied = copy.deepcopy(recordings)
    assert copied._reader is not recordings._reader
    assert copied._reader._process is None
    assert copied[0][1] == 17


def test_recordings_that_are_not_there_are_named(tmp_path: Path) -> None:
    for data in EventData:
        with pytest.raises(MissingFileError, match="does not exist"):
            Recordings(data, tmp_path)


def test_a_part_of_a_set_is_refused_unless_wanted(tmp_path: Path) -> None:
    write_n_mnist(tmp_path)
    with pytest.raises(CorruptArtifactError, match="holds 1 recordings .* has 60000"):
        Recordings(EventData.N_MNIST, tmp_path)


def test_without_its_library_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'pumice\[events\]'"):
        Recordings(EventData.CIFAR10_DVS, tmp_path)
