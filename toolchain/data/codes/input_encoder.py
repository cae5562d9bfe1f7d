"""The parts of a data set as they enter a network, at once where that fits into the memory."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.data.codes.encoders import encoding_bytes
from toolchain.data.codes.options import (
    AsIsCode,
    CodeOptions,
    FieldsCode,
    IntensityCode,
    ValuesCode,
    WindowCode,
)
from toolchain.data.codes.sample_encoder import SampleEncoder, as_spikes, series_code
from toolchain.data.sets.data_set import DataSet, OnDemand, Part, Stored
from toolchain.errors import UsageError
from toolchain.memory import budget, readable_size
from toolchain.models.input_code import InputCode

_TOGETHER: Final = 256
"""Samples that are encoded together where all of them are too many."""


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
        # Raises where the code does not suit.
        _ = self.sample_encoder

    @cached_property
    def sample_encoder(self) -> SampleEncoder:
        """What encodes a batch, whichever part it is of."""
        return SampleEncoder(self.data.form, self.options, self.flat, spikes=self._spikes)

    @property
    def still(self) -> bool:
        """Whether a sample is one picture that is shown at every step, and no sequence."""
        return self.sample_encoder.still

    @property
    def _spikes(self) -> bool:
        """Whether the training part are trains of nothing but 0 and 1: then all other parts must be, too."""
        if not isinstance(self.options, AsIsCode):
            return False
        samples: Any = self.data.train.samples
        blocks = (samples[i : i + _TOGETHER] for i in range(0, len(samples), _TOGETHER))
        return samples.dtype == np.bool_ or all(((block == 0) | (block == 1)).all() for block in blocks)

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return self.sample_encoder.steps

    @property
    def features(self) -> tuple[int, ...]:
        """Shape of a step, before it is laid out in one row."""
        return self.sample_encoder.features

    @property
    def channels(self) -> int:
        """Channels of a step."""
        return self.sample_encoder.channels

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample takes once it is encoded, at least."""
        return self.sample_encoder.bytes_per_sample

    @property
    def input_code(self) -> InputCode | None:
        """The integers that stand for graded values, where the code says them; None where values decide."""
        if not isinstance(self.options, ValuesCode):
            return None
        return series_code(self.options, self.data.shape[1]).input_code

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
        if isinstance(part.samples, np.ndarray) and isinstance(self.options, IntensityCode | WindowCode):
            together = self._together(part.samples, self.options)
            blocks = range(0, len(part), together)
            return _joined(
                [self.sample_encoder.encode(part.samples[i : i + together], rng) for i in blocks], len(part)
            )
        return _joined([self._one(part, i, rng)[None] for i in range(len(part))], len(part))

    @staticmethod
    def _together(samples: NDArray[Any], options: IntensityCode | WindowCode) -> int:
        """Return how many samples are encoded together: all if their trains fit while they are made."""
        each = options.fields if isinstance(options, FieldsCode) else 1
        needed = encoding_bytes(samples.size * each, options.steps)
        return _TOGETHER if budget().excess(needed) else max(len(samples), 1)

    def _as_is(self, part: Part) -> Stored:
        """Return what is stored; where the training part holds nothing but 0 and 1, as spikes."""
        samples: Any = part.samples
        spikes = self.sample_encoder.spikes
        in_row = self.flat and len(self.data.shape) > 2
        if not budget().excess(2 * prod(samples.shape) * samples.dtype.itemsize):
            whole = np.asarray(samples)
            whole = whole.reshape(*whole.shape[:2], self.channels) if in_row else whole
            return as_spikes(whole) if spikes else whole
        if in_row or (spikes and samples.dtype != np.bool_):
            return OnDemand(lambda i: self._one(part, i, np.random.default_rng(0)), range(len(part)))
        return samples

    def lengths(self, part: Part) -> NDArray[np.int64] | None:
        """Return how many steps of every encoded sample of a part are valid; None if all are."""
        return None if part.lengths is None else part.lengths * (self.steps // self.data.shape[0])

    def _one(self, part: Part, index: int, rng: np.random.Generator) -> NDArray[Any]:
        sample = np.asarray(part.samples[index])
        return self.sample_encoder.encode(sample[None], rng)[0]


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
