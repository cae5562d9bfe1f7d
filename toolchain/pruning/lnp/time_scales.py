"""Step IV: Bayesian optimisation of the distribution of the membrane time constants, without data.

The paper names the method (a Gaussian process on the Wasserstein distance between distributions,
expected improvement, the Lyapunov spectrum as criterion) and leaves the criterion, bounds and budget
open, which are ours.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr

from toolchain.arrays import Floats
from toolchain.models.hrsnn import BETA_LIMITS
from toolchain.options import each, factor, hold, milliseconds, real, whole
from toolchain.progress import Progress, no_progress
from toolchain.pruning.lnp.noise import NoiseDrive
from toolchain.pruning.lnp.spectrum import SpectrumOptions, lyapunov_spectrum
from toolchain.pruning.pool import RecurrentPool

_QUANTILES: Final = (np.arange(64) + 0.5) / 64
"""Midpoints of the quantile grid on which the Wasserstein distance is integrated."""


@final
@dataclass(frozen=True)
class TimeScaleOptions:
    """Options of the search for time constants.

    Attributes:
        evaluations: Number of distributions to try.
        initial: Number of them that are drawn at random, before the Gaussian process guides the search.
        target: Wanted largest exponent `lambda*`, slightly below the edge of chaos.
        penalty: Weight of the sum of all positive exponents.
        means_ms: Range of the mean time constant.
        shapes: Range of the shape of the gamma distribution.
        leading: Number of exponents that enter the criterion.
        steps: Number of steps per evaluation.
        candidates: Number of random distributions among which the expected improvement is maximised.
    """

    evaluations: int = 30
    initial: int = 8
    target: float = -0.005
    penalty: float = 1.0
    means_ms: tuple[float, float] = (5.0, 80.0)
    shapes: tuple[float, float] = (0.5, 10.0)
    leading: int = 16
    steps: int = 100
    candidates: int = 2000

    def __post_init__(self) -> None:
        hold(
            self,
            evaluations=whole(),
            initial=whole(),
            target=real(),
            penalty=real(0),
            means_ms=each(milliseconds, least=2, most=2),
            shapes=each(factor, least=2, most=2),
            leading=whole(1),
            steps=whole(1),
            candidates=whole(1),
        )


@final
@dataclass(frozen=True)
class TimeScaleTrial:
    """One evaluated distribution.

    Attributes:
        shapes: Shape `k` per cluster.
        means_ms: Mean time constant per cluster.
        criterion: `|lambda_max - lambda*| + penalty * sum of positive exponents`; less is better.
        largest: Largest exponent.
    """

    shapes: tuple[float, ...]
    means_ms: tuple[float, ...]
    criterion: float
    largest: float


@final
@dataclass(frozen=True)
class TimeScaleResult:
    """Result of the search.

    Attributes:
        pool: The pool with time constants drawn from the best distribution, or the original pool if no
            distribution was better.
        trials: The original pool (with empty parameters), then every evaluated distribution.
    """

    pool: RecurrentPool
    trials: tuple[TimeScaleTrial, ...]


def quantile_embedding(parameters: Floats) -> Floats:
    r"""Return the scaled quantile functions of a product of gamma distributions, one factor per cluster.

    The Euclidean distance of two of them is the Wasserstein distance of the distributions:

    .. math:: W_2^2 = \sum_c \int_0^1 (F_c^{-1}(q) - G_c^{-1}(q))^2 dq

    Args:
        parameters: Shape and mean of each factor, `[clusters, 2]`.
    """
    shape, mean = parameters[:, 0, None], parameters[:, 1, None]
    return (_gamma_quantiles(_QUANTILES, shape, mean) / np.sqrt(len(_QUANTILES))).ravel()


def _gamma_quantiles(shares: Floats, shape: Floats, mean: Floats) -> Floats:
    """Return the quantiles of gamma distributions."""
    return np.asarray(gammaincinv(shape, shares) * (mean / shape))


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    r"""Return the expected improvement of a minimisation.

    .. math:: EI = (f_{best} - \mu) \Phi(Z) + \sigma \phi(Z), \quad Z = (f_{best} - \mu) / \sigma
    """
    gain = best - mean
    deviation = np.maximum(deviation, 1e-12)
    z = gain / deviation
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return gain * ndtr(z) + deviation * density


def optimise_time_scales(
    pool: RecurrentPool,
    options: TimeScaleOptions,
    drive: NoiseDrive,
    rng: np.random.Generator,
    *,
    dt_ms: float = 1.0,
    progress: Progress = no_progress,
) -> TimeScaleResult:
    """Search the distribution of time constants whose spectrum is best.

    Every distribution is judged with the same noise and the same quantile per neuron, so that
    differences come from the distribution alone.

    Args:
        pool: The network; its clusters have one distribution each.
        options: Options of the search.
        drive: The noise under which spectra are measured.
        rng: Source of noise, quantiles and proposals.
        dt_ms: Length of a step.
        progress: Callback after every evaluation.
    """
    names, cluster = np.unique(pool.cluster, return_inverse=True)
    quantiles = rng.random(pool.size)
    noise_seed = int(rng.integers(2**62))

    def judged(candidate: RecurrentPool, parameters: Floats) -> TimeScaleTrial:
        settings = SpectrumOptions(options.leading, steps=options.steps)
        spectrum = lyapunov_spectrum(candidate, settings, drive, np.random.default_rng(noise_seed))
        chaos = float(np.maximum(spectrum.exponents, 0).sum())
        criterion = abs(spectrum.largest - options.target) + options.penalty * chaos
        columns = parameters.T.tolist() if len(parameters) else [[], []]
        return TimeScaleTrial(tuple(columns[0]), tuple(columns[1]), criterion, spectrum.largest)

    def with_parameters(parameters: Floats) -> RecurrentPool:
        shape, mean = parameters[cluster, 0], parameters[cluster, 1]
        tau = _gamma_quantiles(quantiles, shape, mean)
        return pool.with_betas(np.clip(np.exp(-dt_ms / np.maximum(tau, 1e-9)), *BETA_LIMITS))

    trials = [judged(pool, np.zeros((0, 2)))]
    tried: list[Floats] = []
    for number in range(options.evaluations):
        if number < options.initial:
            parameters = _random(options, len(names), 1, rng)[0]
        else:
            parameters = _proposal(options, tried, [trial.criterion for trial in trials[1:]], rng)
        tried.append(parameters)
        trials.append(judged(with_parameters(parameters), parameters))
        progress(number + 1, options.evaluations)
    best = int(np.argmin([trial.criterion for trial in trials]))
    return TimeScaleResult(pool if best == 0 else with_parameters(tried[best - 1]), tuple(trials))


def _random(options: TimeScaleOptions, clusters: int, count: int, rng: np.random.Generator) -> Floats:
    """Return parameters `[count, clusters, 2]`, uniform in the logarithm."""
    low = np.log([options.shapes[0], options.means_ms[0]])
    high = np.log([options.shapes[1], options.means_ms[1]])
    return np.exp(rng.uniform(low, high, (count, clusters, 2)))


def _proposal(
    options: TimeScaleOptions, tried: list[Floats], values: list[float], rng: np.random.Generator
) -> Floats:
    """Return the candidate of largest expected improvement."""
    # scikit-learn takes long to load, and few commands need it.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel  # noqa: PLC0415

    points = np.array([quantile_embedding(parameters) for parameters in tried])
    targets = np.log(np.array(values) + 1e-6)
    typical = float(np.median(np.linalg.norm(points[:, None] - points, axis=-1))) + 1e-9
    kernel: Any = ConstantKernel(1.0) * Matern(typical, (typical / 100, typical * 100), nu=2.5)
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(1e-2, (1e-6, 1.0)), normalize_y=True, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():
        # A hyperparameter at the end of its range is no reason to stop searching.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(points, targets)
    candidates = _random(options, len(tried[0]), options.candidates, rng)
    embedded: NDArray[np.float64] = np.array([quantile_embedding(parameters) for parameters in candidates])
    predicted: Any = process.predict(embedded, return_std=True)
    mean, deviation = predicted
    return candidates[int(np.argmax(expected_improvement(mean, deviation, float(targets.min()))))]
