"""Files of new samples, read as those of the training were: which kind they are of is known."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.confined.reader import ConfinedReader
from toolchain.data.events.event_files import SUFFIXES as EVENT_SUFFIXES
from toolchain.data.events.event_files import EventFiles
from toolchain.data.events.event_sources import SOURCES, EventData
from toolchain.data.events.recordings import read_events, read_labels
from toolchain.data.pictures.idx import load_idx
from toolchain.data.pictures.picture_files import SUFFIXES as PICTURE_SUFFIXES
from toolchain.data.pictures.picture_files import read_picture
from toolchain.data.sets.data_set import OnDemand, SampleForm, Stored
from toolchain.data.sets.folders import files_below
from toolchain.data.sets.options import Naming
from toolchain.data.sets.reading import FileKind, Reading
from toolchain.data.sets.sample_lengths import lengths_in
from toolchain.data.sound.wav import Waveform, read_wav, sampling_rate
from toolchain.data.tables.table import CsvTable, TableForm, read_table
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError, SeriesError, UsageError
from toolchain.files.archive import HELD_BYTES, open_arrays
from toolchain.files.disk import check_file
from toolchain.intake import labels_of

_NPZ: Final = ".npz"
_WAV: Final = (".wav",)
_WORDS: Final = {
    FileKind.ARRAYS: "arrays: an .npz with an array 'input' {shape}",
    FileKind.TABLE: "rows of a table: a CSV file with the columns {columns}, or an .npz with 'input' {shape}",
    FileKind.PICTURES: "pictures {shape}: image files of that size, a folder of them, an IDX file or .npz",
    FileKind.IMAGES: "pictures: an image file, a folder of them, or an .npz with 'input' {shape}",
    FileKind.SOUND: "sound: a WAV file, or a folder of them",
    FileKind.EVENTS: "recordings of events: a file {endings}, or a folder of them",
    FileKind.SPOKEN_SPIKES: "recordings of SHD: a file .h5",
}
"""What a network was trained on, and what is given to it now."""
_COLORED: Final = 3
_COLUMNS: Final = 300
"""Characters of names of columns that a message shows."""


@final
@dataclass(frozen=True)
class RawSamples:
    """New samples, not yet encoded.

    Attributes:
        samples: Samples by index; those of files are read when they are asked for.
        sources: Where each comes from: the name of its file, or its row; empty where they have no names.
        labels: Class of each sample, or what is to be said of it in the units of the network, if all of them
            are known.
        lengths: Number of valid steps of each sample; None if all are valid.
        present: Last value of each window of a series; None for what is none.
    """

    samples: Stored
    sources: tuple[str, ...] = ()
    labels: NDArray[Any] | None = None
    lengths: NDArray[np.int64] | None = None
    present: Floats | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, places: slice) -> "RawSamples":
        """Return the samples of a slice."""
        labels, lengths, present = (
            None if each is None else each[places] for each in (self.labels, self.lengths, self.present)
        )
        return RawSamples(self.samples[places], self.sources[places], labels, lengths, present)


def read_raw(form: SampleForm, reading: Reading, classes: Sequence[str], path: Path) -> RawSamples:
    """Return the samples of a file or folder; see `RawEncoder.read`."""
    if not path.exists():
        raise MissingFileError("file of samples", path)
    kind, is_file = reading.files, path.is_file()
    plain = kind not in {FileKind.SOUND, FileKind.EVENTS, FileKind.SPOKEN_SPIKES}
    if is_file and plain and path.suffix.lower() == _NPZ:
        return _arrays(form, classes, path)
    match kind:
        case FileKind.TABLE if is_file:
            return _rows(form, reading, classes, path)
        case FileKind.PICTURES if is_file and path.suffix.lower() not in PICTURE_SUFFIXES and _is_idx(path):
            return RawSamples(_of_shape(load_idx(path, 3)[:, None], form, path))
        case FileKind.PICTURES | FileKind.IMAGES if form.shape[0] in {1, _COLORED}:
            size = (form.shape[1], form.shape[2])
            exact = kind is FileKind.PICTURES
            read = partial(read_picture, size=size, grey=form.shape[0] == 1, exact=exact)
            return _files(form, reading, classes, path, PICTURE_SUFFIXES, read)
        case FileKind.SOUND:
            return _files(form, reading, classes, path, _WAV, partial(_wave, form, reading.rates))
        case FileKind.EVENTS if reading.reader is not None:
            sensor = (form.shape[0], form.shape[1], form.shape[2])
            name = reading.reader.value
            return _files(form, reading, classes, path, EVENT_SUFFIXES[name], EventFiles(name, sensor).read)
        case FileKind.SPOKEN_SPIKES if is_file:
            return _spoken_spikes(path)
        case _:
            raise _unknown(form, reading, path)


def _unknown(form: SampleForm, reading: Reading, path: Path) -> UsageError:
    endings = EVENT_SUFFIXES[reading.reader.value][0] if reading.reader else ""
    columns = ", ".join(reading.columns)[:_COLUMNS]
    shape = f"[samples, {', '.join(map(str, form.shape))}]"
    expected = _WORDS[reading.files].format(shape=shape, columns=columns, endings=endings)
    what = "a folder" if path.is_dir() else f"a file '{path.suffix}'" if path.suffix else "a file"
    return UsageError(f"'{path}' is {what}, and the network was trained on {expected}")


def _of_shape(samples: Stored, form: SampleForm, path: Path) -> Stored:
    shape = tuple(samples.shape[1:])
    if shape != form.shape and not (shape == (prod(form.shape),) and len(form.shape) <= 2):
        raise UsageError(
            f"'{path}' holds samples {list(shape)}, and the network was trained on {list(form.shape)}",
            "bring them to that shape as those of the training were",
        )
    return samples


def _arrays(form: SampleForm, classes: Sequence[str], path: Path) -> RawSamples:
    check_file("file of arrays", path)
    arrays = open_arrays(path, HELD_BYTES)
    if "input" not in arrays:
        raise UsageError(f"'{path}' holds no array 'input', but: {', '.join(sorted(arrays)) or 'none'}")
    samples: Any = arrays["input"]
    if samples.ndim < 2 or 0 in samples.shape or samples.dtype.kind not in "biuf":
        raise UsageError(f"'{path}' holds 'input' {samples.dtype} {list(samples.shape)}, expected numbers")
    labels = None
    if "labels" in arrays:
        try:
            labels = labels_of(
                np.asarray(arrays["labels"]), "labels", samples=len(samples), classes=len(classes)
            )
        except ArgumentError as error:
            raise CorruptArtifactError(path, f"holds labels that cannot be used: {error}") from None
    return RawSamples(_of_shape(samples, form, path), (), labels, lengths_in(arrays, path))


def _rows(form: SampleForm, reading: Reading, classes: Sequence[str], path: Path) -> RawSamples:
    table_form = TableForm(
        reading.delimiter, reading.decimal, reading.gaps.value, unnamed=True, usual=reading.found_decimal
    )
    try:
        table = read_table(path, reading.columns, reading.label, table_form)
    except SeriesError as error:
        error.add_note(f"the network was trained on the columns {', '.join(reading.columns)[:_COLUMNS]}")
        raise
    if not len(table.values) or not np.isfinite(table.values).all():
        what = "holds values that are not finite" if len(table.values) else "holds no rows"
        raise SeriesError(str(path), what)
    if table.dropped:
        warnings.warn(f"{table.dropped} rows of '{path}' have gaps and are left out", stacklevel=4)
    sources = tuple(f"row {number}" for number in table.rows)
    samples = table.values.reshape(len(table.values), *form.shape)
    return RawSamples(samples, sources, _labels(_words(table, reading, path), sources, classes, path))


def _words(table: CsvTable, reading: Reading, path: Path) -> Sequence[str]:
    """Return the words of all rows; none if no row has one."""
    if not any(table.words):
        return ()
    if "" in table.words:
        number = table.rows[table.words.index("")]
        raise SeriesError(
            str(path),
            f"row {number}, column '{reading.label}': names no class, and other rows do; fill it in, or "
            "leave the column out",
        )
    return table.words


def _labels(
    words: Sequence[str], sources: Sequence[str], classes: Sequence[str], path: Path
) -> NDArray[np.int64] | None:
    """Return the numbers of the classes that words name; None where none of them names one.

    Raises:
        CorruptArtifactError: Some name a class, and one does not.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    if not any(word in numbers for word in words):
        return None
    for word, source in zip(words, sources, strict=True):
        if word not in numbers:
            raise CorruptArtifactError(
                path,
                f"{source}: class '{word}' was not learnt, and those of other samples were; learnt: "
                f"{', '.join(classes)[:_COLUMNS]}",
            )
    return np.array([numbers[word] for word in words], np.int64)


