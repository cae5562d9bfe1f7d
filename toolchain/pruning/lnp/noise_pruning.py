"""Step I: keep synapses with a probability given by the Lyapunov matrix and the noise covariance."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.intake import real_of
from toolchain.options import choice, flag, hold, real, share
from toolchain.pruning.lnp.neighbours import find_edges, shared_neighbours
from toolchain.pruning.lnp.noise import NoiseResponse, linear_covariance
from toolchain.pruning.pool import RecurrentPool
from toolchain.threads import in_threads, parts

_EXPONENT_FLOOR: Final = 1e-3
_LARGEST_LINEAR: Final = 2000
_DOMINANCE: Final = 0.9
_BISECTIONS: Final = 60
_TINY: Final = 1e-300


class Importance(Enum):
    """The factor of the covariance term of a synapse."""

    LYAPUNOV = "lyapunov"
    """The Lyapunov matrix (the paper)."""
    WEIGHT = "weight"
    """The magnitude of the weight (Moore & Chaudhuri 2020, from which the paper starts)."""
    COVARIANCE = "covariance"
    """Nothing: the covariance alone."""


class Covariance(Enum):
    """The source of the covariance of the rates."""

    SIMULATED = "simulated"
    """Filtered spikes of the network under noise."""
    LINEAR = "linear"
    """The Lyapunov equation of the linear rate model `dx/dt = (L - D) x + noise`."""


class Diagonal(Enum):
    """The effect of missing synapses on the leak of a neuron."""

    KEEP = "keep"
    """Nothing."""
    COMPENSATE = "compensate"
    """`1/tau` changes by as much as the summed coupling of the neuron."""


@final
@dataclass(frozen=True)
class KeepRule:
    """Rule by which keep probabilities are formed.

    Attributes:
        importance: Factor of the covariance term. In our study the paper's Lyapunov matrix was not
            shown to keep networks more accurate than the weight did, and needed more synaptic operations:
            about twice as many in the recurrent connection, a quarter more in all.
        covariance: Source of the covariance.
        sharpness: Exponent of the score. 1 is the paper's choice; 0 treats all synapses alike (pruning at
            random with the same rescaling); -1 keeps what the paper would drop. This option is ours.
        least: Smallest probability; without it a synapse whose ends do not differ would always go.
        by_sign: Whether excitatory and inhibitory synapses have the same mean probability, so that their
            shares stay (ours). Inhibitory weights are fewer and stronger, so by |w| alone their share grows
            from 20 % to 53 to 64 % when 5 % of the synapses of 512 neurons stay.
        connected: Whether every neuron keeps an input as long as it has one (ours). Without it 80 to 139 of
            512 neurons lose all of theirs at 5 %, where chance takes them from 34.
        rescale: Whether a synapse that stays grows by `1 / p`.
        rescale_cap: Largest product of all `1 / p` that a synapse may collect over all iterations (ours).
            With infinity the expectation over the draws is the original matrix. The cap of 5 is not unbiased:
            where 5 % of the synapses of 512 neurons stay, their magnitudes add up to 0.27 to 0.32 of the
            original ones, without it to 0.83 to 1.2, at 3.6 to 7 times the spectral radius. Where that is
            restored, as by default, the cap decides how much the weights differ, not how large they are.
        diagonal: Whether the leak changes with the synapses; the paper allows both.
    """

    importance: Importance = Importance.WEIGHT
    covariance: Covariance = Covariance.SIMULATED
    sharpness: float = 1.0
    least: float = 0.05
    by_sign: bool = True
    connected: bool = True
    rescale: bool = True
    rescale_cap: float = 5.0
    diagonal: Diagonal = Diagonal.KEEP

    def __post_init__(self) -> None:
        hold(
            self,
            importance=choice(Importance),
            covariance=choice(Covariance),
            sharpness=real(),
            least=share,
            by_sign=flag,
            connected=flag,
            rescale=flag,
            rescale_cap=lambda value, name: real_of(value, name, least=1, infinite=True),
            diagonal=choice(Diagonal),
        )

    @classmethod
    def published(cls) -> "KeepRule":
        """Return the paper's rule, with a cap of 5 on the factors, which it does not mention."""
        return cls(Importance.LYAPUNOV, by_sign=False, connected=False, rescale_cap=5.0)

    @property
    def needs_exponents(self) -> bool:
        """Whether the Lyapunov matrix is used at all."""
        return (
            self.importance is Importance.LYAPUNOV
            or self.covariance is Covariance.LINEAR
            or self.diagonal is Diagonal.COMPENSATE
        )


