r"""Lyapunov exponents of a spiking pool under noise.

The state before the reset follows :math:`p_{t+1} = \beta (1 - s_t) p_t + W s_t + I_t` with
:math:`s_t = [p_t > \theta]`, where a spike sets the potential to zero or, with a constant more, to a value;
and :math:`p_{t+1} = \beta (p_t - r s_t) + W s_t + I_t` where it takes :math:`r` away (0 for no reset). With
the surrogate :math:`s'(p) = \theta^{-1} (1 + c |p/\theta - 1|)^{-2}` in place of the step's derivative its
Jacobian is

.. math:: J_t = \mathrm{diag}(\beta (1 - s_t)) + W \, \mathrm{diag}(s'(p_t))

or, with something taken away, :math:`\mathrm{diag}(\beta)` in the first place: the reset is not
differentiated through, as in training. The exponents follow by repeated QR decompositions (Vogt et al. 2020;
Engelken et al. 2023).
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.options import factor, hold, optional, whole
from toolchain.pruning.lnp.noise import NoiseDrive, simulate
from toolchain.pruning.pool import RecurrentPool

_TINY: Final = 1e-300
_SPARSE: Final = 0.03
"""Below this share of synapses a sparse product is faster than a dense one."""


@final
@dataclass(frozen=True)
class SpectrumOptions:
    """How exponents are measured.

    Attributes:
        leading: Number of exponents to measure, the largest ones; None means all.
        steps: Number of steps per trial over which the exponents are averaged.
        warm_up: Number of steps before those, in which the directions settle.
        trials: Number of independent noise inputs over which the exponents are averaged.
        slope: Sharpness `c` of the surrogate.
        interval: Steps from one QR decomposition to the next.
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
        exponents: Exponents in falling order, `[k]`.
        spread: Standard deviation of each exponent over the trials, `[k]`; zero with one trial.
        attribution: `sum_k lambda_k <Q_ik^2>` per neuron, `[N]`: how much neuron `i` takes part in expansion
            and contraction. It means something only if all exponents were measured.
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
        options: How many exponents, over how many steps.
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
    growths: list[Floats] = []
    shares = np.zeros((pool.size, rank), order="F")
    for generator in rng.spawn(options.trials):
        p, spikes = simulate(pool, drive.sample(pool, options.warm_up + options.steps, generator))
        stretch = _surrogate(p, pool.threshold, options.slope)
        keep = np.where(spikes, pool.kept * pool.beta, pool.beta)
        start = _orthonormal(generator.normal(size=(pool.size, rank)))[0]
        growth, share = _exponents(weights, keep, stretch, start, options)
        growths.append(growth)
        shares += share / options.trials
    every = np.array(growths)
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


def _applied(weights: Any, leaked: Floats, stretched: Floats) -> Floats:  # noqa: ANN401 - dense or CSR
    """Return `leaked + weights @ stretched` in column order.

    A dense product goes through SciPy's own BLAS, as the decomposition does: NumPy brings another one,
    and the waiting threads of the two slow each other down by more than half.
    """
    if not isinstance(weights, np.ndarray):
        return np.asfortranarray(leaked + weights @ stretched)
    (gemm,) = get_blas_funcs(("gemm",), (leaked,))
    return gemm(1.0, weights, stretched, beta=1.0, c=leaked, overwrite_c=1)


def _orthonormal(matrix: Floats) -> tuple[Floats, Floats]:
    """Return an orthonormal basis of the columns and the magnitudes of the diagonal of R."""
    geqrf, orgqr = get_lapack_funcs(("geqrf", "orgqr"), (matrix,))
    columns = matrix.shape[1]
    packed, tau, _, _ = geqrf(np.asfortranarray(matrix), lwork=64 * columns, overwrite_a=1)
    growth = np.abs(np.diagonal(packed)[:columns]).copy()
    basis, _, _ = orgqr(packed[:, :columns], tau, lwork=64 * columns, overwrite_a=1)
    return basis, growth
