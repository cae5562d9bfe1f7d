"""Recordings in AEDAT 2 and 3.1 come out as they went in, and as tonic reads them where it can."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tonic import io

from toolchain.confined.aedat import (
    read_davis_346,
    read_dvs_128,
    read_dvs_346mini,
    read_dvs_ibm,
    read_dvs_red,
)
from toolchain.confined.process import RefusedError
from toolchain.confined.reader import ConfinedReader, Format
from toolchain.errors import CorruptArtifactError

_LIMIT = 2**20
_HEADER_2 = b"#!AER-DAT2.0\r\n# a comment\r\n#End Of ASCII\r\n"
_HEADER_3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
Event = tuple[int, int, int, int]


def aedat2(addresses: list[int], times: list[int]) -> bytes:
    """Return a recording: an address and a time of four bytes each."""
    pairs = zip(addresses, times, strict=True)
    return _HEADER_2 + b"".join(struct.pack(">II", *pair) for pair in pairs)


def aedat3(packets: list[list[Event]], sort: int = 1, overflow: int = 0) -> bytes:
    """Return a recording whose packets of polarity events have events `(t, x, y, p)`."""
    content = _HEADER_3
    for events in packets:
        count = len(events)
        content += struct.pack("<hhIIIIII", sort, 1, 8, 4, overflow, count, count, count)
        content += b"".join(
            struct.pack("<II", (x << 17) | (y << 2) | (p << 1) | 1, t) for t, x, y, p in events
        )
    return content


def _events(most_x: int, most_y: int) -> st.SearchStrategy[list[Event]]:
    places = (st.integers(0, most_x), st.integers(0, most_y), st.integers(0, 1))
    return st.lists(st.tuples(st.integers(0, 2**31 - 1), *places), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aedat") / "a.aedat"


def _rows(arrays: object) -> list[Event]:
    assert isinstance(arrays, dict)
    columns = [[int(value) for value in arrays[name]] for name in "txyp"]
    return list(zip(*columns, strict=True))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=_events(127, 127))
def test_a_dvs_128_is_read(path: Path, events: list[Event]) -> None:
    path.write_bytes(aedat2([(y_ << 1) | (x << 8) | p for _, x, y_, p in events], [t for t, *_ in events]))
    assert _rows(read_dvs_128(str(path), 0, _LIMIT)) == events


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=_events(345, 259))
def test_a_davis_346_is_read_as_tonic_does(path: Path, events: list[Event]) -> None:
    addresses = [((345 - x) << 12) | ((259 - y) << 22) | (p << 11) for _, x, y, p in events]
    path.write_bytes(aedat2(addresses, [t for t, *_ in events]))
    rows = _rows(read_davis_346(str(path), 0, _LIMIT))
    assert rows == events
    # It takes a first event with the byte of a comment for one.
    assume(addresses[0] >> 24 != ord("#"))
    theirs = io.read_davis_346(str(path))[-1]
    assert rows == [tuple(int(event[name]) for name in "txyp") for event in theirs]


def test_frames_and_movements_of_a_davis_are_no_events(path: Path) -> None:
    path.write_bytes(aedat2([1 << 31, 5 << 12], [7, 8]))
    assert read_davis_346(str(path), 0, _LIMIT)["t"].tolist() == [8]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packets=st.lists(_events(511, 1023), max_size=3))
def test_packets_are_read(path: Path, packets: list[list[Event]]) -> None:
    path.write_bytes(aedat3(packets))
    for read in (read_dvs_ibm, read_dvs_red):
        assert _rows(read(str(path), 0, _LIMIT)) == [event for events in packets for event in events]


def test_packets_of_other_sorts_are_passed_over_and_clocks_go_on(path: Path) -> None:
    path.write_bytes(
        aedat3([[(3, 1, 2, 1)]], sort=2) + aedat3([[(3, 1, 2, 1)]], overflow=2)[len(_HEADER_3) :]
    )
    assert _rows(read_dvs_ibm(str(path), 0, _LIMIT)) == [((2 << 31) + 3, 1, 2, 1)]


def test_a_dvs_346mini_is_read(path: Path) -> None:
    path.write_bytes(aedat2([(300 << 22) | (200 << 12) | (1 << 11)], [9]))
    assert _rows(read_dvs_346mini(str(path), 0, _LIMIT)) == [(9, 300, 200, 1)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with"),
        (b"#!AER-DAT2.0", "ends in its header"),
        (_HEADER_2 + b"12345", "fewer than 8 bytes"),
        (b"#!AER-DAT1.0\r\n", "of version 1.0"),
        (_HEADER_3 + b"12", "in the header of a packet"),
        (aedat3([[(1, 2, 3, 1)] * 4])[:-1], "in a packet of events"),
    ],
)
def test_what_is_damaged_is_refused(content: bytes, said: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=said):
        read_dvs_ibm(str(path), 0, _LIMIT)


def test_files_of_strangers_are_read_in_their_own_process(path: Path) -> None:
    path.write_bytes(aedat3([[(1, 2, 3, 1)]]))
    with ConfinedReader() as reader:
        assert _rows(reader.read(Format.DVS_IBM, path)) == [(1, 2, 3, 1)]
        path.write_bytes(_HEADER_3 + b"12")
        with pytest.raises(CorruptArtifactError, match=r"a\.aedat' ends in the header of a packet"):
            reader.read(Format.DVS_IBM, path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([aedat2([3, 4], [5, 6]), aedat3([[(1, 2, 3, 1)] * 3, [(5, 6, 7, 0)]])]))
    content = bytearray(whole)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        arrays = read_dvs_red(str(path), 0, _LIMIT)
    except RefusedError:
        return
    assert len({np.shape(array) for array in arrays.values()}) == 1