def lyapunov_values(pool: RecurrentPool, exponents: Floats) -> Floats:
    r"""Return `L`, the harmonic mean of the exponents around the two ends of every synapse.

    .. math:: L_{ij} = \frac{|N_i \cup N_j|}{\sum_{k \in N_i \cup N_j} 1 / \lambda_k}

    `N_z` are the in- and out-neighbours of `z`. From the paper (eq. 1); ours: `|lambda| + 1e-3`
    in place of `lambda`, since a stable network has negative exponents only, and its undefined
    extra factor `n` is dropped, since the density constant absorbs it.

    Args:
        pool: The network.
        exponents: One per neuron, `[N]`.

    Returns:
        One value per synapse, in the order of `pool.weights.data`.
    """
    inverse = 1 / (np.abs(exponents) + _EXPONENT_FLOOR)
    targets, sources = pool.ends
    graph = _undirected(pool)
    degree = np.diff(graph.indptr)
    harmonic = graph @ inverse
    count = np.zeros(graph.nnz, dtype=np.int32)
    weight = np.zeros(graph.nnz)

    def rows(span: tuple[int, int]) -> None:
        shared_neighbours(graph.indptr, graph.indices, inverse, *span, count, weight)

    in_threads(rows, parts(pool.size))
    where = np.empty(len(targets), dtype=np.int64)
    low, high = np.minimum(targets, sources), np.maximum(targets, sources)

    def look_up(span: tuple[int, int]) -> None:
        edges = slice(*span)
        find_edges(graph.indptr, graph.indices, low[edges], high[edges], where[edges])

    in_threads(look_up, parts(len(targets)))
    union = degree[targets] + degree[sources] - count[where]
    return union / (harmonic[targets] + harmonic[sources] - weight[where])


def _undirected(pool: RecurrentPool) -> csr_array:
    """Return the pattern of neighbours with sorted rows; a synapse onto itself counts as a neighbour."""
    pattern = csr_array(
        (np.ones(pool.synapses), pool.weights.indices, pool.weights.indptr), pool.weights.shape
    )
    both = csr_array(pattern + pattern.T)
    both.data[:] = 1.0
    both.sort_indices()
    return both


