"""Inside the Lava child: every process reports its step, its waiting and its failure.

Lava forks one operating-system process per Lava process and says little about them. These hooks
are set before the fork, in the child only.
"""

import json
import os
import threading
import time
import traceback
from multiprocessing import current_process, shared_memory
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

import numpy as np
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort
from lava.magma.core.model.py.model import PyLoihiProcessModel
from numpy.typing import NDArray

from targets.lava.job import RUNNING, WAITING
from targets.lava.process_group import end_group
from toolchain.files.temporary import remove_folder, shared_memory_prefix

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


def stay_within(folder: Path) -> None:
    """Let this process and its children leave nothing outside of a folder and of the names that go with it.

    Segments and semaphores outlive a killed process; by their names, whoever removes the folder finds them.
    Sockets lie in the folder, as paths relative to it, since a socket's may have a hundred letters only.
    """
    os.chdir(folder)
    prefix = shared_memory_prefix(folder)
    # There is no public way to any of these.
    shared_memory._SHM_NAME_PREFIX = prefix  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001
    settings: Any = current_process()._config  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001
    settings |= {"semprefix": prefix, "tempdir": os.curdir}


def die_with_parent(parent: int, folder: Path) -> None:
    """Watch from a thread for the parent's death: then nobody waits for this run any more.

    The whole group ends, its shared memory and its folder go. Needed for a parent that was killed;
    one that was interrupted cleans up itself.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        # A process outside of the group outlives it, and removes what it can write no more.
        if os.fork() == 0:
            group = os.getpgid(0)
            os.setsid()
            end_group(group)
            remove_folder(folder)
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


class Tap:
    """Records of one population of Lava's own model: results are streamed, not monitored.

    Args:
        paths: Of `.npy` files `[samples, steps, N]` by quantity.
        sample: Which is run.
        offset: Lava's step before the first of the sample.
        steps: Of a sample.
    """

    def __init__(self, paths: dict[str, str], sample: int, offset: int, steps: int) -> None:
        self.paths = paths
        self.sample = sample
        self.offset = offset
        self.steps = steps
        self.files: dict[str, NDArray[Any]] = {}

    def read(self, model: Any) -> None:  # noqa: ANN401 - Lava ships no types
        """Write the step that the model has just done."""
        t = int(model.time_step) - 1 - self.offset
        if not 0 <= t < self.steps:
            return
        if not self.files:
            self.files = {
                quantity: np.load(path, mmap_mode="r+", allow_pickle=False)
                for quantity, path in self.paths.items()
            }
        kept = {"spikes": model.s_out_buff, "v": model.v, "u": model.u}
        for quantity, file in self.files.items():
            file[self.sample, t] = kept[quantity]


class Watch:
    """Heartbeats of all processes of one run.

    Args:
        folder: The job's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slots: dict[int, tuple[int, str]] = {}
        self.taps: dict[int, Tap] = {}
        self.before = 0
        self.beats: NDArray[np.int64] = np.load(folder / "heartbeat.npy", mmap_mode="r+")
        self.own: Any = None

    def begin(self, slots: dict[int, tuple[int, str]]) -> None:
        """Note the row of the heartbeat file of every Lava process id, and the process's name."""
        self.slots = slots

    def tap(self, sample: int, document: dict[str, Any], ids: dict[str, int]) -> None:
        """Write what Lava's own populations do in one sample, read off from outside.

        Args:
            sample: Which.
            document: The job.
            ids: Lava's number of every process.
        """
        self.before = sample * document["period"]
        self.taps = {
            ids[item["name"]]: Tap(item["records"], sample, item["window"][0], item["window"][2])
            for item in document["neurons"]
            if item["records"]
        }

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
            self.own[:] = self.before + model.time_step + 1, RUNNING
            try:
                original(model)
                if model.model_id in self.taps:
                    self.taps[model.model_id].read(model)
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
