"""A graph laid out as Lava processes, and run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from targets.lava.export import export_network
from targets.lava.job import write_job
from targets.lava.plan import Plan
from targets.lava.resume import FinishedSamples
from targets.lava.runner import finished_samples, run_job
from targets.lava.runtime.jobs import LavaJob
from targets.lava.runtime.models import Models
from targets.lava.settings import Limits
from toolchain.errors import StorageError
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.temporary import temporary_folder
from toolchain.intake import path_of
from toolchain.interrupts import uninterrupted
from toolchain.ir import Graph, save_graph
from toolchain.progress import Progress, no_progress
from toolchain.target.protocol import PortableProgram, ResumableProgram
from toolchain.target.records import Records, empty_records, kept_quantities


@final
@dataclass(frozen=True)
class LavaProgram:
    """A graph laid out as Lava processes.

    Attributes:
        graph: Float (Lava's floating_pt models) or fixed (fixed_pt).
        plan: The same as processes.
        limits: How long to wait.
        models: How many of the processes are Lava's own.
        folder: Folder where the finished samples of a run that ends early are kept; None for nowhere.
    """

    graph: Graph
    plan: Plan
    limits: Limits
    models: Models
    folder: Path | None = None

    def resume_in(self, folder: Path) -> "LavaProgram":
        """Return the program that keeps its finished samples in a folder, and begins after those it finds."""
        return replace(self, folder=path_of(folder, "folder"))

    def run(
        self,
        stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run all samples, each from rest, in one simulation in a child process.

        Progress counts Lava's steps. However a run ends, the samples that were finished are kept, if a folder
        for them was given.

        Raises:
            SimulationError: Lava raised, died or hung.
        """
        check_quantities(record)
        fitted = fit_stimulus(self.graph, stimulus)
        records = empty_records(self.graph, fitted, record)
        store = None if self.folder is None else FinishedSamples(self.folder, self.graph, fitted, record)
        done = 0 if store is None else store.load(records)
        if done < fitted.samples:
            self._run_from(done, fitted, records, store, progress)
        return Trace(**records)

    def _run_from(
        self,
        done: int,
        stimulus: Stimulus,
        records: Records,
        store: FinishedSamples | None,
        progress: Progress,
    ) -> None:
        wanted = kept_quantities(records, self.graph)
        with temporary_folder("lava") as folder:
            job = write_job(folder, self.plan, stimulus.take(slice(done, None)), wanted, self.models)
            try:
                run_job(job, self.limits, progress)
                _collect(job, records, done, job.run.samples)
                if store is not None:
                    _store(store, records, stimulus.samples)
            except BaseException as error:
                _rescue(job, records, done, store, error)
                raise

    def save(self, directory: Path) -> None:
        """Write the graph; offsets and relays are laid out again when it is built."""
        save_graph(self.graph, directory)

    def export(self, directory: Path) -> None:
        """Write the integers as a network that runs with lava-nc alone.

        Raises:
            TargetError: The graph is not in integers.
        """
        export_network(self.plan, path_of(directory, "directory"))


def _collect(job: LavaJob, records: Records, first: int, samples: int) -> None:
    """Copy the samples that a job finished to where they belong."""
    for quantity, populations in records.items():
        for name, values in populations.items():
            path = job.record_paths(name)[quantity]
            record = np.load(path, mmap_mode="r", allow_pickle=False)
            values[first : first + samples] = record[:samples]


@uninterrupted
def _rescue(
    job: LavaJob, records: Records, before: int, store: FinishedSamples | None, error: BaseException
) -> None:
    """Keep the samples that a job finished before it ended early, and say so in what ended it."""
    finished = finished_samples(job)
    _collect(job, records, before, finished)
    error.add_note(f"{before + finished} of {before + job.run.samples} samples were finished")
    if store is None:
        error.add_note("to keep them, give a folder as `resume`")
    elif finished:
        error.add_note(_store(store, records, before + finished))


def _store(store: FinishedSamples, records: Records, done: int) -> str:
    """Keep finished samples; a disk that is full must not hide why the run ended."""
    try:
        store.save(records, done)
    except (OSError, StorageError) as error:
        return f"they could not be kept in '{store.path.parent}': {error}"
    return f"they are kept in '{store.path.parent}'"


if TYPE_CHECKING:
    _is_portable: type[PortableProgram] = LavaProgram
    _is_resumable: type[ResumableProgram] = LavaProgram
