"""Comparing a test set in shards: `python -m tests.benchmarks.shards`.

The size is that of a test set of spoken digits: 2,264 samples of 250 steps, 140 inputs, 128 recurrent
neurons; weights and spikes are random. It prints the seconds of one process and of workers, whether the figures
are equal, and the overhead of a task that does nothing.
"""

import argparse
import operator
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.graphs import recurrent
from toolchain.cluster import Cluster
from toolchain.execution.stimulus import Stimulus
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.judgement import Judgement
from toolchain.workflow.shards import on_workers

INPUTS, NEURONS, CLASSES = 140, 128, 3
TASKS = 500


def make_build(folder: Path, samples: int, steps: int) -> None:
    """Write a build with random samples of random lengths."""
    rng = np.random.default_rng(0)
    graph = recurrent(rng, channels=INPUTS, neurons=NEURONS, density=0.1)
    x = rng.random((samples, steps, INPUTS)) < 0.05
    lengths = rng.integers(steps // 2, steps + 1, samples)
    stimulus = Stimulus({"x": x}, rng.integers(0, CLASSES, samples), lengths)
    compile_graph(graph, stimulus=stimulus, calibration=stimulus.take(slice(0, 32))).save(folder)


def same(one: Judgement, other: Judgement) -> bool:
    """Return whether two judgements have the same figures and show the same traces."""
    figures = [each.document().model_dump(exclude={"computed"}) for each in (one, other)]
    traces = zip(one.shown, other.shown, strict=True)
    return figures[0] == figures[1] and all(
        np.array_equal(values, b.by_key()[key]) for a, b in traces for key, values in a.by_key().items()
    )


def overhead(cluster: Cluster) -> float:
    """Return the milliseconds that a task takes that does nothing."""
    flow, sent, taken = cluster.flow(), 0, 0
    started = time.perf_counter()
    while taken < TASKS:
        while sent < TASKS and flow.free:
            flow.submit(str(sent), operator.add, sent, 1)
            sent += 1
        flow.next()
        taken += 1
    return (time.perf_counter() - started) / TASKS * 1000


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2264)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "build"
        make_build(folder, options.samples, options.steps)
        build = Build.load(folder)
        started = time.perf_counter()
        alone = compare_build(build)
        seconds = time.perf_counter() - started
        _print(f"one process: {seconds:.1f} s, spike F1 {alone.comparison.spike_f1:.6f}")
        for workers in options.workers:
            opened = time.perf_counter()
            with on_workers(folder, workers=workers) as on:
                started = time.perf_counter()
                judged = compare_build(on.build, on=on)
                seconds = time.perf_counter() - started
                _print(
                    f"{workers} workers: {seconds:.1f} s after {started - opened:.1f} s to open, "
                    f"equal: {same(judged, alone)}. {judged.sentences()[-1]}"
                )
                _print(f"a task that does nothing: {overhead(on.cluster):.1f} ms")


if __name__ == "__main__":
    main()
