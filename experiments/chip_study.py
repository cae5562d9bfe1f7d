"""What pruning is worth on a chip, and what sharing decays and thresholds costs.

Run it with `make chip-study` (half an hour on two cores); it writes the tables of `docs/studies/chips.md`.
Each network is trained, with and without pruning, compiled for Loihi 1 and Loihi 2, and spread over their
cores with the activity of its test images.
"""

import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from study import Campaign, Row, carry_out
from study_tables import FIRST_PAGE, STUDIES, filled, rows_of, signed_interval, write_pages

import toolchain
from toolchain import ir
from toolchain.data import as_pictures, load_digits
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph
from toolchain.models import POOL, FeedForward, InputCode, VggShape, build_vgg
from toolchain.pruning import ChannelPruning, Masking, ScaOptions
from toolchain.training import FitOptions, Optimizer, fit
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_trained
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train

HRSNN_SEEDS, VGG_SEEDS, EPOCHS = 5, 3, 50


def measured(build: Build) -> Row:
    """Return accuracy, cores, memory, time and energy of a build on its chip."""
    comparison = compare_build(build).comparison
    resources = check_build(build, chips=99)
    fit, words = resources.fit, sum(layer.synaptic_words for layer in resources.fit.layers)
    return {
        "float": comparison.float_accuracy,
        "fixed": comparison.fixed_accuracy,
        "f1": comparison.spike_f1,
        "cores": fit.packing.cores,
        "binding": fit.binding[0],
        "kilobytes": words * 8 / 1024,
        "operations": fit.events["synaptic operations"] * fit.steps,
        "hops": fit.packing.hops,
        "microseconds": [1e6 * item.seconds for item in fit.estimates],
        "nanojoules": [
            1e9 * fit.steps * item.dynamic_joules for item in fit.estimates if item.dynamic_joules is not None
        ],
        "static": [1e9 * fit.steps * item.static_joules[0] for item in fit.estimates],
        "steps": fit.steps,
    }


def spread(graph: Graph) -> float:
    """Return the largest over the smallest membrane time constant of the recurrent pool."""
    node = next(node for node in graph.populations if node.name == "hidden" and isinstance(node, ir.Lif))
    tau = -1 / np.log1p(-node.dv)
    return float(tau.max() / tau.min())


def hrsnn(seed: int) -> Row:
    """Train the network of an empty experiment file and put it on every chip, unpruned and pruned."""
    with tempfile.TemporaryDirectory() as folder:
        trained: TrainedRun = train(Experiment(seed=seed), Path(folder) / "run")
    row: Row = {}
    for arm, network in (("dense", trained.unpruned or trained.network), ("pruned", trained.network)):
        for target in ("emulator", "loihi1", "loihi2"):
            build = compile_trained(replace(trained, network=network, unpruned=None), target)
            if target == "emulator":
                comparison = compare_build(build).comparison
                row[arm] = {"free": comparison.fixed_accuracy, "free f1": comparison.spike_f1}
                row[arm]["spread"] = spread(build.float_graph)
            else:
                row[arm][target] = measured(build)
    return row


def vgg(seed: int) -> Row:
    """Train the VGG of the example with and without pruning of its channels."""
    images = as_pictures(load_digits(test_fraction=0.3, seed=0))
    shape = VggShape(plan=(64, 64, POOL, 128, 128, POOL), image=(1, 8, 8), steps=4)
    options = FitOptions(
        EPOCHS, batch_size=32, learning_rate=0.05, gradient_clip=np.inf, optimizer=Optimizer.SGD
    )
    row: Row = {}
    for arm in ("dense", "pruned"):
        network: FeedForward = build_vgg(shape, torch.Generator().manual_seed(seed))
        network.input_code = InputCode(16.0, 5)
        strict = ScaOptions(sparsity=0.75, masking=Masking.STRICT, gradient_batches=1)
        pruning = ChannelPruning(network, strict)
        callbacks = (pruning,) if arm == "pruned" else ()
        fit(network, images.train, images.train_labels, options, seed=seed, callbacks=callbacks)
        small = pruning.compact(network) if arm == "pruned" else network
        test = Stimulus({"input": images.test}, images.test_labels)
        row[arm] = {
            target: measured(toolchain.compile(small, test, target=target, calibration=images.train[:256]))
            for target in ("loihi1", "loihi2")
        }
    return row


def band(low: float, high: float) -> str:
    return f"{figure(low)} to {figure(high)}"


