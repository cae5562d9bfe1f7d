"""Files of new samples, read as those of the training were: which kind they are of is known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.confined.reader import ConfinedReader
from toolchain.data.events.event_files import SUFFIXES as EVENT_SUFFIXES
from toolchain.data.events.event_files import EventFiles
from toolchain.data.events.event_sources import SOURCES, EventData
from toolchain.data.events.recordings import read_events, read_labels
from toolchain.data.new_samples.raw_samples import NAMES, RawSamples, named_classes
from toolchain.data.new_samples.raw_tables import read_rows
from toolchain.data.pictures.idx import load_idx
from toolchain.data.pictures.picture_files import SUFFIXES as PICTURE_SUFFIXES
from toolchain.data.pictures.picture_files import read_picture
from toolchain.data.sets.data_set import OnDemand, SampleForm, Stored
from toolchain.data.sets.folders import files_below
from toolchain.data.sets.options import Naming
from toolchain.data.sets.output_scale import OutputScale
from toolchain.data.sets.reading import FileKind, Reading
from toolchain.data.sets.sample_lengths import lengths_in
from toolchain.data.sound.wav import Waveform, read_wav, sampling_rate
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError, UsageError
from toolchain.files.archive import HELD_BYTES, open_arrays
from toolchain.files.disk import check_file
from toolchain.intake import labels_of, samples_of

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


def read_raw(
    form: SampleForm,
    reading: Reading,
    classes: Sequence[str],
    path: Path,
    scale: OutputScale | None = None,
) -> RawSamples:
    """Return the samples of a file or folder; see `RawEncoder.read`."""
    if not path.exists():
        raise MissingFileError("file of samples", path)
    kind, is_file = reading.files, path.is_file()
    plain = kind not in {FileKind.SOUND, FileKind.EVENTS, FileKind.SPOKEN_SPIKES}
    if is_file and plain and path.suffix.lower() == _NPZ:
        return _arrays(form, classes, path, scale)
    match kind:
        case FileKind.TABLE if is_file:
            return read_rows(form, reading, classes, path, scale)
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
    columns = ", ".join(reading.columns)[:NAMES]
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


def _arrays(form: SampleForm, classes: Sequence[str], path: Path, scale: OutputScale | None) -> RawSamples:
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
            labels = _labels(np.asarray(arrays["labels"]), len(samples), len(classes), scale)
        except ArgumentError as error:
            raise CorruptArtifactError(path, f"holds labels that cannot be used: {error}") from None
    return RawSamples(_of_shape(samples, form, path), (), labels, lengths_in(arrays, path))


def _labels(array: NDArray[Any], samples: int, classes: int, scale: OutputScale | None) -> NDArray[Any]:
    """Return classes, or real values as a network learns them."""
    if scale is None:
        return labels_of(array, "labels", samples=samples, classes=classes)
    values = array[:, None] if array.ndim == 1 else array
    return scale.normalised(samples_of(values, "labels", (samples, classes)).astype(np.float64))


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
    return RawSamples(OnDemand(read, paths), names, named_classes(words, names, classes, path))


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
