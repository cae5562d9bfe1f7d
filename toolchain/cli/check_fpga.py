"""What `pumice check` prints of FPGAs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.cli.console import answer, out, print_table

if TYPE_CHECKING:
    from toolchain.target.board_fit import BoardFit
    from toolchain.workflow.fpga import Fpga


def answer_fpgas(checked: "Sequence[Fpga]", *, as_json: bool, chosen: bool) -> None:
    """Print what a build takes on one board, or on all that a target knows; raise if it fits none.

    Args:
        checked: The build on every board.
        as_json: Whether it is for machines: a document, or several under `boards`.
        chosen: Whether somebody asked for this one.
    """
    if as_json:
        documents = [each.document().model_dump(mode="json") for each in checked]
        answer(documents[0] if chosen else {"boards": documents})
    elif chosen:
        _print_board(checked[0].fit)
    else:
        _print_boards([each.fit for each in checked])
    if not any(each.fit.fits for each in checked):
        checked[0].require_fit()


def _print_boards(fits: "Sequence[BoardFit]") -> None:
    print_table(
        "boards",
        (
            "name",
            "board",
            "fullest",
            "of it",
            "highest clock",
            "its own",
            "cycles a step",
            "a step",
            "verdict",
        ),
        [
            (
                fit.board,
                fit.title,
                fit.binding[0],
                f"{fit.binding[1]:.0%}",
                _clock(fit.highest),
                _clock(fit.clock.value),
                f"{fit.cycles:,.0f}",
                f"{1e6 * fit.seconds:,.0f} us",
                "fits" if fit.fits else "does not fit",
            )
            for fit in fits
        ],
    )
    out.tell("note: for one of them, with its resources and their sources: --profile NAME")


def _print_board(fit: "BoardFit") -> None:
    out.print(f"{fit.title}: {'fits' if fit.fits else 'does not fit'}", style="bold")
    print_table(
        "resources",
        ("resource", "used", "of", "share", "source"),
        [
            (
                name,
                f"{fit.used[name]:,}",
                f"{fact.value:,.0f}",
                f"{fit.utilization[name]:.0%}",
                f"{fact.source}; {fact.confidence_in_words}",
            )
            for name, fact in fit.limits.items()
        ],
    )
    if fit.problem:
        out.print(f"no place: {fit.problem}", markup=False)
    else:
        out.print(f"highest clock {_clock(fit.highest)}, that of the board {_clock(fit.clock.value)}")
    print_table("cycles of a step", ("for", "mean"), [(name, f"{n:,.1f}") for name, n in fit.work.items()])
    out.print(fit.sentence())
    for line in (*(f"note: {note}" for note in fit.notes), *(f"to take less: {line}" for line in fit.advice)):
        out.tell(line)


def _clock(hertz: float | None) -> str:
    return "none" if hertz is None else f"{hertz / 1e6:.1f} MHz"
