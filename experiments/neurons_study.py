"""Neurons at equal size: learnt time constants, adaptation and a reset by subtraction against the plain LIF.

Every variant of a seed starts from the same weights, sees the same samples in the same order, and is trained
with the same settings. Every figure is a part of one line of `neurons_study.jsonl`, keyed by task, variant
and seed; what is there is not computed again, so the study can be interrupted and continued, and two
processes may each do a task. `neurons_tables.py` writes the tables into the page. Run it with
`make neurons-study`; it takes about twenty minutes of one core.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from neurons_tasks import CALIBRATED, LORENZ, STEPS, TASKS, Figures, Floats, Part, Task, without_a_network

import toolchain
from toolchain.execution.stimulus import Stimulus
from toolchain.models import CubaLif, HrsnnShape, Network, build_hrsnn
from toolchain.reset import Reset
from toolchain.training import fit
from toolchain.workflow.compare import compare_build

RESULTS = Path(__file__).parent / "neurons_study.jsonl"
SEEDS = 8
RISE, TAU_RISE = 0.2, float(STEPS)
"""Share of the threshold that a spike adds to it, and the time constant of its decay in steps."""
SLOPE = 2.0

Options = dict[str, Any]


def _adaptation(layer: CubaLif) -> Options:
    return {"adaptation": RISE * layer.vth.clone(), "adaptation_decay": -np.expm1(-1 / TAU_RISE)}


def _homogeneous(_: CubaLif) -> Options:
    """Return the mean time constant of the gamma distribution for all; the rheobase stays."""
    dv = -np.expm1(-1 / HrsnnShape(channels=1, classes=1).tau_mean_ms)
    return {"dv": dv, "vth": 1 / dv}


LEARNT = {"train": ("dv",), "hold_rheobase": True}
REFERENCE = "LIF"
VARIANTS: Mapping[str, Callable[[CubaLif], Options]] = {
    "LIF": lambda _: {},
    "homogeneous": _homogeneous,
    "learnt": lambda _: LEARNT,
    "subtract": lambda _: {"reset": Reset.SUBTRACT},
    "ALIF": _adaptation,
    "learnt ALIF": lambda layer: {
        **_adaptation(layer),
        **LEARNT,
        "train": ("dv", "adaptation", "adaptation_decay"),
    },
    "learnt faster": lambda _: LEARNT,
}
MAIN, LAST = tuple(VARIANTS)[:5], tuple(VARIANTS)[5:]
"""Variants that are computed for all seeds first, and after them."""
RATES = {"learnt faster": 1.0}
"""Rates at which neurons learn, as shares of that of the weights, where they are not the default."""


def build(task: Task, variant: str, seed: int) -> Network:
    """Return the untrained network of a variant; the weights of a seed are those of every variant."""
    network = build_hrsnn(task.shape, np.random.default_rng([seed, 0]), readout=task.readout)
    network.input_code = task.input_code
    with torch.no_grad():
        network.synapses["decode"].weight.mul_(task.decode)
    plain = network.layer("hidden")
    options: Options = {"dv": plain.dv.clone(), "vth": plain.vth.clone(), **VARIANTS[variant](plain)}
    hidden = CubaLif(plain.size, du=1.0, bias=task.shape.bias, slope=SLOPE, **options)
    layers = {"hidden": hidden, "readout": network.layer("readout")}
    return network.with_parts(layers, {each: network.synapses[each.name] for each in network.connections})


def time_constants(network: Network) -> Floats:
    """Return the time constants of the pool in steps."""
    return -1 / np.log1p(-network.layer("hidden").dv.detach().numpy().astype(np.float64))


def run(task: Task, variant: str, seed: int, part: Part) -> Figures:
    """Train a network, compile it and return all that is measured."""
    data, network, started = task.data(part), build(task, variant, seed), time.process_time()
    before = time_constants(network)
    options = replace(task.fit, neuron_rate=RATES.get(variant, task.fit.neuron_rate))
    records = fit(network, data.train, data.labels, options, seed=seed)
    trained, after = time.process_time(), time_constants(network)
    made = toolchain.compile(
        network, data.judged, target="lava", calibration=Stimulus({"input": data.train[:CALIBRATED]})
    )
    judged = compare_build(made)
    figures: Figures = {"loss": records[-1].loss, "f1": judged.comparison.spike_f1}
    for name, graph, cost in zip(
        ("float", "fixed"), (made.float_graph, made.fixed_graph), judged.costs, strict=True
    ):
        figures |= {f"{key}_{name}": value for key, value in data.measure(graph).items()}
        figures[f"spikes_{name}"] = cost.spikes["hidden"] / STEPS
        figures[f"operations_{name}"] = cost.total_operations
    for name, tau in (("before", before), ("after", after)):
        figures |= {f"tau_{name}": float(tau.mean()), f"spread_{name}": float(tau.std())}
    figures["moved"] = float(np.mean(np.abs(np.log(after / before))))
    figures |= {"training_seconds": trained - started, "seconds": time.process_time() - started}
    return figures


def done() -> dict[tuple[str, str, int], Figures]:
    """Return the figures that are there."""
    if not RESULTS.is_file():
        return {}
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return {(line["task"], line["variant"], line["seed"]): line["figures"] for line in lines}


def append(task: str, variant: str, seed: int, figures: Figures) -> None:
    """Add a line."""
    rounded = {key: round(value, 5) for key, value in figures.items()}
    line = json.dumps({"task": task, "variant": variant, "seed": seed, "figures": rounded})
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Compute what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=TASKS, action="append")
    parser.add_argument("--variant", choices=VARIANTS, action="append")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(SEEDS)))
    parser.add_argument(
        "--try",
        dest="changes",
        metavar="JSON",
        type=json.loads,
        help="judge the validation part with these changes of the training, and keep nothing",
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for variants in (MAIN, LAST):
        for seed, name, variant in product(asked.seeds, asked.task or TASKS, variants):
            if variant not in (asked.variant or VARIANTS):
                continue
            if asked.changes is not None:
                print(name, variant, seed, trial(TASKS[name], variant, seed, asked.changes), flush=True)
            elif (name, variant, seed) not in done():
                append(name, variant, seed, run(TASKS[name], variant, seed, "test"))
    for variant, figures in {} if asked.changes is not None else without_a_network().items():
        if (LORENZ, variant, 0) not in done():
            append(LORENZ, variant, 0, figures)


def trial(task: Task, variant: str, seed: int, changes: dict[str, Any]) -> Figures:
    """Return the figures of the validation part; seeds are others than those of the study."""
    shape = {key: value for key, value in changes.items() if key in HrsnnShape.__dataclass_fields__}
    training = {key: value for key, value in changes.items() if key not in shape}
    changed = replace(task, shape=replace(task.shape, **shape), fit=replace(task.fit, **training))
    return run(changed, variant, 100 + seed, "validation")


if __name__ == "__main__":
    main()
