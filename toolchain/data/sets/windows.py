"""From a series to a data set of windows: what is learnt is what follows each, and parts share no value."""

from typing import Final

import numpy as np

from toolchain.arrays import Floats
from toolchain.data.series.series import Series
from toolchain.data.series.windows import windows_of
from toolchain.data.sets.data_set import DataOrigin, DataSet, Part, SampleKind
from toolchain.data.sets.folders import digest_of
from toolchain.data.sets.options import ChaosData, CsvData, MackeyGlassData
from toolchain.data.sets.output_scale import OutputScale
from toolchain.data.sets.reading import FileKind, Reading
from toolchain.errors import SeriesError
from toolchain.intake import path_of

SeriesData = ChaosData | MackeyGlassData | CsvData
"""What may stand under `[data]` for a series."""
_PARTS: Final = ("training", "validation", "test")


def windows_data(
    options: SeriesData, series: Series, window: int, horizon: int, *, increments: bool
) -> DataSet:
    """Return the windows of a series as samples, and what follows each as real labels.

    The training part comes before the validation part, and that before the test part. A window and what
    follows it lie in one part, so no part has seen a value of another. Values have mean 0 and deviation 1
    over the training part.

    Args:
        options: What stands under `[data]`.
        series: The series.
        window: Values of a window.
        horizon: Values that a forecast continues on its own predictions, for which the test part must be long
            enough.
        increments: Whether the change from the last value of the window is learnt instead of the value.

    Raises:
        SeriesError: A part is too short for its windows, or the test part for the horizon.
    """
    values = series.normalised
    pieces = {
        "training": values[: series.train],
        "validation": values[series.train : series.validation],
        "test": values[series.validation : series.test],
    }
    for name, piece in pieces.items():
        if len(piece) <= window and (len(piece) or name != "validation"):
            raise SeriesError(
                series.name,
                f"its {name} part has {len(piece)} values; a window of {window} and what follows it needs "
                f"{window + 1}: give the part a larger share, or shorten `window` under [task]",
            )
    parts = [_part(pieces[name], window, increments=increments) for name in _PARTS]
    train, validation = _spaced(parts[0], parts[1], options.train_samples)
    test = parts[2].take(np.arange(min(len(parts[2]), options.test_samples or len(parts[2]))))
    if len(test) + 1 < window + horizon:
        raise SeriesError(
            series.name,
            f"its test part has {len(test)} windows; one of {window} values that goes on for {horizon} needs "
            f"{window + horizon - 1}: give it a larger share, or shorten `window` or `horizon` under [task]",
        )
    return DataSet(
        options.name,
        SampleKind.WINDOWS,
        (window, values.shape[1]),
        series.names,
        train=train,
        validation=validation,
        test=test,
        origin=_origin(options, train, validation, test),
        reading=_reading(options, series),
        scale=OutputScale(
            names=series.names, mean=tuple(series.mean.tolist()), deviation=tuple(series.deviation.tolist())
        ),
    )


def _part(values: Floats, window: int, *, increments: bool) -> Part:
    """Return the windows of a part; none of an empty one."""
    if not len(values):
        dimensions = values.shape[1]
        return Part(np.zeros((0, window, dimensions)), np.zeros((0, dimensions)))
    return Part(*windows_of(values, window, increments=increments))


def _spaced(train: Part, validation: Part, count: int | None) -> tuple[Part, Part]:
    """Return so many windows to train on, evenly spaced, and the same share of those to validate."""
    if count is None or count >= len(train):
        return train, validation
    share = count / len(train)
    chosen = [
        np.linspace(0, len(part) - 1, number).round().astype(np.int64)
        for part, number in ((train, count), (validation, -int(-share * len(validation) // 1)))
    ]
    return train.take(chosen[0]), validation.take(chosen[1])


def _reading(options: SeriesData, series: Series) -> Reading:
    """Return how rows of a table become values of the series."""
    how = Reading(files=FileKind.TABLE, columns=series.names, label=series.time, found_decimal=series.decimal)
    if not isinstance(options, CsvData):
        return how
    given = {"delimiter": options.delimiter, "decimal": options.decimal, "gaps": options.gaps}
    return how.model_copy(update=given)


def _origin(options: SeriesData, train: Part, validation: Part, test: Part) -> DataOrigin | None:
    """Return where a series was read from; None for one that is computed."""
    if not isinstance(options, CsvData):
        return None
    path = path_of(options.path, "path")
    return DataOrigin(
        path=options.path,
        sha256=digest_of([path], path),
        train=len(train),
        validation=len(validation),
        test=len(test),
    )
