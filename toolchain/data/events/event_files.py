"""Single event recordings of your own, in formats of others or as plain arrays."""

import importlib.util
from pathlib import Path
from typing import Final, final

from toolchain.confined.reader import ConfinedReader, Format
from toolchain.data.events.binning import Events
from toolchain.data.events.event_sources import EventSource
from toolchain.data.events.recordings import events_of, read_events
from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.files.npz import read_arrays

ARRAYS: Final = "arrays"
"""Reader of `.npz` files with arrays `t` (microseconds), `x`, `p`, and `y` where the sensor has rows."""
SUFFIXES: Final = {
    ARRAYS: (".npz",),
    "n_mnist": (".bin",),
    "dvs_gesture": (".npy",),
    "aedat4": (".aedat4",),
    **dict.fromkeys(("dvs_128", "davis_346", "dvs_346mini", "dvs_ibm", "dvs_red"), (".aedat",)),
}
"""Endings of the files that a reader takes."""
_UNITS: Final = {"dvs_gesture": 1000}
"""Microseconds of a unit of times, where it is not one."""


@final
class EventFiles:
    """Reads recordings of one sensor.

    Args:
        reader: A key of `SUFFIXES`.
        sensor: Shape `(C, H, W)` of the sensor.

    Raises:
        UsageError: The library that reads them is not installed.
    """

    def __init__(self, reader: str, sensor: tuple[int, int, int]) -> None:
        if reader == "aedat4" and importlib.util.find_spec("aedat") is None:
            raise UsageError(
                "recordings in AEDAT 4 are read by aedat, run: python -m pip install 'pumice[events]'"
            )
        form = None if reader == ARRAYS else Format("cifar10_dvs" if reader == "aedat4" else reader)
        self._source = EventSource(
            folder="",
            parts=("", ""),
            form=form or Format.N_MNIST,
            shape=sensor,
            unit=_UNITS.get(reader, 1),
            classes=(),
        )
        self._reader = ConfinedReader() if form else None

    def read(self, path: Path) -> Events:
        """Return the events of a recording in the order of time.

        Raises:
            MissingFileError: There is no such file.
            CorruptArtifactError: It is damaged, or holds what no such sensor sends.
        """
        if self._reader is not None:
            return read_events(self._source, path, None, self._reader)
        arrays = read_arrays(path)
        needed = ("t", "x", "y", "p") if self._source.shape[1] > 1 else ("t", "x", "p")
        missing = [name for name in needed if name not in arrays]
        if missing:
            raise CorruptArtifactError(path, f"holds no array '{missing[0]}', expected {', '.join(needed)}")
        return events_of({name: arrays[name] for name in needed}, self._source, path)
