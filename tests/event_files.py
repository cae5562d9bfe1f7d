"""Small event recordings in their true formats."""

import struct
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

Event = tuple[int, int, int, int]
"""Time in microseconds, column, row, polarity."""
EVENTS: tuple[Event, ...] = ((1000, 5, 9, 1), (3000, 33, 0, 0), (3000, 2, 3, 1), (2**17 * 1000, 0, 33, 0))
"""Times are whole milliseconds, so that every format holds them."""


def n_mnist(events: Sequence[Event]) -> bytes:
    """Five bytes an event: column, row, polarity and 23 bits of time; a mark where the clock goes on."""
    packed, marks = b"", 0
    for t, x, y, p in events:
        while t - marks * 2**13 >= 2**23:
            packed, marks = packed + bytes([0, 240, 0, 0, 0]), marks + 1
        left = t - marks * 2**13
        packed += bytes([x, y, (p << 7) | (left >> 16), (left >> 8) & 255, left & 255])
    return packed


def aedat4(packets: Sequence[Sequence[Event]], *, stream: str = "EVTS", sizes: str = "128") -> bytes:
    """AEDAT 4 without compression: a header and packets, all of them FlatBuffers, laid out by hand."""
    attributes = "".join(f'<attr key="size{axis}" type="int">{sizes}</attr>' for axis in "XY")
    text = (
        f'<dv version="2.0"><node name="outInfo"><node name="0">'
        f'<attr key="typeIdentifier" type="string">{stream}</attr>'
        f'<node name="info">{attributes}</node></node></node></dv>'
    ).encode()
    # Table at 20: compression at 24 (none), description at 28, where the packets end at 32 (unknown).
    header = struct.pack("<I4s5H2x", 20, b"IOHE", 10, 20, 4, 12, 8)
    header += struct.pack("<iiIq", 12, 0, 12, -1) + struct.pack("<I", len(text)) + text + b"\0"
    content = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header
    for events in packets:
        body = struct.pack("<I4s3H2x", 16, b"EVTS", 6, 8, 4) + struct.pack("<iII", 8, 4, len(events))
        body += b"".join(struct.pack("<qhh?3x", t, x, y, bool(p)) for t, x, y, p in events)
        packet = struct.pack("<I", len(body)) + body
        content += struct.pack("<II", 0, len(packet)) + packet
    return content


def write_n_mnist(folder: Path, events: Sequence[Event] = EVENTS, name: str = "Train/3/00001.bin") -> Path:
    return _write(folder / "NMNIST" / name, n_mnist(events))


def write_cifar10_dvs(folder: Path, events: Sequence[Event] = EVENTS, name: str = "bird/b_0.aedat4") -> Path:
    return _write(folder / "CIFAR10DVS" / name, aedat4([events[:2], events[2:]]))


def write_dvs_gesture(
    folder: Path,
    events: Sequence[Event] = EVENTS,
    name: str = "ibmGestureTrain/user01_lab/4.npy",
    kind: str = "f8",
) -> Path:
    path = folder / "DVSGesture" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array([[x, y, p, t // 1000] for t, x, y, p in events], kind).reshape(-1, 4))
    return path


def write_shd(
    folder: Path,
    times: Sequence[Sequence[float]] = ((0.0, 0.5), (0.25, 0.25, 1.0)),
    units: Sequence[Sequence[int]] = ((3, 699), (0, 1, 2)),
    labels: Sequence[int] = (17, 0),
    name: str = "shd_train.h5",
) -> Path:
    path = folder / "SHD" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for what, kind, lists in (("times", np.float16, times), ("units", np.uint16, units)):
            data = file.create_dataset(f"spikes/{what}", (len(lists),), dtype=h5py.vlen_dtype(kind))
            for i, values in enumerate(lists):
                data[i] = np.array(values, kind)
        file["labels"] = np.array(labels, np.uint16)
        file["extra/keys"] = np.array([b"zero"])
        file["extra/speaker"] = np.zeros(len(labels), int)
    return path


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
