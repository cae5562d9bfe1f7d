"""Exponents of pools whose spectrum is known, the leading part of the full one, and a second opinion."""

from dataclasses import replace

import numpy as np
import pytest

from tests.toolchain.pruning.lnp.perturbation import perturbation_growth
from tests.toolchain.pruning.pools import random_pool, world
from toolchain.errors import PruningError
from toolchain.pruning.lnp import (
    NoiseDrive,
    RecurrentPool,
    SpectrumOptions,
    lyapunov_spectrum,
)
from toolchain.pruning.lnp.spectrum import _exponents, _orthonormal
from toolchain.reset import Reset

QUIET = NoiseDrive(mean=0.0, sigma=1e-9)


def test_the_exponents_of_a_linear_map_are_the_logarithms_of_its_eigenvalues(
    rng: np.random.Generator,
) -> None:
    """With no leak and unit stretch the Jacobian is the matrix itself."""
    basis = rng.normal(size=(12, 12))
    eigenvalues = np.array([1.3, -1.1, 0.9, 0.8, 0.7, -0.6, 0.5, 0.4, 0.3, -0.2, 0.15, 0.1])
    matrix = basis @ np.diag(eigenvalues) @ np.linalg.inv(basis)
    options = SpectrumOptions(steps=2000, warm_up=300)
    steps = options.steps + options.warm_up
    start = _orthonormal(rng.normal(size=(12, 12)))[0]
    growth, _ = _exponents(
        np.asfortranarray(matrix), np.zeros((steps, 12)), np.ones((steps, 12)), start, options
    )
    assert np.sort(growth)[::-1] == pytest.approx(np.log(np.abs(eigenvalues)), abs=1e-6)


def test_silent_uncoupled_neurons_have_the_exponents_of_their_leaks(rng: np.random.Generator) -> None:
    beta = np.array([0.95, 0.9, 0.8, 0.7])
    pool = RecurrentPool.of(np.zeros((4, 4)), beta, np.full(4, 1e9))
    spectrum = lyapunov_spectrum(pool, SpectrumOptions(warm_up=100), QUIET, rng)
    assert spectrum.exponents == pytest.approx(np.log(beta), abs=1e-6)
    assert spectrum.attribution == pytest.approx(np.log(beta), abs=1e-6)


def test_a_neuron_whose_spikes_take_something_away_forgets_by_its_leak_only(rng: np.random.Generator) -> None:
    beta = np.array([0.95, 0.9, 0.8, 0.7])
    pool = RecurrentPool.of(np.zeros((4, 4)), beta, np.full(4, 1.0))
    pool = replace(pool, reset=Reset.SUBTRACT, amount=np.full(4, 0.5))
    spectrum = lyapunov_spectrum(pool, SpectrumOptions(warm_up=100), NoiseDrive(mean=3.0), rng)
    assert spectrum.exponents == pytest.approx(np.log(beta), abs=1e-6)


@pytest.mark.parametrize("density", [0.01, 0.3])
def test_the_leading_exponents_are_the_top_of_the_full_spectrum(
    density: float, rng: np.random.Generator
) -> None:
    pool = world(rng, 150, density, 2.0)
    options = {"steps": 150, "warm_up": 300}
    full = lyapunov_spectrum(pool, SpectrumOptions(**options), NoiseDrive(), np.random.default_rng(4))
    top = lyapunov_spectrum(pool, SpectrumOptions(8, **options), NoiseDrive(), np.random.default_rng(4))
    # Both follow the same trajectory; what differs is how far the random directions have settled.
    assert top.exponents == pytest.approx(full.exponents[:8], abs=4e-3)


def test_fewer_decompositions_measure_the_same(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 60, 0.2)
    once, twice = (
        lyapunov_spectrum(pool, SpectrumOptions(interval=i), NoiseDrive(), np.random.default_rng(1))
        for i in (1, 2)
    )
    assert once.exponents[:30] == pytest.approx(twice.exponents[:30], abs=2e-3)


def test_a_contracting_network_is_negative_and_a_strongly_coupled_one_positive() -> None:
    drive, settings = NoiseDrive(mean=0.9, sigma=0.5), SpectrumOptions(16, steps=200, warm_up=50)
    largest = []
    growth = []
    for gain in (0.1, 150.0):
        pool = world(np.random.default_rng(0), 150, 0.2, gain, inhibitory=0.5)
        largest.append(lyapunov_spectrum(pool, settings, drive, np.random.default_rng(1)).largest)
        growth.append(perturbation_growth(pool, drive, np.random.default_rng(1)))
    assert largest[0] < 0 < largest[1]
    assert growth[0] < 0 < growth[1]


def test_trials_are_averaged_and_their_spread_is_told(rng: np.random.Generator) -> None:
    pool = world(rng, 50, 0.2, 5.0)
    spectrum = lyapunov_spectrum(pool, SpectrumOptions(4, steps=50, trials=5), NoiseDrive(), rng)
    assert (spectrum.spread > 0).all()
    assert (np.diff(spectrum.exponents) <= 0).all()


def test_all_inhibitory_pools_have_a_finite_spectrum(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 50.0, inhibitory=1.0)
    assert (pool.weights.data < 0).all()
    spectrum = lyapunov_spectrum(pool, SpectrumOptions(), NoiseDrive(mean=2.0), rng)
    assert np.isfinite(spectrum.exponents).all()
    assert np.isfinite(spectrum.attribution).all()


def test_a_saturated_pool_has_a_finite_spectrum(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 30, 0.3)
    spectrum = lyapunov_spectrum(pool, SpectrumOptions(), NoiseDrive(mean=1e3, sigma=0.0), rng)
    assert np.isfinite(spectrum.exponents).all()


def test_identical_copies_part_at_a_finite_rate(rng: np.random.Generator) -> None:
    pool = RecurrentPool.of(np.zeros((4, 4)), np.full(4, 0.5), np.full(4, 1e9))
    growth = perturbation_growth(pool, QUIET, rng)
    assert growth == pytest.approx(np.log(0.5), abs=0.02)


def test_an_empty_pool_and_an_infinite_spectrum_are_refused(rng: np.random.Generator) -> None:
    empty = RecurrentPool.of(np.zeros((0, 0)), np.zeros(0), np.zeros(0))
    with pytest.raises(PruningError, match="empty pool"):
        lyapunov_spectrum(empty, SpectrumOptions(), NoiseDrive(), rng)
    wild = RecurrentPool.of(np.full((3, 3), 1e308), np.full(3, 0.9), np.full(3, 1e-5))
    with np.errstate(all="ignore"), pytest.raises(PruningError, match="diverges|finite"):
        lyapunov_spectrum(wild, SpectrumOptions(), NoiseDrive(), rng)
