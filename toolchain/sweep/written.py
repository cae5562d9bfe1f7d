"""The files that say what came out of a sweep: its table and its report."""

from toolchain.sweep.report import write_sweep_report
from toolchain.sweep.results import SweepResults, read_results
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.table import write_table


def write_results(folder: SweepFolder, results: SweepResults | None = None) -> None:
    """Write `sweep.csv` and `report.html` anew, from the rows of the points.

    Args:
        folder: The folder of the sweep.
        results: Its rows, if they were read before.
    """
    shown = read_results(folder) if results is None else results
    write_table(folder, shown)
    write_sweep_report(folder, shown)
