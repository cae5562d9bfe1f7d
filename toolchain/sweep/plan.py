"""Which points a sweep computes, and in which order: all of a grid, or those that a search asks for."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Protocol, final

from toolchain.sweep.point import Point, SharedSettings, decides_run
from toolchain.sweep.rows import PointRow, Setting


class SweepPlan(Protocol):
    """The points of a sweep, given out a few at a time.

    Whoever carries it out asks for points while `finished` is false, and says of every one how it ended, also
    of those whose results are there already.
    """

    @property
    def size(self) -> int | None:
        """Number of points; None if it is not known before."""
        ...

    @property
    def finished(self) -> bool:
        """Whether there will be no further point, whatever the results of those that run."""
        ...

    def next(self, free: int) -> Sequence[Point]:
        """Return up to `free` further points; none while it waits for results, or has none left."""
        ...

    def ended(self, point: Point, row: PointRow) -> None:
        """Take note of how a point ended."""
        ...


@final
class GridPlan:
    """All combinations of some values, each once.

    What decides the trained network varies fastest, so that workers train different networks at first, and
    compile them for further bits and targets later.

    Args:
        shared: What all points share.
        values: Values by key.
        size: Number of different points, if it is known.
    """

    def __init__(
        self, shared: SharedSettings, values: Mapping[str, Sequence[Setting]], size: int | None = None
    ) -> None:
        self._shared, self._values, self._size = shared, dict(values), size
        self._points = self._distinct()
        self._finished = False

    @property
    def size(self) -> int | None:
        """Number of different points, or, if nobody has counted them, of combinations."""
        return self._size or prod(len(each) for each in self._values.values())

    @property
    def finished(self) -> bool:
        """Whether all points were given out."""
        return self._finished

    def next(self, free: int) -> Sequence[Point]:
        """Return up to `free` further points."""
        points = list(islice(self._points, max(free, 0)))
        self._finished = len(points) < free
        return points

    def ended(self, point: Point, row: PointRow) -> None:
        """Take note of how a point ended: a grid does not mind."""

    def points(self) -> Iterator[Point]:
        """Yield all points, each validated.

        Raises:
            ExperimentError: Names the first key that is unknown or has a value that is not accepted.
        """
        slow_first = sorted(self._values, key=decides_run)
        for values in product(*(self._values[key] for key in slow_first)):
            chosen = dict(zip(slow_first, values, strict=True))
            yield self._shared.point({key: chosen[key] for key in self._values})

    def _distinct(self) -> Iterator[Point]:
        given: set[str] = set()
        for point in self.points():
            if point.name not in given:
                given.add(point.name)
                yield point