def keep_probabilities(
    pool: RecurrentPool, response: NoiseResponse, exponents: Floats, fraction: float, rule: KeepRule
) -> Floats:
    r"""Return the probability with which each synapse is kept.

    .. math:: p_{ij} = \rho \, |l_{ij}| \, (\Sigma_{ii} + \Sigma_{jj} \mp 2 \Sigma_{ij})

    with - for excitatory and + for inhibitory synapses (the paper's eq. 4; Moore & Chaudhuri 2020
    with the weight replaced by the Lyapunov matrix). The density constant rho is found by
    bisection, so that the mean over all synapses is `fraction` after clipping to `least .. 1`; `by_sign`
    has a constant for each sign, so that it is the mean over each.

    Args:
        pool: The network.
        response: Answer of the pool to noise.
        exponents: Lyapunov exponent attributed to each neuron, `[N]`.
        fraction: Wanted mean probability, 0 .. 1.
        rule: How probabilities are formed.

    Returns:
        One value per synapse, in the order of `pool.weights.data`.

    Raises:
        PruningError: No score is a positive finite number.
    """
    if pool.synapses == 0:
        return np.zeros(0)
    sign = np.sign(pool.weights.data)
    targets, sources = pool.ends
    coupling = lyapunov_values(pool, exponents) if rule.needs_exponents else np.ones(pool.synapses)
    match rule.covariance:
        case Covariance.SIMULATED:
            variance, cross = response.variance, response.covariance(targets, sources)
        case Covariance.LINEAR:
            matrix = _linear(pool, coupling * sign)
            variance, cross = np.diag(matrix), matrix[targets, sources]
        case _:
            assert_never(rule.covariance)
    # Sampling noise may leave a difference of variances slightly below zero.
    spread = np.maximum(variance[targets] + variance[sources] - 2 * sign * cross, 0.0)
    match rule.importance:
        case Importance.LYAPUNOV:
            scores = coupling * spread
        case Importance.WEIGHT:
            scores = np.abs(pool.weights.data) * spread
        case Importance.COVARIANCE:
            scores = spread
        case _:
            assert_never(rule.importance)
    return probabilities_of(scores, sign, fraction, rule)


def probabilities_of(scores: Floats, sign: Floats, fraction: float, rule: KeepRule) -> Floats:
    """Return probabilities in proportion to scores, with the mean `fraction`, over each sign if wanted."""
    probabilities = np.empty_like(scores)
    groups = sign if rule.by_sign else np.ones_like(sign)
    for each in np.unique(groups):
        of_sign = groups == each
        sharpened = _sharpened(scores[of_sign], rule.sharpness)
        probabilities[of_sign] = with_mean(sharpened, fraction, rule.least)
    return probabilities


def _linear(pool: RecurrentPool, coupling: Floats) -> Floats:
    """Solve the linear rate model, whose coupling is scaled to rows below the leak so that it is stable."""
    if pool.size > _LARGEST_LINEAR:
        raise PruningError(
            f"the linear covariance is cubic in the neurons; expected at most {_LARGEST_LINEAR}, got "
            f"{pool.size}; use the simulated covariance"
        )
    leak = -np.log(np.maximum(pool.beta, 1e-12))
    matrix = csr_array((coupling, pool.weights.indices, pool.weights.indptr), pool.weights.shape)
    return linear_covariance(matrix.toarray() * _dominance(matrix, leak), leak)


def _dominance(coupling: csr_array, leak: Floats) -> float:
    """Return the factor that makes every row of the coupling at most 0.9 of the leak (Gershgorin)."""
    load = float((np.asarray(abs(coupling).sum(axis=1)).ravel() / leak).max(initial=0.0))
    return _DOMINANCE / load if load > 0 else 1.0


def _sharpened(scores: Floats, sharpness: float) -> Floats:
    top = float(scores.max())
    if not (np.isfinite(top) and top > 0):
        raise PruningError(
            "no synapse has a positive finite score: the rates of the pool do not vary under noise; "
            "raise the noise or change the gain"
        )
    return np.maximum(scores / top, 1e-12) ** sharpness


def with_mean(scores: Floats, fraction: float, least: float) -> Floats:
    """Return `clip(rho scores, least, 1)` with rho such that the mean is `fraction`."""
    if fraction >= 1:
        return np.ones_like(scores)
    low, high = 0.0, 1.0 / float(scores.min())
    for _ in range(_BISECTIONS):
        rho = (low + high) / 2 if low == 0 else np.sqrt(low * high)
        if np.clip(rho * scores, least, 1.0).mean() < fraction:
            low = rho
        else:
            high = rho
        if low > 0 and high / low - 1 < 1e-9:
            break
    return np.clip(high * scores, least, 1.0)


@final
@dataclass(frozen=True)
class Draw:
    """Outcome of one round of Step I, per synapse of the pool.

    Attributes:
        stays: True for the synapses that stay.
        probabilities: Probability with which each synapse stayed.
        rescaled: Product of all `1 / p` so far, capped; 1 for a synapse that was removed.
    """

    stays: NDArray[np.bool_]
    probabilities: Floats
    rescaled: Floats


