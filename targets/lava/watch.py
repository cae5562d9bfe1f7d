"""Inside the Lava child: every process reports its step, its waiting and its failure.

Lava forks one operating-system process per Lava process and says little about them. These hooks
are set before the fork, in the child only.
"""

import json
import os
import shutil
import signal
import threading
import time
import traceback
from multiprocessing import shared_memory
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

import numpy as np
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort
from lava.magma.core.model.py.model import PyLoihiProcessModel
from numpy.typing import NDArray

from targets.lava.job import RUNNING, WAITING, remove_shared_memory

_FAILURE: Final = "failure.json"


def report_failure(folder: Path, *, process: str, step: int, reason: str, detail: str) -> None:
    """Write who failed and why, unless somebody has done so before."""
    entry = {"process": process, "step": step, "reason": reason, "traceback": detail}
    temporary = folder / f"failure.{os.getpid()}"
    temporary.write_text(json.dumps(entry), encoding="utf-8")
    try:
        # A link fails if the name exists: the first failure is the cause of the others.
        os.link(temporary, folder / _FAILURE)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def name_shared_memory(prefix: str) -> None:
    """Give all shared memory of this process and its children names that begin with `prefix`.

    Segments outlive a killed process; by this name the parent finds and removes them.
    """
    shared_memory._SHM_NAME_PREFIX = prefix  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001 - no public way


def die_with_parent(parent: int, folder: Path, prefix: str) -> None:
    """Watch from a thread for the parent's death: then nobody waits for this run any more.

    The whole group ends, its shared memory and its folder go. Needed for a parent that was killed;
    one that was interrupted cleans up itself.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        remove_shared_memory(prefix)
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


class Watch:
    """Heartbeats of all processes of one run.

    Args:
        folder: The job's folder.
        slots: Row of the heartbeat file per Lava process id, and the process's name.
    """

    def __init__(self, folder: Path, slots: dict[int, tuple[int, str]]) -> None:
        self.folder = folder
        self.slots = slots
        self.beats: NDArray[np.int64] = np.load(folder / "heartbeat.npy", mmap_mode="r+")
        self.own: Any = None

    def install(self) -> None:
        """Hook the step of every process model and the waiting of every port."""
        self._hook_steps()
        for port, method in ((CspRecvPort, "recv"), (CspRecvPort, "peek"), (CspSendPort, "send")):
            self._hook_waiting(port, method)

    def _hook_steps(self) -> None:
        original: Any = PyLoihiProcessModel._spike  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - Lava has no hook

        def spike(model: Any) -> None:  # noqa: ANN401 - Lava ships no types
            slot, name = self.slots[model.model_id]
            self.own = self.beats[slot]
            self.own[:] = model.time_step + 1, RUNNING
            try:
                original(model)
            except Exception as error:
                report_failure(
                    self.folder,
                    process=name,
                    step=int(model.time_step),
                    reason=f"{type(error).__name__}: {error}",
                    detail=traceback.format_exc(),
                )
                raise
            self.own[1] = WAITING

        setattr(PyLoihiProcessModel, "_spike", spike)  # noqa: B010 - a private name, set on purpose

    def _hook_waiting(self, port: type[Any], method: str) -> None:
        original = getattr(port, method)

        def waiting(*args: Any) -> Any:  # noqa: ANN401
            if self.own is not None:
                self.own[1] = WAITING
            try:
                return original(*args)
            finally:
                if self.own is not None:
                    self.own[1] = RUNNING

        setattr(port, method, waiting)

    def guard(self, top: Any) -> threading.Event:  # noqa: ANN401 - a Lava process
        """Watch from a thread for processes that die without a word.

        Returns:
            To be set before the processes are told to stop.
        """
        stopping = threading.Event()
        threading.Thread(target=self._guard, args=(top, stopping), daemon=True).start()
        return stopping

    def _guard(self, top: Any, stopping: threading.Event) -> None:  # noqa: ANN401
        while (runtime := top.runtime) is None or not runtime._is_initialized:  # noqa: SLF001
            time.sleep(0.01)
        builders = list(runtime._executable.proc_builders)  # noqa: SLF001
        actors = runtime._messaging_infrastructure.actors[: len(builders)]  # noqa: SLF001
        names = {
            actor.sentinel: self.slots[process.id] for actor, process in zip(actors, builders, strict=True)
        }
        dead = wait(list(names))
        slot, name = names[dead[0]]
        if not stopping.is_set():
            report_failure(
                self.folder,
                process=name,
                step=int(self.beats[slot][0]),
                reason="its operating-system process ended unexpectedly (killed, or out of memory)",
                detail="",
            )
