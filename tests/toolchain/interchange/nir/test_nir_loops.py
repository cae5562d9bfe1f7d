"""Where loops of NIR come round: by the graph alone, once per loop, and exactly per element."""

import itertools
from dataclasses import replace

import nir
import numpy as np
import pytest

from tests.oracles.nir_equations import Simulation
from tests.oracles.nir_rewritten import renamed, shuffled
from tests.oracles.random_nir import random_case
from tests.toolchain.interchange.nir_graphs import DT, full, imported, lif
from toolchain import ir
from toolchain.errors import FrontendError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.interchange.nir.conventions import convention, reader_convention
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.loops import feedback, running_order
from toolchain.interchange.nir.metadata import named_convention
from toolchain.interchange.nir.structure import flattened
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import Graph
from toolchain.ir.matrix import values_of
from toolchain.target.registry import load_target
from toolchain.workflow.compile_file import compile_file

RNG = np.random.default_rng(11)
W2 = RNG.normal(size=(2, 2)) * 2
X2 = RNG.random((3, 24, 2)) < 0.5
BOTH_ENTERED = [("i", "a"), ("a", "b"), ("b", "o"), ("i", "b"), ("b", "a")]


def cut(
    edges: list[tuple[str, str]], *, outputs: tuple[str, ...] = ("o",), waiting: tuple[str, ...] = ()
) -> set:
    return set(feedback(edges, ["i"], outputs, waiting))


def graph_of(
    nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]], *, shape=(2,), out=(2,)
) -> nir.NIRGraph:
    ends = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": np.array(out)})}
    return nir.NIRGraph(ends | nodes, edges, type_check=False)


