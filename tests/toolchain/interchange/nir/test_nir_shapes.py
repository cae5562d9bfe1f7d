"""Shapes of NIR: NumPy's broadcasting and nothing else; what is flat meets what is not."""

from itertools import pairwise
from typing import Any

import nir
import numpy as np
import pytest

from tests.oracles.nir_arrays import unstated
from tests.oracles.nir_equations import Simulation
from tests.toolchain.interchange.nir_graphs import DT, chain, full, imported, lif
from toolchain import ir
from toolchain.errors import FrontendError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph
from toolchain.ir.currents import Branch, Current, Sent
from toolchain.target.registry import load_target
from toolchain.workflow.compile_file import compile_file

RNG = np.random.default_rng(3)
CUBE = (4, 4, 4)


def threshold(shape: tuple[int, ...], arriving: tuple[int, ...]) -> nir.NIRGraph:
    values = 1 + np.arange(np.prod(shape)).reshape(shape) / 100
    return chain(nir.IF(full(shape, 1 / DT), values, full(shape, 0.0)), shape=arriving, out=arriving)


def thresholds(graph: Graph) -> np.ndarray:
    return next(node.vth for node in graph if isinstance(node, ir.Lif))


@pytest.mark.parametrize(
    "shape", [(), (1,), (4,), (4, 1), (1, 4), (1, 1, 4), (1, 4, 1), (4, 1, 1), (1, *CUBE), CUBE]
)
def test_parameters_are_broadcast_as_numpy_does(shape: tuple[int, ...]) -> None:
    found = thresholds(imported(threshold(shape, CUBE)))
    values = 1 + np.arange(np.prod(shape)).reshape(shape) / 100
    expected = np.broadcast_to(values[0] if len(shape) == 4 else values, CUBE)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("shape", "arriving"),
    [
        ((8, 8, 2), (2, 8, 8)),
        ((2,), (2, 8, 8)),
        ((128,), (2, 8, 8)),
        ((2, 64), (2, 8, 8)),
        ((3, 1), (3,)),
        ((2, 3), (3,)),
    ],
)
def test_other_shapes_are_refused_by_node_parameter_and_both_shapes(
    shape: tuple[int, ...], arriving: tuple[int, ...]
) -> None:
    with pytest.raises(FrontendError) as refused:
        imported(threshold(shape, arriving))
    for said in ("node 'n0': r", str(shape), str(arriving), "NumPy broadcasts"):
        assert said in str(refused.value)


def test_a_matrix_as_w_in_is_refused_by_name() -> None:
    cuba = nir.CubaLIF(full(2, DT), full(2, DT), full(2, 1.0), full(2, 0.0), full(2, 1.0), w_in=np.eye(2))
    with pytest.raises(FrontendError, match=r"node 'n0': w_in has shape \(2, 2\), but is for \(2,\)"):
        imported(chain(cuba, shape=(2,), out=(2,)))


def conv(input_shape: Any) -> nir.NIRGraph:
    node = nir.Conv2d(None, np.ones((3, 2, 3, 3)), 1, 1, 1, 1, np.zeros(3))
    node.input_shape = input_shape
    return chain(node, nir.IF(np.array(1.0), np.array(1.0)), shape=(2, 4, 6), out=(3, 4, 6))


def line(input_shape: Any) -> nir.NIRGraph:
    node = nir.Conv1d(None, np.ones((3, 2, 3)), 1, 1, 1, 1, np.zeros(3))
    node.input_shape = input_shape
    return chain(node, nir.IF(np.array(1.0), np.array(1.0)), shape=(2, 6), out=(3, 6))


def flat(declared: Any, start: int = 0, end: int = -1) -> nir.NIRGraph:
    return chain(
        nir.Flatten({"input": declared}, start, end), nir.Linear(np.ones((2, 16))), lif(2), shape=(4, 2, 2)
    )


@pytest.mark.parametrize(
    "graph",
    [conv(None), conv((4, 6)), conv(np.array([4, 6])), line(6), line(np.array([6])), line(None),
     flat(None), flat(np.array([4, 2, 2])), flat(np.array([1, 4, 2, 2])), flat(None, 0, 2), flat(None, -3)],
)  # fmt: skip
def test_declared_shapes_that_agree_are_read(graph: nir.NIRGraph) -> None:
    assert imported(graph).populations


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (conv((6, 4)), r"'n0' declares input_shape \(6, 4\), but \(2, 4, 6\) come"),
        (conv((4.5, 6)), "'n0': expected whole numbers as input_shape"),
        (line(7), r"'n0' declares input_shape \(7,\), but \(2, 6\) come"),
        (flat(np.array([2, 2, 4])), r"'n0' declares input_type \(2, 2, 4\), but \(4, 2, 2\) come"),
        (flat(None, 0, 1), r"'n0' flattens dimensions 0 .. 1 of \(4, 2, 2\)"),
        (flat(None, 1, -1), r"'n0' flattens dimensions 1 .. -1 of \(4, 2, 2\)"),
        (chain(lif(3), out=(4,)), r"'output' declares shape \(4,\), but \(3,\) come"),
        (chain(lif(3), out=(3, 1)), r"'output' declares shape \(3, 1\)"),
        (chain(nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0])), lif(()), shape=(2, 6)),
         "expected feature maps"),
        (chain(nir.Conv2d(None, np.ones((3, 2, 1, 1)), 1, 0, 1, 1, np.zeros(3)), shape=(4, 3, 3)),
         "'n0' of 2 channels cannot read"),
    ],
)  # fmt: skip
def test_declared_shapes_that_contradict_are_refused_by_name(graph: nir.NIRGraph, said: str) -> None:
    with pytest.raises(FrontendError, match=said):
        imported(graph)


