"""What the emulator takes for whole runs; `python -m tests.benchmarks.side_by_side` has the ratios."""

from typing import Any

import pytest

from targets.emulator.target import EmulatorTarget
from tests.benchmarks.networks import NETWORKS, at_rate, measured_rate, stimulus

pytestmark = pytest.mark.bench

Benchmark = Any


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("rate", [0.02, 0.1])
@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("PreResNet")])
def test_emulate_at_a_rate(benchmark: Benchmark, name: str, rate: float, batch: int) -> None:
    graph = at_rate(NETWORKS[name](), rate)
    steps = 100 if len(graph.inputs[0].shape) == 1 else 8
    x = stimulus(graph, batch, steps)
    program = EmulatorTarget().build(graph)
    benchmark.extra_info["rate"] = measured_rate(graph)
    trace = benchmark(program.run, x)
    assert all(len(values) == batch for values in trace.spikes.values())
    benchmark.extra_info["us per sample and step"] = 1e6 * benchmark.stats["median"] / batch / steps


def test_emulate_a_residual_network(benchmark: Benchmark) -> None:
    graph = NETWORKS["PreResNet18, 32x32"]()
    x = stimulus(graph, 16, 8)
    trace = benchmark(EmulatorTarget().build(graph).run, x)
    assert any(values.any() for values in trace.spikes.values())
