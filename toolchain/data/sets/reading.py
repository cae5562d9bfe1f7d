"""How the files of a data set become samples, as far as it is known once the set is open.

Whoever encodes other files later as those of the training needs this, and no more of the set.
"""

from enum import Enum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from toolchain.data.sets.options import EventReader, Gaps, Naming
from toolchain.errors import UsageError
from toolchain.files.documents import Count, Document

_FLOATS = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


class FileKind(Enum):
    """What the files of a set hold."""

    ARRAYS = "arrays"
    """Arrays of samples in an `.npz`."""
    TABLE = "table"
    """A sample per row."""
    PICTURES = "pictures"
    """Pictures of one size, which is that of the samples."""
    IMAGES = "images"
    """Image files of any size, which are brought to that of the samples."""
    SOUND = "sound"
    """WAV files."""
    EVENTS = "events"
    """Recordings, one per file."""
    SPOKEN_SPIKES = "spoken_spikes"
    """Files of SHD, each with many recordings."""


class Scaling(Document):
    """Extremes of the training part, which become 0 and 1.

    Attributes:
        low: Smallest value of every channel.
        high: Largest value of every channel.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @model_validator(mode="after")
    def _together(self) -> "Scaling":
        if not 0 < len(self.low) == len(self.high):
            raise ValueError(
                f"low and high need a value per channel, got {len(self.low)} and {len(self.high)}"
            )
        return self

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Scaling":
        """Return the extremes of samples `[samples, ..., channels]`.

        Raises:
            UsageError: A value is not finite.
        """
        axes = tuple(range(values.ndim - 1))
        low, high = values.min(axis=axes), values.max(axis=axes)
        if not np.isfinite([low, high]).all():
            raise UsageError(
                "values are not finite, and cannot be brought to 0 .. 1: replace or leave them out"
            )
        return cls(low=tuple(map(float, low)), high=tuple(map(float, high)))

    def scaled(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return samples `[samples, ...]` in 0 .. 1; what lies beyond the extremes is clipped.

        Raises:
            UsageError: The extremes are too far apart.
        """
        # Differences of bytes wrap around, and those of half precision become infinite.
        wide = values if values.dtype in _FLOATS else values.astype(np.float64)
        low, high = (np.array(each) for each in (self.low, self.high))
        if wide.dtype == np.float32 and all((each.astype(np.float32) == each).all() for each in (low, high)):
            low, high = low.astype(np.float32), high.astype(np.float32)
        with np.errstate(over="ignore"):
            span = np.where(high > low, high - low, 1)
        if not np.isfinite(span).all():
            raise UsageError(
                "values are too far apart to be brought to 0 .. 1: divide them by a number before"
            )
        channels = wide.reshape(len(wide), values[:1].size // len(low) if len(values) else 0, len(low))
        return np.clip((channels - low) / span, 0, 1).reshape(values.shape)


class Reading(Document):
    """How files become samples.

    Attributes:
        files: What the files hold.
        columns: Names of the columns of a table, in the order of the channels.
        label: Column of a table that names the class; of a series the one that says when a value was.
        delimiter: What stands between the cells of a table, if somebody said so.
        decimal: Decimal point or comma of a table, if somebody said so.
        found_decimal: The one that the table of the training has, for tables that do not show theirs.
        gaps: What to do about cells of a table without a number.
        scaling: What values are scaled by; None if they enter as they are.
        rates: Samples in a second of all WAV files of the set, before they were brought to one rate.
        naming: What names the class of a file.
        reader: How recordings of events are read.
    """

    files: FileKind = FileKind.ARRAYS
    columns: tuple[str, ...] = ()
    label: str = ""
    delimiter: str = ""
    decimal: Annotated[str, Field(pattern=r"^[.,]?$")] = ""
    found_decimal: Annotated[str, Field(pattern=r"^[.,]?$")] = ""
    gaps: Gaps = Gaps.REFUSE
    scaling: Scaling | None = None
    rates: tuple[Count, ...] = ()
    naming: Naming = Naming.FOLDER
    reader: EventReader | None = None
