"""`pumice show` of the folder of a sweep."""

from pathlib import Path

from toolchain.cli.console import answer, out, print_table


def show_sweep(folder: Path, *, write: bool, as_json: bool) -> None:
    """Print the best points of a sweep, and what failed.

    Args:
        folder: The folder of the sweep.
        write: Whether its table and its report are written anew.
        as_json: Whether a machine asks.
    """
    from toolchain.sweep.overview import overview_of
    from toolchain.sweep.results import read_results
    from toolchain.sweep.sweep_folder import SweepFolder
    from toolchain.sweep.written import write_results

    place = SweepFolder(folder)
    results = read_results(place)
    if write:
        write_results(place, results)
    overview = overview_of(results)
    answer({"sweep": str(folder), **overview.document})
    if as_json:
        return
    out.print(f"points: {overview.line}", soft_wrap=True)
    for line in overview.keys:
        out.print(line, soft_wrap=True)
    if overview.cells:
        print_table(overview.title, overview.head, overview.cells)
    for sentence in overview.sentences:
        out.print(sentence, soft_wrap=True)
    for name in ("sweep.csv", "report.html"):
        if (folder / name).is_file():
            out.print(f"{'table' if name.endswith('csv') else 'report'}: {folder / name}", soft_wrap=True)
