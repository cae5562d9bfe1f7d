"""The compiled loops over the spikes of a pool, and over pairs of its neurons."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolchain.compiled import njit


class SynapsesBySource(NamedTuple):
    """Weights by source, as the columns of a CSC matrix.

    Attributes:
        indptr: Where the synapses of each source begin, `[N + 1]`.
        indices: Targets.
        data: Weights.
    """

    indptr: NDArray[Any]
    indices: NDArray[Any]
    data: NDArray[Any]


@njit(nogil=True, cache=True)
def run_spikes(
    synapses: SynapsesBySource,
    beta: NDArray[Any],
    threshold: NDArray[Any],
    after: tuple[float, NDArray[Any]],
    drive: NDArray[Any],
    v: NDArray[Any],
    spikes: NDArray[Any],
) -> bool:
    """Run a pool event by event: the cost is spikes times fan-out.

    Args:
        synapses: Synapses of the pool.
        beta: Share of the potential that stays at a step, `[N]`.
        threshold: Threshold per neuron, `[N]`.
        after: Share of the potential that a spike leaves, and what it adds to that, `[N]`.
        drive: Input `[steps, N]`.
        v: Potentials `[steps, N]` before the reset, written.
        spikes: Spikes `[steps, N]`, 0 or 1, written.

    Returns:
        Whether every potential stayed finite.
    """
    steps, size = drive.shape
    indptr, indices, data = synapses
    share, added = after
    state = np.zeros(size)
    current = np.zeros(size)
    finite = True
    for t in range(steps):
        for i in range(size):
            p = beta[i] * state[i] + current[i] + drive[t, i]
            finite = finite and np.isfinite(p)
            v[t, i] = p
            fired = p > threshold[i]
            spikes[t, i] = fired
            state[i] = share * p + added[i] if fired else p
            current[i] = 0.0
        for j in range(size):
            if spikes[t, j]:
                for e in range(indptr[j], indptr[j + 1]):
                    current[indices[e]] += data[e]
    return finite


@njit(nogil=True, cache=True)
def filter_spikes(spikes: NDArray[Any], forget: float, first: int, every: int, rates: NDArray[Any]) -> None:
    """Filter spikes exponentially; write every few steps from `first` on to `rates[N, samples]`."""
    steps, size = spikes.shape
    level = np.zeros(size)
    sample = 0
    for t in range(steps):
        sampled = t >= first and (t - first) % every == every - 1
        for i in range(size):
            level[i] = forget * level[i] + (1.0 - forget) * spikes[t, i]
            if sampled:
                rates[i, sample] = level[i]
        if sampled:
            sample += 1


@njit(nogil=True, cache=True, fastmath=True)
def edge_products(
    targets: NDArray[Any], sources: NDArray[Any], values: NDArray[Any], out: NDArray[Any]
) -> None:
    """Set `out[e]` to the inner product of the rows of `values` at both ends of edge `e`."""
    for e in range(len(targets)):
        i, j = targets[e], sources[e]
        total = np.float32(0.0)
        for m in range(values.shape[1]):
            total += values[i, m] * values[j, m]
        out[e] = total
