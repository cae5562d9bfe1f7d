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
from targets.lava.processes.convolution import Convolver
from targets.lava.target import LavaTarget
from toolchain.data import as_pictures, load_digits
from toolchain.driver import compile_module, run_build
from toolchain.models import (
    POOL,
    FeedForward,
    PreResNetShape,
    VggShape,
    build_preresnet,
    build_vgg,
)
from toolchain.pruning import ChannelPruning, Masking, ScaOptions
from toolchain.training import Callback, FitOptions, Optimizer, fit

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
    got = program.run(build.stimulus, record=("spikes", "v", "u"))  # type: ignore[arg-type]
    benchmark.extra_info["Lava, s, all told"] = time.perf_counter() - started
    benchmark.extra_info["relay neurons"] = program.plan.relay_neurons
    for record, values in expected.items().items():
        np.testing.assert_array_equal(values, got.items()[record], err_msg=record)
    assert sum(int(spikes.sum()) for spikes in got.spikes.values()) > 1000


@pytest.mark.parametrize(
    ("side", "sources", "targets"), [(16, 64, 64), (32, 64, 64), (8, 256, 256), (4, 512, 512)]
)
def test_a_step_of_a_convolution_against_lavas_own_model(
    benchmark: Benchmark, side: int, sources: int, targets: int
) -> None:
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-127, 128, (targets, 3, 3, sources)).astype(np.int32)
    one = np.ones(2, np.int32)
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


class _Clock(Callback):
    """Notes how long each epoch took."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.started = 0.0

    def begin(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        del network, optimizer, epochs
        self.started = time.perf_counter()

    def after_epoch(self, network: torch.nn.Module, epoch: int) -> None:
        del network, epoch
        now = time.perf_counter()
        self.epochs.append(now - self.started)
        self.started = now


@pytest.mark.parametrize("masking", Masking)
@pytest.mark.parametrize(("side", "samples"), [(8, 1257), (32, 160)])
def test_what_an_epoch_of_sca_costs(benchmark: Benchmark, side: int, samples: int, masking: Masking) -> None:
    images = as_pictures(load_digits(0.3, 0), side)
    shape = VggShape(plan=(64, 64, POOL, 128, 128, POOL), image=(1, side, side))
    options = FitOptions(1, 32, 0.01, optimizer=Optimizer.SGD)

    def epoch(*, pruned: bool) -> float:
        network = build_vgg(shape, torch.Generator().manual_seed(0))
        # A mask that keeps everything: what is measured is the measuring, not a smaller network.
        pruning = ChannelPruning(network, ScaOptions(sparsity=0.0, regrowth=0.2, masking=masking))
        clock = _Clock()
        watching: tuple[Callback, ...] = (pruning, clock) if pruned else (clock,)
        fit(
            network,
            images.train[:samples],
            images.train_labels[:samples],
            options,
            seed=0,
            callbacks=watching,
        )
        return clock.epochs[0]

    epoch(pruned=True)
    turns = [(epoch(pruned=False), epoch(pruned=True)) for _ in range(5)]
    plain, with_sca = (float(np.min(each)) for each in zip(*turns, strict=True))
    benchmark.extra_info["plain, s"] = plain
    benchmark.extra_info["with SCA, s"] = with_sca
    benchmark.extra_info["share"] = with_sca / plain - 1
    benchmark.pedantic(epoch, kwargs={"pruned": True}, rounds=1)
