"""From samples with labels to a data set in three parts."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.data.sets.data_set import DataOrigin, DataSet, OnDemand, Part, SampleKind
from toolchain.data.sets.folders import LabelledFile, digest_of
from toolchain.data.sets.options import DigitsData, OwnData, ReadData
from toolchain.data.sets.output_scale import OutputScale
from toolchain.data.sets.reading import Reading
from toolchain.data.sets.split import split_off, thinned
from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.execution.companions import are_real
from toolchain.intake import path_of

# Streams of random numbers, one per purpose: adding one never moves another.
_TEST, _VALIDATION, _TRAIN_SAMPLES, _TEST_SAMPLES = range(4)
_NAMED: Final = 5
"""Classes that a message names."""


@final
@dataclass(frozen=True)
class Raw:
    """Samples as they were read, before they are split.

    Attributes:
        train: Samples for training and validation; all of them if there is no official test part.
        test: The official test part; None if there is none.
        classes: Names of the classes, or of the outputs where labels are real values.
        paths: The files that were read.
        root: The file or folder they lie in.
        left_out: Broken files that were left out.
        reading: How the files became samples.
    """

    train: Part
    test: Part | None
    classes: tuple[str, ...]
    paths: Sequence[Path] = ()
    root: Path = field(default_factory=Path)
    left_out: tuple[str, ...] = ()
    reading: Reading = field(default_factory=Reading)


def assemble(
    options: ReadData | DigitsData, raw: Raw, kind: SampleKind, shape: tuple[int, ...], hertz: int = 0
) -> DataSet:
    """Return a data set: the test is official or a share, validation a share of what is left to train on.

    Args:
        options: What stands under `[data]`.
        raw: The samples.
        kind: What a sample is.
        shape: Shape of a sample.
        hertz: Samples of a waveform in a second.

    Raises:
        UsageError: A part is left without samples, there is one class only, or a class cannot be learnt.
    """
    seed, test = options.split_seed, raw.test
    train = raw.train
    if test is None:
        train, test = split_off(train, getattr(options, "test_fraction", 0.0), [seed, _TEST])
    train = thinned(train, options.train_samples, [seed, _TRAIN_SAMPLES])
    train, validation = split_off(train, options.validation_fraction, [seed, _VALIDATION])
    test = thinned(test, options.test_samples, [seed, _TEST_SAMPLES])
    for name, part in (("train", train), ("test", test)):
        if not len(part):
            raise UsageError(f"the {name} part of '{options.name}' is left without samples: change its share")
    if options.validation_fraction and not len(validation):
        raise UsageError(
            f"`validation_fraction` = {options.validation_fraction:g} of '{options.name}' is no sample"
        )
    if not are_real(train.labels):
        _check_classes(options.name, raw, train, test)
    origin = None
    if not isinstance(options, DigitsData):
        origin = DataOrigin(
            path=options.path,
            sha256=digest_of(raw.paths, raw.root),
            train=len(train),
            validation=len(validation),
            test=len(test),
            left_out=raw.left_out,
        )
    return DataSet(
        options.name,
        kind,
        shape,
        raw.classes,
        train=train,
        validation=validation,
        test=test,
        origin=origin,
        hertz=hertz,
        reading=raw.reading,
    )


def _check_classes(name: str, raw: Raw, train: Part, test: Part) -> None:
    """Refuse a class of which nothing is left to train on; warn of one without tests or samples."""
    counts = np.bincount(raw.train.labels, minlength=len(raw.classes))
    if np.count_nonzero(counts) == 1:
        raise UsageError(
            f"all samples of '{name}' to train on are of one class, '{raw.classes[counts.argmax()]}'",
            "a network learns to tell classes apart: give it at least two",
        )
    read = [raw.train, *([] if raw.test is None else [raw.test])]
    whole, trained, tested = (
        sum(
            (np.bincount(part.labels, minlength=len(raw.classes)) for part in parts),
            np.zeros(len(raw.classes), np.int64),
        )
        for parts in (read, [train], [test])
    )
    for lacking, end in (
        ((whole > 0) & (trained == 0), "to train on"),
        ((whole > 0) & (tested == 0), "to test on: the accuracy says nothing of it"),
        (whole == 0, "at all: are the classes numbered from 0?"),
    ):
        if not lacking.any():
            continue
        named = [f"'{raw.classes[i]}'" for i in np.flatnonzero(lacking)]
        listed = ", ".join(named[:_NAMED]) + (" ..." if len(named) > _NAMED else "")
        problem = f"'{name}' has no sample of class {listed} {end}"
        if end == "to train on":
            raise UsageError(
                problem,
                "add samples of it, leave the class out, or change the shares of parts or `train_samples`",
            )
        warnings.warn(problem, stacklevel=3)


def numbered(words: Iterable[str], classes: Sequence[str], path: Path) -> NDArray[np.int64]:
    """Return the numbers of classes by their names.

    Raises:
        CorruptArtifactError: A word names no class.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    listed = list(words)
    unknown = [word for word in listed if word not in numbers]
    if unknown:
        raise CorruptArtifactError(
            path, f"holds class '{unknown[0]}', which the training part has not: {', '.join(classes)[:200]}"
        )
    return np.array([numbers[word] for word in listed], np.int64)


def part_of_files(
    files: Sequence[LabelledFile],
    classes: Sequence[str],
    read: Callable[[Path], NDArray[Any]],
    root: Path,
) -> Part:
    """Return files as samples that are read when they are asked for."""
    return Part(
        OnDemand(read, [each.path for each in files]), numbered((each.word for each in files), classes, root)
    )


def own_test(options: OwnData) -> Path | None:
    """Return where the test part lies, if it was named."""
    return path_of(options.test_path, "test_path") if options.test_path else None


def normalised_targets(data: DataSet, path: Path) -> DataSet:
    """Return a data set whose real labels have mean 0 and deviation 1 over the training part.

    Args:
        data: The data set, with labels in their own units.
        path: The file they were read from.

    Raises:
        SeriesError: A label never changes: names it.
    """
    scale = OutputScale.of(data.train.labels, data.classes, path)
    train, validation, test = (
        replace(part, labels=scale.normalised(part.labels))
        for part in (data.train, data.validation, data.test)
    )
    return replace(data, train=train, validation=validation, test=test, scale=scale)


def classes_of(labels: NDArray[np.int64], names: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the names of classes that are numbered from 0.

    Raises:
        CorruptArtifactError: A label is negative, or there are fewer names than classes.
    """
    if len(labels) and labels.min() < 0:
        raise CorruptArtifactError(path, f"holds label {labels.min()}: number the classes from 0")
    count = int(labels.max()) + 1 if len(labels) else 0
    if names and len(names) < count:
        raise CorruptArtifactError(path, f"holds label {count - 1}, but `classes` names {len(names)}")
    if count > len(labels):
        raise CorruptArtifactError(path, f"holds label {count - 1} in {len(labels)} samples: number from 0")
    return tuple(names) or tuple(map(str, range(count)))
