"""A bank of gammatone filters, as a cochlea has, and the level of every band over time."""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import ArgumentError
from toolchain.options import hold, real, whole

_SILENCE: Final = 1e-12
_ORDER: Final = 4
_WIDTH: Final = 1.019
"""Bandwidth of a filter of this order that lets through as much as a place of the cochlea does."""


def _erb_rate(hertz: Any) -> Any:  # noqa: ANN401 - a number or an array of them
    """Return the place of a frequency along the cochlea, in bandwidths (Glasberg and Moore 1990)."""
    return 21.4 * np.log10(1 + 0.00437 * hertz)


def centres(bands: int, low: float, high: float) -> Floats:
    """Return centres of bands that are equally far apart along the cochlea.

    >>> centres(3, 100.0, 3200.0).round().tolist()
    [100.0, 833.0, 3200.0]
    """
    return (10 ** (np.linspace(_erb_rate(low), _erb_rate(high), bands) / 21.4) - 1) / 0.00437


@final
@dataclass(frozen=True)
class FilterBank:
    """Gammatone filters of fourth order, each followed by a rectifier and a logarithm.

    Attributes:
        hertz: Samples of the waveforms in a second.
        bands: Number of bands.
        low: Centre of the lowest band in hertz.
        high: Centre of the highest band in hertz, below half the samples in a second.
        range_db: How far below the loudest moment of a recording a level is still above 0, in decibels.
    """

    hertz: int
    bands: int = 32
    low: float = 100.0
    high: float = 3200.0
    range_db: float = 50.0

    def __post_init__(self) -> None:
        hold(
            self,
            hertz=whole(1),
            bands=whole(1, 2**16),
            low=real(1e-3),
            high=real(1e-3),
            range_db=real(1e-3, 1e3),
        )
        if not self.low < self.high < self.hertz / 2:
            raise ArgumentError(
                "low and high",
                f"frequencies that rise and lie below half the samples in a second, {self.hertz / 2:g} Hz",
                f"{self.low:g} and {self.high:g} Hz",
            )
        # Filters are the same for every recording.
        hertz = centres(self.bands, self.low, self.high)
        widths = _WIDTH * 24.7 * (1 + 0.00437 * hertz)
        object.__setattr__(
            self, "_sections", [self._filter(*each) for each in zip(hertz, widths, strict=True)]
        )

    def _filter(self, centre: float, width: float) -> Floats:
        """Return an all-pole gammatone filter as sections of two poles each, which lose no digits."""
        pole = np.exp(2 * np.pi * (1j * centre - width) / self.hertz)
        turn = np.exp(-2j * np.pi * centre / self.hertz)
        # What comes in at the centre comes out as large.
        gain = abs((1 - pole * turn) * (1 - pole.conjugate() * turn))
        return np.tile([gain, 0, 0, 1, -2 * pole.real, abs(pole) ** 2], (_ORDER, 1))

    def levels(self, wave: NDArray[Any], steps: int) -> Floats:
        """Return the level of each band in each of `steps` pieces of equal length, `[steps, bands]`.

        1 is the loudest piece of any band of this recording, 0 what is `range_db` below it or less.
        """
        from scipy.signal import sosfilt  # noqa: PLC0415 - takes long to load

        samples = np.asarray(wave, np.float64)
        if len(samples) < steps:
            samples = np.pad(samples, (0, steps - len(samples)))
        edges = np.arange(steps) * len(samples) // steps
        lengths = np.diff(np.append(edges, len(samples)))
        energy = np.empty((steps, self.bands))
        for i, sections in enumerate(getattr(self, "_sections")):  # noqa: B009 - made in __post_init__
            heard = np.asarray(sosfilt(sections, samples))
            energy[:, i] = np.add.reduceat(np.maximum(heard, 0), edges) / lengths
        loudest = energy.max()
        if loudest < _SILENCE:
            return np.zeros_like(energy)
        decibels = 20 * np.log10(np.maximum(energy / loudest, _SILENCE))
        return np.clip(1 + decibels / self.range_db, 0, 1)
