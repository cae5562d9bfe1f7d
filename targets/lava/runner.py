"""The parent: starts the Lava child in a process group of its own, watches it, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np

from targets.lava.job import RUNNING, SampleWindow, process_names, read_job
from targets.lava.process_group import end_group
from toolchain.errors import SimulationError
from toolchain.interrupts import Held
from toolchain.progress import Progress

_POLL_S: Final = 0.02
_CHILD: Final = Path(__file__).with_name("child.py")
_REFUSALS: Final = {
    "Too many open files": "the simulator may not open more files (see 'ulimit -n'); raise that limit",
    "Cannot allocate memory": "there is not enough memory for the simulator; free some, or raise 'ulimit -v'",
    "MemoryError": "there is not enough memory for the simulator; free some, or run fewer samples",
}
"""What the system refuses, as Python tells it in a traceback, and what to do: nothing of Lava is at fault."""


@final
@dataclass(frozen=True)
class Limits:
    """How long to wait for Lava.

    Attributes:
        total_s: For the whole run; None for no limit.
        start_s: Until the first step: Lava is imported and builds its processes.
        stall_s: After that, without any process making a step.
    """

    total_s: float | None = None
    start_s: float = 300.0
    stall_s: float = 60.0


def run_job(folder: Path, window: SampleWindow, limits: Limits, progress: Progress) -> None:
    """Run the job in a temporary folder in a child process, to its end or to an error.

    Whatever happens, afterwards no process of the child's group lives; what it left in files and in shared
    memory goes with the folder.

    Raises:
        SimulationError: Lava raised, died, made no step for too long or ran out of time; names
            the process and the step.
    """
    with (folder / "log.txt").open("wb") as log, Held(lambda: _start(folder, log), _end) as child:
        _watch(folder, child, window, limits, progress)


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


def finished_samples(folder: Path, window: SampleWindow) -> int:
    """Return how many samples of a job every process has finished."""
    beats = np.load(folder / "heartbeat.npy")
    # A heartbeat is the step a process is in; the one before is done.
    return window.finished(int(beats[:, 0].min()) - 1)


def _watch(
    folder: Path, child: subprocess.Popen[bytes], window: SampleWindow, limits: Limits, progress: Progress
) -> None:
    beats = np.load(folder / "heartbeat.npy", mmap_mode="r")
    started = last_change = time.monotonic()
    seen, reported = -1, -1
    while True:
        ended = child.poll() is not None
        if (folder / "failure.json").exists():
            raise _failure(folder)
        if ended and (folder / "done").exists():
            progress(window.total, window.total)
            return
        if ended:
            raise _silent_end(folder, child.returncode)
        now, steps = time.monotonic(), int(beats[:, 0].sum())
        if steps != seen:
            seen, last_change = steps, now
        done = min(int(beats[:, 0].min()), window.total)
        if done != reported:
            progress(done, window.total)
            reported = done
        if limits.total_s is not None and now - started > limits.total_s:
            raise _stopped(folder, f"the run took longer than {limits.total_s:g} s")
        patience = limits.stall_s if seen > 0 else limits.start_s
        if now - last_change > patience:
            raise _stopped(folder, f"no process made a step for {patience:g} s")
        time.sleep(_POLL_S)


def _failure(folder: Path) -> SimulationError:
    entry = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
    refused = _refused(entry["traceback"] or "")
    if refused is not None:
        return refused
    error = SimulationError(entry["reason"], process=entry["process"], step=entry["step"])
    if entry["traceback"]:
        error.add_note(entry["traceback"])
    return error


def _silent_end(folder: Path, code: int) -> SimulationError:
    refused = _refused(_last_words(folder))
    if refused is not None:
        return refused
    reason = f"the simulator ended with code {code} before it was done"
    error = SimulationError(reason, process="lava", step=0)
    error.add_note(_last_words(folder))
    return error


def _refused(text: str) -> SimulationError | None:
    """Return the error for what the system refused the simulator; None if it refused nothing."""
    for sign, reason in _REFUSALS.items():
        if sign in text:
            return SimulationError(reason, process="lava", step=0)
    return None


def _stopped(folder: Path, reason: str) -> SimulationError:
    """Name the culprit: the process that is inside its step without waiting for a message."""
    document, _ = read_job(folder)
    names, beats = process_names(document), np.load(folder / "heartbeat.npy")
    busy = np.flatnonzero((beats[:, 1] == RUNNING) & (beats[:, 0] > 0))
    suspects = busy if busy.size else np.arange(len(names))
    worst = suspects[np.argmin(beats[suspects, 0])]
    error = SimulationError(reason, process=names[worst], step=int(beats[worst, 0]))
    error.add_note(_last_words(folder))
    return error


def _last_words(folder: Path) -> str:
    text = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
    return f"last words of the simulator:\n{text}" if text else "the simulator printed nothing"
