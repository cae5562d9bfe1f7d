"""Opens what is named under `[data]`: one function per kind, each returns a data set with its three parts."""

from collections.abc import Callable
from typing import Any, Final

from toolchain.data.series.series import Series, lorenz63, mackey_glass, rossler
from toolchain.data.sets.data_set import DataSet
from toolchain.data.sets.open_arrays import open_braille, open_npz, open_table
from toolchain.data.sets.open_events import open_events, open_published_events
from toolchain.data.sets.open_pictures import open_digits, open_idx, open_images, open_published_pictures
from toolchain.data.sets.open_sound import open_spoken_digits, open_wav
from toolchain.data.sets.options import (
    BrailleData,
    ChaosData,
    CsvData,
    DataOptions,
    DigitsData,
    EventsData,
    IdxData,
    ImagesData,
    MackeyGlassData,
    NpzData,
    PublishedEvents,
    PublishedPictures,
    SpokenDigitsData,
    WavData,
)
from toolchain.files.documents import Document

_OPEN: Final[dict[type[Document], Callable[[Any], DataSet | Series]]] = {
    DigitsData: open_digits,
    NpzData: open_npz,
    CsvData: open_table,
    IdxData: open_idx,
    ImagesData: open_images,
    EventsData: open_events,
    WavData: open_wav,
    PublishedPictures: open_published_pictures,
    PublishedEvents: open_published_events,
    SpokenDigitsData: open_spoken_digits,
    BrailleData: open_braille,
    ChaosData: lambda options: lorenz63() if options.name == "lorenz63" else rossler(),
    MackeyGlassData: lambda options: mackey_glass(options.delay, options.samples),
}
"""How each kind is opened."""


def open_data(options: DataOptions) -> DataSet | Series:
    """Open a data set to classify, or a series to forecast.

    Args:
        options: What stands under `[data]` of an experiment.

    Raises:
        MissingFileError: The path does not hold what it should: says what, and where it can be had.
        CorruptArtifactError: A file is damaged; names it.
        SeriesError: A table cannot be read; names row and column.
        UsageError: A part would be empty, or the samples do not go together.
    """
    return _OPEN[type(options)](options)
