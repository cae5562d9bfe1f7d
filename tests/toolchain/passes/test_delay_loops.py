"""Loops get the steps that a clocked target needs: the least, in whatever order, and in all executions."""

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import toolchain
from targets.emulator.target import EmulatorTarget
from targets.lava.target import LavaTarget
from tests.exactness import check_equal
from tests.graphs import Links, spikes, union, wired
from toolchain import ir
from toolchain.cli.main import main
from toolchain.errors import FeedbackError, PreconditionError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph, print_graph
from toolchain.passes import DelayLoops, find_loop_delays, find_schedule
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.compile_file import compile_file
from toolchain.workflow.export import export_build

pytestmark = pytest.mark.slow

_STEPS = 12


def _graph(size: dict[str, int], links: Links, seed: int = 0, *, slow: bool = False) -> Graph:
    """Populations in the order in which they stand, the first of which reads the input.

    With `slow` synapses, every connection has delays of its own, 0 to 2 steps.
    """
    rng = np.random.default_rng(seed)
    first = next(iter(size))
    graph = wired(
        size,
        {"enter": ("x", first, 0), **links},
        channels=3,
        weights=lambda shape: rng.normal(size=shape) * 2,
        delays=(lambda shape: rng.integers(0, 3, shape)) if slow else None,
    )
    return graph.map(
        lambda n: replace(n, dv=rng.uniform(0.05, 0.5, n.dv.shape)) if isinstance(n, ir.Lif) else n
    )


TOO_FAST: Links = {"on": ("a", "b", 0), "back": ("b", "a", 1)}


@st.composite
def networks(draw: st.DrawFn) -> tuple[dict[str, int], Links]:
    """Two to five populations, each reached from the one before, with skips and any way back."""
    names = "abcde"[: draw(st.integers(2, 5))]
    size = {name: draw(st.integers(1, 3)) for name in names}
    links: Links = {f"{i}{j}": (i, j, draw(st.integers(0, 2))) for i, j in pairwise(names)}
    for i, j in product(range(len(names)), repeat=2):
        if j <= i and draw(st.booleans()):
            links[f"{names[i]}{names[j]}-back"] = (names[i], names[j], draw(st.integers(1, 3)))
        elif j > i + 1 and draw(st.booleans()):
            links[f"{names[i]}{names[j]}-skip"] = (names[i], names[j], draw(st.integers(0, 2)))
    return size, links


def _added(graph: Graph) -> dict[str, int]:
    return {each.connection: each.after - each.before for each in find_loop_delays(graph)}


def _can_run(links: Links, more: dict[str, int]) -> bool:
    """Whether no loop has more connections than steps, by trying all ways of as many connections as nodes."""
    names = sorted({end for source, target, _ in links.values() for end in (source, target)})
    away = {(a, b): float("-inf") for a in names for b in names}
    for name, (a, b, steps) in links.items():
        away[a, b] = max(away[a, b], 1 - steps - more.get(name, 0))
    for via, a, b in product(names, repeat=3):
        away[a, b] = max(away[a, b], away[a, via] + away[via, b])
    return all(away[name, name] <= 0 for name in names)


def test_the_connection_that_closes_a_loop_gets_the_step_that_it_lacks() -> None:
    graph = _graph({"a": 2, "b": 2}, TOO_FAST)
    with pytest.raises(
        FeedbackError, match="a -> b -> a has too little .* or compile with `loop_delay=True`"
    ):
        find_schedule(graph)
    (found,) = find_loop_delays(graph)
    assert (found.connection, found.source, found.target, found.before, found.after) == (
        "back",
        "b",
        "a",
        1,
        2,
    )
    assert str(found).startswith("'back' (b -> a) takes one step more, 2 instead of 1, in real numbers too")
    delayed = DelayLoops()(graph)
    assert {node.name: node.steps for node in delayed if isinstance(node, ir.Delay)} == {"back.loop": 2}
    assert find_schedule(delayed).offsets["b"] == 2
    assert DelayLoops()(delayed) is delayed


@given(network=networks())
@settings(max_examples=60)
def test_what_is_added_is_the_least_that_lets_every_loop_run(network: tuple[dict[str, int], Links]) -> None:
    size, links = network
    graph = _graph(size, links)
    note(print_graph(graph))
    more = _added(graph)
    assert _can_run(links, more)
    find_schedule(DelayLoops()(graph))
    closing = [name for name, (_, _, steps) in links.items() if steps]
    assert set(more) <= set(closing)
    # One step less anywhere, even if given to another connection, is too little.
    for fewer in more:
        less = {**more, fewer: more[fewer] - 1}
        assert not _can_run(links, less)
    if sum(more.values()) > 1:
        for two in product(more, repeat=2):
            less = {name: more[name] - two.count(name) for name in more}
            if min(less.values()) >= 0:
                assert not any(_can_run(links, {**less, name: less.get(name, 0) + 1}) for name in closing)


@given(network=networks(), data=st.data())
@settings(max_examples=40)
def test_neither_the_order_of_the_nodes_nor_that_of_the_connections_matters(
    network: tuple[dict[str, int], Links], data: st.DataObject
) -> None:
    size, links = network
    shuffled = {name: links[name] for name in data.draw(st.permutations(sorted(links)))}
    assert _added(_graph(size, links)) == _added(_graph(size, shuffled))


