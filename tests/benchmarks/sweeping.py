"""What a sweep costs beside its points, and what more workers gain.

`python -m tests.benchmarks.sweeping points [--points 10000]` computes points of which each only writes its
row: seconds a point of all processes together, and how the memory of the driver grows.

`python -m tests.benchmarks.sweeping workers [--large]` computes 24 points of digits (3 sizes, 2 numbers of
bits, 4 seeds) with one worker and with two: rows must be equal but for times and workers. On a machine that
has other work, the seconds of CPU say what two quiet cores would gain.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.small_run import TOML
from tests.sweeps import NOTHING
from toolchain.cli.sweep_view import SweepView
from toolchain.sweep.run_sweep import carry_out
from toolchain.sweep.stages import STAGES, Stages
from toolchain.sweep.sweep_file import Sweep, load_sweep, parse_sweep
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.tally import Tally

_OTHER = {"train_seconds", "compile_seconds", "worker"}
"""What of a row may depend on who computes it, and when."""
_LARGE = "[training]\nepochs = 10"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_OUT = Console(width=100, highlight=False)


@dataclass(frozen=True)
class Spent:
    """What a sweep took.

    Attributes:
        seconds: By the clock, from the call to its end.
        computing: From the moment when all workers were there.
        driver: Seconds of CPU of the process that sends tasks.
        nodes: Seconds of CPU of scheduler and workers.
        tally: How its points ended.
    """

    seconds: float
    computing: float
    driver: float
    nodes: float
    tally: Tally


def spent(sweep: Sweep, folder: Path, workers: int, stages: Stages, watch: Callable[[Tally], None]) -> Spent:
    """Carry out a sweep, and return what it took."""
    began: list[float] = []
    started, driver, nodes = time.monotonic(), time.process_time(), _of_children()
    result = carry_out(
        sweep,
        folder,
        workers=workers,
        stages=stages,
        watch=watch,
        opened=lambda _: began.append(time.monotonic()),
    )
    now = time.monotonic()
    result.require_done()
    return Spent(
        now - started, now - began[0], time.process_time() - driver, _of_children() - nodes, result.tally
    )


def count_points(number: int, workers: int) -> None:
    """Print what points cost that do nothing, and how much memory they keep."""
    memory: dict[int, int] = {}
    view = SweepView(quiet=True)

    def watch(tally: Tally) -> None:
        view.watch(tally)
        if tally.ended % max(number // 10, 1) == 0:
            memory[tally.ended] = _memory()

    started = time.monotonic()
    sweep = parse_sweep({"grid": {"seed": {"range": [1000, 1000 + number]}}})
    _OUT.print(f"{number} points validated in {time.monotonic() - started:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        it = spent(sweep, Path(folder) / "sweep", workers, NOTHING, watch)
    ended = it.tally.ended
    _OUT.print(f"{ended} points, two tasks each, on {workers} workers: {it.tally.done} done")
    _OUT.print(f"{it.computing:.1f} s by the clock, {1000 * it.computing / ended:.1f} ms a point")
    cpu = it.driver + it.nodes
    _OUT.print(f"CPU: driver {it.driver:.1f} s, scheduler and workers {it.nodes:.1f} s, their start included")
    _OUT.print(
        f"{1000 * cpu / ended:.1f} ms of CPU a point in all processes, "
        f"{1000 * it.driver / ended:.1f} of them in the driver"
    )
    _OUT.print("memory of the driver, MiB, by points that ended:")
    _OUT.print("  " + ", ".join(f"{points}: {size / 2**20:.0f}" for points, size in sorted(memory.items())))
    _OUT.print("the table at its end:")
    _OUT.print(view.table())


def compare_workers(*, large: bool) -> None:
    """Print what two workers gain over one, and whether their rows are equal."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sweep = _digits(folder, large=large)
        both = {
            workers: spent(sweep, folder / str(workers), workers, STAGES, lambda _: None)
            for workers in (1, 2)
        }
        rows = [_rows(folder / str(workers)) for workers in both]
    for workers, it in both.items():
        _OUT.print(
            f"{workers} workers: {it.tally.done} points in {it.computing:.1f} s, CPU of scheduler and "
            f"workers {it.nodes:.1f} s, of the driver {it.driver:.1f} s"
        )
    _OUT.print(f"rows are equal but for times and workers: {rows[0] == rows[1]}")
    _OUT.print(f"time ratio by the clock: {both[1].computing / both[2].computing:.2f}")
    _OUT.print(
        "by CPU, if two quiet cores shared the work evenly: "
        f"{2 * both[1].nodes / both[2].nodes:.2f} (2 but for what two workers do twice, such as their start)"
    )


def _digits(folder: Path, *, large: bool) -> Sweep:
    (folder / "digits.toml").write_text(_LARGE if large else TOML)
    fractions = [0.01, 0.03, 0.07] if large else [0.05, 0.1, 0.2]
    file = folder / "sweep.toml"
    file.write_text(
        'experiment = "digits.toml"\n[grid]\n'
        f'"pruning.synapse_fraction" = {fractions}\n'
        '"quantization.weight_bits" = [4, 8]\nseed = { range = 4 }\n'
    )
    return load_sweep(file)


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [row.model_dump(exclude=_OTHER) for row in SweepFolder(folder).rows()]


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("points", "workers"))
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2, help="of `points`")
    parser.add_argument("--large", action="store_true", help="of `workers`: networks of the demo, 10 epochs")
    given = parser.parse_args()
    if given.what == "points":
        count_points(given.points, given.workers)
    else:
        compare_workers(large=given.large)


if __name__ == "__main__":
    main()
