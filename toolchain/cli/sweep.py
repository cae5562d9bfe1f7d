"""`pumice sweep`: from a sweep file to a folder of trained, compiled and compared points."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolchain.cli.console import answer, out
from toolchain.cli.options import AsJson, OutFolder, Scheduler, WorkerCount
from toolchain.cli.sweep_view import SweepView, best_of, counted, failures_of

if TYPE_CHECKING:
    from toolchain.sweep.tally import Tally


def sweep(
    file: Annotated[
        Path,
        typer.Argument(readable=False, metavar="SWEEP", help="TOML file, such as examples/sweeps/grid.toml."),
    ],
    output: OutFolder,
    *,
    scheduler: Scheduler = None,
    workers: WorkerCount = None,
    as_json: AsJson = False,
) -> None:
    """Train, compile and compare every point of a grid, or those that a search asks for.

    The same command goes on where it ended, whatever ended it, and tries again what failed.
    """
    from toolchain.files.disk import check_output_folder
    from toolchain.sweep.run_sweep import carry_out
    from toolchain.sweep.sweep_file import load_sweep
    from toolchain.sweep.sweep_folder import SWEEP, SweepFolder
    from toolchain.sweep.written import write_results

    check_output_folder(output, SWEEP, "the folder of a sweep")
    view = SweepView(quiet=as_json)
    try:
        with view.drawn():
            result = carry_out(
                load_sweep(file),
                output,
                scheduler=scheduler,
                workers=workers,
                watch=view.watch,
                opened=view.opened,
            )
    except BaseException as error:
        view.add_note(error)
        raise
    write_results(SweepFolder(output))
    tally = result.tally
    if as_json:
        answer({"sweep": str(output), **_document(tally)})
    else:
        out.print(f"points: {counted(tally)}", soft_wrap=True)
        if tally.best is not None:
            out.print(f"best: {best_of(tally)}", soft_wrap=True)
        for said in failures_of(tally):
            out.print(f"failed: {said}", soft_wrap=True)
        out.print(f"next: pumice show {output}", soft_wrap=True)
    result.require_done()


def _document(tally: "Tally") -> dict[str, Any]:
    """Return how the points ended, as JSON holds it."""
    best = None
    if tally.best is not None:
        best = {"figure": tally.best[0], "value": tally.best[1], "settings": tally.best_settings}
    return {
        "points": tally.total,
        "done": tally.done,
        "done_before": tally.before,
        "failed": tally.failed,
        "pruned": tally.pruned,
        "best": best,
        "failures": [{"settings": settings, "error": error} for settings, error in tally.failures],
        "seconds": tally.seconds,
    }
