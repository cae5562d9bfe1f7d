"""The last word on the size: exactly as many synapses as were asked for, by sign and with an input each."""

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats


def met_goal(
    present: NDArray[np.bool_],
    possible: NDArray[np.bool_],
    probability: Floats,
    sign: Floats,
    targets: NDArray[np.int64] | None,
    goal: int,
) -> NDArray[np.bool_]:
    """Return which synapses make up a number of them: those that are there first, then those that come back.

    Both are taken by falling keep probability. The shares of the signs are those of what is possible, unless
    neurons without another input need more of one.

    Args:
        present: True for the synapses that are there.
        possible: True for the synapses both ends of which are alive.
        probability: Last keep probability per synapse.
        sign: Sign of each synapse; all alike if their shares are free.
        targets: Target of each synapse, if every neuron keeps an input as far as the goal allows; None if
            neurons may lose all.
        goal: Number of synapses, at most as many as are possible.
    """
    here, absent = np.flatnonzero(present), np.flatnonzero(possible & ~present)
    weakest_first = here[np.argsort(probability[here], kind="stable")]
    strongest_first = absent[np.argsort(-probability[absent], kind="stable")]
    order = np.concatenate([weakest_first[::-1], strongest_first])
    signs, counts = np.unique(sign[possible], return_counts=True)
    needed = np.zeros(0, dtype=np.int64)
    if targets is not None and goal:
        common = sign[order] == signs[counts.argmax()]
        needed = _inputs(order, common, present[order], targets)[:goal]
    least = np.array([np.count_nonzero(sign[needed] == each) for each in signs], dtype=np.int64)
    order = np.concatenate([needed, order[~np.isin(order, needed)]])
    stays = np.zeros(len(present), dtype=np.bool_)
    for each, count in zip(signs, _shares(counts, least, goal), strict=True):
        stays[order[sign[order] == each][:count]] = True
    return stays


def _shares(counts: NDArray[np.int64], least: NDArray[np.int64], goal: int) -> NDArray[np.int64]:
    """Split a goal in proportion to counts, none below its least; the largest count gets what is left."""
    shares, spare = least.copy(), goal - int(least.sum())
    largest = int(counts.argmax()) if len(counts) else 0
    for i, count in enumerate(counts):
        if i != largest:
            wanted = int(count) * goal // int(counts.sum())
            more = min(max(wanted - int(least[i]), 0), spare)
            shares[i] += more
            spare -= more
    if len(shares):
        shares[largest] += spare
    return shares


def _inputs(
    order: NDArray[np.int64],
    common: NDArray[np.bool_],
    present: NDArray[np.bool_],
    targets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return a synapse of each target: one that is there if it can be, of the common sign if it can be."""
    ranked = order[np.lexsort((~common, ~present))]
    return ranked[np.sort(np.unique(targets[ranked], return_index=True)[1])]
