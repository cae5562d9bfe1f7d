"""Opens recordings of event sensors: published sets, and folders of your own."""

from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from toolchain.confined.reader import ConfinedReader
from toolchain.data.events.event_files import SUFFIXES, EventFiles
from toolchain.data.events.event_sources import SOURCES, EventData, EventSource
from toolchain.data.events.recordings import check_decoder, read_events, read_labels
from toolchain.data.sets.assembly import Raw, assemble, part_of_files
from toolchain.data.sets.data_set import DataSet, OnDemand, Part, SampleKind
from toolchain.data.sets.folders import LabelledFile, advised, check_apart, find_files, official_parts, usable
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import EventReader, EventsData, Naming, PublishedEvents
from toolchain.data.sets.reading import FileKind, Reading
from toolchain.errors import MissingFileError
from toolchain.intake import path_of

_DATA: Final = {
    "nmnist": EventData.N_MNIST,
    "dvs_gesture": EventData.DVS_GESTURE,
    "cifar10_dvs": EventData.CIFAR10_DVS,
    "shd": EventData.SHD,
}
_READING: Final = {
    "nmnist": Reading(files=FileKind.EVENTS, reader=EventReader.N_MNIST),
    "dvs_gesture": Reading(files=FileKind.EVENTS, reader=EventReader.DVS_GESTURE),
    "cifar10_dvs": Reading(files=FileKind.EVENTS, reader=EventReader.AEDAT4),
    "shd": Reading(files=FileKind.SPOKEN_SPIKES),
}
_FOLDERS: Final = "a folder with a folder of {} for each class, or with folders called train and test of such"


def open_events(options: EventsData) -> DataSet:
    """Open a folder of recordings; they are read when they are asked for."""
    root = path_of(options.path, "path")
    folder, elsewhere = official_parts(root, options.test_path)
    suffixes = SUFFIXES[options.reader.value]
    read = EventFiles(options.reader.value, options.sensor).read
    parts, left_out, listed, classes = list[Part](), (), list[list[Path]](), ()
    for place in (folder, *([elsewhere] if elsewhere else [])):
        files = find_files(place, suffixes, Naming.FOLDER, _FOLDERS.format(f"{suffixes[0]} files"))
        good, bad = usable(files, read, options.broken)
        classes = classes or tuple(sorted({each.word for each in good}))
        parts.append(part_of_files(good, classes, advised(read), place))
        left_out = (*left_out, *bad)
        listed.append([each.path for each in files])
    check_apart(listed[0], chain(*listed[1:]))
    reading = Reading(files=FileKind.EVENTS, reader=options.reader)
    test = parts[1] if elsewhere else None
    raw = Raw(parts[0], test, classes, list(chain(*listed)), root, left_out, reading)
    return assemble(options, raw, SampleKind.EVENTS, options.sensor)


def open_published_events(options: PublishedEvents) -> DataSet:
    """Open N-MNIST, DVS-Gesture, CIFAR10-DVS or SHD."""
    data, root = _DATA[options.name], path_of(options.path, "path")
    check_decoder(data)
    source, reader = SOURCES[data], ConfinedReader()
    if not (root / source.folder).exists() and (root / source.parts[0]).exists():
        # The path is the set's own folder.
        source = replace(source, folder="")
    part = _shd_part if data is EventData.SHD else _part
    try:
        train, paths, left_out = part(source, reader, root, options, train=True)
    except MissingFileError as error:
        raise MissingFileError("recordings", error.path, KNOWN[options.name].advice) from None
    test = None
    if source.parts[0] != source.parts[1]:
        try:
            test, tests, bad = part(source, reader, root, options, train=False)
            paths, left_out = [*paths, *tests], (*left_out, *bad)
        except MissingFileError as error:
            if not options.partial:
                advice = f"{KNOWN[options.name].advice}; `partial = true` holds out a share instead"
                raise MissingFileError("official test part", error.path, advice) from None
    raw = Raw(train, test, source.classes, paths, root, left_out, _READING[options.name])
    return assemble(options, raw, SampleKind.EVENTS, source.shape)


_Opened = tuple[Part, list[Path], tuple[str, ...]]


def _part(
    source: EventSource, reader: ConfinedReader, root: Path, options: PublishedEvents, *, train: bool
) -> _Opened:
    labels = dict(source.find(root, train=train, partial=options.partial))
    read = partial(_recording, source, reader)
    files = [LabelledFile(path, source.classes[label]) for path, label in labels.items()]
    good, bad = usable(files, read, options.broken)
    return part_of_files(good, source.classes, advised(read), root), list(labels), bad


def _recording(source: EventSource, reader: ConfinedReader, path: Path) -> Any:  # noqa: ANN401 - events
    return read_events(source, path, None, reader)


def _shd_part(
    source: EventSource, reader: ConfinedReader, root: Path, _: PublishedEvents, *, train: bool
) -> _Opened:
    path = root / source.folder / source.parts[0 if train else 1]
    labels = np.array(read_labels(source, path, reader), np.int64)

    def read(index: int) -> Any:  # noqa: ANN401 - events
        return read_events(source, path, index, reader)

    return Part(OnDemand(read, range(len(labels))), labels), [path], ()
