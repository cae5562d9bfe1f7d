"""Event recordings: read by `tonic` from the user's files, binned into frames here."""

import importlib
import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, assert_never, final

import numpy as np
from numpy.typing import NDArray

from toolchain.disk import check_file
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError, UsageError
from toolchain.intake import PathText, choice_of, count_of, path_of

_N_MNIST_EVENT: Final = 5
"""Bytes of one event."""

Events = NDArray[Any]
"""Structured array with the fields `t`, `x`, `p`, and `y` where the sensor has rows."""


class EventData(Enum):
    """Recordings that can be read."""

    N_MNIST = "n_mnist"
    """Orchard et al. 2015: 34 x 34, two polarities, ten digits."""
    CIFAR10_DVS = "cifar10_dvs"
    """Li et al. 2017: 128 x 128, two polarities; no split of its own."""
    DVS_GESTURE = "dvs_gesture"
    """Amir et al. 2017: 128 x 128, two polarities, eleven gestures."""
    SHD = "shd"
    """Cramer et al. 2020: 700 channels of a cochlea, twenty spoken digits."""


class Slicing(Enum):
    """Where one frame ends and the next begins."""

    TIME = "time"
    """Frames of equal duration."""
    COUNT = "count"
    """Frames of equally many events."""


@final
@dataclass(frozen=True)
class _Source:
    """How a data set lies on disk, in tonic's own layout.

    Attributes:
        reader: Class of `tonic.datasets`.
        folders: Where the recordings are below its folder, for training and for test.
        pattern: Their names.
        samples: How many the published set has there.
    """

    reader: str
    folders: tuple[str, str]
    pattern: str
    samples: tuple[int, int]


_SOURCES: Final = {
    EventData.N_MNIST: _Source("NMNIST", ("Train", "Test"), "**/*.bin", (60_000, 10_000)),
    EventData.CIFAR10_DVS: _Source("CIFAR10DVS", ("", ""), "**/*.aedat4", (10_000, 10_000)),
    EventData.DVS_GESTURE: _Source(
        "DVSGesture", ("ibmGestureTrain", "ibmGestureTest"), "**/*.npy", (1077, 264)
    ),
    EventData.SHD: _Source("SHD", ("", ""), "shd_*.h5", (1, 1)),
}


