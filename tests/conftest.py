"""A stricter world than users live in: floating-point warnings are errors, randomness is seeded."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "pumice",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("pumice")


@pytest.fixture(autouse=True)
def strict_floats() -> Iterator[None]:
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240309)


@pytest.fixture(scope="session")
def rewrite_golden() -> bool:
    """Whether `make golden` runs: then expected texts are written instead of compared."""
    return os.environ.get("PUMICE_GOLDEN") == "1"


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[1]
