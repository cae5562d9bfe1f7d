"""How far the time constants of a network spread, before and after they were learnt."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.models import Network
from toolchain.models.learnt import DECAYS, start_of

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Shares of the neurons at which a distribution is described."""
_NAMES: Final = {"dv": "membrane", "du": "synaptic", "adaptation_decay": "adaptation"}


@final
@dataclass(frozen=True)
class TimeConstantSpread:
    """The distribution of a time constant over neurons.

    Attributes:
        tau_ms: Time constant of each neuron in milliseconds, `[N]`; infinite without decay.
    """

    tau_ms: Floats

    @classmethod
    def of(cls, decay: NDArray[np.floating], dt_ms: float) -> "TimeConstantSpread":
        """Return the spread of `tau = -dt / log(1 - decay)`."""
        with np.errstate(divide="ignore"):
            return cls(-dt_ms / np.log1p(-np.asarray(decay, np.float64)))

    @property
    def mean(self) -> float:
        """Mean in milliseconds."""
        return float(self.tau_ms.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation in milliseconds."""
        return float(self.tau_ms.std())

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Time constants below which 5, 25, 50, 75 and 95 % of the neurons lie, in milliseconds."""
        return tuple(float(value) for value in np.quantile(self.tau_ms, QUANTILES))

    def as_dict(self) -> dict[str, object]:
        """Return mean, deviation and quantiles as JSON holds them."""
        return {"mean_ms": self.mean, "deviation_ms": self.deviation, "quantiles_ms": list(self.quantiles)}


@final
@dataclass(frozen=True)
class LearntTimeConstants:
    """What training did to the time constants of a layer.

    Attributes:
        layer: Name of the layer.
        name: Parameter that was learnt: `dv`, `du` or `adaptation_decay`.
        before: TimeConstantSpread before the training.
        after: TimeConstantSpread now.
    """

    layer: str
    name: str
    before: TimeConstantSpread
    after: TimeConstantSpread

    def __str__(self) -> str:
        one, two = self.before, self.after
        return (
            f"{_NAMES[self.name]} time constants of {self.layer}, before and after training: mean "
            f"{one.mean:.1f} and {two.mean:.1f} ms, standard deviation {one.deviation:.1f} and "
            f"{two.deviation:.1f} ms, middle half {one.quantiles[1]:.1f} .. {one.quantiles[3]:.1f} and "
            f"{two.quantiles[1]:.1f} .. {two.quantiles[3]:.1f} ms"
        )


def learnt_time_constants(network: Network) -> tuple[LearntTimeConstants, ...]:
    """Return how time constants spread before and after they were learnt, by layer.

    A network keeps where it started, so nothing but the network is needed.
    """
    rows: list[LearntTimeConstants] = []
    for layer in network.layers:
        population = network.layer(layer)
        for name in DECAYS:
            if name in population.train_names:
                values = (start_of(population, name), getattr(population, name))
                before, after = (
                    TimeConstantSpread.of(each.detach().cpu().double().numpy(), network.dt_ms)
                    for each in values
                )
                rows.append(LearntTimeConstants(layer, name, before, after))
    return tuple(rows)
