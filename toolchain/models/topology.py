"""Random graphs of recurrent pools, and the spectral radius by which their weights are scaled."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, eigs

from toolchain.arrays import Floats

_DENSE_EIGENVALUES: Final = 400
# SciPy's declarations take the default, an integer 0, for the type.
_ARPACK_TOLERANCE: Any = 1e-4
_GROWTH_STEPS: Final = 200


def small_world(neurons: int, density: float, rewiring: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a directed Watts-Strogatz adjacency `[target, source]` without self-loops.

    Every neuron reads its `density * (N - 1)` nearest ring neighbours; each such edge is
    rewired with probability `rewiring` to a source drawn at random.
    """
    degree = round(density * (neurons - 1))
    offsets = np.concatenate([[step, -step] for step in range(1, degree // 2 + 2)])[:degree]
    adjacency = np.zeros((neurons, neurons), dtype=bool)
    for target in range(neurons):
        sources = (target + offsets) % neurons
        unmoved = sources[rng.random(degree) >= rewiring]
        free = np.setdiff1d(np.arange(neurons), np.append(unmoved, target))
        drawn = rng.choice(free, degree - unmoved.size, replace=False)
        adjacency[target, np.concatenate([unmoved, drawn])] = True
    return adjacency


def clustered_small_world(
    cluster: NDArray[np.int64], density: float, between: float, rewiring: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return small worlds joined by random long-range edges, `[target, source]`.

    Args:
        cluster: Number of each neuron's cluster, `[N]`.
        density: Share of all possible edges.
        between: Density between clusters over the density inside one.
        rewiring: Share of the edges inside a cluster that are rewired.
        rng: Source of every draw.
    """
    same = cluster[:, None] == cluster
    np.fill_diagonal(same, val=False)
    pairs_inside, pairs_outside = int(same.sum()), int((cluster[:, None] != cluster).sum())
    inside = density * (pairs_inside + pairs_outside) / (pairs_inside + between * pairs_outside)
    adjacency = rng.random(same.shape) < between * inside
    adjacency &= cluster[:, None] != cluster
    for name in np.unique(cluster):
        members = np.flatnonzero(cluster == name)
        part = small_world(len(members), min(1.0, inside), rewiring, rng)
        adjacency[np.ix_(members, members)] = part
    return adjacency


def dale_weights(
    adjacency: NDArray[np.bool_], inhibitory: float, inhibition: float, rng: np.random.Generator
) -> Floats:
    """Return weights `[target, source]` whose columns have one sign: a neuron excites or inhibits.

    Magnitudes are those of a normal distribution.

    Args:
        adjacency: True where a synapse exists.
        inhibitory: Share of inhibitory neurons.
        inhibition: Strength of an inhibitory synapse against an excitatory one.
        rng: Source of every draw.
    """
    sign = np.where(rng.random(len(adjacency)) < inhibitory, -inhibition, 1.0)
    weights: Floats = np.where(adjacency, np.abs(rng.normal(size=adjacency.shape)) * sign, 0.0)
    return weights


def spectral_radius(weights: Any) -> float:  # noqa: ANN401 - dense or sparse
    """Return the largest magnitude of an eigenvalue; 0 for an empty matrix.

    Dense up to 400 neurons, by Arnoldi iteration above. Where that does not converge (the edge of a
    random matrix is crowded), the growth `|W^k x|^(1/k)` over 200 products stands in for it.
    """
    matrix = csr_array(weights)
    size = len(matrix.indptr) - 1
    if matrix.nnz == 0:
        return 0.0
    if size <= _DENSE_EIGENVALUES:
        return float(np.abs(np.linalg.eigvals(matrix.toarray())).max())
    start = np.random.default_rng(0).normal(size=size)
    try:
        eigenvalues = eigs(matrix, k=1, v0=start, ncv=48, tol=_ARPACK_TOLERANCE, return_eigenvectors=False)
    except ArpackNoConvergence as error:
        eigenvalues = error.eigenvalues
    except ArpackError:
        eigenvalues = np.array([])
    return float(np.abs(eigenvalues).max()) if len(eigenvalues) else _growth(matrix, start)


def _growth(weights: csr_array, start: Floats) -> float:
    """Return the mean growth of a vector under repeated products; 0 if it vanishes."""
    vector, total = start / np.linalg.norm(start), 0.0
    for _ in range(_GROWTH_STEPS):
        vector = weights @ vector
        length = float(np.linalg.norm(vector))
        if length == 0:
            return 0.0
        vector, total = vector / length, total + np.log(length)
    return float(np.exp(total / _GROWTH_STEPS))
