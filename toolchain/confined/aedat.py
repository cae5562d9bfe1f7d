"""Reads event recordings in AEDAT 2 and AEDAT 3.1 inside of the process of `process.py`.

Both begin with lines of comments, the first of which says the version. In AEDAT 2 an event is an address and
a time of four bytes each, the highest first. In AEDAT 3.1 they come lowest first and in packets, whose header
of 28 bytes says what sort of events follow, how long each is and how many there are. What an address means
depends on the sensor.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.confined.process import RefusedError
from toolchain.confined.recordings import check_size

Arrays = Mapping[str, NDArray[Any]]
_VERSION: Final = re.compile(rb"#!AER-DAT(\d+\.\d+)")
_LAST_LINES: Final = (b"#End Of ASCII", b"#!END-HEADER")
_PACKET: Final = 28
_EVENT: Final = 8
_POLARITY: Final = 1
"""Number of the sort of events that are changes of brightness."""
_NO_CHANGE: Final = 1 << 31
"""Bit of an address of a DAVIS that is set for frames and movements."""


def read_dvs_128(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a DVS 128."""
    address, time = _read(path, limit)
    return {"t": time, "x": (address >> 8) & 127, "y": (address >> 1) & 127, "p": address & 1}


def read_davis_346(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a DAVIS 346, whose addresses count from the far corner."""
    address, time = _read(path, limit)
    change = (address & _NO_CHANGE) == 0
    address, time = address[change], time[change]
    x, y = 345 - ((address >> 12) & 1023), 259 - ((address >> 22) & 511)
    return {"t": time, "x": x, "y": y, "p": (address >> 11) & 1}


def read_dvs_346mini(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a DVS 346 mini."""
    address, time = _read(path, limit)
    return {"t": time, "x": (address >> 22) & 511, "y": (address >> 12) & 1023, "p": (address >> 11) & 1}


def read_dvs_ibm(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a recording as IBM published its gestures."""
    address, time = _read(path, limit)
    return {"t": time, "x": (address >> 17) & 8191, "y": (address >> 2) & 8191, "p": (address >> 1) & 1}


def read_dvs_red(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a sensor of the red series, laid out as AEDAT 3.1 says."""
    address, time = _read(path, limit)
    return {"t": time, "x": (address >> 17) & 32767, "y": (address >> 2) & 32767, "p": (address >> 1) & 1}


def _read(path: str, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return addresses and times in microseconds."""
    check_size(2 * Path(path).stat().st_size, limit)
    content = Path(path).read_bytes()
    version, start = _VERSION.match(content), 0
    if version is None:
        raise RefusedError("does not begin with '#!AER-DAT' and a version")
    while content[start : start + 1] == b"#":
        line, start = start, content.find(b"\n", start) + 1
        if not start:
            raise RefusedError("ends in its header: it is cut off")
        if content.startswith(_LAST_LINES, line):
            # The first event may begin with the byte of a comment.
            break
    if version[1].startswith(b"2."):
        if (len(content) - start) % _EVENT:
            raise RefusedError(f"has a last event of fewer than {_EVENT} bytes: it is cut off")
        events = np.frombuffer(content, ">u4", offset=start).reshape(-1, 2).astype(np.int64)
    elif version[1].startswith(b"3."):
        events = _packets(content, start)
    else:
        raise RefusedError(f"is of version {version[1].decode()}, expected 2.0 or 3.1")
    return events[:, 0], events[:, 1]


def _packets(content: bytes, start: int) -> NDArray[np.int64]:
    parts = [np.zeros((0, 2), np.int64)]
    while start < len(content):
        head = content[start : start + _PACKET]
        if len(head) < _PACKET:
            raise RefusedError("ends in the header of a packet: it is cut off")
        sort = int.from_bytes(head[:2], "little")
        size, _, overflow, capacity, number = (int(n) for n in np.frombuffer(head, "<u4", 5, offset=4))
        start += _PACKET
        end = start + size * capacity
        if not size or end > len(content) or number > capacity:
            raise RefusedError("ends in a packet of events: it is cut off")
        if sort == _POLARITY and size == _EVENT:
            events = np.frombuffer(content, "<u4", 2 * number, offset=start).reshape(-1, 2).astype(np.int64)
            events[:, 1] += overflow << 31
            parts.append(events)
        start = end
    return np.concatenate(parts)
