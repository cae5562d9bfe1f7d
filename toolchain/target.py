"""The seam to the places where a graph can run, and how installed ones are found."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from toolchain.activity import Activity
from toolchain.clipping import ClippedInput
from toolchain.errors import (
    TargetError,
    TargetUnavailableError,
    ToolchainError,
    UnknownNameError,
)
from toolchain.fit import Fit
from toolchain.hardware import HardwareProfile
from toolchain.intake import name_of
from toolchain.ir import Graph, Stage
from toolchain.memory import machine_memory
from toolchain.progress import Progress, no_progress
from toolchain.stimulus import Stimulus
from toolchain.trace import QUANTITIES, Trace

if TYPE_CHECKING:
    from toolchain.passes import Pass

RESUMED = "finished.npz"
"""File of the finished samples in the folder of a run that can be resumed."""
Records = dict[str, dict[str, NDArray[Any]]]
"""What a run keeps, by quantity and population, `[samples, steps, *features]`."""


def empty_records(graph: Graph, stimulus: Stimulus, record: tuple[str, ...]) -> Records:
    """Return room, all zero, for what a run keeps: `record`, and what outputs are read from.

    Raises:
        TargetError: It is more than the machine has.
    """
    number = np.int32 if graph.stage is Stage.FIXED else np.float64
    kept = graph.recorded(record)
    _check_room(stimulus, recorded_bytes(graph, stimulus.steps, record))
    records: Records = {quantity: {} for quantity in QUANTITIES}
    for node in graph.populations:
        extent = (stimulus.samples, stimulus.steps, *node.vth.shape)
        for quantity in kept[node.name]:
            records[quantity][node.name] = np.zeros(extent, np.bool_ if quantity == "spikes" else number)
    return records


def recorded_bytes(graph: Graph, steps: int, record: tuple[str, ...]) -> int:
    """Return how many bytes a run keeps of one sample: a spike takes 1, a real number 8, an integer 4."""
    number = 4 if graph.stage is Stage.FIXED else 8
    kept = graph.recorded(record)
    return steps * sum(
        node.vth.size * (1 if quantity == "spikes" else number)
        for node in graph.populations
        for quantity in kept[node.name]
    )


def _check_room(stimulus: Stimulus, per_sample: int) -> None:
    """Raise before the operating system would have to end this process."""
    needed = per_sample * stimulus.samples
    memory = machine_memory()
    if needed > memory:
        raise TargetError(
            f"the records of {stimulus.samples} samples of {stimulus.steps} steps need {needed / 2**30:.1f} "
            f"GiB, this machine has {memory / 2**30:.1f}: run fewer samples at a time, or record less"
        )


def kept_quantities(records: Records, graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the quantities that are kept of every population."""
    return {
        node.name: tuple(quantity for quantity in QUANTITIES if node.name in records[quantity])
        for node in graph.populations
    }