def _files(
    form: SampleForm,
    reading: Reading,
    classes: Sequence[str],
    path: Path,
    suffixes: Sequence[str],
    read: Callable[[Path], NDArray[Any]],
) -> RawSamples:
    """Return a file, or those of a folder, as samples that are read when they are asked for."""
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise _unknown(form, reading, path)
        return RawSamples(OnDemand(read, [path]), (path.name,))
    paths = files_below(path, suffixes, str(_unknown(form, reading, path)))
    names = tuple(each.relative_to(path).as_posix() for each in paths)
    if reading.naming is Naming.FILE:
        words = [each.stem.partition("_")[0] for each in paths]
    else:
        words = [name.partition("/")[0] if "/" in name else "" for name in names]
    return RawSamples(OnDemand(read, paths), names, _labels(words, names, classes, path))


def _is_idx(path: Path) -> bool:
    return path.suffix == ".gz" or "idx" in path.name


def _wave(form: SampleForm, rates: Sequence[int], path: Path) -> Waveform:
    rate = sampling_rate(path)
    if rate and rate not in rates:
        listed = " and ".join(f"{each:,}" for each in rates)
        raise UsageError(
            f"'{path}' has {rate:,} samples in a second, and the network was trained on {listed}",
            f"bring it to {form.hertz:,} a second first",
        )
    return read_wav(path, form.hertz)[0]


def _spoken_spikes(path: Path) -> RawSamples:
    """Return the recordings of a file of SHD, which holds their labels too."""
    source, reader = replace(SOURCES[EventData.SHD]), ConfinedReader()
    labels = np.array(read_labels(source, path, reader), np.int64)
    read: Callable[[int], Any] = lambda index: read_events(source, path, index, reader)  # noqa: E731
    return RawSamples(
        OnDemand(read, range(len(labels))), tuple(f"recording {i}" for i in range(len(labels))), labels
    )
