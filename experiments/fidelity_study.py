"""What quantization costs and what mends it: several tasks, bit widths and seeds.

Run it with `make fidelity-study`; it takes about an hour of one core. `fidelity_tables.py` writes the tables
into the page of the study.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from study import Campaign, carry_out

from toolchain import ir
from toolchain.data import Encoding, encode, load_digits
from toolchain.execution.stimulus import Stimulus
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.ir.matrix import rows_of, values_of, with_values
from toolchain.models import POOL, HrsnnShape, InputCode, VggShape, build_hrsnn, build_vgg
from toolchain.models.surrogates import Surrogate
from toolchain.passes import QuantizeGraph, Rounding, explain_quantization
from toolchain.training import FitOptions, Optimizer, fit, tune_graph
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph, compile_trained
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.observation import observe_ranges
from toolchain.workflow.quantization import Quantization, RepairOptions, repair_build
from toolchain.workflow.repairing import repair_options, training_samples
from toolchain.workflow.sizes import judge_float
from toolchain.workflow.train import train

SEEDS, BITS, EPOCHS, LAVA_SAMPLES = 5, (8, 6, 4, 3), 10, 8
SPLIT = 7
"""A split that no setting of the quantizer was chosen on."""


def measure(build: Build, *, lava: bool = False) -> dict[str, Any]:
    """Return accuracy in integers, agreement with the float graph, and whether Lava is equal."""
    judged = compare_build(build, exact=("lava",) if lava else (), samples=LAVA_SAMPLES)
    comparison = judged.comparison
    result = {
        "float": comparison.float_accuracy,
        "fixed": comparison.fixed_accuracy,
        "f1": comparison.spike_f1,
        "agreement": comparison.prediction_agreement,
    }
    return result | ({"lava": judged.exact["lava"].equal} if lava else {})


def study_build(
    compiled: Callable[[Quantization], Build], samples: Stimulus, options: RepairOptions
) -> dict[str, Any]:
    """Return everything that is measured on one trained network."""
    whole = compiled(Quantization())
    stimulus, x, labels = whole.stimulus_for(None), next(iter(samples.values.values())), samples.labels
    tuned, _ = tune_graph(
        whole.float_graph,
        None,
        x,
        np.asarray(labels),
        options.fit,
        seed=options.seed,
        surrogate=options.surrogate,
        slope=options.slope,
    )
    result: dict[str, Any] = {
        "float": judge_float(whole.float_graph, stimulus)[1],
        "tuned": judge_float(tuned, stimulus)[1],
    }
    for bits in BITS:
        nearest = compiled(Quantization(weight_bits=bits, rounding=Rounding.NEAREST))
        build = compiled(Quantization(weight_bits=bits))
        lava = bits == BITS[0]
        result[f"nearest {bits}"] = measure(nearest)
        result[f"calibrated {bits}"] = measure(build, lava=lava)
        result[f"trained {bits}"] = measure(repair_build(build, samples, options), lava=lava)
    return result


def hrsnn(seed: int, **changes: Any) -> dict[str, Any]:
    experiment = parse_experiment(
        {
            "seed": seed,
            "pruning": {"baseline": False},
            **changes,
            "data": {"split_seed": SPLIT, **changes.get("data", {})},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        trained = train(experiment, Path(folder) / "run")
    return study_build(
        lambda quantization: compile_trained(trained, "lava", quantization),
        training_samples(experiment),
        repair_options(experiment, EPOCHS),
    )


def sequential(seed: int, rate: float) -> dict[str, Any]:
    return hrsnn(
        seed,
        data={"name": "sequential_digits"},
        encoding={"steps": 4},
        model={"input_density": 1.0},
        training={"learning_rate": rate},
    )


def vgg(seed: int) -> dict[str, Any]:
    images = load_digits(0.3, SPLIT)
    train_x, test_x = (part.reshape(-1, 1, 8, 8).astype(np.float32) for part in (images.train, images.test))
    shape = VggShape(plan=(32, 32, POOL, 64, 64, POOL), image=(1, 8, 8), steps=4)
    network = build_vgg(shape, torch.Generator().manual_seed(seed))
    # Seventeen grey levels: five bits of input say everything.
    network.input_code = InputCode(16.0, 5)
    options = FitOptions(50, 32, 0.05, gradient_clip=float("inf"), optimizer=Optimizer.SGD)
    fit(network, train_x, images.train_labels, options, seed=seed)
    frames = [np.repeat(part[:, None], shape.steps, axis=1) for part in (train_x, test_x)]
    graph, samples = from_torch(network), Stimulus({"input": frames[0]}, images.train_labels)
    stimulus = Stimulus({"input": frames[1]}, images.test_labels)
    repair = RepairOptions(
        fit=FitOptions(EPOCHS, 32, 1e-4), surrogate=Surrogate.SIGMOID, slope=4.0, seed=seed
    )
    return study_build(
        lambda quantization: compile_graph(
            graph,
            target="lava",
            stimulus=stimulus,
            calibration=samples.take(slice(0, 256)),
            quantization=quantization,
        ),
        samples,
        repair,
    )


def spread(seed: int, ratio: float) -> dict[str, Any]:
    """A scale per neuron against one per layer, on time constants that differ by `ratio` around 14 steps."""
    images = load_digits(0.3, SPLIT)
    rng = np.random.default_rng([seed, 3])
    inputs = [encode(part, Encoding.RATE, 16, rng=rng) for part in (images.train, images.test)]
    shape = HrsnnShape(
        channels=64, classes=10, neurons=190, density=0.1, input_density=0.2, readout_tau_ms=100.0
    )
    network = build_hrsnn(shape, rng)
    tau = 14.0 * ratio ** rng.uniform(-0.5, 0.5, shape.neurons)
    hidden = network.layer("hidden")
    hidden.dv = torch.tensor(-np.expm1(-1 / tau), dtype=hidden.dv.dtype)
    hidden.vth, hidden.slope = 1 / hidden.dv, 2.0
    fit(network, inputs[0], images.train_labels, FitOptions(20, 32, 0.005, label_smoothing=0.1), seed=seed)
    graph = with_input_gain(from_torch(network))
    stimulus = Stimulus({"input": inputs[1]}, images.test_labels)
    calibration = observe_ranges(graph, Stimulus.of(inputs[0][:256]))
    result: dict[str, Any] = {"float": judge_float(graph, stimulus)[1]}
    for bits in (8, 6):
        for per_neuron in (True, False):
            for rounding, label in ((Rounding.NEAREST, "nearest"), (Rounding.JOINT, "calibrated")):
                quantize = QuantizeGraph(
                    weight_bits=bits,
                    per_neuron=per_neuron,
                    rounding=rounding,
                    steps=16,
                    calibration=calibration,
                )
                fixed = quantize(graph)
                name = f"{'neuron' if per_neuron else 'layer'} {label} {bits}"
                report = explain_quantization(graph, fixed, steps=16, calibration=calibration)
                result[name] = measure(Build(graph, fixed, "emulator", report, stimulus))
                lost = [values_of(node.weights) == 0 for node in fixed.synapses if node.name != "decode"]
                synapses = [values_of(node.weights) != 0 for node in graph.synapses if node.name != "decode"]
                gone = sum(int((a & b).sum()) for a, b in zip(lost, synapses, strict=True))
                result[name]["zeroed"] = gone / sum(int(each.sum()) for each in synapses)
    return result


def with_input_gain(graph: Graph) -> Graph:
    """Return the graph as most people write it: every threshold 1, the gain of the leak in the weights."""
    gains = {node.name: 1 / node.vth for node in graph.populations if np.isfinite(node.vth).all()}

    def change(node: Any) -> Any:
        if isinstance(node, ir.Lif) and node.name in gains:
            return replace(node, vth=node.vth * gains[node.name], bias=node.bias * gains[node.name])
        if isinstance(node, ir.Dense | ir.Conv2d) and (target := graph.readers(node.name)[0].name) in gains:
            values = values_of(node.weights) * gains[target][rows_of(node.weights)]
            return replace(node, weights=with_values(node.weights, values))
        return node

    return graph.map(change)


TASKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "digits": hrsnn,
    "sequential digits": lambda seed: sequential(seed, 0.005),
    "sequential digits, twice the rate": lambda seed: sequential(seed, 0.01),
    "VGG": vgg,
    **{f"spread {ratio}": lambda seed, ratio=ratio: spread(seed, ratio) for ratio in (1, 10, 50)},
}


CAMPAIGN = Campaign(
    Path(__file__),
    ("task", "seed"),
    lambda seeds: product(TASKS, range(seeds)),
    lambda key, _: TASKS[key[0]](key[1]),
    seeds=SEEDS,
)

if __name__ == "__main__":
    carry_out(CAMPAIGN)
