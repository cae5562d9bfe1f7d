"""The parent: starts the Lava child in a process group of its own, watches it, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from targets.lava.answers import HEARTBEAT, RUNNING, SIMULATOR, Failure, is_done, read_failure
from targets.lava.process_group import end_group
from targets.lava.runtime.jobs import LavaJob
from targets.lava.settings import Limits
from toolchain.errors import SimulationError
from toolchain.interrupts import Held
from toolchain.progress import Progress

_POLL_S: Final = 0.02
_LOG: Final = "log.txt"
_CHILD: Final = Path(__file__).with_name("child.py")
_REFUSALS: Final = {
    "Too many open files": "the simulator may not open more files (see 'ulimit -n'); raise that limit",
    "Cannot allocate memory": "there is not enough memory for the simulator; free some, or raise 'ulimit -v'",
    "MemoryError": "there is not enough memory for the simulator; free some, or run fewer samples",
}
"""What the system refuses, as Python tells it in a traceback, and what to do: nothing of Lava is at fault."""


def run_job(job: LavaJob, limits: Limits, progress: Progress) -> None:
    """Run a job in a temporary folder in a child process, to its end or to an error.

    Whatever happens, afterwards no process of the child's group lives; what it left in files and in shared
    memory goes with the folder.

    Raises:
        SimulationError: Lava raised, died, made no step for too long or ran out of time; names
            the process and the step.
    """
    with (job.folder / _LOG).open("wb") as log, Held(lambda: _start(job.folder, log), _end) as child:
        _watch(job, child, limits, progress)


def _start(folder: Path, log: BinaryIO) -> subprocess.Popen[bytes]:
    # One thread per process: Lava itself is the parallelism.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # `-P` keeps the current folder out. In a session of its own, it does not get the Ctrl-C of a terminal.
    return subprocess.Popen(  # noqa: S603 - our own script, no shell
        [sys.executable, "-P", str(_CHILD), str(folder), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=os.environ | threads | {"TMPDIR": str(folder)},
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    # Before it is waited for: until then its number is nobody else's.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    end_group(child.pid)


def finished_samples(job: LavaJob) -> int:
    """Return how many samples of a job every process has finished."""
    beats = np.load(job.folder / HEARTBEAT)
    # A heartbeat is the step a process is in; the one before is done.
    return job.windows.finished(int(beats[:, 0].min()) - 1)


def _watch(job: LavaJob, child: subprocess.Popen[bytes], limits: Limits, progress: Progress) -> None:
    beats, total = np.load(job.folder / HEARTBEAT, mmap_mode="r"), job.windows.total
    started = last_change = time.monotonic()
    last_steps, reported = -1, -1
    while True:
        ended = child.poll() is not None
        failure = read_failure(job.folder)
        if failure is not None:
            raise _error_of(failure)
        if ended and is_done(job.folder):
            progress(total, total)
            return
        if ended:
            raise _silent_end(job.folder, child.returncode)
        now, steps = time.monotonic(), int(beats[:, 0].sum())
        if steps != last_steps:
            last_steps, last_change = steps, now
        done = min(int(beats[:, 0].min()), total)
        if done != reported:
            progress(done, total)
            reported = done
        if limits.total_s is not None and now - started > limits.total_s:
            raise _stopped(job, f"the run took longer than {limits.total_s:g} s")
        patience = limits.stall_s if last_steps > 0 else limits.start_s
        if now - last_change > patience:
            raise _stopped(job, f"no process made a step for {patience:g} s")
        time.sleep(_POLL_S)


def _error_of(failure: Failure) -> SimulationError:
    refused = _refused(failure.traceback)
    if refused is not None:
        return refused
    error = SimulationError(failure.reason, process=failure.process, step=failure.step)
    if failure.traceback:
        error.add_note(failure.traceback)
    return error


def _silent_end(folder: Path, code: int) -> SimulationError:
    refused = _refused(_last_words(folder))
    if refused is not None:
        return refused
    reason = f"the simulator ended with code {code} before it was done"
    error = SimulationError(reason, process=SIMULATOR, step=0)
    error.add_note(_last_words(folder))
    return error


def _refused(text: str) -> SimulationError | None:
    """Return the error for what the system refused the simulator; None if it refused nothing."""
    for sign, reason in _REFUSALS.items():
        if sign in text:
            return SimulationError(reason, process=SIMULATOR, step=0)
    return None


def _stopped(job: LavaJob, reason: str) -> SimulationError:
    """Return an error that names the process that is inside its step without waiting for a message."""
    names, beats = job.network.process_names(job.run.models), np.load(job.folder / HEARTBEAT)
    busy = np.flatnonzero((beats[:, 1] == RUNNING) & (beats[:, 0] > 0))
    suspects = busy if busy.size else np.arange(len(names))
    worst = suspects[np.argmin(beats[suspects, 0])]
    error = SimulationError(reason, process=names[worst], step=int(beats[worst, 0]))
    error.add_note(_last_words(job.folder))
    return error


def _last_words(folder: Path) -> str:
    text = (folder / _LOG).read_text(encoding="utf-8", errors="replace")[-2000:]
    return f"last words of the simulator:\n{text}" if text else "the simulator printed nothing"
