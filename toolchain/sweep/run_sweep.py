"""A sweep from its file to its folder, as one call."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, final

from toolchain.bars import draws
from toolchain.cluster import Cluster, open_cluster
from toolchain.errors import ToolchainError
from toolchain.intake import PathText, path_of
from toolchain.progress import StageProgress, default_stages
from toolchain.summary import Summarised, Summary
from toolchain.sweep.execution import Execution, Watch, watch_nothing
from toolchain.sweep.plan import GridPlan, SweepPlan
from toolchain.sweep.point import spelled
from toolchain.sweep.rows import PointRow
from toolchain.sweep.search import SearchPlan
from toolchain.sweep.stages import STAGES, Stages
from toolchain.sweep.sweep_file import Sweep, load_sweep
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.tally import Tally
from toolchain.sweep.written import write_results
from toolchain.target.registry import load_target

_SHOWN: Final = 10


@final
@dataclass(frozen=True, repr=False)
class SweepResult(Summarised):
    """A sweep that has been carried out.

    Attributes:
        folder: Its folder.
        tally: How its points ended.
    """

    folder: Path
    tally: Tally

    @property
    def rows(self) -> list[PointRow]:
        """The rows of all points, by name."""
        return list(SweepFolder(self.folder).rows())

    def require_done(self) -> None:
        """Raise if points failed.

        Raises:
            ToolchainError: Says how many, and why the last one did.
        """
        tally = self.tally
        if tally.failed:
            settings, error = tally.failures[-1]
            # Of a bug, which comes with its traceback, the row tells the rest.
            last = f"the last one at {spelled(settings)}: {error.splitlines()[-1]}"
            problem = f"{tally.failed} of {tally.ended} points failed, {last}"
            raise ToolchainError(problem, "the same command tries them again")

    def summary(self) -> Summary:
        """Return how many points ended in which way, and the first of them."""
        tally = self.tally
        line = f"Sweep '{self.folder}': {tally.done} points done, {tally.failed} failed"
        first = islice(SweepFolder(self.folder).rows(), _SHOWN)
        return Summary(line, ("point", "state"), [(spelled(row.settings), row.state.value) for row in first])


@draws()
def run_sweep(
    file: PathText,
    folder: PathText,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: StageProgress = default_stages,
) -> SweepResult:
    """Compute all points of a sweep, or those that are missing; one that failed before is tried again.

    Args:
        file: The sweep file.
        folder: The folder of the sweep; made if needed.
        scheduler: Address of a scheduler of Dask that runs already, such as `tcp://host:8786`; by default
            workers are started on this machine, and end with the call.
        workers: Number of workers on this machine; by default as many as its cores and memory allow.
        progress: Callback with the number of points that ended; by default a bar where somebody looks.

    Raises:
        SweepError: The file is no sweep.
        ExperimentError: A key that is varied is not known, or has a value that is not accepted.
        UsageError: The folder is that of another sweep, or dask is not installed.
        ClusterError: The scheduler does not answer or is lost, or workers are unlike this machine.
        StorageError: The disk is full.
    """

    def watch(tally: Tally) -> None:
        progress("points", tally.ended, tally.total or tally.ended + tally.training + tally.measuring)

    result = carry_out(
        load_sweep(file), path_of(folder, "folder"), scheduler=scheduler, workers=workers, watch=watch
    )
    write_results(SweepFolder(result.folder))
    return result


def carry_out(
    sweep: Sweep,
    folder: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    watch: Watch = watch_nothing,
    opened: Callable[[Cluster], object] = lambda cluster: None,  # noqa: ARG005 - ignores it
    stages: Stages = STAGES,
) -> SweepResult:
    """Compute the points of a sweep; see `run_sweep`.

    Args:
        sweep: The sweep.
        folder: Its folder.
        scheduler: Address of a scheduler.
        workers: Number of workers on this machine.
        watch: Is told of every change.
        opened: Is told of the cluster before anything runs.
        stages: What workers do.
    """
    place = SweepFolder(folder.absolute())
    if scheduler is None:
        # Others may have installed what this machine has not.
        for name in sweep.targets:
            load_target(name).check()
    place.check_free(sweep)
    with open_cluster(scheduler, workers) as cluster:
        # Only now: a command that finds no worker leaves no folder that is taken.
        place.claim(sweep)
        if scheduler is not None:
            cluster.check_shares(place.path)
        opened(cluster)
        tally = Execution(plan_of(sweep, place), place, cluster.flow(), stages, watch).run()
    return SweepResult(folder, tally)


def plan_of(sweep: Sweep, folder: SweepFolder) -> SweepPlan:
    """Return what says which points of a sweep come next."""
    if sweep.search is not None:
        return SearchPlan(sweep.shared, sweep.search, folder)
    assert sweep.grid is not None  # noqa: S101 - a sweep is one of both
    return GridPlan(sweep.shared, sweep.grid, sweep.points)