class Program(Protocol):
    """A graph made ready for one target."""

    def run(
        self,
        stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run every sample from rest.

        Args:
            stimulus: What enters, `[batch, time, *features]` per input.
            record: Which of `spikes`, `v`, `u` to keep. What an output's `decode` needs is
                always kept.
            progress: Told after every piece of work; a target counts samples, or steps if they are slow.
        """
        ...

    def save(self, directory: Path) -> None:
        """Write everything needed to run the program elsewhere."""
        ...


class Session(Protocol):
    """A batch in the middle of a run: closed loops and streams step it by hand."""

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """What was clipped of graded inputs since the last reset, because no integer holds it."""
        ...

    def step(self, values: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Advance one step; take `[batch, *features]` per input, return spikes per population."""
        ...

    def reset(self) -> None:
        """Return to rest."""
        ...


@runtime_checkable
class SteppedProgram(Program, Protocol):
    """A program that can also be stepped by hand."""

    def session(self, batch: int) -> Session:
        """Return a batch at rest."""
        ...


def session_of(program: Program, batch: int) -> Session:
    """Return a batch at rest on a program that can be stepped.

    Raises:
        TargetError: Its target runs whole stimuli only.
    """
    if not isinstance(program, SteppedProgram):
        raise TargetError(
            f"a {type(program).__name__} runs whole stimuli only; closed loops need a target that can be "
            "stepped, such as the emulator"
        )
    return program.session(batch)


@runtime_checkable
class BatchedProgram(Program, Protocol):
    """A program whose real numbers depend, in their last digits, on which samples run side by side."""

    def batch_size(self, steps: int) -> int:
        """Return after how many samples of so many steps a batch ends; 1 if that makes no difference.

        It depends on nothing else: a run that is cut at multiples of it gives the records of one that is not.
        """
        ...


@runtime_checkable
class PortableProgram(Program, Protocol):
    """A program that can be written so that it runs without this toolchain."""

    def export(self, directory: Path) -> None:
        """Write what runs where only the target itself is installed."""
        ...


@runtime_checkable
class ResumableProgram(Program, Protocol):
    """A program that can keep the samples that a run finished.

    They are kept however the run ends, so that nothing is lost where its trace cannot be written. Whoever has
    the trace in safety calls `forget_samples`.
    """

    def resume_in(self, folder: Path) -> Program:
        """Return the program that keeps finished samples in a folder, and begins after those it finds."""
        ...


def resumed(program: Program, folder: Path) -> Program:
    """Return a program that keeps finished samples in a folder, and begins after those it finds.

    Raises:
        TargetError: Its target cannot: its runs are short, or it has no samples to keep.
    """
    if not isinstance(program, ResumableProgram):
        raise TargetError(
            f"runs of {type(program).__name__} cannot be resumed; start them again, or use a target whose "
            "runs are long, such as lava"
        )
    return program.resume_in(folder)


def forget_samples(folder: Path) -> None:
    """Remove the finished samples that a folder keeps, and the folder if it holds nothing else.

    Called once their trace is in safety.
    """
    (folder / RESUMED).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


@runtime_checkable
class Target(Protocol):
    """A place where a graph can run."""

    @property
    def name(self) -> str:
        """As typed on the command line."""
        ...

    @property
    def profile(self) -> HardwareProfile:
        """The limits that passes must respect."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """The stages it accepts."""
        ...

    def check(self) -> None:
        """Raise `TargetUnavailableError` if it cannot be used on this machine."""
        ...

    def legalization(self) -> "Sequence[Pass]":
        """Return the passes that bring a graph within its rules."""
        ...

    def build(self, graph: Graph) -> Program:
        """Make a graph ready to run, or raise `TargetError`."""
        ...


@runtime_checkable
class ChipTarget(Target, Protocol):
    """A target that also knows a chip: whether a network fits it, and what that takes."""

    def fit(self, graph: Graph, activity: Activity, *, chips: int = 1, profile: Path | None = None) -> Fit:
        """Spread a network over the cores of the chip.

        Args:
            graph: Fixed.
            activity: What its sources sent in a recorded run.
            chips: How many there may be.
            profile: File with the limits of another chip.
        """
        ...


def load_chip(name: str) -> ChipTarget:
    """Import and return an installed target that knows a chip.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetError: It knows no chip.
    """
    target = load_target(name)
    if not isinstance(target, ChipTarget):
        raise TargetError(
            f"target '{name}' has no cores to fill; check a build against a chip, such as 'loihi1' or "
            "'loihi2'"
        )
    return target


@final
@dataclass(frozen=True)
class TargetStatus:
    """Whether an installed target is usable here.

    Attributes:
        name: As typed on the command line.
        stages: The stages it accepts; empty if it could not be loaded.
        problem: Why it is not usable, or None.
    """

    name: str
    stages: tuple[str, ...]
    problem: str | None


def installed_targets() -> Mapping[str, EntryPoint]:
    """Return the installed targets by name, none of them imported yet."""
    return {point.name: point for point in entry_points(group="toolchain.targets")}


def load_target(name: str) -> Target:
    """Import and return an installed target.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetUnavailableError: Its code cannot be loaded, or gives something else than a target.
    """
    points = installed_targets()
    name = name_of(name, "target")
    if name not in points:
        raise UnknownNameError("target", name, points)
    try:
        target = points[name].load()()
        found = isinstance(target, Target)
    except ToolchainError:
        raise
    except (Exception, SystemExit) as error:
        raise _unloadable(points[name], f"{type(error).__name__}: {error}") from error
    if not found:
        raise _unloadable(
            points[name], f"'{points[name].value}' gives a {type(target).__name__}, not a target"
        )
    return target


def _unloadable(point: EntryPoint, reason: str) -> TargetUnavailableError:
    """Return the error for a target whose code is broken, missing, or hidden by a file of the same name."""
    package = point.module.partition(".")[0]
    distribution = package if point.dist is None else point.dist.name
    place = _place(package)
    advice = (
        f"there is no '{package}'"
        if place is None
        else f"if {place!r} is no part of '{distribution}', rename it or run from another folder, otherwise "
        "install it again"
    )
    missing = f"it cannot be loaded ({reason}); {advice}"
    return TargetUnavailableError(
        point.name, missing, f"python -m pip install --force-reinstall {distribution}"
    )


def _place(package: str) -> str | None:
    """Return the file, or the folder, that Python takes for a package."""
    try:
        spec = find_spec(package)
    except ValueError:
        return None
    folders = iter(() if spec is None else spec.submodule_search_locations or ())
    return None if spec is None else spec.origin or next(folders, None)


def target_statuses() -> tuple[TargetStatus, ...]:
    """Return every installed target and whether it is usable here, by name."""
    return tuple(_status(name) for name in sorted(installed_targets()))


def _status(name: str) -> TargetStatus:
    stages: tuple[str, ...] = ()
    try:
        target = load_target(name)
        stages = tuple(sorted(stage.value for stage in target.stages))
        target.check()
    except TargetUnavailableError as error:
        return TargetStatus(name, stages, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's target raises, the others are listed
        return TargetStatus(name, stages, f"its check failed: {type(error).__name__}: {error}")
    return TargetStatus(name, stages, None)