def test_delays_that_others_read_too_stay_as_they_are() -> None:
    """Two connections share a delay, one of which closes a loop."""
    graph = _graph({"a": 2, "b": 2}, {**TOO_FAST, "self": ("b", "b", 1)})
    shared = graph.map(lambda n: replace(n, inputs=("back-d",)) if n.name == "self" else n)
    delayed = DelayLoops()(shared)
    assert {node.name: node.steps for node in delayed if isinstance(node, ir.Delay)} == {
        "back-d": 1,
        "back.loop": 2,
    }
    assert delayed["self"].inputs == ("back-d",)


def test_delays_per_neuron_must_be_folded_first() -> None:
    graph = _graph({"a": 2, "b": 2}, TOO_FAST)
    apart = graph.map(lambda n: replace(n, steps=np.array([1, 2])) if isinstance(n, ir.Delay) else n)
    with pytest.raises(PreconditionError, match="fold-delays"):
        DelayLoops()(apart)
    assert compile_graph(apart, loop_delay=True).notes


def _tangled(seed: int) -> Graph:
    """A network of several loops that Lava refuses as it is."""
    rng = np.random.default_rng(seed)
    while True:
        names = "abcd"[: rng.integers(2, 5)]
        size = {name: int(rng.integers(1, 5)) for name in names}
        links: Links = {f"{i}{j}": (i, j, 0) for i, j in pairwise(names)}
        for i, j in product(range(len(names)), repeat=2):
            if j <= i and rng.random() < 0.5:
                links[f"{names[i]}{names[j]}-back"] = (names[i], names[j], int(rng.integers(1, 3)))
        graph = _graph(size, links, seed, slow=bool(seed % 2))
        if find_loop_delays(graph):
            return graph


@pytest.mark.long
def test_reference_emulator_and_lava_are_one_network_with_the_delays() -> None:
    graphs = [_tangled(seed) for seed in range(8)]
    joined = union(graphs)
    rng = np.random.default_rng(5)
    stimuli = {f"g{i}-x": rng.random((3, _STEPS, 3)) < 0.5 for i in range(len(graphs))}
    build = compile_graph(joined, target="lava", calibration=Stimulus(stimuli), loop_delay=True)
    lava: Any = LavaTarget()
    with pytest.raises(FeedbackError, match="loop_delay=True"):
        lava.build(joined)
    expected = reference.run(build.fixed_graph, stimuli)
    for target in (EmulatorTarget(), lava):
        check_equal(build.fixed_graph, expected, target, stimuli)
    # In real numbers they are one network, too; and it is the one with the delays.
    real, slow = reference.run(build.float_graph, stimuli), reference.run(DelayLoops()(joined), stimuli)
    fast = reference.run(joined, stimuli)
    for node in build.float_graph.populations:
        # Neurons that nobody reads are gone.
        spiked = slow.spikes[node.name][:, :, node.origin.elements]
        assert np.array_equal(real.spikes[node.name], spiked)
    assert any((spiked != fast.spikes[name]).any() for name, spiked in slow.spikes.items())


def test_a_build_says_what_takes_longer(
    tmp_path: Any,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    graph = _graph({"a": 2, "b": 2}, TOO_FAST)
    given_ = Stimulus({"x": spikes(rng, 4, _STEPS, 3)})
    build = compile_graph(graph, target="lava", stimulus=given_, loop_delay=True)
    assert len(build.notes) == 1
    judgement = compare_build(build, exact=("lava",), samples=2)
    judgement.require_exact()
    build.save(tmp_path / "b", judgement)
    assert toolchain.load(tmp_path / "b").notes == build.notes
    assert "takes one step more, 2 instead of 1" in (tmp_path / "b" / "report.html").read_text()
    (told,) = compile_graph(graph).notes
    assert told.startswith("the loop a -> b -> a has more connections than steps, so no clocked target")
    compile_graph(graph).save(tmp_path / "unclocked")
    assert compile_graph(DelayLoops()(graph), loop_delay=True).notes == (
        "no loop had too little delay: nothing was added",
    )


def test_the_command_adds_what_a_file_lacks_and_names_it(
    tmp_path: Any, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    build = compile_graph(_graph({"a": 2, "b": 2}, TOO_FAST))
    Stimulus({"x": spikes(rng, 4, _STEPS, 3)}).save(tmp_path / "s.npz")
    export_build(build, tmp_path / "nir", "nir")
    arguments = ["compile", str(tmp_path / "nir" / "network.nir"), "--example", str(tmp_path / "s.npz")]
    assert main([*arguments, "-o", str(tmp_path / "refused"), "-t", "lava"]) == 3
    assert "or compile with --loop-delay" in " ".join(capsys.readouterr().err.split())
    assert main([*arguments, "-o", str(tmp_path / "b"), "-t", "lava", "--loop-delay"]) == 0
    assert "takes one step more, 2 instead of 1" in " ".join(capsys.readouterr().out.split())
    assert compile_file(tmp_path / "nir" / "network.nir", loop_delay=True).notes[-1].endswith("than steps")