def draw_synapses(
    probabilities: Floats,
    rescaled: Floats,
    targets: NDArray[np.int64],
    rng: np.random.Generator,
    rule: KeepRule,
) -> Draw:
    r"""Draw every synapse with its probability; those that stay grow by `1 / p`.

    A connected neuron that would lose all inputs keeps the one that another draw, in proportion to `p`,
    chooses. A synapse of it stays with

    .. math:: \pi_j = p_j + \frac{p_j}{\sum_k p_k} \prod_k (1 - p_k)

    and grows by `1 / pi` instead, so that the expectation of the rescaled matrix over the draws equals the
    original one as long as no factor reaches the cap.

    Args:
        probabilities: Keep probability per synapse.
        rescaled: Product of all earlier `1 / p`.
        targets: Target of each synapse.
        rng: Source of the draws.
        rule: Whether neurons stay connected and synapses grow, and the cap on the product.
    """
    stays = rng.random(len(probabilities)) < probabilities
    if rule.connected:
        stays |= _last_inputs(probabilities, stays, targets, rng)
        probabilities = _with_last_inputs(probabilities, targets)
    if not rule.rescale:
        return Draw(stays, probabilities, rescaled)
    grown = np.minimum(rescaled / np.maximum(probabilities, _TINY), rule.rescale_cap)
    return Draw(stays, probabilities, np.where(stays, grown, 1.0))


def _last_inputs(
    probabilities: Floats, stays: NDArray[np.bool_], targets: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw one input of every neuron that has lost all, with chances in proportion to the probabilities."""
    alone = np.flatnonzero(np.bincount(targets, stays)[targets] == 0)
    # The first of several exponential waiting times is each with a chance in proportion to its rate.
    waits = rng.exponential(size=len(alone)) / np.maximum(probabilities[alone], _TINY)
    order = alone[np.lexsort((waits, targets[alone]))]
    first = np.diff(targets[order], prepend=-1) != 0
    spared = np.zeros(len(stays), dtype=np.bool_)
    spared[order[first]] = True
    return spared


def _with_last_inputs(probabilities: Floats, targets: NDArray[np.int64]) -> Floats:
    """Return the probabilities with which synapses stay if no neuron loses all of its inputs."""
    gone = np.log(np.maximum(1 - probabilities, _TINY))
    share = probabilities / np.maximum(np.bincount(targets, probabilities), _TINY)[targets]
    with np.errstate(under="ignore"):
        # The chance that a neuron with many inputs loses all of them is zero, whatever its exponent.
        lost = np.exp(np.bincount(targets, gone))
    return np.minimum(probabilities + share * lost[targets], 1.0)


def compensated_betas(pool: RecurrentPool, coupling: Floats, draw: Draw, *, dt_ms: float) -> Floats:
    r"""Return the leaks after a draw: `1/tau_i` grows by the growth of the summed coupling.

    .. math:: \Delta_i = \sum_{j \ne i} |A^{sparse}_{ij}| - \sum_{j \ne i} |A_{ij}|

    (the paper's second choice for the diagonal). Ours: the coupling is scaled to rows of at most
    0.9 of the leak, as in the linear rate model, and the result clipped to 1/5 .. 5 of the old leak.
    """
    targets = pool.ends[0]
    leak = -np.log(np.maximum(pool.beta, 1e-12)) / dt_ms
    matrix = csr_array((coupling, pool.weights.indices, pool.weights.indptr), pool.weights.shape)
    size = np.abs(coupling) * _dominance(matrix, leak)
    after = np.where(draw.stays, size / np.maximum(draw.probabilities, _TINY), 0.0)
    change = np.bincount(targets, after - size, minlength=pool.size)
    return np.exp(-dt_ms * np.clip(leak + change, leak / 5, leak * 5))
