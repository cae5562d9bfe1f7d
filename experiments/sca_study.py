"""Channel pruning with regrowth against its controls: digits, several seeds, equal channels, masked accuracy.

Run it with `make sca-study`; it takes about an hour of one core. `sca_tables.py` writes tables and sentences
into the pages of studies.
"""

import time
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from study import Campaign, Given, Key, Row, carry_out

from toolchain.data import load_digits
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import accuracy, predictions
from toolchain.fidelity.cost import measure_cost
from toolchain.frontends import from_torch
from toolchain.models import POOL, FeedForward, InputCode, VggShape, build_vgg
from toolchain.passes import Calibration, Pipeline, QuantizeGraph, RemoveDeadNeurons
from toolchain.pruning import ChannelPruning, Masking, Ranking, Regrowth, ScaOptions, compact_channels
from toolchain.pruning.lnp import FeedForwardLnpOptions, HoldPruned, prune_feed_forward
from toolchain.target.registry import load_target
from toolchain.training import FitOptions, Optimizer, fit

STEPS, EPOCHS, SEEDS = 4, 50, 5
PLANS = {"full": (64, 64, POOL, 128, 128, POOL), "half": (32, 32, POOL, 64, 64, POOL)}
OPTIONS = FitOptions(
    EPOCHS, batch_size=32, learning_rate=0.05, gradient_clip=float("inf"), optimizer=Optimizer.SGD
)
SPARSITY = 0.75
# The machine that the committed lines were measured on.
MEASURED_ON = "2 cores, Python 3.11.7"
INPUT_BITS = 5

PUBLISHED = ScaOptions.published(sparsity=0.7, regrowth=0.2)
FAITHFUL = ScaOptions(sparsity=SPARSITY, masking=Masking.FAITHFUL, gradient_batches=1)
STRICT = ScaOptions(sparsity=SPARSITY, masking=Masking.STRICT, gradient_batches=1)
ARMS: dict[str, ScaOptions | None] = {
    "dense": None,
    "published": PUBLISHED,
    "recommended at 0.7, strict": replace(STRICT, sparsity=0.7),
    "recommended at 0.7, faithful": replace(FAITHFUL, sparsity=0.7),
    "recommended, strict": STRICT,
    "recommended, faithful": FAITHFUL,
    "published at 0.75": replace(PUBLISHED, sparsity=SPARSITY),
    "q = 0": replace(PUBLISHED, sparsity=SPARSITY, regrowth=0.0),
    "q = 0, warm-up": replace(PUBLISHED, sparsity=SPARSITY, regrowth=0.0, warm_up=12),
    "q = 0, strict, frozen tail": replace(STRICT, regrowth=0.0),
    "random regrowth": replace(PUBLISHED, sparsity=SPARSITY, criterion=Regrowth.RANDOM),
    "random regrowth, strict, annealed": replace(STRICT, criterion=Regrowth.RANDOM),
    "constant q, strict": replace(PUBLISHED, sparsity=SPARSITY, masking=Masking.STRICT),
    "firing rate": replace(STRICT, ranking=Ranking.FIRING_RATE),
    "weight norm": replace(STRICT, ranking=Ranking.WEIGHT_NORM),
    "Network Slimming": replace(STRICT, ranking=Ranking.SLIMMING, gamma_l1=1e-4),
    "mean gradient": replace(STRICT, mean_gradient=True),
}
SCRATCH = {"from scratch, strict's widths": "recommended, strict"}
LNP = {
    "LNP, synapses and channels": FeedForwardLnpOptions(synapses=0.5, channels=1 - SPARSITY),
    "LNP, channels only": FeedForwardLnpOptions(synapses=1.0, channels=1 - SPARSITY, rounds=1),
}


