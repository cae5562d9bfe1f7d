"""Networks on images: compiling, Lava with our model of a convolution against its own, what SCA costs.

Ratios come from one run, measured by turns. `make bench` prints them; only sizes and equality are asserted.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import targets.lava  # noqa: F401 - makes `import lava` work on this Python

from lava.proc.conv.utils import conv as stock_convolution  # isort: skip
from targets.lava.runtime.convolution import Convolver
from targets.lava.target import LavaTarget
from toolchain.data import as_pictures, load_digits
from toolchain.models import (
    POOL,
    FeedForward,
    PreResNetShape,
    VggShape,
    build_preresnet,
    build_vgg,
)
from toolchain.pruning import ChannelPruning, Masking, ScaOptions
from toolchain.training import FitOptions, Optimizer
from toolchain.workflow.compile import compile_module
from toolchain.workflow.run import run_build

pytestmark = pytest.mark.bench

Benchmark = Any
BUILDERS: dict[str, Callable[[], FeedForward]] = {
    "VGG16": lambda: build_vgg(VggShape.named("vgg16"), torch.Generator().manual_seed(0)),
    "PreResNet18": lambda: build_preresnet(PreResNetShape(), torch.Generator().manual_seed(0)),
}


def calibrated(network: FeedForward) -> tuple[FeedForward, np.ndarray]:
    """Give the norms the statistics of random images; return the network and one of them."""
    pictures = torch.rand(16, *network.shape, generator=torch.Generator().manual_seed(1))
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(pictures)
    return network.eval(), pictures[:1].numpy()


@pytest.mark.parametrize("name", BUILDERS)
def test_compile_at_cifar_size_and_one_image_on_lava(benchmark: Benchmark, name: str) -> None:
    network, picture = calibrated(BUILDERS[name]())
    started = time.perf_counter()
    build = benchmark.pedantic(compile_module, (network, picture), {"target": "lava"}, rounds=1)
    benchmark.extra_info["compile, s"] = time.perf_counter() - started
    benchmark.extra_info["peak memory, GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    expected = run_build(build, "emulator", record=("spikes", "v", "u"))
    started = time.perf_counter()
    program = LavaTarget().build(build.fixed_graph)
    got = program.run(build.stimulus, record=("spikes", "v", "u"))
    benchmark.extra_info["Lava, s, all told"] = time.perf_counter() - started
    relays = (item for item in program.plan.network.populations if item.relay)
    benchmark.extra_info["relay neurons"] = sum(int(np.prod(item.shape)) for item in relays)
    for record, values in expected.by_key().items():
        np.testing.assert_array_equal(values, got.by_key()[record], err_msg=record)
    assert sum(int(spikes.sum()) for spikes in got.spikes.values()) > 1000


@pytest.mark.parametrize(
    ("side", "sources", "targets"), [(16, 64, 64), (32, 64, 64), (8, 256, 256), (4, 512, 512)]
)
def test_a_step_of_a_convolution_against_lavas_own_model(
    benchmark: Benchmark, side: int, sources: int, targets: int
) -> None:
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-127, 128, (targets, 3, 3, sources)).astype(np.int32)
    one: Any = np.ones(2, np.int32)
    convolver = Convolver(weight, one, one, one, 1)
    ours, stock = [], []
    for _ in range(5):
        x = rng.random((side, side, sources)) < 0.15
        started = time.perf_counter()
        mine = convolver(x, 1.0)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        theirs = stock_convolution(x, weight, (3, 3), one, one, one, 1)
        stock.append(time.perf_counter() - started)
        np.testing.assert_array_equal(mine.astype(np.int32), theirs)
    benchmark.extra_info["stock, ms"] = 1e3 * float(np.median(stock))
    benchmark.extra_info["ours, ms"] = 1e3 * float(np.median(ours))
    benchmark.extra_info["ratio"] = float(np.median(stock) / np.median(ours))
    benchmark(convolver, x, 1.0)


@pytest.mark.parametrize("masking", Masking)
@pytest.mark.parametrize("side", [8, 32])
def test_what_an_epoch_of_sca_costs(benchmark: Benchmark, side: int, masking: Masking) -> None:
    """Steps with and without, by turns on one network; then the renewal of the mask, once an epoch."""
    images = as_pictures(load_digits(0.3, 0), side)
    shape = VggShape(plan=(64, 64, POOL, 128, 128, POOL), image=(1, side, side))
    network = build_vgg(shape, torch.Generator().manual_seed(0)).train()
    # A mask that keeps everything: what is measured is the measuring, not a smaller network.
    pruning = ChannelPruning(network, ScaOptions(sparsity=0.0, regrowth=0.2, masking=masking))
    optimizer = FitOptions(1, 32, 0.01, optimizer=Optimizer.SGD).build(network)
    pruning.begin(network, optimizer, epochs=2)
    meters = [layer.neurons.meter for layer in pruning.layers]
    x, y = torch.from_numpy(images.train[:32]), torch.from_numpy(images.train_labels[:32])

    def step(*, watched: bool) -> float:
        for layer, meter in zip(pruning.layers, meters, strict=True):
            layer.neurons.meter = meter if watched else None
            layer.norm.gate.requires_grad_(watched and masking is Masking.STRICT)
        started = time.perf_counter()
        loss = torch.nn.functional.cross_entropy(network(x).scores, y)
        optimizer.zero_grad()
        loss.backward()
        if watched:
            pruning.after_backward(network)
        optimizer.step()
        return time.perf_counter() - started

    step(watched=True)
    turns = [(step(watched=False), step(watched=True)) for _ in range(60 if side == 8 else 20)]
    plain, watched = (float(np.median(each)) for each in zip(*turns, strict=True))
    started = time.perf_counter()
    pruning.after_epoch(network, 1)
    steps = -(-len(images.train) // 32)
    epochs = steps * plain, steps * watched + time.perf_counter() - started
    benchmark.extra_info["plain epoch, s"], benchmark.extra_info["with SCA, s"] = epochs
    benchmark.extra_info["share"] = epochs[1] / epochs[0] - 1
    benchmark.pedantic(step, kwargs={"watched": True}, rounds=1)
