"""Neurons at equal size: learnt time constants, adaptation and a reset by subtraction against the plain LIF.

Every variant of a seed starts from the same weights, sees the same samples in the same order, and is trained
with the same settings. `neurons_tables.py` writes the tables into the page. Run it with
`make neurons-study`; it takes about twenty minutes of one core.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from neurons_tasks import CALIBRATED, LORENZ, STEPS, TASKS, Figures, Floats, Part, Task, without_a_network
from study import Campaign, Given, Key, Row, carry_out

import toolchain
from toolchain.execution.stimulus import Stimulus
from toolchain.models import CubaLif, HrsnnShape, Network, build_hrsnn
from toolchain.reset import Reset
from toolchain.training import fit
from toolchain.workflow.compare import compare_build

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
NO_NETWORK = ("no change", "linear")
"""Variants that are computed for all seeds first, and after them."""
RATES = {"learnt faster": 1.0}
"""Rates at which neurons learn, as shares of that of the weights, where they are not the default."""


def build(task: Task, variant: str, seed: int) -> Network:
    """Return the untrained network of a variant; the weights of a seed are those of every variant."""
    network = build_hrsnn(task.shape, np.random.default_rng([seed, 0]), readout=task.readout)
    network.input_code = task.input_code
    decode: Any = network.synapses["decode"]
    with torch.no_grad():
        decode.weight.mul_(task.decode)
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


def points(seeds: int) -> Iterator[Key]:
    """Yield the points of a number of seeds."""
    for variants in (MAIN, LAST):
        for seed, task, variant in product(range(seeds), TASKS, variants):
            yield task, variant, seed
    for variant in NO_NETWORK:
        yield LORENZ, variant, 0


def measure(key: Key, _: Given) -> Row:
    """Return the figures of a variant on the test part."""
    task, variant, seed = key
    if variant in NO_NETWORK:
        figures = without_a_network()[variant]
    else:
        figures = run(TASKS[task], variant, seed, "test")
    return {"figures": {name: round(value, 5) for name, value in figures.items()}}


CAMPAIGN = Campaign(Path(__file__), ("task", "variant", "seed"), points, measure, seeds=SEEDS)

if __name__ == "__main__":
    carry_out(CAMPAIGN)
