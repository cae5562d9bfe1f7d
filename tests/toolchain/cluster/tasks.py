"""Functions that workers of the tests run."""

import os
import signal
import time
from pathlib import Path

from toolchain.errors import ArgumentError, StorageError


def add(one: int, other: int) -> int:
    return one + other


def refuse() -> None:
    raise ArgumentError("workers", "a number", "none")


def fill_the_disk(path: str) -> None:
    raise StorageError(Path(path), "cannot be written", "free some space")


def divide() -> float:
    return 1 / 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: str) -> int:
    """Kill this worker at the first call, and return at the second."""
    if not Path(mark).exists():
        Path(mark).touch()
        die()
    return os.getpid()


def wait(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def thread_counts() -> dict[str, int]:
    """Return how many threads everything would take that computes."""
    import numba  # noqa: PLC0415 - as late as work does
    import torch  # noqa: PLC0415
    from threadpoolctl import threadpool_info  # noqa: PLC0415

    from toolchain.threads import threads  # noqa: PLC0415

    pools = {f"{each['internal_api']}": each["num_threads"] for each in threadpool_info()}
    return pools | {"torch": torch.get_num_threads(), "numba": numba.get_num_threads(), "own": threads()}
