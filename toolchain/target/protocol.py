"""What a target is: the places where a graph can run, and what some of them can do besides."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from toolchain.errors import TargetError
from toolchain.progress import Progress, no_progress

if TYPE_CHECKING:
    # Only names: `pumice targets` asks every target, and waits for none of this.
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from toolchain.execution.activity import Activity
    from toolchain.execution.clipping import ClippedInput
    from toolchain.execution.stimulus import Stimulus
    from toolchain.execution.trace import Trace
    from toolchain.files.documents import Document
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.board_fit import BoardFit
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.chip_fit import Fit
    from toolchain.target.processor_fit import ProcessorFit

RESUMED = "finished.npz"
"""File of the finished samples in the folder of a run that can be resumed."""


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
            stimulus: Samples to run, `[batch, time, *features]` per input.
            record: Quantities to record, of `spikes`, `v` and `u`. What an output's `decode` needs is always
                recorded.
            progress: Callback after every piece of work; a target counts samples, or steps if they are slow.
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


def export_program(program: Program, folder: Path) -> None:
    """Write a program so that it runs without this toolchain.

    Raises:
        TargetError: Its target has no such form.
    """
    if not isinstance(program, PortableProgram):
        raise TargetError(
            f"a {type(program).__name__} cannot be written as files that run without this toolchain; "
            "choose a target that can, such as c, lava or onnx"
        )
    program.export(folder)


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
        """Name of the target, as users type it."""
        ...

    @property
    def profile(self) -> HardwareProfile:
        """The numbers that passes must respect."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can; `build` begins with `toolchain.target.acceptance.check_graph`."""
        ...

    def check(self) -> None:
        """Raise `TargetUnavailableError` if it cannot be used on this machine."""
        ...

    def legalization(self) -> Sequence[Pass]:
        """Return the passes that bring a graph within its rules."""
        ...

    def build(self, graph: Graph) -> Program:
        """Make a graph ready to run, or raise `TargetError`."""
        ...


@runtime_checkable
class ChipTarget(Target, Protocol):
    """A target that also knows a chip: whether a network fits it, and what that takes."""

    @property
    def profile_form(self) -> type[Document]:
        """The class that says what may stand in a file with the limits of a chip."""
        ...

    def fit(self, graph: Graph, activity: Activity, *, chips: int = 1, profile: Path | None = None) -> Fit:
        """Spread a network over the cores of the chip.

        Args:
            graph: Graph in integers.
            activity: Events that its sources sent in a recorded run.
            chips: Largest number of chips.
            profile: File with the limits of another chip.
        """
        ...


@runtime_checkable
class ProcessorTarget(Target, Protocol):
    """A target that writes programs for processors, and knows what one takes on some of them."""

    @property
    def processors(self) -> Sequence[str]:
        """Names of the processors that it knows."""
        ...

    @property
    def processor_form(self) -> type[Document]:
        """The class that says what may stand in a file of another processor."""
        ...

    def fit_processor(self, graph: Graph, activity: Activity, processor: str | Path) -> ProcessorFit:
        """Return what a network takes on a processor.

        Args:
            graph: Graph in integers.
            activity: Events that its sources sent in a recorded run.
            processor: Name of one that it knows, or file of another one.
        """
        ...


@runtime_checkable
class BoardTarget(Target, Protocol):
    """A target that makes designs for FPGAs, and knows what one takes on some boards."""

    @property
    def boards(self) -> Sequence[str]:
        """Names of the boards that it knows."""
        ...

    @property
    def board_form(self) -> type[Document]:
        """The class that says what may stand in a file of another board."""
        ...

    def fit_board(
        self, graph: Graph, activity: Activity, board: str | Path, progress: Progress = no_progress
    ) -> BoardFit:
        """Return what a network takes on the FPGA of a board.

        Args:
            graph: Graph in integers.
            activity: Events that its sources sent in a recorded run.
            board: Name of one that it knows, or file of another one.
            progress: Callback after every stage of the tools.
        """
        ...

    def write_board(
        self, graph: Graph, board: str | Path, folder: Path, progress: Progress = no_progress
    ) -> tuple[str, ...]:
        """Write a network for a board: sources, constraints, bitstream, and what feeds it.

        Args:
            graph: Graph in integers.
            board: Name of one that it knows, or file of another one.
            folder: Folder that exists and is empty.
            progress: Callback after every stage of the tools.

        Returns:
            Notes for the user.
        """
        ...


@runtime_checkable
class MemoryTarget(Target, Protocol):
    """A target that says how large the memories of its core are for a network, without any tool."""

    def memory_bytes(self, graph: Graph) -> Mapping[str, int]:
        """Return the bytes of every memory of the core.

        Args:
            graph: Graph in integers.
        """
        ...
