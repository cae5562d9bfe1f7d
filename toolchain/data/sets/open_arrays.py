"""Opens arrays and tables: `.npz` files, CSV files, and the Braille letters."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.series.series import Series
from toolchain.data.sets.assembly import (
    Raw,
    assemble,
    classes_of,
    normalised_targets,
    numbered,
    own_test,
)
from toolchain.data.sets.data_set import DataSet, Part, SampleKind
from toolchain.data.sets.folders import check_apart
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import BrailleData, CsvData, NpzData
from toolchain.data.sets.reading import FileKind, Reading, Scaling
from toolchain.data.sets.sample_lengths import lengths_in
from toolchain.data.tables.series_file import load_csv
from toolchain.data.tables.table import CsvTable, TableForm, read_table
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError, SeriesError, UsageError
from toolchain.execution.companions import are_real, classes_or_targets
from toolchain.files.archive import HELD_BYTES, StoredArray, open_arrays
from toolchain.files.disk import check_file
from toolchain.intake import check_finite, path_of

_KINDS: Final = {2: SampleKind.VALUES, 3: SampleKind.TRAINS, 4: SampleKind.PICTURES, 5: SampleKind.TRAINS}
"""What an array of so many axes holds, the samples counted."""


def open_npz(options: NpzData) -> DataSet:
    """Open arrays; those that are large stay in their file and are read row by row."""
    path = path_of(options.path, "path")
    train, elsewhere = _npz_part(path), own_test(options)
    test = _npz_part(elsewhere) if elsewhere else None
    shape = tuple(train.samples.shape[1:])
    if test is not None and tuple(test.samples.shape[1:]) != shape:
        raise CorruptArtifactError(elsewhere or path, f"holds samples of another shape than {list(shape)}")
    if test is not None and (train.lengths is None) != (test.lengths is None):
        raise CorruptArtifactError(
            elsewhere or path, f"and '{path}' must both hold `lengths`, or neither; one of them does"
        )
    if test is not None and train.labels.shape[1:] != test.labels.shape[1:]:
        raise CorruptArtifactError(elsewhere or path, f"holds labels of another kind than '{path}'")
    labels = train.labels if test is None else np.concatenate([train.labels, test.labels])
    real = are_real(labels)
    names = (
        _output_names(labels, options.classes, path) if real else classes_of(labels, options.classes, path)
    )
    paths = [path, *([elsewhere] if elsewhere else [])]
    check_apart(paths[:1], paths[1:])
    data = assemble(options, Raw(train, test, names, paths, path), _KINDS[len(shape) + 1], shape)
    data = normalised_targets(data, path) if real else data
    return _scaled(data, shape) if options.scale else data


def _output_names(labels: Floats, names: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Return the names of real outputs; numbers where there are none."""
    outputs = labels.shape[1]
    if names and len(names) != outputs:
        raise CorruptArtifactError(
            path, f"holds {outputs} real labels a sample, `classes` names {len(names)}"
        )
    return names or tuple(f"output {i}" for i in range(outputs))


def _npz_part(path: Path) -> Part:
    check_file("file of arrays", path)
    arrays = open_arrays(path, HELD_BYTES)
    for name in ("input", "labels"):
        if name not in arrays:
            listed = ", ".join(sorted(arrays)) or "none"
            raise CorruptArtifactError(path, f"holds no array '{name}', but: {listed}; see Stimulus.save")
    samples: Any = arrays["input"]
    if samples.ndim not in _KINDS or 0 in samples.shape or samples.dtype.kind not in "biuf":
        raise CorruptArtifactError(
            path,
            f"holds 'input' {samples.dtype} {list(samples.shape)}, expected numbers [samples, channels], "
            "[samples, steps, channels], [samples, C, H, W] or frames [samples, steps, C, H, W]",
        )
    try:
        labels = _labels(np.asarray(arrays["labels"]), len(samples))
        if not isinstance(samples, StoredArray):
            check_finite(samples, "input")
    except ArgumentError as error:
        raise CorruptArtifactError(path, f"holds no samples with labels: {error}") from None
    return Part(samples, labels, lengths_in(arrays, path))


def _labels(array: NDArray[Any], samples: int) -> NDArray[Any]:
    """Return classes, or real values `[samples, outputs]`, of which one axis is one output.

    Floats in one axis that are all whole may be either: they are refused with what to do.
    """
    if array.ndim == 1 and array.dtype.kind == "f" and (array != np.floor(array)).any():
        array = array[:, None]
    return classes_or_targets(array, samples=samples)


def _scaled(data: DataSet, shape: tuple[int, ...]) -> DataSet:
    """Return values in 0 .. 1 by the extremes of the training part, per channel; others are clipped."""
    scaling = Scaling.of(np.asarray(data.train.samples))
    train, validation, test = (
        replace(part, samples=scaling.scaled(np.asarray(part.samples)).reshape(len(part), *shape))
        for part in (data.train, data.validation, data.test)
    )
    reading = data.reading.model_copy(update={"scaling": scaling})
    return replace(data, shape=shape, train=train, validation=validation, test=test, reading=reading)


def open_table(options: CsvData) -> DataSet | Series:
    """Open a table: samples if columns hold their classes or what is to be said of them, else a series."""
    if options.targets:
        return _open_regression(options)
    return _open_csv(options) if options.label else _open_series(options)


