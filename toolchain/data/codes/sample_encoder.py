"""From samples of one form to what enters a network, a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.codes.encoders import Encoding, encode
from toolchain.data.codes.options import (
    AsIsCode,
    BinsCode,
    CodeOptions,
    DeltaCode,
    FieldsCode,
    FilterBankCode,
    IntensityCode,
    ValuesCode,
    WindowCode,
)
from toolchain.data.codes.series_codes import SeriesCode, SeriesEncoding
from toolchain.data.events.binning import Events, bin_events
from toolchain.data.sets.data_set import SampleForm, SampleKind
from toolchain.data.sound.filter_bank import FilterBank
from toolchain.errors import ExperimentError, UsageError

_SUITED: Final = {
    SampleKind.VALUES: "rate, poisson, latency, direct or, for sequences, delta",
    SampleKind.PICTURES: "rate, poisson, latency, direct or, row by row, delta",
    SampleKind.TRAINS: "as_is, rate, poisson, latency, direct or delta",
    SampleKind.SOUND: "filter_bank",
    SampleKind.EVENTS: "bins",
    SampleKind.WINDOWS: "values, fields, poisson_fields or delta",
}
_HIGHEST: Final = 0.4
"""Centre of the highest band, of the samples in a second."""

_Encode = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]


@final
@dataclass(frozen=True)
class SampleEncoder:
    """Encodes samples.

    Attributes:
        form: What the samples have in common.
        options: What stands under `[encoding]`.
        flat: Whether the channels of a step stand in one row, as a recurrent network takes them, or as they
            are, such as `[C, H, W]`.
        spikes: Whether trains that enter as they are must be spikes, 0 or 1.

    Raises:
        ExperimentError: The code does not suit the samples: names the key, and says which do.
    """

    form: SampleForm
    options: CodeOptions
    flat: bool = True
    spikes: bool = False

    def __post_init__(self) -> None:
        kind, shape = self.form.kind, self.form.shape
        match self.options:
            case IntensityCode():
                suits = kind in {SampleKind.VALUES, SampleKind.PICTURES, SampleKind.TRAINS}
            case DeltaCode():
                rows = kind is SampleKind.PICTURES and self.options.rows
                sequence = kind in {SampleKind.VALUES, SampleKind.TRAINS} and len(shape) == 2
                suits = rows or sequence or kind is SampleKind.WINDOWS
            case FilterBankCode():
                suits = kind is SampleKind.SOUND
            case BinsCode():
                suits = kind is SampleKind.EVENTS
            case AsIsCode():
                suits = kind is SampleKind.TRAINS
            case ValuesCode() | FieldsCode():
                suits = kind is SampleKind.WINDOWS
        if not suits:
            raise ExperimentError(
                "encoding.name",
                f"'{self.options.name}' does not suit data '{self.form.name}', whose samples are "
                f"{kind.value} {list(shape) or ''}: choose {_SUITED[kind]}",
            )
        if self._by_rows and kind is not SampleKind.PICTURES:
            raise ExperimentError("encoding.rows", f"shows pictures; samples are {kind.value} {list(shape)}")
        object.__setattr__(self, "_encode", self._encoder())

    @property
    def _by_rows(self) -> bool:
        return isinstance(self.options, IntensityCode | DeltaCode) and self.options.rows

    @property
    def _in_frames(self) -> bool:
        """Whether the first axis of a sample is the time."""
        return self.form.kind is SampleKind.TRAINS or len(self.form.shape) == 2

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        shape = self.form.shape
        match self.options:
            case AsIsCode():
                return shape[0]
            case IntensityCode() | DeltaCode():
                return self.options.steps * (
                    shape[1] if self._by_rows else shape[0] if self._in_frames else 1
                )
            case FilterBankCode() | BinsCode():
                return self.options.steps
            case ValuesCode() | FieldsCode():
                return self.options.steps * shape[0]

    @property
    def features(self) -> tuple[int, ...]:
        """Shape of a step, before it is laid out in one row."""
        shape = self.form.shape
        match self.options:
            case AsIsCode():
                return shape[1:]
            case IntensityCode() if not self._by_rows:
                return shape[1:] if self._in_frames else shape
            case IntensityCode():
                return (shape[0] * shape[2],)
            case DeltaCode():
                return (2 * (shape[0] * shape[2] if self._by_rows else shape[1]),)
            case FilterBankCode():
                return (self.options.bands,)
            case BinsCode():
                return _shrunk_shape(shape, self.options.shrink)
            case ValuesCode() | FieldsCode():
                return (series_code(self.options, shape[1]).channels,)

    @property
    def channels(self) -> int:
        """Channels of a step."""
        return prod(self.features)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample takes once it is encoded, at least."""
        steps = 1 if self.still else self.steps
        width = 8 if isinstance(self.options, ValuesCode) else 4 if self._graded else 1
        return steps * self.channels * width

    @property
    def still(self) -> bool:
        """Whether a sample is one picture that is shown at every step, and no sequence."""
        direct = self.options.name == "direct" and not self._by_rows
        return direct and not self.flat and self.form.kind is SampleKind.PICTURES

    @property
    def _graded(self) -> bool:
        return self.options.name == "direct" or getattr(self.options, "graded", False)

    def encode(self, samples: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Return a batch as it enters, `[batch, steps, *features]`; of still pictures without the steps.

        Of sound and events it is a batch of one.

        Args:
            samples: The samples.
            rng: Source of random numbers, which only the Poisson code uses.

        Raises:
            UsageError: They are no spikes, and must be.
        """
        if self.still:
            return _intensities(samples).astype(np.float32, copy=False)
        encoding: _Encode = getattr(self, "_encode")  # noqa: B009 - made in __post_init__
        trains = encoding(samples, rng)
        features = (self.channels,) if self.flat else self.features
        return trains.reshape(*trains.shape[:2], *features)

    def _encoder(self) -> _Encode:
        """Return the function that encodes a batch."""
        options, form = self.options, self.form
        if form.kind is SampleKind.WINDOWS and isinstance(options, WindowCode):
            return series_code(options, form.shape[1]).encode_all
        match options:
            case IntensityCode():
                code = Encoding(options.name)
                return lambda samples, rng: encode(
                    self._frames(samples), code, options.steps, rng=rng, max_rate=options.max_rate
                )
            case DeltaCode():
                moves = SeriesCode(
                    self.channels // 2, SeriesEncoding.DELTA, steps=options.steps, unit=options.unit
                )
                return lambda samples, rng: moves.encode_all(self._frames(samples).astype(np.float64), rng)
            case FilterBankCode():
                high = options.high_hz or _HIGHEST * form.hertz
                bank = FilterBank(form.hertz, options.bands, options.low_hz, high, options.range_db)
                return lambda samples, _: _sound_trains(bank.levels(samples[0], options.steps), options)[None]
            case BinsCode():
                return lambda samples, _: _frames_of(samples[0], form.shape, options)[None]
            case AsIsCode():
                return lambda samples, _: as_spikes(samples) if self.spikes else samples
            case ValuesCode() | FieldsCode():
                return lambda samples, _: samples

    def _frames(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Return intensities `[batch, channels]` or `[batch, frames, channels]`."""
        values = _intensities(samples)
        if self._by_rows:
            rows = values.transpose(0, 2, 1, 3)
            return rows.reshape(*rows.shape[:2], -1)
        if self._in_frames:
            return values.reshape(*values.shape[:2], -1)
        return values.reshape(len(values), -1)


def series_code(options: WindowCode, dimensions: int) -> SeriesCode:
    """Return the code of a series as an experiment says it.

    Args:
        options: What stands under `[encoding]`.
        dimensions: Number of dimensions of the series.
    """
    match options:
        case ValuesCode():
            direct = SeriesEncoding.DIRECT
            return SeriesCode(dimensions, direct, steps=options.steps, reach=options.reach, bits=options.bits)
        case FieldsCode():
            return SeriesCode(
                dimensions,
                SeriesEncoding.POPULATION if options.name == "fields" else SeriesEncoding.POISSON,
                steps=options.steps,
                fields=options.fields,
                reach=options.reach,
                max_rate=options.max_rate,
            )
        case DeltaCode():
            return SeriesCode(dimensions, SeriesEncoding.DELTA, steps=options.steps, unit=options.unit)


def _intensities(samples: NDArray[Any]) -> NDArray[Any]:
    """Return pictures in 0 .. 1, of which files hold bytes."""
    return samples.astype(np.float32) / np.float32(255) if samples.dtype == np.uint8 else samples


def as_spikes(samples: NDArray[Any]) -> NDArray[np.bool_]:
    """Return trains of 0 and 1 as spikes.

    Raises:
        UsageError: They hold something else.
    """
    if samples.dtype == np.bool_:
        return samples
    wrong = (samples != 0) & (samples != 1)
    if wrong.any():
        raise UsageError(
            f"a sample holds {samples[wrong][0]:g}, and those to train on are spikes, which are 0 or 1",
            "check that all parts were made alike, or encode graded values in the training part too",
        )
    return samples.astype(bool)


def _sound_trains(levels: Floats, options: FilterBankCode) -> NDArray[Any]:
    """Return the levels themselves, or a spike whenever the sum of levels has risen by 1."""
    if options.graded:
        return levels.astype(np.float32)
    counts = np.floor(np.cumsum(levels * options.max_rate, axis=0) + 1e-9)
    return np.diff(counts, axis=0, prepend=0) > 0


def _shrunk_shape(sensor: tuple[int, ...], shrink: int) -> tuple[int, ...]:
    channels, height, width = sensor
    return channels, -(-height // shrink), -(-width // shrink)


def _frames_of(events: Events, sensor: tuple[int, ...], options: BinsCode) -> NDArray[Any]:
    channels, height, width = sensor
    shape = (channels, height, width)
    binary = not options.graded and options.shrink == 1
    frames = bin_events(events, shape, options.steps, slicing=options.slicing, binary=binary)
    if options.shrink > 1:
        _, small_height, small_width = _shrunk_shape(shape, options.shrink)
        # A sensor of one row keeps it.
        tall = 1 if height == 1 else options.shrink
        more = ((0, 0), (0, 0), (0, small_height * tall - height), (0, small_width * options.shrink - width))
        blocks = np.pad(frames, more).reshape(
            len(frames), channels, small_height, tall, small_width, options.shrink
        )
        frames = blocks.sum(axis=(3, 5), dtype=np.int64)
    return frames.astype(np.float32) if options.graded else frames > 0
