"""What each key of a sweep changes: means over all other settings, with 95 % intervals over seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from scipy.special import stdtrit

from toolchain.sweep.results import SweepResults, value_of, word
from toolchain.sweep.rows import PointRow, Setting

_UPPER: Final = 0.975
"""Quantile of a two-sided interval of 95 %."""


@final
@dataclass(frozen=True)
class Interval:
    """A mean over seeds.

    Attributes:
        mean: The mean.
        half: Half of its 95 % interval, by Student's t; None with fewer than two seeds.
        seeds: Number of seeds.
    """

    mean: float
    half: float | None
    seeds: int

    @property
    def clear(self) -> bool:
        """Whether zero lies outside of the interval."""
        return self.half is not None and abs(self.mean) > self.half


@final
@dataclass(frozen=True)
class ValueEffect:
    """What a value of a key does to a figure.

    Attributes:
        value: The value.
        points: Number of points that have it and were measured.
        level: Mean of the figure, over all other settings.
        difference: From the first value of the key, within equal other settings; None for that value itself,
            and where no two points differ in this key alone.
        pairs: Number of pairs of such points.
    """

    value: Setting
    points: int
    level: Interval
    difference: Interval | None = None
    pairs: int = 0


def interval_of(values: Sequence[float]) -> Interval:
    """Return the mean of independent values, and its 95 % interval.

    Args:
        values: At least one.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count <= 1:
        return Interval(mean, None, count)
    variance = math.fsum((each - mean) ** 2 for each in values) / (count - 1)
    return Interval(mean, float(stdtrit(count - 1, _UPPER)) * math.sqrt(variance / count), count)


def effects_of(results: SweepResults, key: str, figure: str) -> list[ValueEffect]:
    """Return what the values of a key do to a figure, in the order of the values.

    The points of one seed are averaged before the interval is taken over seeds, since they share what chance
    gave to them. Differences pair points that have equal settings but for this key, the seed included.

    Args:
        results: The rows.
        key: The key.
        figure: Field of `Figures`.
    """
    measured = [(row, value_of(row.figures, figure)) for row in results.done]
    known = [(row, value) for row, value in measured if value is not None]
    by_value: dict[str, list[tuple[PointRow, float]]] = {}
    for row, value in known:
        by_value.setdefault(word(row.settings.get(key)), []).append((row, value))
    effects: list[ValueEffect] = []
    first: Mapping[str, float] = {}
    for alike in by_value.values():
        others = {_others(row, key): value for row, value in alike}
        level = _over_seeds(((row, value) for row, value in alike), results.repeated)
        pairs = [
            (row, value - first[_others(row, key)]) for row, value in alike if _others(row, key) in first
        ]
        effects.append(
            ValueEffect(
                alike[0][0].settings.get(key),
                len(alike),
                level,
                _over_seeds(pairs, results.repeated) if pairs else None,
                len(pairs),
            )
        )
        first = first or others
    return effects


def _others(row: PointRow, key: str) -> str:
    return word({name: value for name, value in row.settings.items() if name != key})


def _over_seeds(values: Iterable[tuple[PointRow, float]], repeated: str) -> Interval:
    """Return the mean over seeds of the mean of each; without seeds of all, and no interval."""
    by_seed: dict[str, list[float]] = {}
    for row, value in values:
        by_seed.setdefault(word(row.settings.get(repeated)), []).append(value)
    return interval_of([math.fsum(each) / len(each) for each in by_seed.values()])
