"""What runs in a worker around every task: one thread each, the same code, errors as data.

Workers share their machine, so a task has one core: of torch, Numba, BLAS, OpenMP and our own loops. That is
not undone after a task. A worker with several threads does several tasks at once, and what one puts back
would let the libraries of the next take all cores.
"""

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, final

from toolchain.cluster.outcome import CarriedError, carried
from toolchain.errors import ClusterError
from toolchain.threads import limit_threads

THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_LIMITED: Final = threading.local()


@final
@dataclass(frozen=True)
class Ended:
    """What a worker hands back of a task.

    Attributes:
        result: What the function returned.
        error: What it raised.
        worker: Host and process.
    """

    result: Any
    error: CarriedError | None
    worker: str


def run_task(code: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Ended:
    """Run a task in this worker.

    Args:
        code: Fingerprint of the code of whoever submitted it.
        function: The function.
        arguments: Its arguments.
    """
    try:
        if code != code_fingerprint():
            raise ClusterError(f"worker {here()} joined with other code of pumice", "end it")
        one_thread()
        return Ended(function(*arguments), None, here())
    except BaseException as error:  # noqa: BLE001 - it is carried to whoever waits for the task
        return Ended(None, carried(error), here())


def here() -> str:
    """Return host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def one_thread() -> None:
    """Let everything that computes in this thread use one core, also what is loaded later."""
    limit_threads(1)
    for name in THREAD_VARIABLES:
        # Numba compares the variable with the threads that it has started.
        if name != "NUMBA_NUM_THREADS" or "numba" not in sys.modules:
            os.environ[name] = "1"
    if not hasattr(_LIMITED, "limits"):
        with suppress(ImportError):
            from threadpoolctl import threadpool_limits  # noqa: PLC0415 - looks for what is loaded

            _LIMITED.limits = threadpool_limits(limits=1)
    for name, method in (("torch", "set_num_threads"), ("numba", "set_num_threads")):
        if name in sys.modules:
            getattr(sys.modules[name], method)(1)


@cache
def code_fingerprint() -> str:
    """Return a hash over every line of the toolchain and the targets.

    Versions do not change with every line, and results may.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for package in ("toolchain", "targets"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
