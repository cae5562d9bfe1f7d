"""How long compiling and emulating take; a table from `make bench`, nothing asserted about time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from targets.emulator.target import EmulatorTarget
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.pruning import LnpOptions, prune_recurrent
from toolchain.workflow.compile import compile_module

pytestmark = pytest.mark.bench

Benchmark = Callable[..., Any]


def _pruned(neurons: int) -> Network:
    """A pruned HRSNN of the given size, from one of twice the size."""
    shape = HrsnnShape(channels=64, classes=10, neurons=2 * neurons, density=0.1)
    network = build_hrsnn(shape, np.random.default_rng(0))
    options = LnpOptions(neurons, 0.1, 2)
    return prune_recurrent(network, "hidden", options, np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def network() -> Network:
    return _pruned(1000)


@pytest.fixture(scope="module")
def stimulus() -> Stimulus:
    return Stimulus.of(np.random.default_rng(0).random((64, 50, 64)) < 0.3)


def test_compile_a_pruned_hrsnn_of_1000_neurons(benchmark: Benchmark, network: Network) -> None:
    build = benchmark(compile_module, network)
    assert build.fixed_graph["hidden"].vth.size <= 1000


def test_compile_it_with_calibration_data(benchmark: Benchmark, network: Network, stimulus: Stimulus) -> None:
    benchmark(compile_module, network, stimulus)


@pytest.mark.parametrize("samples", [1, 64])
def test_emulate_it_for_50_steps(
    benchmark: Benchmark, network: Network, stimulus: Stimulus, samples: int
) -> None:
    program = EmulatorTarget().build(compile_module(network).fixed_graph)
    benchmark(program.run, stimulus.take(slice(0, samples)))


def test_the_reference_on_one_sample_for_scale(
    benchmark: Benchmark, network: Network, stimulus: Stimulus
) -> None:
    graph = compile_module(network).fixed_graph
    benchmark.pedantic(reference.run, (graph, stimulus.take(slice(0, 1))), rounds=1)