def _open_csv(options: CsvData) -> DataSet:
    """Open a table with a sample per row; numbers come to 0 .. 1 by the extremes of the training part."""
    path = path_of(options.path, "path")
    table, elsewhere = _table(path, options), own_test(options)
    classes = tuple(sorted(set(table.words)))
    tests = None
    if elsewhere:
        tests = _table(elsewhere, options, beside=table)
        check_apart([path], [elsewhere])
    raw = Raw(
        Part(table.values, numbered(table.words, classes, path)),
        None if tests is None else Part(tests.values, numbered(tests.words, classes, elsewhere or path)),
        classes,
        [path, *([elsewhere] if elsewhere else [])],
        path,
        reading=_reading(options, table),
    )
    return _of_rows(options, raw, len(table.columns))


def _open_regression(options: CsvData) -> DataSet:
    """Open a table whose rows are samples, and some of whose columns are what is to be said of them."""
    path, elsewhere = path_of(options.path, "path"), own_test(options)
    wanted = tuple(name for name in options.columns if name not in options.targets)
    table = _table(path, options, (*wanted, *options.targets) if wanted else ())
    train, columns = _with_targets(path, table, options)
    test, paths = None, [path]
    if elsewhere is not None:
        check_apart([path], [elsewhere])
        test, _ = _with_targets(elsewhere, _table(elsewhere, options, beside=table), options)
        paths.append(elsewhere)
    reading = _reading(options, table).model_copy(update={"columns": tuple(columns)})
    raw = Raw(train, test, options.targets, paths, path, reading=reading)
    return normalised_targets(_of_rows(options, raw, len(columns)), path)


def _reading(options: CsvData, table: CsvTable) -> Reading:
    """Return how the rows of a table became samples."""
    return Reading(
        files=FileKind.TABLE,
        columns=table.columns,
        label=options.label,
        delimiter=options.delimiter,
        decimal=options.decimal,
        found_decimal=table.decimal,
        gaps=options.gaps,
    )


def _with_targets(path: Path, table: CsvTable, options: CsvData) -> tuple[Part, list[str]]:
    """Return the rows of a table with their targets, and the columns that enter."""
    missing = [name for name in options.targets if name not in table.columns]
    if missing:
        raise SeriesError(
            str(path),
            f"column '{missing[0]}' of `targets` holds no numbers; known: {', '.join(table.columns)}",
        )
    entering = [name for name in table.columns if name not in options.targets]
    if not entering:
        raise SeriesError(str(path), "has no column of numbers beside `targets` to say them from")
    inputs, outputs = (
        table.values[:, [table.columns.index(name) for name in names]]
        for names in (entering, options.targets)
    )
    return Part(inputs, outputs), entering


def _of_rows(options: CsvData, raw: Raw, columns: int) -> DataSet:
    """Return the rows of a table as samples, each cut into so many frames as asked."""
    if columns % options.frames:
        raise SeriesError(
            str(raw.root), f"has {columns} columns of numbers, no multiple of `frames` = {options.frames}"
        )
    shape = (columns,) if options.frames == 1 else (options.frames, columns // options.frames)
    return _scaled(assemble(options, raw, SampleKind.VALUES, (columns,)), shape)


def _form(options: CsvData) -> TableForm:
    return TableForm(options.delimiter, options.decimal, options.gaps.value)


def _table(
    path: Path, options: CsvData, columns: tuple[str, ...] = (), beside: CsvTable | None = None
) -> CsvTable:
    """Read a table; the one it belongs to says what is not shown here: columns, and the sign of decimals."""
    wanted, form = columns or options.columns, _form(options)
    if beside is not None:
        wanted, form = tuple(beside.columns), replace(form, usual=beside.decimal)
    table = read_table(path, wanted, options.label, form)
    if not len(table.values) or not np.isfinite(table.values).all():
        what = "holds values that are not finite" if len(table.values) else "holds no rows"
        raise SeriesError(str(path), what)
    return table


def _open_series(options: CsvData) -> Series:
    """Open a table as a series to forecast: its rows follow one another in time, and so do its parts."""
    validation = options.validation_fraction * (1 - options.test_fraction)
    return load_csv(
        options.path,
        options.columns,
        train=1 - options.test_fraction - validation,
        validation=validation,
        form=_form(options),
    )


def open_braille(options: BrailleData) -> DataSet:
    """Open Braille letters: folds overlap, so equal samples count once, and a share is held out."""
    known, root = KNOWN["braille"], path_of(options.path, "path")
    paths = [root] if root.is_file() else sorted(root.glob("*.npz"))
    if not paths:
        if root.exists():
            raise UsageError(f"folder '{root}' holds no .npz file", known.advice)
        raise MissingFileError("folder of .npz files", root, known.advice)
    samples, labels, known_already = list[NDArray[Any]](), list[int](), set[bytes]()
    for path in paths:
        part = _npz_part(path)
        trains = np.asarray(part.samples)
        for sample, label in zip(trains, part.labels, strict=True):
            digest = sha256(sample.tobytes()).digest()
            if digest not in known_already:
                known_already.add(digest)
                samples.append(sample)
                labels.append(int(label))
    if len({sample.shape for sample in samples}) != 1:
        raise CorruptArtifactError(root, "holds files whose samples differ in shape")
    joined = Part(np.stack(samples), np.array(labels, np.int64))
    classes = classes_of(joined.labels, known.classes, root)
    raw = Raw(joined, None, classes, paths, root)
    return assemble(options, raw, SampleKind.TRAINS, joined.samples.shape[1:])
