"""Reads event recordings inside of the process of `process.py`: times, places and polarities as stored.

What the values mean, and whether they may be what they are, is judged by who asked.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from toolchain.confined.hdf5 import check_hdf5, check_storage
from toolchain.confined.process import WORKING, RefusedError, allow

N_MNIST_EVENT: Final = 5
"""Bytes of one event: column, row, then polarity and 23 bits of time."""
OVERFLOW: Final = 240
"""Row of what is no event, but says that the clock of N-MNIST began anew."""
CLOCK: Final = 2**13
"""Microseconds that such a mark adds to all times behind it."""

Arrays = Mapping[str, NDArray[Any]]


def read_n_mnist(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a recording of N-MNIST (Orchard et al. 2015)."""
    size = Path(path).stat().st_size
    if size % N_MNIST_EVENT:
        raise RefusedError(f"has {size} bytes, which {N_MNIST_EVENT} do not divide: it is cut off")
    check_size(size // N_MNIST_EVENT * 4 * np.dtype(np.int64).itemsize, limit)
    x, y, first, second, third = np.fromfile(path, np.uint8).reshape(-1, N_MNIST_EVENT).T
    mark = y == OVERFLOW
    time = ((first & 127).astype(np.int64) << 16) | (second.astype(np.int64) << 8) | third
    time += CLOCK * np.cumsum(mark)
    return {"t": time[~mark], "x": x[~mark], "y": y[~mark], "p": first[~mark] >> 7}


def read_cifar10_dvs(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a recording of CIFAR10-DVS (Li et al. 2017), in the format AEDAT 4."""
    with Path(path).open("rb") as file:
        # By number: the library takes no name that is no UTF-8.
        decoder: Any = import_module("aedat").Decoder(f"/dev/fd/{file.fileno()}")
    streams = [number for number, stream in decoder.id_to_stream().items() if stream["type"] == "events"]
    parts: list[NDArray[Any]] = []
    for packet in decoder:
        if packet["stream_id"] == min(streams, default=None):
            parts.append(packet["events"])
            check_size(sum(part.nbytes for part in parts), limit)
    if not parts:
        raise RefusedError("holds no events")
    events = np.concatenate(parts)
    # The last field has had two names.
    return {name: events[field] for name, field in zip("txyp", events.dtype.names or (), strict=True)}


def read_dvs_gesture(path: str, _: int, limit: int) -> Arrays:
    """Return the events of a recording of DVS-Gesture (Amir et al. 2017), in the format of NumPy."""
    # Mapping a file allocates nothing, and refuses objects and a header that claims more than there is.
    rows = npy_format.open_memmap(path, mode="r")
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iuf":  # noqa: PLR2004 - x, y, p, t
        raise RefusedError(f"holds {rows.dtype} {list(rows.shape)}, expected numbers in four columns")
    check_size(rows.nbytes, limit)
    allow(WORKING + rows.nbytes)
    return {name: np.array(rows[:, column]) for column, name in enumerate("xypt")}


def read_shd(path: str, index: int, limit: int) -> Arrays:
    """Return the events of one recording of SHD (Cramer et al. 2020), in the format HDF5."""
    check_hdf5(path)
    with h5py.File(path, "r", locking=False) as file:
        return {
            name: np.asarray(data_set(file, f"spikes/{what}", limit, ragged=True)[index])
            for name, what in (("t", "times"), ("x", "units"))
        }


def read_shd_labels(path: str, _: int, limit: int) -> Arrays:
    """Return the labels of a file of SHD, after its recordings were seen to be as many."""
    check_hdf5(path)
    with h5py.File(path, "r", locking=False) as file:
        labels = data_set(file, "labels", limit)
        for what in ("spikes/times", "spikes/units"):
            shape = data_set(file, what, limit, ragged=True).shape
            if shape != labels.shape:
                raise RefusedError(f"holds {list(shape)} '{what}', but {list(labels.shape)} labels")
        return {"labels": labels[()]}


def data_set(file: Any, name: str, limit: int, *, ragged: bool = False) -> Any:  # noqa: ANN401 - h5py has no types
    """Return a list of numbers, or of lists of numbers, in an HDF5 file, after its claims were checked."""
    item = file
    for part in name.split("/"):
        # Other ways to ask follow a link.
        if not isinstance(item, h5py.Group) or not item.id.links.exists(part.encode()):
            raise RefusedError(f"holds no '{name}'")
        link = item.id.links.get_info(part.encode())
        if link.type != h5py.h5l.TYPE_HARD:  # pyright: ignore[reportAttributeAccessIssue] - no stubs
            raise RefusedError(f"'{name}' is a link to somewhere else")
        item = item[part]
    if not isinstance(item, h5py.Dataset) or item.shape is None or len(item.shape) != 1:
        raise RefusedError(f"'{name}' is not a list")
    kind = h5py.check_vlen_dtype(item.dtype) if ragged else item.dtype
    if kind is None or kind.kind not in ("iuf" if ragged else "iu"):
        wanted = "lists of numbers" if ragged else "whole numbers"
        raise RefusedError(f"'{name}' holds {item.dtype}, expected {wanted}")
    check_storage(item, name, limit)
    return item


def check_size(claimed: int, limit: int) -> None:
    """Raise if arrays would have more bytes than one answer may have."""
    if claimed > limit:
        raise RefusedError(f"holds {claimed} bytes; more than {limit} are not read")
