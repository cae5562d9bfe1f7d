"""What float graphs in compiled loops save where they are observed: `python -m tests.benchmarks.observing`.

The same build is calibrated and compared twice, by turns in one process and in its processor time: with the
float graph in compiled loops, and with it on tensors, one step at a time, as a GPU runs it. Integers run in
compiled loops both times, so that the ratio is that of the whole work and not of the float run alone, which
has a line of its own. With the folder `shared/data` beside the repository, or with `--data`, the build is the
sinabs network of the NIR paper on real recordings of N-MNIST; else an untrained network of three convolutions
on made-up events that are as sparse.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console

from experiments.nir_tasks import nmnist_part
from targets.emulator.program import EmulatorProgram
from targets.emulator.target import EmulatorTarget
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph, Stage
from toolchain.models import POOL, VggShape, build_vgg
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_module
from toolchain.workflow.compile_file import compile_file
from toolchain.workflow.observation import observe_ranges

SAMPLES, STEPS, RATE = 100, 100, 0.017
"""Recordings, their steps, and the share of pixels that send where events are made up."""
DATA: Final = Path(os.environ.get("PUMICE_DATA") or Path(__file__).parents[3] / "shared" / "data")


def real_build(data: Path, samples: int) -> tuple[Build, Stimulus]:
    """Return the network of the NIR paper, and recordings of N-MNIST."""
    judged = nmnist_part(data, slice(0, samples))
    few = Stimulus.of(nmnist_part(data, slice(-8, None)).values)
    path = data / "nir" / "nmnist_sinabs.nir"
    return compile_file(path, convention="sinabs", reset="zero", stimulus=judged, calibration=few), judged


def made_up_build(samples: int) -> tuple[Build, Stimulus]:
    """Return an untrained network of the same size, and random events."""
    shape = VggShape(plan=(16, POOL, 16, POOL, 8), hidden=(256,), image=(2, 32, 32), input_code=None)
    events = np.random.default_rng(0).random((samples, STEPS, 2, 32, 32)) < RATE
    build = compile_module(build_vgg(shape, torch.Generator().manual_seed(0)), events, calibration=events[:8])
    return build, Stimulus.of(events)


def on_tensors() -> AbstractContextManager[object]:
    """Let float graphs run on tensors, one step at a time."""

    def build(target: EmulatorTarget, graph: Graph) -> EmulatorProgram:
        return EmulatorProgram(graph, target.device, tensors=graph.stage is Stage.FLOAT)

    return patch.object(EmulatorTarget, "build", build)


def measure(work: Mapping[str, Callable[[], object]], turns: int) -> dict[str, tuple[float, float, float]]:
    """Return of each work the median seconds in loops and on tensors, and of the ratios of the turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for turn in range(turns + 1):
        for name, do in work.items():
            pair: list[float] = []
            for path in (nullcontext, on_tensors):
                with path():
                    since = time.process_time()
                    do()
                    pair.append(time.process_time() - since)
            # The first turn compiles.
            if turn:
                times[name].append((pair[0], pair[1]))
    return {name: _medians(np.array(pairs)) for name, pairs in times.items()}


def _medians(pairs: np.ndarray) -> tuple[float, float, float]:
    loops, tensors = np.median(pairs, axis=0)
    return float(loops), float(tensors), float(np.median(pairs[:, 1] / pairs[:, 0]))


def work_on(build: Build, stimulus: Stimulus) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    graph, samples = build.float_graph, Stimulus(stimulus.values)
    return {
        "run the float graph": lambda: EmulatorTarget().build(graph).run(samples),
        "calibrate": lambda: observe_ranges(graph, samples),
        "compare": lambda: compare_build(build, stimulus),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    real = (options.data / "nmnist").is_dir()
    build, stimulus = real_build(options.data, options.samples) if real else made_up_build(options.samples)
    console = Console(width=110)
    what = "recordings of N-MNIST" if real else "samples of made-up events"
    console.print(f"{options.samples} {what}, {STEPS} steps; seconds of the processor, one thread, medians")
    for name, (loops, tensors, ratio) in measure(work_on(build, stimulus), options.turns).items():
        console.print(
            f"{name}: {loops:.2f} s in compiled loops, {tensors:.2f} s on tensors, {ratio:.1f} times"
        )


if __name__ == "__main__":
    main()
