"""Few distinct thresholds: which ones, and which neuron gets which."""

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats


def share_thresholds(largest: Floats, profiles: int) -> NDArray[np.int64]:
    r"""Return a threshold mantissa per neuron, at most `profiles` distinct ones.

    A neuron may have any threshold up to its largest, at the price of a coarser scale: with another one it
    loses `log2(largest / threshold)` bits of its weights. The thresholds have the least summed loss, which
    dynamic programming over the sorted neurons finds exactly; each is the largest that its whole group
    allows.

    Args:
        largest: Largest threshold mantissa of every neuron at which everything fits, `[N]`, at least 1.
        profiles: Largest number of distinct thresholds.
    """
    # A threshold that was whole before it was divided and multiplied is still whole.
    whole = np.floor(largest * (1 + 1e-12)).clip(1)
    levels, inverse, counts = np.unique(whole, return_inverse=True, return_counts=True)
    bits = np.log2(levels)
    n, groups = len(levels), min(profiles, len(levels))
    # cost[i, j]: all neurons of levels i .. j get level i.
    weights = np.concatenate([[0.0], np.cumsum(counts)])
    sums = np.concatenate([[0.0], np.cumsum(counts * bits)])
    best = np.full((groups + 1, n + 1), np.inf)
    cut = np.zeros((groups + 1, n + 1), dtype=np.int64)
    best[0, 0] = 0.0
    for k in range(1, groups + 1):
        for j in range(1, n + 1):
            starts = np.arange(j)
            loss = (sums[j] - sums[starts]) - bits[starts] * (weights[j] - weights[starts])
            total = best[k - 1, :j] + loss
            cut[k, j] = int(np.argmin(total))
            best[k, j] = total[cut[k, j]]
    thresholds, end = np.empty(n), n
    for k in range(int(np.argmin(best[:, n])), 0, -1):
        start = cut[k, end]
        thresholds[start:end] = levels[start]
        end = start
    return thresholds[inverse].astype(np.int64)
