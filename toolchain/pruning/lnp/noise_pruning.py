"""Step I: keep synapses with a probability given by the Lyapunov matrix and the noise covariance."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.pruning.lnp.dynamics import NoiseResponse, RecurrentPool

_EXPONENT_FLOOR: Final = 1e-3
_ROWS: Final = 512

Floats = NDArray[np.float64]


def lyapunov_matrix(weights: Floats, exponents: Floats) -> Floats:
    r"""Return `L`, the harmonic mean of the exponents around the two ends of every synapse.

    .. math:: L_{ij} = \frac{|N_i \cup N_j|}{\sum_{k \in N_i \cup N_j} 1 / \lambda_k}

    `N_z` are the in- and out-neighbours of `z`. From the paper (eq. 1); ours: `|lambda| + 1e-3`
    in place of `lambda`, and its undefined extra factor `n` is dropped, since the density
    constant absorbs it.

    Args:
        weights: `[target, source]`.
        exponents: One per neuron, `[N]`.

    Returns:
        `[target, source]`, 0 where there is no synapse.
    """
    synapse = weights != 0
    neighbours = (synapse | synapse.T).astype(np.float32)
    inverse = (1 / (np.abs(exponents) + _EXPONENT_FLOOR)).astype(np.float32)
    degree, harmonic = neighbours.sum(axis=1), neighbours @ inverse
    result = np.zeros_like(weights)
    for start in range(0, len(weights), _ROWS):
        rows = slice(start, start + _ROWS)
        common = neighbours[rows] @ neighbours
        shared = (neighbours[rows] * inverse) @ neighbours
        union = degree[rows, None] + degree - common
        total = harmonic[rows, None] + harmonic - shared
        result[rows] = np.divide(union, total, where=synapse[rows], out=np.zeros_like(union))
    return result


@final
@dataclass(frozen=True)
class KeepRule:
    """Our bounds around the paper's keep probability.

    Attributes:
        least: Smallest probability: synapses whose ends do not differ would otherwise go for sure.
        rescale_cap: Largest product of all `1 / p` a synapse may collect over the iterations.
    """

    least: float = 0.05
    rescale_cap: float = 5.0


def keep_probabilities(
    pool: RecurrentPool, response: NoiseResponse, fraction: float, rule: KeepRule
) -> Floats:
    r"""Return the probability with which each synapse is kept.

    .. math:: p_{ij} = \rho \, |l_{ij}| \, (\Sigma_{ii} + \Sigma_{jj} \mp 2 \Sigma_{ij})

    with - for excitatory and + for inhibitory synapses (the paper's eq. 4; Moore & Chaudhuri 2020
    with the weight replaced by the Lyapunov matrix). The density constant rho is found by
    bisection, so that the mean over all synapses is `fraction` after clipping to `least .. 1`.

    Args:
        pool: The network.
        response: Covariance and exponents under noise.
        fraction: Mean probability wanted, 0 .. 1.
        rule: Bounds.

    Returns:
        `[target, source]`, 0 where there is no synapse.
    """
    weights = pool.weights
    synapse = weights != 0
    variance = np.diag(response.covariance)
    cross = 2 * np.sign(weights) * response.covariance
    importance = lyapunov_matrix(weights, response.exponents) * (variance[:, None] + variance - cross)
    scores = importance[synapse]
    if scores.size == 0:
        return np.zeros_like(weights)
    low, high = 0.0, 1.0 / max(float(scores[scores > 0].min(initial=np.inf)), 1e-300)
    for _ in range(200):
        rho = (low + high) / 2
        mean = np.clip(rho * scores, rule.least, 1.0).mean()
        low, high = (rho, high) if mean < fraction else (low, rho)
    probabilities = np.zeros_like(weights)
    probabilities[synapse] = np.clip(high * scores, rule.least, 1.0)
    return probabilities


def prune_synapses(
    pool: RecurrentPool,
    probabilities: Floats,
    rescaled: Floats,
    rng: np.random.Generator,
    rule: KeepRule,
) -> tuple[RecurrentPool, Floats]:
    """Draw every synapse with its probability; survivors grow by `1 / p`.

    Args:
        pool: The network.
        probabilities: `[target, source]`.
        rescaled: Product of all earlier `1 / p`, `[target, source]`.
        rng: Source of the draws.
        rule: Holds the cap on that product.

    Returns:
        The pruned network and the new products. Without the cap the expectation over the draws
        equals the original matrix.
    """
    kept = rng.random(probabilities.shape) < probabilities
    grown = np.divide(rescaled, probabilities, where=kept, out=np.ones_like(rescaled))
    grown = np.minimum(grown, rule.rescale_cap)
    weights = np.where(kept, pool.weights * grown / rescaled, 0.0)
    return pool.with_weights(weights), np.where(kept, grown, 1.0)