@final
class Recordings(Sequence[tuple[Events, int]]):
    """Event recordings with labels, read one at a time.

    Args:
        data: Which.
        folder: Where tonic's own folder of the set (such as `NMNIST`) lies.
        train: Which part, where the set has two.
        partial: Whether fewer recordings than were published are fine.

    Raises:
        UsageError: tonic is not installed.
        MissingFileError: The recordings are not there; says where they were looked for.
        CorruptArtifactError: There are fewer than were published, or a file is cut off.
    """

    def __init__(
        self, data: EventData, folder: PathText, *, train: bool = True, partial: bool = False
    ) -> None:
        if importlib.util.find_spec("tonic") is None:
            raise UsageError(
                "event recordings are read by tonic, run: python -m pip install 'pumice[events]'"
            )
        folder, data = path_of(folder, "folder"), choice_of(data, "data", EventData)
        source = _SOURCES[data]
        self.data = data
        part = folder / source.reader / source.folders[0 if train else 1]
        _check_present(data, part, source, train=train, partial=partial)
        reader = getattr(importlib.import_module("tonic.datasets"), source.reader)
        # tonic fetches what it does not find; what is read here was just seen to be there.
        present = type(reader.__name__, (reader,), {"_check_exists": lambda _: True})
        options = {} if data is EventData.CIFAR10_DVS else {"train": train}
        self._reader: Any = present(str(folder), **options)
        self.shape: tuple[int, int, int] = tuple(reversed(reader.sensor_size))
        """`(C, H, W)` of a frame."""

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - the signature of a sequence
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        try:
            events, label = self._reader[index % len(self)]
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise CorruptArtifactError(self._path(index), f"cannot be read as events: {error}") from None
        return events, int(label)

    def _path(self, index: int) -> Path:
        """Return the file of a recording."""
        place = Path(self._reader.location_on_system)
        return Path(self._reader.data[index]) if self._reader.data else place / self._reader.data_filename

    def __iter__(self) -> Iterator[tuple[Events, int]]:
        return (self[i] for i in range(len(self)))

    def frames(
        self, count: int, *, slicing: Slicing = Slicing.TIME, binary: bool = True
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return all recordings as frames `[samples, time, C, H, W]`, and their labels.

        Args:
            count: Frames per recording.
            slicing: Where they end.
            binary: Spikes (bool), or counts (uint16).
        """
        binned = [
            (bin_events(events, self.shape, count, slicing=slicing, binary=binary), label)
            for events, label in self
        ]
        return np.stack([frames for frames, _ in binned]), np.array([label for _, label in binned])


def bin_events(
    events: Events,
    shape: tuple[int, int, int],
    count: int,
    *,
    slicing: Slicing = Slicing.TIME,
    binary: bool = True,
) -> NDArray[Any]:
    """Return the events of a recording in frames.

    Frames of equal duration divide the time from the first event to the last; frames of equal count
    hold `n // count` events, the last one the rest too.

    Args:
        events: Structured, with `t`, `x`, `p` and, for more than one row, `y`.
        shape: `(C, H, W)`: polarities, rows, columns.
        count: How many frames.
        slicing: Where they end.
        binary: Whether a pixel of a frame is whether anything happened (bool) or how often (uint16).

    Returns:
        `[count, C, H, W]`.

    Raises:
        UsageError: `count` is not positive, or an event lies outside the sensor.
    """
    count, slicing = count_of(count, "count", least=1), choice_of(slicing, "slicing", Slicing)
    fields = np.asarray(events).dtype.names or ()
    wanted = ("t", "x", "p", "y") if shape[1] > 1 else ("t", "x", "p")
    if not set(wanted) <= set(fields):
        raise ArgumentError(
            "events", f"a structured array with {', '.join(wanted)}", f"fields {list(fields)}"
        )
    channels, height, width = shape
    frames = np.zeros((count, *shape), np.uint16)
    if len(events):
        order = np.argsort(events["t"], kind="stable")
        events = events[order]
        polarity = events["p"].astype(np.int64) if channels > 1 else np.zeros(len(events), np.int64)
        row = events["y"].astype(np.int64) if height > 1 else np.zeros(len(events), np.int64)
        column = events["x"].astype(np.int64)
        for name, values, limit in (("p", polarity, channels), ("y", row, height), ("x", column, width)):
            if values.min() < 0 or values.max() >= limit:
                raise UsageError(
                    f"an event has {name} = {values.min() if values.min() < 0 else values.max()}, but the "
                    f"sensor has {limit}"
                )
        np.add.at(frames, (_frame_of(events["t"], count, slicing), polarity, row, column), 1)
    return frames > 0 if binary else frames


def _frame_of(times: NDArray[Any], count: int, slicing: Slicing) -> NDArray[np.int64]:
    match slicing:
        case Slicing.TIME:
            passed = times.astype(np.float64) - float(times[0])
            span = max(float(passed[-1]), math.ulp(0.0))
            return np.minimum((passed / span * count).astype(np.int64), count - 1)
        case Slicing.COUNT:
            share = max(len(times) // count, 1)
            return np.minimum(np.arange(len(times)) // share, count - 1)
        case _:
            assert_never(slicing)


def _check_present(data: EventData, part: Path, source: _Source, *, train: bool, partial: bool) -> None:
    if data is EventData.SHD:
        path = part / f"shd_{'train' if train else 'test'}.h5"
        check_file("SHD file", path)
        return
    found = sorted(part.glob(source.pattern)) if part.is_dir() else []
    expected = source.samples[0 if train else 1]
    if not found:
        raise MissingFileError(f"folder of {expected} {data.value} recordings ({source.pattern})", part)
    if len(found) < expected and not partial:
        raise CorruptArtifactError(
            part,
            f"holds {len(found)} recordings ({source.pattern}), the published set has {expected}; "
            "extract it again, or allow it with partial=True",
        )
    if data is EventData.N_MNIST:
        for path in found:
            if path.stat().st_size % _N_MNIST_EVENT:
                raise CorruptArtifactError(
                    path,
                    f"has {path.stat().st_size} bytes, which {_N_MNIST_EVENT} do not divide: it is cut off",
                )
