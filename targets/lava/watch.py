"""Inside the Lava child: every process reports its step, its waiting and its failure.

Lava forks one operating-system process per Lava process and says little about them. These hooks
are set before the fork, in the child only.
"""

import os
import threading
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing import current_process, shared_memory
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, final

import numpy as np
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort
from lava.magma.core.model.py.model import PyLoihiProcessModel
from numpy.typing import NDArray

from targets.lava.answers import HEARTBEAT, RUNNING, WAITING, Failure, report_failure
from targets.lava.process_group import end_group
from targets.lava.runtime.building import Processes
from targets.lava.runtime.jobs import Array, LavaJob
from targets.lava.runtime.models import Models
from targets.lava.runtime.simulation import Observer
from toolchain.files.temporary import remove_folder, shared_memory_prefix


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


@final
@dataclass
class _Tap:
    """Reads the records of one population off Lava's own model in one sample.

    Attributes:
        paths: Files `[samples, steps, N]` by quantity.
        sample: Number of the sample.
        offset: Step of Lava before the first of the sample.
        steps: Length of the sample.
    """

    paths: dict[str, Path]
    sample: int
    offset: int
    steps: int
    files: dict[str, Array] = field(default_factory=dict)

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
        values = {"spikes": _spikes(model), "v": model.v, "u": model.u}
        for quantity, file in self.files.items():
            file[self.sample, t] = values[quantity]


def _spikes(model: Any) -> Array:  # noqa: ANN401 - Lava ships no types
    """Return the spikes of the step that a model of Lava's has just done.

    That of the refractory population does not keep them, but sets the end of the refractory period of every
    neuron that spikes.
    """
    if hasattr(model, "refractory_period_end"):
        return model.refractory_period_end == model.time_step + model.refractory_period
    return model.s_out_buff


@final
class Watch(Observer):
    """Notes the heartbeats of all processes of a run, and what Lava's own populations do.

    Args:
        job: The job.
    """

    def __init__(self, job: LavaJob) -> None:
        self._job = job
        self._slots: dict[int, tuple[int, str]] = {}
        self._taps: dict[int, _Tap] = {}
        self._before = 0
        self._beats: NDArray[np.int64] = np.load(job.folder / HEARTBEAT, mmap_mode="r+")
        self._own_beat: Any = None
        self._stopping = threading.Event()

    def begin(self, sample: int, processes: Processes) -> None:
        """Note the heartbeat's row and the name of every process, and where its records go."""
        names = self._job.network.process_names(self._job.run.models)
        self._slots = {processes[name].id: (row, name) for row, name in enumerate(names)}
        self._before = sample * self._job.windows.period
        if self._job.run.models is Models.STOCK:
            steps = self._job.run.steps
            self._taps = {
                processes[item.name].id: _Tap(paths, sample, item.offset, steps)
                for item in self._job.network.populations
                if (paths := self._job.record_paths(item.name))
            }

    def start(self, top: Any) -> None:  # noqa: ANN401 - a Lava process
        """Watch from a thread for processes that die without a word."""
        self._stopping = threading.Event()
        threading.Thread(target=self._guard, args=(top, self._stopping), daemon=True).start()

    def finish(self, names: set[str]) -> None:
        """Take the end of processes from now on for what they were told to do."""
        del names
        self._stopping.set()

    def install(self) -> None:
        """Hook the step of every process model and the waiting of every port."""
        self._hook_steps()
        for port, method in ((CspRecvPort, "recv"), (CspRecvPort, "peek"), (CspSendPort, "send")):
            self._hook_waiting(port, method)

    def _hook_steps(self) -> None:
        original: Any = PyLoihiProcessModel._spike  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - Lava has no hook

        def spike(model: Any) -> None:  # noqa: ANN401 - Lava ships no types
            slot, name = self._slots[model.model_id]
            self._own_beat = self._beats[slot]
            self._own_beat[:] = self._before + model.time_step + 1, RUNNING
            try:
                original(model)
                if model.model_id in self._taps:
                    self._taps[model.model_id].read(model)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                failure = Failure(name, int(model.time_step), reason, traceback.format_exc())
                report_failure(self._job.folder, failure)
                raise
            self._own_beat[1] = WAITING

        setattr(PyLoihiProcessModel, "_spike", spike)  # noqa: B010 - a private name, set on purpose

    def _hook_waiting(self, port: type[Any], method: str) -> None:
        original = getattr(port, method)

        def waiting(*args: Any) -> Any:  # noqa: ANN401
            if self._own_beat is not None:
                self._own_beat[1] = WAITING
            try:
                return original(*args)
            finally:
                if self._own_beat is not None:
                    self._own_beat[1] = RUNNING

        setattr(port, method, waiting)

    def _guard(self, top: Any, stopping: threading.Event) -> None:  # noqa: ANN401
        while (runtime := top.runtime) is None or not runtime._is_initialized:  # noqa: SLF001
            time.sleep(0.01)
        builders = list(runtime._executable.proc_builders)  # noqa: SLF001
        actors = runtime._messaging_infrastructure.actors[: len(builders)]  # noqa: SLF001
        names = {
            actor.sentinel: self._slots[process.id] for actor, process in zip(actors, builders, strict=True)
        }
        dead = wait(list(names))
        slot, name = names[dead[0]]
        if not stopping.is_set():
            reason = "its operating-system process ended unexpectedly (killed, or out of memory)"
            failure = Failure(name, int(self._beats[slot][0]), reason, "")
            report_failure(self._job.folder, failure)