def test_sums_of_different_shapes_name_the_node_and_both_sources() -> None:
    graph = chain(nir.Linear(np.ones((2, 3))), lif(2))
    graph.edges.append(("input", "n1"))
    with pytest.raises(FrontendError, match=r"'n1' adds \(\d,\) of '\w+' and \(\d,\) of '\w+'"):
        imported(graph)


def test_a_line_in_front_of_neurons_is_a_line_and_a_batch_of_one_is_none() -> None:
    node = nir.Conv1d(None, np.ones((3, 1, 3)), 1, 0, 1, 1, np.zeros(3))
    graph = chain(lif(()), node, lif(()), shape=(1, 6), out=(3, 4))
    assert imported(graph).inputs[0].shape == (1, 1, 6)
    assert imported(chain(lif(6), shape=(1, 6), out=(6,))).inputs[0].shape == (6,)


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("convolved", [False, True])
def test_flattened_maps_reach_recurrent_and_delayed_neurons(delayed: bool, convolved: bool) -> None:
    kernels = RNG.normal(size=(2, 1, 2, 2))
    size = 18 if convolved else 4
    between = {"conv": nir.Conv2d(None, kernels, 1, 1, 1, 1, np.array([0.1, -0.2]))} if convolved else {}
    nodes = {
        "input": nir.Input({"input": np.array([1, 2, 2])}),
        **between,
        "flat": nir.Flatten(unstated(), 0, -1),
        "lif": lif(size),
        "w": nir.Affine(RNG.normal(size=(size, size)), RNG.normal(size=size) / 4),
        "output": nir.Output({"output": np.array([size])}),
    }
    path = ["input", *between, "flat", "lif", *(["wait"] if delayed else []), "w", "lif"]
    if delayed:
        nodes["wait"] = nir.Delay(RNG.integers(1, 4, size) * DT)
    graph = nir.NIRGraph(nodes, [*pairwise(path), ("lif", "output")], type_check=False)
    x = RNG.random((1, 10, 1, 2, 2)) < 0.5
    trace, ours = reference.run(imported(graph), x), Simulation(graph, {"input": x[0]}, DT, "nir")
    ours.run()
    assert np.allclose(trace.v["lif"][0], np.stack(ours.v["lif"]), atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_as_a_matrix_is_the_convolution(groups: int) -> None:
    sent = Sent("x", (2, 5, 4), spikes=True, factor=RNG.normal(size=(2, 1, 1)))
    kernels = RNG.normal(size=(4, 2 // groups, 2, 3))
    branch = Branch("w", sent, kernels, stride=(2, 1), padding=(1, 2), dilation=(2, 1), groups=groups)
    node = branch.node("w")
    assert isinstance(node, ir.Conv2d)
    x = RNG.normal(size=(2, 5, 4))
    rows, columns = branch.window.positions((5, 4))
    maps = Current((branch,), np.arange(4, dtype=np.float64), (4, rows, columns)).dense()
    matrix = maps.branches[0].node("w").weights
    assert np.allclose(matrix @ x.ravel(), reference._convolve(x, node.weights, node.window, groups).ravel())
    assert np.array_equal(maps.bias, np.repeat(np.arange(4.0), rows * columns))
    assert maps.dense() is maps


def test_recurrent_neurons_behind_flattened_maps_run_on_lava() -> None:
    nodes = {
        "input": nir.Input({"input": np.array([1, 2, 2])}),
        "conv": nir.Conv2d(None, RNG.normal(size=(2, 1, 2, 2)), 1, 0, 1, 1, np.array([0.1, -0.2])),
        "flat": nir.Flatten(unstated(), 0, -1),
        "lif": lif(2),
        "w": nir.Linear(RNG.normal(size=(2, 2))),
        "output": nir.Output({"output": np.array([2])}),
    }
    edges = [*pairwise(["input", "conv", "flat", "lif", "w", "lif"]), ("lif", "output")]
    x = RNG.random((2, 8, 1, 2, 2)) < 0.5
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    build = compile_file(graph, stimulus=Stimulus.of(x), target="lava")
    assert build.stimulus is not None
    found = load_target("lava").build(build.fixed_graph).run(build.stimulus, record=QUANTITIES)
    assert first_mismatch(reference.run(build.fixed_graph, x), found) is None