@pytest.mark.parametrize(
    ("edges", "back"),
    [
        ([("i", "a"), ("a", "a"), ("a", "o")], {("a", "a")}),
        ([("i", "a"), ("a", "b"), ("b", "o"), ("b", "a")], {("b", "a")}),
        ([("i", "a"), ("a", "w"), ("w", "a"), ("a", "o")], {("w", "a")}),
        (BOTH_ENTERED, {("b", "a")}),
        ([("i", "a"), ("i", "b"), ("i", "c"), ("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("c", "o")],
         {("c", "a"), ("b", "a")}),
        ([("i", "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("c", "a"), ("c", "o")], {("c", "b"), ("c", "a")}),
    ],
    ids=["itself", "layer", "weights", "both entered", "all entered", "nested loops"],
)  # fmt: skip
def test_what_leads_back_comes_one_step_later(
    edges: list[tuple[str, str]], back: set[tuple[str, str]]
) -> None:
    orders = [[edges[i] for i in RNG.permutation(len(edges))] for _ in range(20)]
    assert {frozenset(cut(order)) for order in [edges, *orders]} == {frozenset(back)}


def test_a_loop_that_waits_is_not_cut_and_does_not_hide_another() -> None:
    waiting = [("i", "a"), ("i", "b"), ("a", "b"), ("b", "d"), ("d", "a"), ("b", "o"), ("a", "o")]
    assert cut(waiting, waiting=("d",)) == set()
    assert cut([*waiting, ("a", "a")], waiting=("d",)) == {("a", "a")}
    order = running_order("abdio", [edge for edge in waiting if edge[1] != "d"], [])
    assert order.index("d") < order.index("a") < order.index("b")


def test_a_loop_that_is_entered_and_left_everywhere_is_refused_with_its_edges() -> None:
    with pytest.raises(FrontendError, match="ambiguous .* 'a' -> 'b', 'b' -> 'a'; put a Delay of one step"):
        cut([*BOTH_ENTERED, ("a", "o")])
    # Here `a` would run first by the one condition and last by the other.
    with pytest.raises(FrontendError, match="ambiguous"):
        cut([("i", "a"), ("i", "c"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "a"), ("a", "o")])


@pytest.mark.parametrize("seed", range(40))
def test_order_and_names_change_nothing_but_names(seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    case = random_case(rng, samples=1, steps=5)
    other, names = renamed(shuffled(case.graph, rng), rng)
    found = []
    for graph in (case.graph, other):
        try:
            structure = flattened(graph, case.dt)
        except FrontendError:
            found.append(None)
            continue
        new = names if graph is case.graph else {name: name for name in structure.nodes}
        found.append(
            (
                {(new[source], new[target]) for source, target in structure.back},
                {new[name]: form for name, form in structure.forms.items()},
            )
        )
    assert found[0] == found[1]
    same = shuffled(case.graph, rng)
    if found[0] is not None:
        assert flattened(same, case.dt) == flattened(case.graph, case.dt)


def test_the_loop_of_two_layers_that_are_both_entered_is_that_of_its_equations() -> None:
    edges = [
        ("input", "a"),
        ("a", "w"),
        ("w", "b"),
        ("input", "b"),
        ("b", "back"),
        ("back", "a"),
        ("b", "output"),
    ]
    graph = graph_of({"a": lif(2), "b": lif(2), "w": nir.Linear(W2), "back": nir.Linear(W2.T)}, edges)
    trace = reference.run(imported(graph), X2)
    ours = Simulation(graph, {"input": X2[0]}, DT, "nir")
    ours.run()
    assert ours.back == {("b", "back")}
    assert np.array_equal(trace.spikes["b"][0], np.stack(ours.spikes["b"]))
    reverse = nir.NIRGraph(dict(reversed(graph.nodes.items())), graph.edges[::-1], type_check=False)
    again = reference.run(imported(reverse), X2)
    assert all(np.array_equal(again.v[name], trace.v[name]) for name in trace.v)


def test_a_linear_node_has_one_value_per_step_for_all_that_read_it() -> None:
    edges = [("input", "w"), ("w", "a"), ("a", "w"), ("w", "b"), ("b", "output")]
    graph = graph_of({"w": nir.Linear(W2), "a": lif(2), "b": lif(2)}, edges)
    trace = reference.run(imported(graph), X2[:1])
    ours = Simulation(graph, {"input": X2[0]}, DT, "nir")
    ours.run()
    assert np.allclose(trace.v["b"][0], np.stack(ours.v["b"]), atol=1e-12)


def delayed_loop(*between: nir.NIRNode, shape: tuple[int, ...] = (2,), flat: bool = True) -> nir.NIRGraph:
    """Neurons that read themselves through some nodes."""
    names = [f"d{i}" for i in range(len(between))]
    path = ["lif", *names, "lif"]
    edges = [("input", "lif"), ("lif", "output"), *itertools.pairwise(path)]
    return graph_of(
        {"lif": lif(shape), **dict(zip(names, between, strict=True))}, edges, shape=shape, out=shape
    )


def steps_of(graph: Graph) -> list[list[int]]:
    return [np.ravel(node.steps).tolist() for node in graph if isinstance(node, ir.Delay)]


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ([[0, 2]], [[1, 2]]),
        ([[0, 0]], [[1]]),
        ([[1, 2]], [[1, 2]]),
        ([[0, 2], [3, 0]], [[3, 2]]),
        ([[0, 2], [0, 1]], [[1, 3]]),
    ],
)
def test_in_a_loop_only_what_does_not_wait_waits_a_step(
    delays: list[list[int]], expected: list[list[int]]
) -> None:
    graph = delayed_loop(*(nir.Delay(np.array(steps) * DT) for steps in delays), nir.Linear(W2))
    found = imported(graph)
    assert steps_of(found) == expected
    trace, ours = reference.run(found, X2[:1]), Simulation(graph, {"input": X2[0]}, DT, "nir")
    ours.run()
    assert np.allclose(trace.v["lif"][0], np.stack(ours.v["lif"]), atol=1e-12)


@pytest.mark.parametrize("target", ["emulator", "lava"])
def test_a_delay_that_is_zero_for_some_in_a_loop_keeps_its_meaning_in_integers(target: str) -> None:
    graph = delayed_loop(nir.Delay(np.array([0, 2]) * DT), nir.Linear(W2))
    build = compile_file(graph, stimulus=Stimulus.of(X2), target=target)
    delays = [
        node.delays
        for node in build.fixed_graph.synapses
        if isinstance(node, ir.FixedDense) and node.delays is not None
    ]
    assert {int(delay) for matrix in delays for delay in values_of(matrix)} == {0, 1}
    expected = reference.run(build.fixed_graph, X2)
    found = load_target(target).build(build.fixed_graph).run(Stimulus.of(X2), record=QUANTITIES)
    assert first_mismatch(expected, found) is None


def test_delays_before_a_pooling_in_a_loop_are_told_apart() -> None:
    shape = (1, 2, 2)
    steps = np.array([[[0, 2], [1, 0]]])
    pool = nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))
    graph = delayed_loop(nir.Delay(steps * DT), pool, nir.Scale(np.array([-0.7])), shape=shape)
    found = imported(graph)
    assert steps_of(found) == [[1, 2, 1, 1]]
    x = RNG.random((1, 12, *shape)) < 0.6
    trace, ours = reference.run(found, x), Simulation(graph, {"input": x[0]}, DT, "nir")
    ours.run()
    assert np.allclose(trace.v["lif"][0], np.stack(ours.v["lif"]), atol=1e-12)
    behind = delayed_loop(nir.Delay(steps * DT), pool, nir.Delay(steps[:, ::-1] * DT), shape=shape)
    with pytest.raises(FrontendError, match="delay 'd2' lies in a loop, as does another before its pooling"):
        imported(behind)


def looped(*, skip: bool, read_early: bool) -> Graph:
    """Two layers and one step of feedback, entered and left in one place or in two."""
    edges = [
        ("input", "a"),
        ("a", "w"),
        ("w", "b"),
        ("b", "wait"),
        ("wait", "back"),
        ("back", "a"),
        ("b", "output"),
    ]
    nodes = {
        "a": lif(2),
        "b": lif(2),
        "w": nir.Linear(W2),
        "back": nir.Linear(W2.T),
        "wait": nir.Delay(full(1, DT)),
    }
    if skip:
        nodes["past"] = nir.Linear(W2 + 1)
        edges += [("input", "past"), ("past", "b")]
    graph = graph_of(nodes, edges)
    if read_early:
        graph.nodes["early"] = nir.Output({"output": np.array([2])})
        graph.edges.append(("a", "early"))
    return imported(graph)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("read_early", [False, True])
def test_a_loop_is_written_without_a_delay_unless_it_would_be_read_otherwise(
    skip: bool, read_early: bool
) -> None:
    graph = looped(skip=skip, read_early=read_early)
    exported = to_nir(graph, reader_convention("nir"))
    explicit = any(isinstance(node, nir.Delay) for node in exported.graph.nodes.values())
    assert explicit == (skip and read_early)
    assert any("loops are written with a Delay each" in note for note in exported.notes) == explicit
    back = from_nir(exported.graph, named_convention(exported.graph)).graph
    before, after = reference.run(graph, X2), reference.run(back, X2)
    assert all(np.allclose(before.v[name], after.v[name], atol=1e-12) for name in before.v)


def test_a_forward_delay_stays_one_when_a_loop_is_beside_it() -> None:
    graph = looped(skip=True, read_early=False)
    later = ir.Delay(name="later", inputs=("a",), shape=(2,), steps=1)
    nodes = [replace(node, inputs=("later",)) if node.name == "w" else node for node in graph]
    changed = graph.with_nodes([nodes[0], later, *nodes[1:]])
    exported = to_nir(changed, reader_convention("nir")).graph
    back = from_nir(exported, named_convention(exported)).graph
    before, after = reference.run(changed, X2), reference.run(back, X2)
    assert all(np.allclose(before.v[name], after.v[name], atol=1e-12) for name in before.v)


def test_a_max_pooling_in_a_loop_comes_back() -> None:
    shape = (1, 2, 2)
    pool = nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))
    graph = delayed_loop(pool, nir.Scale(np.array([-0.7])), shape=shape)
    found = from_nir(graph, convention("nir"))
    assert any("'d1' sends to 'lif' arrives one step later" in note for note in found.notes)
    written = to_nir(found.graph, reader_convention("nir")).graph
    assert not any(isinstance(node, nir.Delay) for node in written.nodes.values())
    x = RNG.random((1, 12, *shape)) < 0.6
    again = from_nir(written, named_convention(written)).graph
    assert sum(isinstance(node, ir.SumPool2d | ir.Conv2d | ir.Dense) for node in again) == 3
    assert np.allclose(reference.run(found.graph, x).v["lif"], reference.run(again, x).v["lif"], atol=1e-12)