@dataclass(frozen=True)
class Data:
    """Digits as images, split once: the test part is used by this study only."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    @classmethod
    @cache
    def load(cls) -> "Data":
        images = load_digits(0.3, 0)
        square = [part.reshape(-1, 1, 8, 8).astype(np.float32) for part in (images.train, images.test)]
        return cls(square[0], images.train_labels, square[1], images.test_labels)


def measure(network: FeedForward, data: Data) -> dict[str, Any]:
    """Return accuracies in float and integers, size and activity of a trained network on the test part."""
    # Seventeen grey levels: five bits of input say everything.
    network.input_code = InputCode(16.0, INPUT_BITS)
    frames = [np.repeat(part[:, None], STEPS, axis=1) for part in (data.test, data.train[:256])]
    graph = RemoveDeadNeurons()(from_torch(network))
    emulator = load_target("emulator")
    stimulus = Stimulus.of(frames[0])
    trace = emulator.build(graph).run(stimulus)
    calibration = Calibration.observe(
        graph, Stimulus.of(frames[1]), emulator.build(graph).run(frames[1], record=QUANTITIES)
    )
    fixed = Pipeline((QuantizeGraph(steps=STEPS, calibration=calibration),))(graph)
    integers = emulator.build(fixed).run(stimulus)
    cost = measure_cost(graph, stimulus, trace)
    kernels = [p.detach() for p in network.parameters() if p.dim() == 4]
    return {
        "accuracy": accuracy(predictions(graph, trace), data.test_labels),
        "integers": accuracy(predictions(fixed, integers), data.test_labels),
        "conv_parameters": sum(int((p != 0).sum()) for p in kernels),
        "input_bits": INPUT_BITS,
        "parameters": sum(p.numel() for p in network.parameters()),
        "operations": cost.total_operations,
        "spikes": sum(cost.spikes.values()),
        "layers": {name: float(count) for name, count in cost.synaptic_operations.items()},
    }


def masked_accuracy(network: FeedForward, data: Data) -> float:
    with torch.inference_mode():
        predicted = network(torch.from_numpy(data.test)).scores.argmax(1).numpy()
    return accuracy(predicted, data.test_labels)


def spikes_equal(network: FeedForward, small: FeedForward, masks: dict[str, np.ndarray], data: Data) -> bool:
    """Return whether the compact network spikes as the masked one at every step, in double precision."""
    x = torch.from_numpy(data.test).double()
    with torch.inference_mode():
        whole, less = (each.double()(x, record=True).spikes for each in (network, small))
    network.float()
    small.float()
    return all(
        torch.equal(spikes[:, :, torch.from_numpy(masks[name])] if name in masks else spikes, less[name])
        for name, spikes in whole.items()
    )


def run(width: str, options: ScaOptions | None, seed: int, data: Data) -> dict[str, Any]:
    """Train one network, prune it on the way, and measure what is left."""
    shape = VggShape(plan=PLANS[width], image=(1, 8, 8), steps=STEPS)
    network = build_vgg(shape, torch.Generator().manual_seed(seed))
    watching = None if options is None else ChannelPruning(network, replace(options, seed=seed))
    callbacks = () if watching is None else (watching,)
    started = time.perf_counter()
    records = fit(network, data.train, data.train_labels, OPTIONS, seed=seed, callbacks=callbacks)
    seconds = time.perf_counter() - started
    result = {"seconds": seconds, "train_accuracy": records[-1].accuracy}
    result["masked_accuracy"] = masked_accuracy(network, data)
    small = network
    if watching is not None:
        small = compact_channels(network, watching.masks)
        result["compact_equals_masked"] = spikes_equal(network, small, watching.masks, data)
        result["kept"] = [int(mask.sum()) for mask in watching.masks.values()]
    return result | measure(small, data)


def from_scratch(width: str, widths: list[int], seed: int, data: Data) -> dict[str, Any]:
    """Train a network of given widths from its first day, as long as the pruned one was trained."""
    shape = VggShape(plan=PLANS[width], image=(1, 8, 8), steps=STEPS).with_widths(widths)
    network = build_vgg(shape, torch.Generator().manual_seed(seed))
    records = fit(network, data.train, data.train_labels, OPTIONS, seed=seed)
    result = {"train_accuracy": records[-1].accuracy, "masked_accuracy": masked_accuracy(network, data)}
    return result | {"kept": widths} | measure(network, data)


def noise_pruned(width: str, options: FeedForwardLnpOptions, seed: int, data: Data) -> dict[str, Any]:
    """Prune a network before it has seen any data, then train what is left."""
    shape = VggShape(plan=PLANS[width], image=(1, 8, 8), steps=STEPS)
    network = build_vgg(shape, torch.Generator().manual_seed(seed))
    selection = prune_feed_forward(network, options, np.random.default_rng(seed))
    small = selection.network
    records = fit(small, data.train, data.train_labels, OPTIONS, seed=seed, callbacks=(HoldPruned(),))
    result = {"train_accuracy": records[-1].accuracy, "masked_accuracy": masked_accuracy(small, data)}
    result["kept"] = [int(mask.sum()) for mask in selection.masks.values()]
    return result | measure(small, data)


def needs(key: Key) -> list[Key]:
    """Return the point whose widths a network from scratch has."""
    width, arm, seed = key
    return [(width, SCRATCH[arm], seed)] if arm in SCRATCH else []


def measured(key: Key, given: Given) -> Row:
    """Return the figures of an arm."""
    width, arm, seed = key
    data = Data.load()
    if arm in SCRATCH:
        (model,) = given.rows.values()
        return from_scratch(width, model["kept"], seed, data)
    return noise_pruned(width, LNP[arm], seed, data) if arm in LNP else run(width, ARMS[arm], seed, data)


CAMPAIGN = Campaign(
    Path(__file__),
    ("width", "arm", "seed"),
    lambda seeds: product(PLANS, [*ARMS, *SCRATCH, *LNP], range(seeds)),
    measured,
    needs,
    seeds=SEEDS,
)

if __name__ == "__main__":
    carry_out(CAMPAIGN)
