"""Lava's CPU simulator as a target."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from targets.lava.artifact import write_artifact
from targets.lava.compatibility import INSTALL_COMMAND, lava_version
from targets.lava.job import Models, SampleWindow, record_file, write_job
from targets.lava.plan import Plan, plan_processes
from targets.lava.resume import FinishedSamples
from targets.lava.runner import Limits, finished_samples, run_job
from toolchain import ir
from toolchain.errors import StorageError, TargetError, TargetUnavailableError
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.temporary import temporary_folder
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.intake import path_of
from toolchain.interrupts import uninterrupted
from toolchain.ir import Graph, Stage, save_graph, verify
from toolchain.passes import FoldDelays, Pass
from toolchain.progress import Progress, no_progress
from toolchain.target.protocol import Target
from toolchain.target.records import Records, empty_records, kept_quantities

_STOCK_LIMIT: Final = 127
_NEEDS: Final = ("asteval", "networkx", "scipy", "sklearn")


@final
class LavaProgram:
    """A graph laid out as Lava processes.

    Args:
        graph: Float (Lava's floating_pt models) or fixed (fixed_pt).
        limits: How long to wait.
        models: How many of the processes are Lava's own.
        kept: Folder where the finished samples of a run that ends early are kept; None for nowhere.
    """

    def __init__(
        self, graph: Graph, limits: Limits, models: Models = Models.MIXED, kept: Path | None = None
    ) -> None:
        verify(graph)
        self._graph = graph
        self._limits = limits
        self._models = models
        self._kept = kept
        self.plan: Plan = plan_processes(graph)

    def resume_in(self, folder: Path) -> "LavaProgram":
        """Return the program that keeps its finished samples in a folder, and begins after those it finds."""
        return LavaProgram(self._graph, self._limits, self._models, path_of(folder, "folder"))

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
        fitted = fit_stimulus(self._graph, stimulus)
        records = empty_records(self._graph, fitted, record)
        kept = None if self._kept is None else FinishedSamples(self._kept, self._graph, fitted, record)
        done = 0 if kept is None else kept.load(records)
        if done < fitted.samples:
            self._run_from(done, fitted, records, kept, progress)
        return Trace(**records)

    def _run_from(
        self,
        done: int,
        stimulus: Stimulus,
        records: Records,
        kept: FinishedSamples | None,
        progress: Progress,
    ) -> None:
        wanted = kept_quantities(records, self._graph)
        with temporary_folder("lava") as folder:
            rest = stimulus.take(slice(done, None))
            window = write_job(folder, self.plan, self._graph, rest, wanted, self._models)
            try:
                run_job(folder, window, self._limits, progress)
                _collect(folder, self.plan, records, done, window.samples)
                if kept is not None:
                    _kept(kept, records, stimulus.samples)
            except BaseException as error:
                _rescue(folder, self.plan, window, records, done, kept, error)
                raise

    def save(self, directory: Path) -> None:
        """Write the graph; offsets and relays are laid out again when it is built."""
        save_graph(self._graph, directory)

    def export(self, directory: Path) -> None:
        """Write the integers as one Python file and its weights, to be run with lava-nc alone.

        Raises:
            TargetError: The graph is not in integers.
        """
        write_artifact(self._graph, path_of(directory, "directory"))


@final
@dataclass(frozen=True)
class LavaTarget:
    """Runs graphs on Lava's CPU simulator.

    By default the connections are Lava's own processes, and the populations ours around Lava's dynamics, so
    that many samples run in one simulation. Lava's model of `Conv` takes a hundred milliseconds a step; ours
    gives the same integers in a few.

    Attributes:
        limits: How long to wait for the simulator.
        models: How many of the processes are Lava's own.
    """

    limits: Limits = field(default_factory=Limits)
    models: Models = Models.MIXED

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return "lava" if self.models is Models.MIXED else f"lava-{self.models.value}"

    @property
    def profile(self) -> HardwareProfile:
        """The limits of Lava's fixed-point models."""
        return LAVA_FIXED_POINT

    @property
    def stages(self) -> frozenset[Stage]:
        """Float and fixed."""
        return frozenset(Stage)

    def check(self) -> None:
        """Raise unless lava-nc and what it needs are installed."""
        command = f"python -m {INSTALL_COMMAND}"
        if lava_version() is None:
            raise TargetUnavailableError(self.name, "lava-nc is not installed", command)
        missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
        if missing:
            raise TargetUnavailableError(
                self.name, f"{', '.join(missing)} not installed", "python -m pip install --upgrade pumice"
            )
        if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 4):
            raise TargetUnavailableError(
                self.name,
                f"numpy {np.__version__} lacks what lava-nc uses",
                "python -m pip install 'numpy<2.4'",
            )

    def legalization(self) -> Sequence[Pass]:
        """Delays per neuron go into the synapses."""
        return (FoldDelays(),)

    def build(self, graph: Graph) -> LavaProgram:
        """Lay a graph out as Lava processes.

        Raises:
            TargetUnavailableError: Lava is not installed.
            FeedbackError: A loop has less delay than connections.
        """
        self.check()
        if self.models is Models.STOCK:
            _check_stock_limits(graph)
        return LavaProgram(graph, self.limits, self.models)


def _collect(folder: Path, plan: Plan, records: Records, first: int, samples: int) -> None:
    """Copy the samples that a job finished to where they belong."""
    for quantity, populations in records.items():
        for name, values in populations.items():
            part = np.load(record_file(folder, plan, name, quantity), mmap_mode="r", allow_pickle=False)
            values[first : first + samples] = part[:samples]


@uninterrupted
def _rescue(
    folder: Path,
    plan: Plan,
    window: SampleWindow,
    records: Records,
    before: int,
    kept: FinishedSamples | None,
    error: BaseException,
) -> None:
    """Keep the samples that a job finished before it ended early, and say so in what ended it."""
    finished = finished_samples(folder, window)
    _collect(folder, plan, records, before, finished)
    error.add_note(f"{before + finished} of {before + window.samples} samples were finished")
    if kept is None:
        error.add_note("to keep them, give a folder as `resume`")
    elif finished:
        error.add_note(_kept(kept, records, before + finished))


def _kept(kept: FinishedSamples, records: Records, done: int) -> str:
    """Keep finished samples; a disk that is full must not hide why the run ended."""
    try:
        kept.save(records, done)
    except (OSError, StorageError) as error:
        return f"they could not be kept in '{kept.path.parent}': {error}"
    return f"they are kept in '{kept.path.parent}'"


def _check_stock_limits(graph: Graph) -> None:
    """Raise where Lava's own model of a convolution would fail, or return wrong sums in silence."""
    for node in graph.synapses:
        if isinstance(node, ir.Conv2d | ir.FixedConv2d):
            window, (targets, sources) = node.window, node.weights.shape[:2]
            channels = max(targets, sources * node.groups)
            largest = max(channels, *window.kernel, *window.stride, *window.padding, *window.dilation)
            if largest > _STOCK_LIMIT:
                raise TargetError(
                    f"convolution '{node.name}': Lava's own model counts channels, groups, kernel, stride, "
                    f"padding and dilation in 8 bits and cannot hold {largest}; run it with our model "
                    "(target 'lava')"
                )


def stock_lava() -> LavaTarget:
    """Return Lava with its own processes and models only, one simulation per sample: the judge."""
    return LavaTarget(models=Models.STOCK)


def layered_lava() -> LavaTarget:
    """Return Lava with one process per population: the fewest messages."""
    return LavaTarget(models=Models.LAYERS)


if TYPE_CHECKING:
    _conforms: type[Target] = LavaTarget
