"""A recurrent pool as pruning sees it: sparse weights and parameters of the neurons."""

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.intake import array_of, labels_of
from toolchain.models.topology import spectral_radius
from toolchain.reset import Reset

_DENSE_EIGENVALUES: Final = 400
# SciPy's declarations take the default, an integer 0, for the type.
_ARPACK_TOLERANCE: Any = 1e-4
_LOCALISED_VECTORS: Final = 16


@final
@dataclass(frozen=True)
class RecurrentPool:
    """Leaky integrate-and-fire neurons and the synapses among them.

    Attributes:
        weights: Weights `[target, source]` in sorted rows, one entry per synapse.
        beta: Share `1 - dv` of the potential that stays at a step, `[N]`.
        threshold: Threshold per neuron, `[N]`.
        cluster: Number of each neuron's cluster, `[N]`; all 0 in an unclustered pool.
        reset: Effect of a spike on the potential.
        amount: Potential that a spike sets or takes away, `[N]`; None if the reset needs no number.
    """

    weights: csr_array
    beta: Floats
    threshold: Floats
    cluster: NDArray[np.int64]
    reset: Reset = Reset.ZERO
    amount: Floats | None = None

    @classmethod
    def of(
        cls,
        weights: Any,  # noqa: ANN401 - dense or sparse
        beta: Floats,
        threshold: Floats,
        cluster: NDArray[np.int64] | None = None,
    ) -> "RecurrentPool":
        """Return a pool from any matrix `[target, source]`; zeros are no synapses.

        Raises:
            PruningError: The shapes do not fit, or a value is not finite.
        """
        dense = weights if issparse(weights) else array_of(weights, "weights")
        if len(np.shape(dense)) != 2:
            raise PruningError(f"expected weights [N, N], got {list(np.shape(dense))}")
        matrix = csr_array(dense, dtype=np.float64)
        matrix.eliminate_zeros()
        matrix.sort_indices()
        size = len(matrix.indptr) - 1
        beta, threshold = array_of(beta, "beta"), array_of(threshold, "threshold")
        if cluster is not None:
            cluster = labels_of(cluster, "cluster", samples=size)
        shape: Any = matrix.shape
        if shape != (size, size) or beta.shape != (size,) or threshold.shape != (size,):
            raise PruningError(
                f"expected weights [N, N] and N betas and thresholds, got {shape}, {beta.shape}, "
                f"{threshold.shape}"
            )
        if not all(np.isfinite(values).all() for values in (matrix.data, beta, threshold)):
            raise PruningError("the recurrent weights, betas or thresholds hold values that are not finite")
        if not ((beta >= 0) & (beta < 1) & (threshold > 0)).all():
            raise PruningError("expected leaky neurons: 0 <= beta < 1 and a threshold above 0")
        return cls(matrix, beta, threshold, np.zeros(size, np.int64) if cluster is None else cluster)

    @property
    def kept(self) -> float:
        """Share of its potential that a neuron keeps at a spike: 1 if something is taken away or nothing."""
        return 0.0 if self.reset in {Reset.ZERO, Reset.VALUE} else 1.0

    @property
    def added(self) -> Floats:
        """What a spike adds to the potential that is kept, `[N]`."""
        if self.amount is None:
            return np.zeros(self.size)
        return self.amount if self.reset is Reset.VALUE else -self.amount

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.beta)

    @property
    def synapses(self) -> int:
        """Number of recurrent synapses."""
        return int(self.weights.nnz)

    @property
    def ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Target and source of every synapse, in the order of `weights.data`."""
        counts = np.diff(self.weights.indptr)
        return np.repeat(np.arange(self.size), counts), self.weights.indices.astype(np.int64)

    def keep(self, neurons: NDArray[np.int64]) -> "RecurrentPool":
        """Return the pool of the neurons with these indices."""
        weights = csr_array(self.weights[neurons][:, neurons])
        weights.sort_indices()
        return self.with_neurons(neurons, weights)

    def with_neurons(self, neurons: NDArray[Any], weights: csr_array) -> "RecurrentPool":
        """Return some of the neurons, by indices or a mask, with synapses among them."""
        return replace(
            self,
            weights=weights,
            beta=self.beta[neurons],
            threshold=self.threshold[neurons],
            cluster=self.cluster[neurons],
            amount=None if self.amount is None else self.amount[neurons],
        )

    def with_weights(self, weights: csr_array) -> "RecurrentPool":
        """Return the same neurons with other synapses."""
        return replace(self, weights=weights)

    def with_synapses(self, positions: NDArray[np.int64]) -> "RecurrentPool":
        """Return the same neurons with only the synapses at ascending positions in `weights.data`."""
        counts = np.bincount(self.ends[0][positions], minlength=self.size)
        pointers = np.concatenate([[0], np.cumsum(counts)])
        columns = (self.weights.data[positions], self.weights.indices[positions], pointers)
        return self.with_weights(csr_array(columns, shape=self.weights.shape))

    def with_gain(self, radius: float) -> "RecurrentPool":
        """Return the pool with all weights scaled to a spectral radius; the same pool if its radius is 0."""
        present = spectral_radius(self.weights)
        return self.scaled(radius / present) if present > 0 else self

    def check_targets(self, neurons: int, synapses: int) -> None:
        """Raise `PruningError` if the pool has fewer neurons or synapses than shall remain."""
        if not 1 <= neurons <= self.size:
            raise PruningError(f"expected 1 to {self.size} remaining neurons, got {neurons}")
        if not 0 <= synapses <= self.synapses:
            raise PruningError(f"expected 0 to {self.synapses} remaining synapses, got {synapses}")

    def check_enough(self, synapses: int) -> None:
        """Raise `PruningError` if fewer synapses join these neurons than shall remain."""
        if self.synapses < synapses:
            raise PruningError(
                f"only {self.synapses} synapses join the {self.size} neurons left, the target is {synapses}; "
                "lower pruning.synapse_fraction or raise pruning.neurons"
            )

    def with_betas(self, beta: Floats) -> "RecurrentPool":
        """Return the same synapses between neurons with other leaks.

        The input that holds a neuron at its threshold, `threshold (1 - beta)`, stays the same; amounts of
        the reset go with the threshold.
        """
        longer = (1 - self.beta) / (1 - beta)
        amount = None if self.amount is None else self.amount * longer
        return replace(
            self, beta=beta, threshold=self.threshold * (1 - self.beta) / (1 - beta), amount=amount
        )

    def scaled(self, factor: float) -> "RecurrentPool":
        """Return the pool with all weights multiplied."""
        return replace(self, weights=csr_array(self.weights * factor))


@final
@dataclass(frozen=True)
class Selection:
    """A pruned pool.

    Attributes:
        pool: Remaining neurons and synapses.
        indices: Index of each remaining neuron in the original pool, ascending.
    """

    pool: RecurrentPool
    indices: NDArray[np.int64]


def localisation(weights: csr_array) -> float:
    r"""Return the mean inverse participation ratio of the leading Laplacian eigenvectors.

    .. math:: IPR(x) = \sum_i x_i^4 / (\sum_i x_i^2)^2

    over the 16 eigenvectors with the largest eigenvalues of the Laplacian of the undirected graph, where
    localisation in hubs shows. An eigenvector that is spread evenly has `1 / N`, one that sits on a single
    neuron has 1.
    """
    size = len(weights.indptr) - 1
    pattern = csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), shape=weights.shape)
    adjacency = csr_array(pattern + pattern.T)
    adjacency.data[:] = 1.0
    adjacency.setdiag(0)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    if size <= _DENSE_EIGENVALUES:
        vectors = np.linalg.eigh(np.diag(degree) - adjacency.toarray())[1][:, -_LOCALISED_VECTORS:]
    else:
        laplacian = csr_array((degree, (np.arange(size), np.arange(size))), shape=(size, size)) - adjacency
        start = np.random.default_rng(0).normal(size=size)
        try:
            vectors = eigsh(laplacian, k=_LOCALISED_VECTORS, which="LA", v0=start, tol=_ARPACK_TOLERANCE)[1]
        except ArpackNoConvergence as error:
            vectors = error.eigenvectors
            if vectors.shape[1] == 0:
                raise PruningError("the eigenvectors of the Laplacian did not converge") from None
    squares = vectors**2
    return float(((squares**2).sum(axis=0) / squares.sum(axis=0) ** 2).mean())
