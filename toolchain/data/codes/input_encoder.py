"""From the samples of a data set to what enters a network, at once where that fits into the memory."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.codes.encoders import Encoding, encode, encoding_bytes
from toolchain.data.codes.options import (
    AsIsCode,
    BinsCode,
    CodeOptions,
    DeltaCode,
    FilterBankCode,
    IntensityCode,
)
from toolchain.data.codes.series_codes import SeriesCode, SeriesEncoding
from toolchain.data.events.binning import Events, bin_events
from toolchain.data.sets.data_set import DataSet, OnDemand, Part, SampleKind, Stored
from toolchain.data.sound.filter_bank import FilterBank
from toolchain.errors import ExperimentError, UsageError
from toolchain.memory import budget, readable_size

_TOGETHER: Final = 256
"""Samples that are encoded together where all of them are too many."""
_SUITED: Final = {
    SampleKind.VALUES: "rate, poisson, latency, direct or, for sequences, delta",
    SampleKind.PICTURES: "rate, poisson, latency, direct or, row by row, delta",
    SampleKind.TRAINS: "as_is, rate, poisson, latency, direct or delta",
    SampleKind.SOUND: "filter_bank",
    SampleKind.EVENTS: "bins",
}
_HIGHEST: Final = 0.4
"""Centre of the highest band, of the samples in a second."""

_Encode = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]


@final
@dataclass(frozen=True)
class InputEncoder:
    """Encodes the samples of a data set.

    Attributes:
        data: The data set.
        options: What stands under `[encoding]`.
        flat: Whether the channels of a step stand in one row, as a recurrent network takes them, or as they
            are, such as `[C, H, W]`. Pictures whose values enter directly are then no sequence: each stands
            for itself, `[C, H, W]`, and is shown at every step.

    Raises:
        ExperimentError: The code does not suit the samples: names the key, and says which do.
    """

    data: DataSet
    options: CodeOptions
    flat: bool = True

    def __post_init__(self) -> None:
        kind, shape = self.data.kind, self.data.shape
        match self.options:
            case IntensityCode():
                suits = kind in {SampleKind.VALUES, SampleKind.PICTURES, SampleKind.TRAINS}
            case DeltaCode():
                rows = kind is SampleKind.PICTURES and self.options.rows
                suits = rows or (kind in {SampleKind.VALUES, SampleKind.TRAINS} and len(shape) == 2)
            case FilterBankCode():
                suits = kind is SampleKind.SOUND
            case BinsCode():
                suits = kind is SampleKind.EVENTS
            case AsIsCode():
                suits = kind is SampleKind.TRAINS
        if not suits:
            raise ExperimentError(
                "encoding.name",
                f"'{self.options.name}' does not suit data '{self.data.name}', whose samples are "
                f"{kind.value} {list(shape) or ''}: choose {_SUITED[kind]}",
            )
        if self._by_rows and kind is not SampleKind.PICTURES:
            raise ExperimentError("encoding.rows", f"shows pictures; samples are {kind.value} {list(shape)}")
        object.__setattr__(self, "_encode", self._encoder())

    @property
    def still(self) -> bool:
        """Whether a sample is one picture that is shown at every step, and no sequence."""
        direct = self.options.name == "direct" and not self._by_rows
        return direct and not self.flat and self.data.kind is SampleKind.PICTURES

    @property
    def _by_rows(self) -> bool:
        return isinstance(self.options, IntensityCode | DeltaCode) and self.options.rows

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        shape = self.data.shape
        match self.options:
            case AsIsCode():
                return shape[0]
            case IntensityCode() | DeltaCode():
                in_frames = len(shape) == 2
                return self.options.steps * (shape[1] if self._by_rows else shape[0] if in_frames else 1)
            case FilterBankCode() | BinsCode():
                return self.options.steps

    @property
    def features(self) -> tuple[int, ...]:
        """Shape of a step, before it is laid out in one row."""
        shape = self.data.shape
        match self.options:
            case AsIsCode():
                return shape[1:]
            case IntensityCode() if not self._by_rows:
                return shape[1:] if len(shape) == 2 else shape
            case IntensityCode():
                return (shape[0] * shape[2],)
            case DeltaCode():
                return (2 * (shape[0] * shape[2] if self._by_rows else shape[1]),)
            case FilterBankCode():
                return (self.options.bands,)
            case BinsCode():
                return _shrunk_shape(shape, self.options.shrink)

    @property
    def channels(self) -> int:
        """Channels of a step."""
        return prod(self.features)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample takes once it is encoded, at least."""
        steps = 1 if self.still else self.steps
        return steps * self.channels * (4 if self._graded else 1)

    @property
    def _graded(self) -> bool:
        return self.options.name == "direct" or getattr(self.options, "graded", False)

    def part(self, part: Part, rng: np.random.Generator, seed: list[int]) -> Stored:
        """Return the samples of a part as they enter, `[samples, steps, channels]`.

        They are one array where that takes no more than half of what may be taken; else each is encoded when
        it is asked for, and random codes then draw from a seed of its own.

        Args:
            part: Samples of the data set.
            rng: Source of random numbers, which only the Poisson code uses.
            seed: Seed of the samples that are encoded on demand.
        """
        if isinstance(self.options, AsIsCode):
            return self._as_is(part)
        if len(part) * self.bytes_per_sample > budget().limit // 2:
            return OnDemand(lambda i: self._one(part, i, np.random.default_rng([*seed, i])), range(len(part)))
        if isinstance(part.samples, np.ndarray) and isinstance(self.options, IntensityCode):
            together = self._together(part.samples)
            blocks = range(0, len(part), together)
            return _joined([self._batch(part.samples[i : i + together], rng) for i in blocks], len(part))
        return _joined([self._one(part, i, rng)[None] for i in range(len(part))], len(part))

    def _together(self, samples: NDArray[Any]) -> int:
        """Return how many samples are encoded together: all if their trains fit while they are made."""
        needed = encoding_bytes(samples.size, cast("IntensityCode", self.options).steps)
        return _TOGETHER if budget().excess(needed) else max(len(samples), 1)

    def _as_is(self, part: Part) -> Stored:
        """Return what is stored; numbers that are all 0 or 1 are spikes."""
        samples: Any = part.samples
        if budget().excess(2 * prod(samples.shape) * samples.dtype.itemsize):
            return samples
        array = np.asarray(samples)
        if array.dtype != np.bool_ and ((array == 0) | (array == 1)).all():
            return array.astype(bool)
        return array

    def _one(self, part: Part, index: int, rng: np.random.Generator) -> NDArray[Any]:
        sample = np.asarray(part.samples[index])
        return self._batch(sample[None], rng)[0]

    def _batch(self, samples: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        if self.still:
            return _intensities(samples).astype(np.float32, copy=False)
        encoding: _Encode = getattr(self, "_encode")  # noqa: B009 - made in __post_init__
        trains = encoding(samples, rng)
        features = (self.channels,) if self.flat else self.features
        return trains.reshape(*trains.shape[:2], *features)

    def _encoder(self) -> _Encode:
        """Return the function that encodes a batch."""
        options, data = self.options, self.data
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
                high = options.high_hz or _HIGHEST * data.hertz
                bank = FilterBank(data.hertz, options.bands, options.low_hz, high, options.range_db)
                return lambda samples, _: _sound_trains(bank.levels(samples[0], options.steps), options)[None]
            case BinsCode():
                return lambda samples, _: _frames_of(samples[0], data.shape, options)[None]
            case AsIsCode():
                return lambda samples, _: samples

    def _frames(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Return intensities `[batch, channels]` or `[batch, frames, channels]`."""
        values = _intensities(samples)
        if self._by_rows:
            rows = values.transpose(0, 2, 1, 3)
            return rows.reshape(*rows.shape[:2], -1)
        return values if values.ndim <= 3 else values.reshape(len(values), -1)


def _intensities(samples: NDArray[Any]) -> NDArray[Any]:
    """Return pictures in 0 .. 1, of which files hold bytes."""
    return samples.astype(np.float32) / np.float32(255) if samples.dtype == np.uint8 else samples


def gathered(samples: Stored, count: int | None = None) -> NDArray[Any]:
    """Return samples, or the first of them, as one array.

    Raises:
        UsageError: They do not fit into the memory.
    """
    some: Any = samples
    number = len(some) if count is None else min(count, len(some))
    if isinstance(some, np.ndarray):
        return some[:number]
    first = np.asarray(some[0])
    if budget().excess(2 * number * first.nbytes):
        raise UsageError(
            f"{number} encoded samples need {readable_size(number * first.nbytes)} of memory: "
            "take fewer by `test_samples` or `train_samples` under [data], or fewer steps"
        )
    return _joined([np.asarray(some[i])[None] for i in range(number)], number)


def _joined(blocks: list[NDArray[Any]], count: int) -> NDArray[Any]:
    return blocks[0] if len(blocks) == 1 and len(blocks[0]) == count else np.concatenate(blocks)


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