def figure(value: float) -> str:
    """Return three digits, without a power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def pruning_table(rows: list[Row]) -> str:
    """Return what pruning saves, means over the seeds."""
    head = [
        "network", "chip", "", "accuracy, %", "cores", "synapses, KiB", "operations", "hops a step",
        "us a step", "dynamic uJ a sample", "static uJ a sample",
    ]  # fmt: skip
    lines: list[list[str]] = []
    for task in ("HRSNN", "VGG"):
        for chip in ("loihi1", "loihi2"):
            for arm in ("dense", "pruned"):
                measured_rows = [row[arm][chip] for row in rows if row["task"] == task]
                mean = {
                    key: np.mean([item[key] for item in measured_rows], axis=0)
                    for key in measured_rows[0]
                    if key != "binding"
                }
                times, joules, static = mean["microseconds"], mean["nanojoules"] / 1000, mean["static"] / 1000
                lines.append(
                    [
                        task,
                        chip,
                        arm,
                        f"{mean['fixed']:.2f}",
                        f"{mean['cores']:.1f}",
                        f"{mean['kilobytes']:,.0f}",
                        f"{mean['operations']:,.0f}",
                        f"{mean['hops']:,.1f}",
                        band(min(times), max(times)) if len(times) > 1 else f"{figure(times[0])} (INF)",
                        band(min(joules), max(joules)) if len(joules) else "not public",
                        band(min(static), max(static)) if len(static) > 1 else figure(static[0]),
                    ]
                )
    return rows_of(head, lines)


def sharing_table(rows: list[Row]) -> str:
    """Return what few profiles cost."""
    recurrent_rows = [row for row in rows if row["task"] == "HRSNN"]
    head = ["network", "tau, largest / smallest", "every neuron its own, %", "points lost by sharing"]
    head += ["worst", "F1 before", "F1 shared"]
    lines: list[list[str]] = []
    for arm in ("dense", "pruned"):
        spreads = [row[arm]["spread"] for row in recurrent_rows]
        lost = [row[arm]["free"] - row[arm]["loihi1"]["fixed"] for row in recurrent_rows]
        lines.append(
            [
                f"HRSNN, {arm}",
                f"{min(spreads):.0f} to {max(spreads):.0f}",
                f"{np.mean([row[arm]['free'] for row in recurrent_rows]):.2f}",
                signed_interval(lost),
                f"{max(lost):+.2f}",
                f"{np.mean([row[arm]['free f1'] for row in recurrent_rows]):.4f}",
                f"{np.mean([row[arm]['loihi1']['f1'] for row in recurrent_rows]):.4f}",
            ]
        )
    return rows_of(head, lines)


def short_table(rows: list[Row]) -> str:
    """Return the heart of it for the first page."""
    head = ["means over seeds", "real numbers", "integers, Loihi 1", "cores", "synapses, KiB"]
    head += ["µJ a sample, dynamic", "µs a step", "Loihi 2: cores", "synapses, KiB"]
    lines: list[list[str]] = []
    for task, name in (("HRSNN", "HRSNN, digits"), ("VGG", "VGG of four convolutions, digits")):
        for arm, said in (("dense", "as built"), ("pruned", "pruned")):
            first, second = (
                [row[arm][c] for row in rows if row["task"] == task] for c in ("loihi1", "loihi2")
            )
            joules = np.mean([item["nanojoules"] for item in first], axis=0) / 1000
            times = np.mean([item["microseconds"] for item in first], axis=0)
            lines.append(
                [
                    f"{name}, {said}",
                    *(f"{np.mean([item[key] for item in first]):.2f} %" for key in ("float", "fixed")),
                    *(f"{np.mean([item[key] for item in first]):,.1f}" for key in ("cores", "kilobytes")),
                    band(min(joules), max(joules)),
                    band(min(times), max(times)),
                    *(f"{np.mean([item[key] for item in second]):,.1f}" for key in ("cores", "kilobytes")),
                ]
            )
    return rows_of(head, lines)


CAMPAIGN = Campaign(
    Path(__file__),
    ("task", "seed"),
    lambda seeds: [*product(["HRSNN"], range(seeds)), *product(["VGG"], range(min(seeds, VGG_SEEDS)))],
    lambda key, _: (hrsnn if key[0] == "HRSNN" else vgg)(key[1]),
    seeds=HRSNN_SEEDS,
)


def pages() -> dict[Path, str]:
    """Return the pages that speak of the study, with their tables renewed."""
    rows = list(CAMPAIGN.rows().values())
    said = f"Means over {HRSNN_SEEDS} seeds (HRSNN) and {VGG_SEEDS} (VGG), 540 held-out digits."
    tables = f"{said}\n\n{pruning_table(rows)}\n\n{sharing_table(rows)}"
    return {
        **filled(STUDIES / "chips.md", {"study": tables}),
        **filled(FIRST_PAGE, {"chips": short_table(rows)}),
    }


if __name__ == "__main__" and carry_out(CAMPAIGN):
    write_pages(pages())
