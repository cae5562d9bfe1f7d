r"""Lyapunov exponents of a spiking pool under noise.

The state before the reset follows :math:`p_{t+1} = \beta (1 - s_t) p_t + W s_t + I_t` with
:math:`s_t = [p_t > \theta]`. With the surrogate :math:`s'(p) = \theta^{-1} (1 + c |p/\theta - 1|)^{-2}`
in place of the step's derivative its Jacobian is

.. math:: J_t = \mathrm{diag}(\beta (1 - s_t)) + W \, \mathrm{diag}(s'(p_t))

(the reset is not differentiated through, as in training). The exponents follow by repeated QR
decompositions (Vogt et al. 2020; Engelken et al. 2023).
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.options import factor, hold, optional, positive_share, real, whole
from toolchain.pruning.lnp.noise import NoiseDrive, simulate
from toolchain.pruning.pool import RecurrentPool

_TINY: Final = 1e-300
# Below this share of synapses a sparse product is faster than a dense one.
_SPARSE: Final = 0.03


@final
@dataclass(frozen=True)
class SpectrumOptions:
    """How exponents are measured.

    Attributes:
        leading: How many of the largest exponents; None means all.
        steps: Steps that are averaged, per trial.
        warm_up: Steps before, in which the directions settle.
        trials: Independent noise inputs; the exponents are averaged over them.
        slope: Sharpness `c` of the surrogate.
        interval: Steps between two QR decompositions.
    """

    leading: int | None = None
    steps: int = 200
    warm_up: int = 10
    trials: int = 1
    slope: float = 10.0
    interval: int = 1

    def __post_init__(self) -> None:
        hold(
            self,
            leading=optional(whole(1)),
            steps=whole(1),
            warm_up=whole(),
            trials=whole(1),
            slope=factor,
            interval=whole(1),
        )


@final
@dataclass(frozen=True)
class Spectrum:
    """Lyapunov exponents per step, in natural units.

    Attributes:
        exponents: Falling, `[k]`.
        spread: Standard deviation of each over the trials, `[k]`; zero with one trial.
        attribution: `sum_k lambda_k <Q_ik^2>` per neuron, `[N]`: with all exponents, how much neuron i
            takes part in expansion and contraction. With only the leading ones it is of no use.
    """

    exponents: Floats
    spread: Floats
    attribution: Floats

    @property
    def largest(self) -> float:
        """The largest exponent: below 0 the network forgets, above 0 it is chaotic."""
        return float(self.exponents[0])


def lyapunov_spectrum(
    pool: RecurrentPool, options: SpectrumOptions, drive: NoiseDrive, rng: np.random.Generator
) -> Spectrum:
    """Return the exponents of a pool under noise.

    Args:
        pool: The network.
        options: How many, how long.
        drive: Mean and strength of the noise.
        rng: Source of the noise.

    Raises:
        PruningError: The pool is empty or the exponents do not stay finite.
    """
    if pool.size == 0:
        raise PruningError("an empty pool has no Lyapunov exponents")
    rank = pool.size if options.leading is None else min(options.leading, pool.size)
    sparse = pool.synapses < _SPARSE * pool.size**2
    weights = pool.weights if sparse else np.asfortranarray(pool.weights.toarray())
    found: list[Floats] = []
    shares = np.zeros((pool.size, rank), order="F")
    for generator in rng.spawn(options.trials):
        p, spikes = simulate(pool, drive.sample(pool, options.warm_up + options.steps, generator))
        stretch = _surrogate(p, pool.threshold, options.slope)
        keep = pool.beta * ~spikes
        start = _orthonormal(generator.normal(size=(pool.size, rank)))[0]
        growth, share = _exponents(weights, keep, stretch, start, options)
        found.append(growth)
        shares += share / options.trials
    every = np.array(found)
    mean = every.mean(axis=0)
    if not np.isfinite(mean).all():
        raise PruningError("the Lyapunov spectrum does not stay finite; lower the gain of the pool")
    order = np.argsort(-mean, kind="stable")
    return Spectrum(mean[order], every.std(axis=0)[order], shares @ mean)


def _surrogate(p: Floats, threshold: Floats, slope: float) -> Floats:
    return 1 / (threshold * np.square(1 + slope * np.abs(p / threshold - 1)))


def _exponents(
    weights: Any,  # noqa: ANN401 - dense or CSR
    keep: Floats,
    stretch: Floats,
    directions: Floats,
    options: SpectrumOptions,
) -> tuple[Floats, Floats]:
    """Return mean growth per step and mean squared components of the directions."""
    total = np.zeros(directions.shape[1])
    squares = np.zeros_like(directions, order="F")
    counted = 0
    product = directions
    for t in range(len(keep)):
        product = _applied(weights, keep[t][:, None] * product, stretch[t][:, None] * product)
        if (t + 1) % options.interval and t + 1 != len(keep):
            continue
        product, growth = _orthonormal(product)
        if t >= options.warm_up:
            total += np.log(np.maximum(growth, _TINY))
            squares += np.square(product)
            counted += 1
    return total / options.steps, squares / max(1, counted)


def _applied(weights: Any, kept: Floats, stretched: Floats) -> Floats:  # noqa: ANN401 - dense or CSR
    """Return `kept + weights @ stretched` in column order.

    A dense product goes through SciPy's own BLAS, as the decomposition does: NumPy brings another one,
    and the waiting threads of the two slow each other down by more than half.
    """
    if not isinstance(weights, np.ndarray):
        return np.asfortranarray(kept + weights @ stretched)
    (gemm,) = get_blas_funcs(("gemm",), (kept,))
    return gemm(1.0, weights, stretched, beta=1.0, c=kept, overwrite_c=1)


def _orthonormal(matrix: Floats) -> tuple[Floats, Floats]:
    """Return an orthonormal basis of the columns and the magnitudes of the diagonal of R."""
    geqrf, orgqr = get_lapack_funcs(("geqrf", "orgqr"), (matrix,))
    columns = matrix.shape[1]
    packed, tau, _, _ = geqrf(np.asfortranarray(matrix), lwork=64 * columns, overwrite_a=1)
    growth = np.abs(np.diagonal(packed)[:columns]).copy()
    basis, _, _ = orgqr(packed[:, :columns], tau, lwork=64 * columns, overwrite_a=1)
    return basis, growth


@final
@dataclass(frozen=True)
class GrowthOptions:
    """How the growth of a perturbation is measured.

    Attributes:
        steps: Steps after the perturbation.
        warm_up: Steps before it.
        trials: Pairs of runs.
        size: Perturbation of every potential, in thresholds. A spiking network with a hard reset forgets
            a perturbation so small that no spike changes, whatever its coupling; it has to be
            large enough to move spikes.
        saturation: Share of the way to the largest distance at which a growing one is taken as saturated.
        healed: Fall of the logarithm below its largest value from which on the copies are taken to be
            coming together again: single spikes that moved make a distance jump at first in any
            network, but only a contracting one forgets them.
    """

    steps: int = 200
    warm_up: int = 40
    trials: int = 16
    size: float = 0.1
    saturation: float = 0.9
    healed: float = 1.0

    def __post_init__(self) -> None:
        hold(
            self,
            steps=whole(1),
            warm_up=whole(),
            trials=whole(1),
            size=factor,
            saturation=positive_share,
            healed=real(0),
        )


def perturbation_growth(
    pool: RecurrentPool, options: GrowthOptions, drive: NoiseDrive, rng: np.random.Generator
) -> float:
    """Return the exponential rate at which two copies of a pool part, per step.

    A second opinion on the largest exponent that needs no surrogate (the recipe of the paper's A.1):
    two copies get the same noise, the potentials of one are perturbed, and the rate is that of the mean
    logarithm of their distance: from the start to where it saturates if it stays, from its largest value on
    if it falls.

    Args:
        pool: The network.
        options: How long and how far.
        drive: Mean and strength of the noise.
        rng: Source of noise and perturbations.

    Raises:
        PruningError: The pool diverges.
    """
    floor = options.size * 1e-9
    logs = np.zeros(options.steps)
    for generator in rng.spawn(options.trials):
        inputs = drive.sample(pool, options.warm_up + options.steps, generator)
        perturbed = inputs.copy()
        kick = generator.choice([-1.0, 1.0], size=pool.size) * pool.threshold * options.size
        perturbed[options.warm_up] += kick
        one, other = (simulate(pool, each)[0][options.warm_up :] for each in (inputs, perturbed))
        distance = np.sqrt(np.mean(np.square((one - other) / pool.threshold), axis=1))
        # Copies that have become equal stay equal: a floor keeps the logarithm finite.
        logs += np.log(np.maximum(distance, floor)) / options.trials
    peak = int(np.argmax(logs))
    if logs[-1] < logs[peak] - options.healed:
        sunk = np.flatnonzero(logs <= np.log(floor) * (1 - 1e-9))
        end = max(peak + 2, int(sunk[0])) if sunk.size else options.steps
        return float(np.polyfit(np.arange(peak, end), logs[peak:end], 1)[0])
    rise = options.saturation * (logs[peak] - logs[0])
    end = int(np.argmax(logs >= logs[0] + rise))
    return float((logs[end] - logs[0]) / max(1, end))
