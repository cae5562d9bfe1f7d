"""How long pruning takes; a table from `make bench`, nothing asserted about time but what was promised.

Numba's kernels run in threads of our own, without a pool of spinning workers, and the only BLAS in
the loop is SciPy's, so no wait policy has to be set; the number of cores is recorded.
"""

import os
import resource
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from toolchain.models.topology import dale_weights, small_world, spectral_radius
from toolchain.pruning.lnp import (
    ExponentSource,
    LnpOptions,
    NoiseDrive,
    RecurrentPool,
    SpectrumOptions,
    lyapunov_spectrum,
    prune_pool,
)
from toolchain.pruning.lnp.centrality import betweenness
from toolchain.pruning.lnp.noise import drive_with_noise
from toolchain.threads import threads

pytestmark = pytest.mark.bench

Benchmark = Callable[..., Any]


def _pool(neurons: int) -> RecurrentPool:
    rng = np.random.default_rng(0)
    weights = csr_array(dale_weights(small_world(neurons, 0.1, 0.1, rng), 0.2, 4.0, rng))
    beta = np.clip(np.exp(-1 / rng.gamma(3.0, 20 / 3, neurons)), 2 / np.e, 0.995)
    return RecurrentPool.of(weights * (0.8 / spectral_radius(weights)), beta, 1 / (1 - beta))


@pytest.mark.parametrize(
    ("neurons", "attribution"),
    [(1000, ExponentSource.DIAGONAL), (1000, ExponentSource.FULL), (5000, ExponentSource.DIAGONAL)],
)
def test_a_hundred_iterations_of_steps_one_to_three(
    benchmark: Any, neurons: int, attribution: ExponentSource
) -> None:
    pool = _pool(neurons)
    options = replace(LnpOptions.published(round(0.43 * neurons), 0.2), attribution=attribution)
    result = benchmark.pedantic(prune_pool, (pool, options, np.random.default_rng(0)), rounds=1)
    assert result.pool.size == round(0.43 * neurons)
    assert result.pool.synapses == round(0.2 * pool.synapses)
    measured = [record for record in result.records if record.largest_exponent is not None]
    assert all(len(record.spectrum) == 64 for record in measured)
    assert len(measured) == 11
    benchmark.extra_info["threads"] = threads()
    benchmark.extra_info["wait policy"] = os.environ.get("OMP_WAIT_POLICY", "default")
    benchmark.extra_info["peak memory, GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@pytest.mark.parametrize("neurons", [512, 1000])
def test_a_full_spectrum_of_200_steps(benchmark: Any, neurons: int) -> None:
    pool = _pool(neurons)
    options = SpectrumOptions(steps=200)
    benchmark.pedantic(lyapunov_spectrum, (pool, options, NoiseDrive(), np.random.default_rng(0)), rounds=1)


@pytest.mark.parametrize("neurons", [512, 5000])
def test_one_answer_to_noise(benchmark: Benchmark, neurons: int) -> None:
    benchmark(drive_with_noise, _pool(neurons), NoiseDrive(), np.random.default_rng(0))


@pytest.mark.parametrize("neurons", [512, 1000, 5000])
def test_exact_betweenness(benchmark: Benchmark, neurons: int) -> None:
    benchmark(betweenness, _pool(neurons).weights)
