"""One update of a training beside other libraries: `python -m tests.benchmarks.training`.

The same network, weights and samples by turns in one process, on as many cores and threads for all. What is
compared are ratios: per turn, the time of one over Pumice's, their median and its 95 % interval. Memory is
the peak of one update in a process of its own, beyond what stood there before.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tests.benchmarks.training_peers import COMPILED, LEARNERS, OURS, STEPWISE, Learner, installed_learners
from tests.benchmarks.training_problem import INPUT_RATE, Problem, Scale
from tests.benchmarks.training_table import write_tables

SCALES = tuple(
    Scale(neurons, density, entering)
    for neurons in (512, 1024)
    for entering in (0.2, 1.0)
    for density in (0.01, 0.05, 0.6)
)
MEASURED = tuple(Scale(input_density=entering) for entering in (0.2, 1.0))
"""Problems whose memory is measured."""
CURVE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
"""Recurrent densities of the curve."""
_CURVE_OF = (COMPILED, STEPWISE, "PyTorch", "PyTorch, CSR")
_CHECKED = 8
"""Samples on which gradients are compared: among more, rounding moves a potential over its threshold."""
_TURN_S = 0.2
_RESAMPLED = 2000
_CONSOLE = Console(width=110)


class Updated(Protocol):
    """Something whose updates can be timed."""

    def update(self) -> object:
        """Learn once."""
        ...


def finish() -> None:
    """Wait until a GPU, if there is one, has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def times_by_turns(
    learners: Mapping[str, Updated], turns: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Return the median seconds of an update at each turn.

    At its turn each learns once unmeasured, then at least twice and for a fifth of a second.

    Args:
        learners: What is timed, by name.
        turns: Turns of each.
        clock: Seconds of the wall, or of the processor.
    """
    times: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(turns):
        for name, learner in learners.items():
            learner.update()
            finish()
            began, own = clock(), []
            while len(own) < 2 or clock() - began < _TURN_S:
                started = clock()
                learner.update()
                finish()
                own.append(clock() - started)
            times[name].append(float(np.median(own)))
    return times


def ratio_of(times: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Return the median over turns of one time over another, and the ends of its 95 % interval."""
    ratios = np.divide(times, base)
    rng = np.random.default_rng(0)
    resampled = np.median(rng.choice(ratios, (_RESAMPLED, len(ratios))), axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(np.median(ratios)), float(low), float(high)


def differences(problem: Problem, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return how far scores and gradients are from the reference, relative to the largest of each."""
    few = problem.part(_CHECKED, problem.scale.steps)
    reference = LEARNERS[STEPWISE](few)
    expected = {"scores": reference.backward(), **reference.gradients()}
    found: dict[str, dict[str, float]] = {}
    for name in names:
        learner = LEARNERS[name](few)
        got = {"scores": learner.backward()}
        if not learner.own_surrogate:
            got |= learner.gradients()
        found[name] = {
            part: float((each - expected[part]).abs().max() / expected[part].abs().max())
            for part, each in got.items()
        }
    return found


def peak_memory(name: str, scale: Scale, device: str = "cpu") -> int:
    """Return the bytes that an update takes at its peak, on the CPU in a process of its own."""
    if device != "cpu":
        return _peak_on_gpu(LEARNERS[name](Problem.of(scale).on(device)))
    command = [sys.executable, "-m", "tests.benchmarks.training", "--child", name, json.dumps(asdict(scale))]
    command += ["--threads", str(torch.get_num_threads())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1])


def measure_own_peak(name: str, scale: Scale) -> int:
    """Return the bytes that an update of this process takes at its peak, beyond what it held before."""
    learner = LEARNERS[name](Problem.of(scale))
    # Code is compiled, and the optimizer has its moments, before anything is measured.
    few = Problem.of(Scale(64, 0.1, 0.2, steps=3, batch=2))
    LEARNERS[name](few).update()
    learner.optimizer.zero_grad()
    for parameter in learner.module.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    learner.optimizer.step()
    learner.optimizer.zero_grad()
    # What was freed before goes back to the system, so that no update takes it up again uncounted.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    learner.update()
    return _status("VmHWM") - before


def _peak_on_gpu(learner: Learner) -> int:
    learner.update()
    learner.optimizer.zero_grad()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    learner.update()
    return torch.cuda.max_memory_allocated() - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def compare(scale: Scale, names: Sequence[str], turns: int, *, memory: bool, device: str) -> dict[str, Any]:
    """Time one problem on everything that is here."""
    problem = Problem.of(scale).on(device)
    times = times_by_turns({name: LEARNERS[name](problem) for name in names}, turns)
    others = [name for name in names if name not in OURS]
    fastest = min(others, key=lambda name: float(np.median(times[name]))) if others else None
    return {
        "problem": str(scale),
        **asdict(scale),
        "synapses": problem.synapses,
        "hidden rate": problem.rate,
        "ms": {name: 1e3 * float(np.median(each)) for name, each in times.items()},
        "ratios": {name: ratio_of(each, times[COMPILED]) for name, each in times.items()},
        "fastest other": fastest,
        "differences": differences(problem, names),
        "peak bytes": {name: peak_memory(name, scale, device) for name in names}
        if memory and scale in MEASURED
        else {},
    }


def show(row: Mapping[str, Any]) -> None:
    """Print the table of a problem."""
    title = f"{row['problem']}; {100 * row['hidden rate']:.1f} % of hidden neurons spike at a step"
    table = Table(title=title, title_justify="left")
    for name in ("", "ms", "times Pumice's", "95 %", "peak, MiB", "largest difference of a gradient"):
        table.add_column(name, justify="left" if not name else "right")
    for name, value in row["ms"].items():
        ratio, low, high = row["ratios"][name]
        peak = row["peak bytes"].get(name)
        parts = {part: each for part, each in row["differences"][name].items() if part != "scores"}
        table.add_row(
            f"{name} (fastest other)" if name == row["fastest other"] else name,
            f"{value:,.1f}",
            f"{ratio:.2f}",
            f"{low:.2f} .. {high:.2f}",
            "" if peak is None else f"{peak / 2**20:,.0f}",
            f"{max(parts.values()):.0e}" if parts else "another surrogate",
        )
    _CONSOLE.print(table)


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the time of an update over the synapses that the network has."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who draws loads it

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name in _CURVE_OF:
        axes.plot([row["synapses"] for row in rows], [row["ms"][name] for row in rows], "o-", label=name)
    axes.set(xlabel="synapses", ylabel="ms per update", xscale="log", yscale="log")
    axes.legend()
    figure.savefig(path)


def measure(work: Callable[[Scale], dict[str, Any]], scales: Sequence[Scale], threads: int, jobs: int) -> Any:
    """Yield what `work` makes of each scale, several at a time on cores of their own.

    Args:
        work: What is done.
        scales: The problems.
        threads: Cores and threads of each.
        jobs: How many at a time.
    """
    # The loops take the cores that a process may use, PyTorch what it is told.
    cores = sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    free: Any = context.Queue()
    for k in range(jobs):
        free.put(cores[k * threads : (k + 1) * threads] or cores[:threads])
    with ProcessPoolExecutor(jobs, context, initializer=_take_cores, initargs=(free,)) as pool:
        yield from pool.map(work, scales)


def _take_cores(free: Any) -> None:
    cores = free.get()
    warnings.simplefilter("ignore")
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))


def machine(threads: int, device: str, jobs: int) -> dict[str, Any]:
    """Return what ran everything."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "jobs": jobs,
        "device": torch.cuda.get_device_name(0) if device == "cuda" else device,
        "date": datetime.now(UTC).date().isoformat(),
        "threads": threads,
        "load before": os.getloadavg()[0],
        "torch": torch.__version__,
        "input rate": INPUT_RATE,
    }


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    parser.add_argument("--page", type=Path, help="page whose tables are written anew")
    parser.add_argument("--plot", type=Path, help="picture of the curve to write")
    parser.add_argument("--turns", type=int, default=9, help="turns of each")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where everything runs")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads of each")
    parser.add_argument("--quick", action="store_true", help="1,024 neurons at 5 %% alone, and no curve")
    parser.add_argument(
        "--only", nargs="*", choices=list(LEARNERS), help="some of them; Pumice is always there"
    )
    parser.add_argument("--no-memory", action="store_true", help="measure no memory")
    parser.add_argument("--jobs", type=int, default=1, help="problems at a time, each on cores of its own")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "SCALE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
        torch.set_num_threads(options.threads)
        sys.stdout.write(f"{measure_own_peak(options.child[0], Scale(**json.loads(options.child[1])))}\n")
        return
    document = run(options)
    _CONSOLE.print(document["machine"])
    if options.output is not None:
        options.output.write_text(json.dumps(document, indent=1), encoding="utf-8")
    if options.page is not None:
        write_tables(options.page, document)
    if options.plot is not None:
        plot(document["curve"], options.plot)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for, and print it."""
    names = [name for name in installed_learners() if not options.only or name in {COMPILED, *options.only}]
    work = partial(compare, turns=options.turns, device=options.device)
    problems = (Scale(), Scale(input_density=1.0)) if options.quick else SCALES
    densities = () if options.quick and options.plot is None else CURVE
    document: dict[str, Any] = {"machine": machine(options.threads, options.device, options.jobs)}
    for key, given, scales, memory in (
        ("problems", names, problems, not options.no_memory),
        ("curve", _CURVE_OF, [Scale(density=density) for density in densities], False),
    ):
        document[key] = []
        own = partial(work, names=given, memory=memory)
        for row in measure(own, scales, options.threads, options.jobs):
            document[key].append(row)
            show(row)
    return document


if __name__ == "__main__":
    main()
