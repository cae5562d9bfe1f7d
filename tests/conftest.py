"""A stricter world than users live in: floating-point warnings are errors, randomness is seeded."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.worker_order import begun_apart
from toolchain.interrupts import INTERRUPTS

_FILES = Path(__file__).parent / "toolchain" / "files"
"""Tests of how files are written, which do wait for the disk."""

settings.register_profile(
    "pumice",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("pumice")

# A job in the background ignores interrupts, and so would every process that a test starts and interrupts.
for number in INTERRUPTS:
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect with nothing to look through again and again: modules and tests stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)  # after the shuffle, and after what is not asked for has gone
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = begun_apart(items, lambda item: item.path.relative_to(config.rootpath).as_posix())


@pytest.fixture(autouse=True)
def strict_floats() -> Iterator[None]:
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        yield


@pytest.fixture(autouse=True)
def cached_disk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Do not wait for the disk itself, as no test cuts the power; those of files see what is synced."""
    with pytest.MonkeyPatch.context() as patch:
        if _FILES not in request.path.parents:
            patch.setattr(os, "fsync", lambda _: None)
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


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder. Tests copy it before they change it."""
    from tests.small_run import small_experiment  # noqa: PLC0415 - whoever hands out tests loads no torch
    from toolchain.workflow.train import train  # noqa: PLC0415 - likewise

    folder = tmp_path_factory.mktemp("small") / "run"
    train(small_experiment(), folder)
    return folder


@pytest.fixture(scope="session")
def small_build(small_run: Path) -> Path:
    """A build folder of that run. Tests copy it before they change it."""
    from toolchain.workflow.compare import compare_build  # noqa: PLC0415 - likewise
    from toolchain.workflow.compile import compile_run  # noqa: PLC0415 - likewise

    folder = small_run.parent / "build"
    build = compile_run(small_run, target="emulator")
    build.save(folder, compare_build(build))
    return folder
