"""Halves that were split by sign become one connection again, with the same spikes."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tests.graphs import recurrent, spikes, varied
from tests.random_graphs import Recipe, random_fixed
from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.ir import same_structure
from toolchain.passes import FoldDelays, JoinSigns, SplitSigns


@pytest.mark.parametrize("delayed", [False, True])
def test_joining_undoes_splitting(rng: np.random.Generator, delayed: bool) -> None:
    graph = FoldDelays()(varied(recurrent(rng), rng)) if delayed else recurrent(rng)
    split = SplitSigns()(graph)
    joined = JoinSigns()(split)
    assert len(split.synapses) > len(joined.synapses) == len(graph.synapses)
    for node, other in zip(graph.synapses, joined.synapses, strict=True):
        assert isinstance(node, ir.Dense)
        assert isinstance(other, ir.Dense)
        assert node.name == other.name
        assert np.array_equal(_dense(node.weights), _dense(other.weights))
        assert (node.delays is None) == (other.delays is None)
        if node.delays is not None:
            stored = _dense(node.weights) != 0
            assert np.array_equal(_dense(node.delays)[stored], _dense(other.delays)[stored])
    x = rng.uniform(-1, 1, (2, 20, 6)) if delayed else spikes(rng, 2, 20, 6)
    before, after = reference.run(graph, x), reference.run(joined, x)
    assert all(np.array_equal(before.spikes[name], after.spikes[name]) for name in before.spikes)


def test_what_was_never_split_stays(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    assert JoinSigns()(graph) is graph
    with pytest.raises(PreconditionError, match="needs a float graph"):
        JoinSigns()(random_fixed(Recipe()))
    assert same_structure(JoinSigns()(graph), graph)


def _dense(matrix: object) -> np.ndarray:
    return matrix.toarray() if isinstance(matrix, csr_array) else np.asarray(matrix)
