"""Every rule of the graph, broken once."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.graphs import chain, feed_forward, fixed_dense, fixed_lif, lif, recurrent
from toolchain import ir
from toolchain.errors import FeedbackError, IRError, VerifyError
from toolchain.ir import Decode, EdgeKind, Graph, Origin, ValueType, verify
from toolchain.reset import Reset


def _changed(graph: Graph, target: str, /, **changes: object) -> Graph:
    return graph.map(lambda node: replace(node, **changes) if node.name == target else node)


def test_a_well_formed_graph_gives_the_type_of_every_node(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    verify(graph)
    types = graph.types
    assert types["recur"] == ValueType((12,), EdgeKind.CURRENT)
    assert types["hidden"] == ValueType((12,), EdgeKind.SPIKE)


@pytest.mark.parametrize(
    ("name", "changes", "rule"),
    [
        ("encode", {"inputs": ("nowhere",)}, "does not exist"),
        ("encode", {"inputs": ("hidden",)}, "too little delay"),
        ("encode", {"weights": np.ones((3, 5))}, "read 5 sources"),
        ("encode", {"weights": np.ones((4, 2))}, "has shape"),
        ("encode", {"weights": np.array([[1, np.nan], [0, 0], [0, 0]])}, "expected a finite number"),
        ("encode", {"weights": np.array([[1, np.inf], [0, 0], [0, 0]])}, "expected a finite number"),
        ("encode", {"delays": np.array([[1, -1], [0, 0], [0, 0]])}, "delays of 0 to 16777216 steps"),
        ("encode", {"delays": np.ones((2, 2))}, "stored like the weights"),
        ("hidden", {"dv": np.full(3, 1.5)}, "must lie in 0 .. 1"),
        ("hidden", {"dv": np.full(3, np.nan)}, "finite numbers"),
        ("hidden", {"vth": np.zeros(3)}, "thresholds > 0"),
        ("hidden", {"bias": np.zeros(2)}, "bias has shape"),
        ("hidden", {"inputs": ("x",)}, "expected currents"),
        ("hidden", {"inputs": ()}, "at least one incoming"),
        ("x", {"edge": EdgeKind.CURRENT}, "not currents"),
        ("x", {"scale": 2.0}, "scale 1 and one bit"),
        ("x", {"name": "a/b"}, "unique name"),
        ("x", {"shape": ()}, "whole numbers of 1 or more"),
        ("x", {"shape": (2, 0)}, "whole numbers of 1 or more"),
        ("encode", {"weights": np.full((3, 2), 1e200)}, "numbers up to 1e\\+100"),
        ("hidden", {"vth": np.full(3, 1e-200)}, "1 / vth holds .* numbers up to"),
        ("hidden", {"inputs": ("encode", "encode")}, "twice; join the connections"),
        ("output", {"inputs": ("x",)}, "reads 'x', expected a population of neurons"),
        ("output", {"weights": np.full((1, 2), np.nan)}, "read-out weights holds nan"),
        ("output", {"weights": np.ones((0, 2))}, "do not fit"),
        ("output", {"weights": np.ones(())}, "do not fit"),
        ("output", {"inputs": ("decode",)}, "expected a population"),
        ("output", {"weights": np.ones((2, 3))}, "do not fit"),
        ("output", {"bias": np.ones(2)}, "needs weights"),
        ("output", {"classes": ("a",)}, "2 class names"),
    ],
)
def test_a_broken_rule_names_the_node(name: str, changes: dict[str, object], rule: str) -> None:
    with pytest.raises((VerifyError, FeedbackError), match=rule):
        verify(_changed(feed_forward(), name, **changes))


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf"), 1e308, 5e-324])
def test_a_step_that_does_not_last_is_refused(step: float) -> None:
    with pytest.raises(VerifyError, match="expected steps of 1e-06 to 1e\\+06 ms"):
        verify(replace(feed_forward(), dt_ms=step))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e-200, 1e200])
def test_a_scale_with_which_nobody_can_compute_is_refused(scale: float) -> None:
    with pytest.raises(VerifyError, match="expected a scale > 0"):
        verify(_changed(feed_forward(), "x", edge=EdgeKind.GRADED, scale=scale))


def test_text_that_is_no_unicode_is_refused() -> None:
    for graph in (
        replace(feed_forward(), name="\ud800"),
        _changed(feed_forward(), "output", classes=("a", "\ud800")),
        _changed(feed_forward(), "hidden", origin=Origin.whole("\ud800", 3)),
    ):
        with pytest.raises(VerifyError, match="is no Unicode"):
            verify(graph)


def test_sums_of_sums_that_leave_32_bits_are_refused_however_long_their_chain() -> None:
    image = ir.Input(name="x", shape=(1, 2, 2), edge=EdgeKind.GRADED, scale=1.0, bits=24)
    names = ["x", *(f"p{i}" for i in range(1200))]
    pools = [
        ir.SumPool2d(name=name, inputs=(before,), kernel=(2, 1), stride=(2, 1), padding=(1, 0))
        for before, name in pairwise(names)
    ]
    with pytest.raises(VerifyError, match=r"its sums can reach .* use smaller windows"):
        verify(Graph((image, *pools)))


def test_a_loop_without_delay_is_named(rng: np.random.Generator) -> None:
    graph = _changed(recurrent(rng), "wait", steps=0)
    with pytest.raises(FeedbackError, match="hidden") as caught:
        verify(graph)
    assert set(caught.value.cycle) == {"wait", "recur", "hidden"}


def test_delays_that_only_hold_each_other_are_refused() -> None:
    ring = (
        ir.Delay(name="a", inputs=("b",), shape=(2,), steps=1),
        ir.Delay(name="b", inputs=("a",), shape=(2,), steps=1),
    )
    with pytest.raises(VerifyError, match="loop of delays"):
        verify(feed_forward().with_nodes((*feed_forward().nodes, *ring)))


def test_a_delay_of_no_step_reads_nothing_that_stands_later() -> None:
    """It would be the value of a step that is not yet computed."""
    late = fixed_dense("w2", "x", np.array([[2]])), fixed_lif("q", ("w2",), 1)
    for steps in (1, 0):
        wait = ir.Delay(name="d", inputs=("q",), shape=(1,), steps=steps)
        graph = chain(wait, fixed_dense("w", "d", np.array([[2]])), fixed_lif("p", ("w",), 1), *late)
        if steps:
            verify(graph)
        else:
            with pytest.raises(VerifyError, match="'d': reads 'q', which stands later, in the same step"):
                verify(graph)


def test_a_delay_must_declare_what_it_holds(rng: np.random.Generator) -> None:
    with pytest.raises(VerifyError, match="declares graded"):
        verify(_changed(recurrent(rng), "wait", edge=EdgeKind.GRADED))


def test_two_nodes_of_one_name_are_refused() -> None:
    graph = feed_forward()
    with pytest.raises(VerifyError, match="unique name"):
        verify(graph.with_nodes((*graph.nodes, graph["output"])))


def test_float_and_integer_operations_do_not_mix() -> None:
    graph = feed_forward()
    mixed = graph.map(lambda node: fixed_lif("hidden", ("encode",), 3) if node.name == "hidden" else node)
    with pytest.raises(VerifyError, match="also holds integer"):
        verify(mixed.with_nodes([*mixed.nodes, ir.Delay(name="d", inputs=("x",), shape=(2,))]))


@pytest.mark.parametrize("lost", [ir.Input, ir.Output])
def test_a_graph_needs_both_ends(lost: type) -> None:
    graph = feed_forward()
    if lost is ir.Input:
        nodes = [
            ir.Delay(name="d", inputs=("p",), shape=(1,)),
            ir.Dense(name="w", inputs=("d",), weights=np.ones((1, 1))),
            lif("p", ("w",), 1),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        ]
    else:
        nodes = [node for node in graph if not isinstance(node, ir.Output)]
    with pytest.raises(VerifyError, match=f"no {lost.__name__.lower()}"):
        verify(graph.with_nodes(nodes))


@pytest.mark.parametrize(
    ("field", "value"),
    [("du", 4096), ("dv", -1), ("vth", 2**17), ("bias_mantissa", 5000), ("bias_exponent", 8)],
)
def test_a_register_outside_its_range_is_refused(field: str, value: int) -> None:
    graph = chain(fixed_dense("w", "x", [[2]]), fixed_lif("p", ("w",), 1, **{field: value}))
    with pytest.raises(VerifyError, match=f"{field} must lie in"):
        verify(graph)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"weights": np.array([[3]])}, "would become 2"),
        ({"weights": np.array([[300]])}, "would become 254"),
        ({"exponent": 8}, "exponent -8 .. 7"),
        ({"weight_bits": 9}, "1 .. 8 bits"),
    ],
)
def test_an_integer_weight_that_the_chip_would_change_is_refused(
    changes: dict[str, object], rule: str
) -> None:
    synapses = fixed_dense("w", "x", **{"weights": [[2]]} | changes)
    with pytest.raises(VerifyError, match=rule):
        verify(chain(synapses, fixed_lif("p", ("w",), 1)))


def test_arrays_of_a_node_cannot_be_written(rng: np.random.Generator) -> None:
    weights = np.ones((3, 2))
    node = ir.Dense(name="w", inputs=("x",), weights=weights)
    weights[0, 0] = 5
    assert node.weights[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        node.weights[0, 0] = 2


def test_a_population_of_no_neurons_is_refused() -> None:
    graph = chain(fixed_dense("w", "x", np.zeros((0, 4))), fixed_lif("p", ("w",), 0), shape=(4,))
    with pytest.raises(VerifyError, match=r"node 'w': expected a shape of at least one element"):
        verify(graph)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"refractory": 2.7}, "refractory holds 2.7, expected whole numbers of 32 bits"),
        ({"refractory": 2**32 + 5}, "refractory holds 4294967301"),
        ({"refractory": np.nan}, "refractory holds nan"),
        ({"reset": Reset.SUBTRACT, "reset_amount": 0.5}, "reset_amount holds 0.5"),
        ({"dv": 1e300}, "dv holds 1e"),
    ],
)
def test_no_number_becomes_another_whole_number_in_silence(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(IRError, match=f"node 'p': {problem}"):
        fixed_lif("p", ("w",), 2, **changes)


def test_a_number_of_spikes_is_a_whole_number_of_python() -> None:
    amounts = {"reset": Reset.SUBTRACT, "reset_amount": 1.0}
    node = lif("p", ("w",), 2, max_spikes=np.int64(3), **amounts)
    assert type(node.max_spikes) is int
    assert lif("p", ("w",), 2, max_spikes=np.int64(1)).is_plain
    with pytest.raises(VerifyError, match="a whole number as max_spikes, got 2.5"):
        lif("p", ("w",), 2, max_spikes=2.5, **amounts)
