"""From one value of a series at a time to a few steps of input, so that loops can be closed through it."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, assert_never, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.codes.encoders import rate_code
from toolchain.models.input_code import MOST_BITS, InputCode
from toolchain.options import choice, factor, hold, share, whole


class SeriesEncoding(Enum):
    """How a value becomes input."""

    DIRECT = "direct"
    """The value itself as a graded input, the same at every step."""
    POPULATION = "population"
    """Gaussian receptive fields, evenly spaced spikes."""
    POISSON = "poisson"
    """Gaussian receptive fields, spikes at random."""
    DELTA = "delta"
    """A spike up or down for every unit that the value has moved."""


@final
@dataclass(frozen=True)
class SeriesCode:
    """A code for values of mean 0 and deviation 1.

    Attributes:
        dimensions: Number of dimensions of the series.
        encoding: How values become input.
        steps: Network steps per value.
        fields: Number of receptive fields per dimension (population and Poisson).
        reach: Values from `-reach` to `reach` are covered; beyond, they are clipped.
        max_rate: Spikes per step at the centre of a field.
        unit: Movement per spike (delta).
        bits: Magnitude bits of the integer that stands for a graded value (direct).
    """

    dimensions: int
    encoding: SeriesEncoding = SeriesEncoding.DIRECT
    steps: int = 10
    fields: int = 16
    reach: float = 4.0
    max_rate: float = 1.0
    unit: float = 0.05
    bits: int = 10

    def __post_init__(self) -> None:
        hold(
            self,
            dimensions=whole(1, 2**20),
            encoding=choice(SeriesEncoding),
            steps=whole(1, 2**20),
            fields=whole(1, 2**20),
            reach=factor,
            max_rate=share,
            unit=factor,
            bits=whole(1, MOST_BITS),
        )

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        match self.encoding:
            case SeriesEncoding.DIRECT:
                return self.dimensions
            case SeriesEncoding.POPULATION | SeriesEncoding.POISSON:
                return self.dimensions * self.fields
            case SeriesEncoding.DELTA:
                return 2 * self.dimensions
            case _:
                assert_never(self.encoding)

    @property
    def input_code(self) -> InputCode | None:
        """The integers that stand for values (direct), the largest for `reach`; None if spikes enter."""
        return InputCode.up_to(self.reach, self.bits) if self.encoding is SeriesEncoding.DIRECT else None

    def start(self, batch: int) -> Floats:
        """Return the state before the first value: where the delta code has moved so far, `[batch, D]`."""
        return np.zeros((batch, self.dimensions))

    def encode(self, values: Floats, state: Floats, rng: np.random.Generator) -> tuple[NDArray[Any], Floats]:
        """Return the input of one value and the next state.

        Args:
            values: Values `[batch, D]`.
            state: State as returned for the value before, or by `start`.
            rng: Source of random numbers, which only the Poisson code uses.

        Returns:
            `[batch, steps, channels]`, bool or for the direct code float64; and the state.
        """
        values = np.clip(values, -self.reach, self.reach)
        match self.encoding:
            case SeriesEncoding.DIRECT:
                return np.repeat(values[:, None, :], self.steps, axis=1), state
            case SeriesEncoding.POPULATION:
                return rate_code(self._rates(values), self.steps), state
            case SeriesEncoding.POISSON:
                rates = self._rates(values)
                draws = rng.random((len(values), self.steps, rates.shape[1]))
                return draws < rates[:, None, :], state
            case SeriesEncoding.DELTA:
                return self._moves(values, state)
            case _:
                assert_never(self.encoding)

    def encode_all(self, series: Floats, rng: np.random.Generator) -> NDArray[Any]:
        """Return the input of whole series `[batch, time, D]`: `[batch, time * steps, channels]`."""
        state, parts = self.start(len(series)), list[NDArray[Any]]()
        for t in range(series.shape[1]):
            part, state = self.encode(series[:, t], state, rng)
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def _rates(self, values: Floats) -> Floats:
        """Return the rates of fields as far apart as they are wide: about five of them see a value."""
        centres = np.linspace(-self.reach, self.reach, self.fields)
        width = centres[1] - centres[0] if self.fields > 1 else self.reach
        distance = (values[:, :, None] - centres) / width
        return (self.max_rate * np.exp(-(distance**2) / 2)).reshape(len(values), -1)

    def _moves(self, values: Floats, state: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Return at most one spike per step and direction; the rest of a move is sent later."""
        wanted = np.trunc((values - state) / self.unit)
        count = np.clip(wanted, -self.steps, self.steps)
        rates = np.concatenate([np.maximum(count, 0), np.maximum(-count, 0)], axis=1) / self.steps
        return rate_code(rates, self.steps), state + count * self.unit
