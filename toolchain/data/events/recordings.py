"""Event recordings from anywhere: they are read in a process with limits and checked here."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.confined.reader import ConfinedReader, Format
from toolchain.data.events.binning import Events, Slicing, bin_events, first_outside
from toolchain.data.events.event_sources import SOURCES, EventData, EventSource
from toolchain.errors import ArgumentError, CorruptArtifactError, UsageError
from toolchain.intake import PathText, choice_of, count_of, path_of
from toolchain.memory import budget

_LATEST: Final = 2**53
"""Microseconds that no event is later than, 285 years: `float64` holds every whole number up to here."""


@final
class Recordings(Sequence[tuple[Events, int]]):
    """Event recordings with labels, read one at a time.

    The events of a recording are whole numbers `t` (microseconds, in their order), `x`, `y` where the sensor
    has rows, and `p`. Files of strangers are read in a process of its own, which ends with this object.

    Args:
        data: Name of the data set.
        folder: Folder in which the set's own (such as `NMNIST`) lies, as tonic unpacks it.
        train: Whether to take the training part, where the set has two; else the test part.
        partial: Whether fewer recordings than were published are fine.

    Raises:
        UsageError: The library that reads them is not installed.
        MissingFileError: The recordings are not there; says where they were looked for.
        CorruptArtifactError: There are fewer than were published, or a name or label is no class. When a
            recording is read: it is damaged, or holds an event outside of the sensor; names the file, and
            which recording of it.
    """

    def __init__(
        self, data: EventData, folder: PathText, *, train: bool = True, partial: bool = False
    ) -> None:
        folder, self.data = path_of(folder, "folder"), choice_of(data, "data", EventData)
        check_decoder(self.data)
        self._source, self._reader = SOURCES[self.data], ConfinedReader()
        self._items: list[tuple[Path, int | None, int]]
        if self.data is EventData.SHD:
            path = folder / self._source.folder / self._source.parts[0 if train else 1]
            labels = read_labels(self._source, path, self._reader)
            self._items = [(path, i, label) for i, label in enumerate(labels)]
        else:
            paths = self._source.find(folder, train=train, partial=partial)
            self._items = [(path, None, label) for path, label in paths]
        self.shape: tuple[int, int, int] = self._source.shape
        """`(C, H, W)` of a frame."""

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - the signature of a sequence
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        path, place, label = self._items[index]
        return read_events(self._source, path, place, self._reader), label

    def __iter__(self) -> Iterator[tuple[Events, int]]:
        return (self[i] for i in range(len(self)))

    def frames(
        self, count: int, *, slicing: Slicing = Slicing.TIME, binary: bool = True
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return all recordings as frames `[samples, time, C, H, W]`, and their labels.

        Args:
            count: Number of frames per recording.
            slicing: Where a frame ends: after equal times or after equal numbers of events.
            binary: Whether frames hold spikes (bool) instead of counts (uint16).

        Raises:
            ArgumentError: They do not fit into the memory of this machine.
        """
        count = count_of(count, "count", least=1)
        kind = np.dtype(bool if binary else np.uint16)
        shape = (len(self), count, *self.shape)
        excess = budget().excess(prod(shape) * kind.itemsize)
        if excess:
            raise ArgumentError(
                "count",
                "frames that fit into the memory",
                f"{count} of {len(self)} recordings",
                f"the whole {excess}; or bin_events of one recording after the other",
            )
        frames, labels = np.empty(shape, kind), np.empty(len(self), np.int64)
        for i, (events, label) in enumerate(self):
            frames[i] = bin_events(events, self.shape, count, slicing=slicing, binary=binary)
            labels[i] = label
        return frames, labels


def check_decoder(data: EventData) -> None:
    """Raise if the library is not installed that reads a set of recordings.

    Raises:
        UsageError: Says which, and how to install it.
    """
    if data is EventData.CIFAR10_DVS and importlib.util.find_spec("aedat") is None:
        raise UsageError(
            "recordings of CIFAR10-DVS are read by aedat, run: python -m pip install 'pumice[events]'"
        )


def read_events(source: EventSource, path: Path, index: int | None, reader: ConfinedReader) -> Events:
    """Return the events of a recording in the order of time.

    Args:
        source: Data set that the recording is of.
        path: Path of the recording's file.
        index: Number of the recording in its file, if that holds several.
        reader: Process that reads the file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is damaged, or holds what no such sensor sends.
    """
    return events_of(reader.read(source.form, path, index), source, path, index)


def events_of(
    arrays: Mapping[str, NDArray[Any]], source: EventSource, path: Path, index: int | None = None
) -> Events:
    """Return the events that stand in arrays `t`, `x`, `y` and `p`, in the order of time.

    Raises:
        CorruptArtifactError: They are no events of such a sensor; names the file.
    """
    try:
        return _judged(arrays, source)
    except ValueError as error:
        which = "" if index is None else f"recording {index}: "
        raise CorruptArtifactError(path, f"{which}{error}") from None


def read_labels(source: EventSource, path: Path, reader: ConfinedReader) -> list[int]:
    """Return the labels in a file of SHD.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is damaged, or holds a label that is no class.
    """
    labels, most = reader.read(Format.SHD_LABELS, path)["labels"], len(source.classes) - 1
    wrong = first_outside(labels, most)
    if wrong is not None:
        raise CorruptArtifactError(
            path, f"recording {wrong}: has label {labels[wrong]}, expected 0 .. {most}"
        )
    if not len(labels):
        raise CorruptArtifactError(path, "holds no recordings")
    return labels.astype(np.int64).tolist()


def _judged(arrays: Mapping[str, NDArray[Any]], source: EventSource) -> Events:
    """Return the events of a recording in the order of time.

    Raises:
        ValueError: They are no events of such a sensor.
    """
    sizes = {name: array.shape for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or len(sizes["t"]) != 1:
        raise ValueError(f"holds unequal numbers of times and places: {sizes}")
    if not arrays["t"].size:
        raise ValueError("holds no event")
    channels, height, width = source.shape
    most = {"x": width - 1, "y": height - 1, "p": channels - 1, "t": _LATEST // source.unit}
    for name, array in arrays.items():
        wrong = first_outside(array, most[name], whole=name != "t")
        if wrong is not None:
            raise ValueError(f"event {wrong} has {name} = {array[wrong]}, expected 0 .. {most[name]}")
    names = ("t", "x", "y", "p") if height > 1 else ("t", "x", "p")
    time = arrays["t"].astype(np.float64 if arrays["t"].dtype.kind == "f" else np.int64) * source.unit
    events = np.empty(len(time), [(name, np.int64) for name in names])
    # The sensor of SHD has one polarity, and its file none; tonic calls it 1.
    for name, array in {"p": np.ones(1), **arrays, "t": time}.items():
        events[name] = array
    ordered = (events["t"][1:] >= events["t"][:-1]).all()
    return events if ordered else events[np.argsort(events["t"], kind="stable")]
