"""How long large networks take to be spread and placed on a chip; a table from `make bench`."""

from typing import Any

import numpy as np
import pytest

from tests.benchmarks.networks import recurrent, vgg16
from toolchain.execution.activity import Activity
from toolchain.ir import Graph
from toolchain.target.registry import load_chip

pytestmark = pytest.mark.bench

Benchmark = Any


def _activity(graph: Graph) -> Activity:
    """Five spikes of every element in a hundred steps, scattered."""
    rng, types = np.random.default_rng(0), graph.types
    nodes = (*graph.inputs, *graph.populations, *graph.poolings)
    counts = {node.name: rng.poisson(5, int(np.prod(types[node.name].shape))) for node in nodes}
    spikes = {node.name: int(counts[node.name].sum()) for node in graph.populations}
    return Activity(1, 100, counts, spikes)


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
@pytest.mark.parametrize("name", ["HRSNN 5000", "VGG16"])
def test_spread_and_place(benchmark: Benchmark, name: str, chip: str) -> None:
    graph = vgg16() if name == "VGG16" else recurrent(5000, 0.02, mixed=chip == "loihi2", decoded=4000)
    activity = _activity(graph)
    target = load_chip(chip)
    fit = benchmark.pedantic(lambda: target.fit(graph, activity, chips=99), rounds=1)
    benchmark.extra_info["packing"] = str(fit.packing)
    if fit.in_order is not None:
        assert fit.packing.cores <= fit.in_order.cores
        assert fit.packing.hops < fit.in_order.hops
