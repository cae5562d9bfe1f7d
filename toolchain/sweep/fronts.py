"""Pareto fronts, exactly: which points no other point beats."""

import math
from collections.abc import Sequence
from typing import Final

Goals = Sequence[float | None]
"""What a point reached in each objective, more being better; None or NaN where that is not known."""
_TWO: Final = 2


def dominates(one: Goals, other: Goals) -> bool:
    """Return whether a point is nowhere worse than another, and better in at least one objective.

    A point of which something is not known neither dominates nor is dominated.
    """
    pairs = list(zip(one, other, strict=True))
    if not all(is_known(goal) for pair in pairs for goal in pair):
        return False
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return all(a >= b for a, b in known) and any(a > b for a, b in known)


def front(points: Sequence[Goals]) -> list[int]:
    """Return the indices of the points that no other dominates, in their order.

    Equal points are on the front together, or none of them is. A point of which something is not known is not
    on it. With one or two objectives that takes as long as sorting the points.

    Args:
        points: What each reached, the same number of objectives for all.
    """
    known = [i for i, goals in enumerate(points) if goals and all(map(is_known, goals))]
    values = {i: tuple(float(goal) for goal in points[i] if goal is not None) for i in known}
    # The best come first: whatever dominates a point stands before it.
    known.sort(key=lambda i: values[i], reverse=True)
    best: list[int] = []
    distinct: list[tuple[float, ...]] = []
    for i in known:
        goals = values[i]
        if distinct and goals == distinct[-1]:
            best.append(i)
            continue
        # In two objectives the last one of the front is the one that comes nearest.
        rivals = distinct[-1:] if len(goals) <= _TWO else distinct
        if any(all(a >= b for a, b in zip(rival, goals, strict=True)) for rival in rivals):
            continue
        best.append(i)
        distinct.append(goals)
    return sorted(best)


def is_known(goal: float | None) -> bool:
    """Return whether something was measured. Infinity is: it is better or worse than all numbers."""
    return goal is not None and not math.isnan(goal)
