"""Whether a build fits the FPGA of a board, how fast it may run, and what a step takes there."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, final

from toolchain.errors import DoesNotFitError, TargetError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.files.documents import FileDocument
from toolchain.intake import PathText
from toolchain.memory import enough_memory
from toolchain.progress import Progress, no_progress
from toolchain.summary import Summarised, Summary
from toolchain.target.board_fit import CLOCK, BoardFit
from toolchain.target.registry import load_designer
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.check import observed_activity
from toolchain.workflow.fit_document import FitHeader, fit_document


class _FpgaHeader(FitHeader):
    FORMAT: ClassVar[str] = "pumice-fpga"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "a pumice build on an FPGA"
    WRITTEN_BY: ClassVar[str] = "pumice check"

    format: str = FORMAT
    version: int = VERSION


FpgaDocument: Final = fit_document(
    "FpgaDocument",
    _FpgaHeader,
    BoardFit,
    """A build on the FPGA of a board: its design, its clock, and a step.

    Attributes:
        fits: Whether the design found a place and is in time at the clock of the board.
        binding: The resource that is used most.
        utilization: Share of it that is used.
    """,
)
"""What `pumice check` says of a board for machines: the fields of a `BoardFit`, and a header."""


@final
@dataclass(frozen=True, repr=False)
class Fpga(Summarised):
    """A build on the FPGA of a board.

    Attributes:
        fit: Its design, its clock, and a step.
    """

    fit: BoardFit

    def summary(self) -> Summary:
        """Return whether it fits, and what it takes of every resource."""
        fit = self.fit
        rows = [
            (name, fit.used[name], f"{fact.value:,.0f}", f"{fit.utilization[name]:.0%}")
            for name, fact in fit.limits.items()
        ]
        return Summary(
            f"FPGA: {fit.title}: {'fits' if fit.fits else 'does not fit'}; {fit.cycles:,.0f} cycles a step",
            ("resource", "used", "of", "share"),
            rows,
        )

    def document(self) -> FileDocument:
        """Return it for machines."""
        binding, share = self.fit.binding
        verdict = {"fits": self.fit.fits, "binding": binding, "utilization": share}
        return FpgaDocument.model_validate(verdict | vars(self.fit))

    def require_fit(self) -> None:
        """Raise unless the design fits and is in time.

        Raises:
            DoesNotFitError: Says what it lacks, and what would make it fit.
            TargetError: The tools found no place for another reason.
        """
        fit = self.fit
        if fit.fits:
            return
        remedy = "; ".join(fit.advice)
        name, share = fit.binding
        if share <= 1:
            raise TargetError(f"the design found no place on the FPGA: {fit.problem}", remedy)
        if name == CLOCK and fit.highest is not None:
            raise DoesNotFitError("", "MHz", fit.clock.value / 1e6, fit.highest / 1e6, remedy)
        raise DoesNotFitError("", name, fit.used[name], fit.limits[name].value, remedy)


@enough_memory("checking the build against the FPGA")
def check_fpga(
    build: Build,
    board: PathText | None = None,
    target: str | None = None,
    *,
    stimulus: Stimulus | None = None,
    trace: Trace | None = None,
    progress: Progress = no_progress,
) -> tuple[Fpga, ...]:
    """Say what a build takes on the FPGA of a board, or of each board that its target knows.

    Synthesis, placement and routing take minutes for each board.

    Args:
        build: The build whose integers are loaded.
        board: Name of a board, or a TOML file of another one; by default all that the target knows.
        target: Name of an installed target that makes designs for FPGAs; by default the build's.
        stimulus: Samples that were run, or are to be run; by default the build's own.
        trace: A recorded run of the first samples of it; by default the emulator runs them all.
        progress: Told after every stage of every board.

    Raises:
        TargetError: The target makes no designs, or a tool fails.
        TargetUnavailableError: A tool is not installed.
        ProfileError: The profile lacks a value, or holds an impossible one.
        TraceError: The trace is of another network.
    """
    place = load_designer(target or check_is_build(build).target)
    activity = observed_activity(build, stimulus, trace)
    chosen = place.boards if board is None else (board,)

    def fitted(number: int, each: PathText) -> Fpga:
        def advance(done: int, total: int) -> None:
            progress(number * total + done, len(chosen) * total)

        named = each if isinstance(each, str | Path) else Path(each)
        return Fpga(place.fit_board(build.fixed_graph, activity, named, advance))

    return tuple(fitted(number, each) for number, each in enumerate(chosen))
