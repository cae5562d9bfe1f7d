"""Proof against the source: what a plain loop computed, as a framework would, against the network read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolchain
from tests.graphs import chain, dense, lif
from tests.nodes import neurons_of
from tests.plain_framework import Framework
from toolchain.errors import (
    ArgumentError,
    FrontendError,
    MissingFileError,
    SourceMismatchError,
    StimulusError,
    UnknownNameError,
    UsageError,
)
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.files.npz import write_arrays
from toolchain.ir import AnyNode, Decode, Graph, Lif, Origin
from toolchain.reset import Reset
from toolchain.workflow.build_facts import RepairFacts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.import_check import check_graph, check_import


@pytest.fixture(scope="module")
def framework() -> Framework:
    return Framework()


@pytest.fixture(scope="module")
def build(framework: Framework) -> Build:
    return toolchain.compile_file(
        framework.graph(), convention="snntorch", reset="zero", stimulus=framework.x
    )


@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_a_network_that_was_read_as_it_is_meant_is_equal(
    build: Build, framework: Framework, number: type[np.floating[Any]]
) -> None:
    check = check_import(build, framework.run(number=number))
    assert check.equal
    check.require_equal()
    assert set(check.populations) == {"lif1", "lif2", "lif3"}
    for agreement in check.populations.values():
        assert agreement.largest_error is not None
        assert agreement.tolerance is not None
        assert agreement.largest_error <= agreement.tolerance
        assert (agreement.tolerance < 1e-7) is (number is np.float64)
    assert "all 30 steps of 4 samples" in check.sentences()[0]
    assert "every spike of 'lif1', 'lif2'" in repr(check)


def test_single_precision_in_a_wider_array_has_the_tolerance_of_single_precision(
    build: Build, framework: Framework
) -> None:
    wide = {key: values.astype(np.float64) for key, values in framework.run(number=np.float32).items()}
    assert check_import(build, wide).equal


def test_another_reset_is_named_with_both_values(build: Build, framework: Framework) -> None:
    check = check_import(build, framework.run("subtract"))
    assert check.first is not None
    name, first = check.first
    assert name == "lif1"
    assert first.last_spike is not None
    assert first.last_spike < first.step
    assert "likely cause: what a spike does" in check.sentences()[1]
    later = check.populations["lif2"].first
    assert later is not None
    with pytest.raises(SourceMismatchError, match="'lif1' first differs at step"):
        check.require_equal()


@pytest.mark.parametrize("reset", ["subtract", "subtract-delayed", "subtract-snntorch", "zero"])
def test_the_reset_that_makes_all_steps_equal_is_found(framework: Framework, reset: str) -> None:
    other = "zero" if reset != "zero" else "subtract"
    build = toolchain.compile_file(
        framework.graph(),
        convention="snntorch",
        reset=other,
        stimulus=framework.x,
        expect=framework.run(reset),
    )
    source = build.facts.source
    assert source is not None
    assert not source.equal
    assert source.otherwise == f"`reset={reset}`"
    assert source.sentences[0].startswith(f"with `reset={reset}` all 30 steps of 4 samples are equal")
    with pytest.raises(SourceMismatchError, match=f"with `reset={reset}` all 30 steps"):
        source.require_equal()
    # Whoever is asked for the reset is told as well.
    with pytest.raises(FrontendError) as raised:
        toolchain.compile_file(
            framework.graph(), convention="snntorch", stimulus=framework.x, expect=framework.run(reset)
        )
    assert f"`reset={reset}`" in raised.value.__notes__[0]


def test_the_convention_that_makes_all_steps_equal_is_found(framework: Framework) -> None:
    build = toolchain.compile_file(
        framework.graph(),
        convention="norse-seconds",
        reset="zero",
        dt=1e-4,
        stimulus=framework.x,
        expect=framework.run("subtract"),
    )
    assert build.facts.source is not None
    assert build.facts.source.otherwise == "`reset=subtract`"
    build = toolchain.compile_file(
        framework.graph(),
        convention="sinabs",
        reset="zero",
        stimulus=framework.x,
        dt=1e-4,
        expect=framework.run("subtract-delayed"),
    )
    assert build.facts.source is not None
    assert build.facts.source.otherwise == "`convention=snntorch, reset=subtract-delayed`"


def test_a_wrong_weight_is_no_matter_of_the_reset(framework: Framework) -> None:
    wrong = Framework()
    wrong.weights[0] = 1.3 * wrong.weights[0]
    build = toolchain.compile_file(wrong.graph(), convention="snntorch", reset="zero", stimulus=framework.x)
    check = check_import(build, framework.run())
    assert check.first is not None
    assert check.first[1].by_potential
    assert "time constants, weights, biases" in check.sentences()[1]


def test_where_what_a_population_reads_was_not_recorded_is_said(build: Build, framework: Framework) -> None:
    records = framework.run("subtract")
    check = check_import(build, {"lif2.spikes": records["lif2.spikes"], "lif3.v": records["lif3.v"]})
    assert check.unrecorded == ("lif1",)
    assert check.first is not None
    assert check.first[0] == "lif2"
    assert "record the spikes of 'lif1' too" in check.sentences()[1]
    assert "nothing was recorded of them: 'lif1'" in check.sentences()[-1]


def test_what_follows_from_an_earlier_difference_says_so(build: Build, framework: Framework) -> None:
    first = check_import(build, framework.run("subtract")).populations["lif2"].first
    assert first is not None
    assert "'lif1' had differed at step" in first.cause


def test_spikes_that_come_one_step_late_are_seen_as_that(build: Build, framework: Framework) -> None:
    late = {key: values for key, values in framework.run().items() if key != "lif3.v"}
    late = {key: np.concatenate([np.zeros_like(v[:, :1]), v[:, :-1]], axis=1) for key, v in late.items()}
    check = check_import(build, {**late, "output": framework.run()["lif3.v"]})
    assert check.populations["lif1"].shifted == 1
    assert "come one step later, and are equal otherwise" in check.sentences()[1]


def _one(**changes: Any) -> Graph:
    """One neuron that adds up its input."""
    return chain(dense("fc", "x", np.array([[0.5]])), lif("n", ("fc",), 1, dv=0.0, **changes))


def test_an_equality_of_potential_and_threshold_is_told_from_rounding() -> None:
    x = np.ones((1, 6, 1), bool)
    fires = np.array([0, 1, 0, 1, 0, 1], bool).reshape(1, 6, 1)
    check = check_graph(_one(), fires, Stimulus.of(x))
    assert "equals the threshold" in check.sentences()[1]
    near = check_graph(_one(vth=1 + 1e-7), fires, Stimulus.of(x))
    assert "double precision" in near.sentences()[1]
    assert near.first is not None
    assert near.first[1].is_rounding


def test_several_spikes_a_step_are_named() -> None:
    counts = np.array([0, 0, 2, 0]).reshape(1, 4, 1)
    check = check_graph(_one(), counts, Stimulus.of(np.ones((1, 4, 1), bool)))
    assert "several spikes in one step" in check.sentences()[1]


FIRING: list[dict[str, Any]] = [
    {},
    {"reset": Reset.SUBTRACT, "reset_amount": 0.7},
    {"reset": Reset.SUBTRACT, "reset_amount": 0.2, "max_spikes": 5},
    {"reset": Reset.VALUE, "reset_amount": -0.3},
    {"reset": Reset.NONE},
    {"refractory": 3},
    {"adaptation": 0.4, "adaptation_decay": 0.1, "reset": Reset.SUBTRACT, "reset_amount": 1.0},
    {"refractory": 2, "adaptation": 0.4, "adaptation_decay": 0.3, "du": 0.5, "bias": 0.1},
]


def _random_graph(firing: dict[str, Any], seed: int) -> tuple[Graph, Stimulus, Trace]:
    rng = np.random.default_rng(seed)
    graph = chain(
        dense("fc1", "x", rng.normal(size=(5, 3))),
        lif("a", ("fc1",), 5, dv=rng.uniform(0, 0.5, 5), **firing),
        dense("fc2", "a", rng.normal(size=(2, 5))),
        lif("b", ("fc2",), 2, dv=rng.uniform(0, 0.5, 2), vth=np.inf),
        decode=Decode.LAST_V,
        shape=(3,),
    )
    stimulus = Stimulus.of(rng.random((3, 12, 3)) < 0.5)
    return graph, stimulus, reference.run(graph, stimulus)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(FIRING), st.integers(0, 2**32 - 1), st.booleans())
def test_the_first_difference_is_the_entry_that_was_changed(
    firing: dict[str, Any], seed: int, potential: bool
) -> None:
    graph, stimulus, trace = _random_graph(firing, seed)
    assert check_graph(graph, trace, stimulus).equal
    rng = np.random.default_rng(seed)
    spikes, v = trace.spikes["a"].copy(), trace.v["a"].copy()
    where = tuple(int(rng.integers(n)) for n in spikes.shape)
    if potential:
        v[where] += 1.0
    else:
        spikes[where] = not spikes[where]
    changed = Trace({**trace.spikes, "a": spikes}, {**trace.v, "a": v})
    check = check_graph(graph, changed, stimulus)
    if potential and spikes[where]:
        # Before or after the reset: where a neuron fires, potentials are not compared.
        assert check.equal
        return
    assert check.first is not None
    name, first = check.first
    assert (name, first.sample, first.step, first.neuron) == ("a", *where)
    # The potential before the reset explains what the neuron sent.
    sent = trace.spikes["a"][where] > 0
    refractory = "refractory" in firing and first.last_spike is not None
    assert first.threshold is not None
    assert refractory or (first.got > first.threshold) == sent


@pytest.mark.parametrize(
    ("name", "known"),
    [("a.spikes", True), ("layers.a.spikes", True), ("net.a", True), ("spikes", False), ("c.spikes", False)],
)
def test_names_of_modules_stand_for_populations(name: str, known: bool) -> None:
    graph, stimulus, trace = _random_graph({}, 1)
    records = {name: trace.spikes["a"], "output": trace.v["b"]}
    if known:
        assert set(check_graph(graph, records, stimulus).populations) == {"a", "b"}
    elif name == "spikes":
        assert "b" in check_graph(graph, records | {name: trace.spikes["b"]}, stimulus).populations
    else:
        with pytest.raises(UnknownNameError, match="population 'c' is not known; known: a, b"):
            check_graph(graph, records, stimulus)


@pytest.mark.parametrize("name", ["output", "output.v", "v"])
def test_what_the_network_ends_in_is_called_output_with_or_without_its_quantity(name: str) -> None:
    graph, stimulus, trace = _random_graph({}, 1)
    checked = check_graph(graph, {name: trace.v["b"]}, stimulus)
    assert set(checked.populations) == {"b"}
    assert checked.equal


def _as_twin(node: AnyNode) -> AnyNode:
    if not isinstance(node, Lif):
        return node
    return replace(node, origin=Origin.whole(f"net.{node.name}.lif", node.vth.size))


def test_a_name_that_means_two_populations_is_refused() -> None:
    graph, stimulus, trace = _random_graph({}, 1)
    twins = graph.map(_as_twin)
    with pytest.raises(ArgumentError, match="one population for 'lif', got 'a', 'b'"):
        check_graph(twins, {"lif": trace.spikes["a"]}, stimulus)
    with pytest.raises(ArgumentError, match="both 'a' and 'net.a.lif'"):
        check_graph(twins, {"a": trace.spikes["a"], "net.a.lif": trace.spikes["a"]}, stimulus)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.swapaxes(0, 1), "time stands first there: swap the first two axes"),
        (lambda v: v[:, :-1], "record all steps of the very samples"),
        (lambda v: v[:2], "record all steps of the very samples"),
        (lambda v: v[..., :1], r"'b.v' of shape \[3, 12, 2\], got float64 \[3, 12, 1\]"),
        (lambda v: np.where(v == v[0, 3, 1], np.nan, v), "NaN or infinity in sample 0"),
        (lambda v: v.astype(str), "expected numbers"),
    ],
)
def test_records_that_do_not_fit_are_refused_by_name(change: Any, said: str) -> None:
    graph, stimulus, trace = _random_graph({}, 1)
    with pytest.raises(ArgumentError, match=said):
        check_graph(graph, {"b.v": change(trace.v["b"])}, stimulus)


def test_potentials_among_spikes_and_a_missing_output_are_refused() -> None:
    graph, stimulus, trace = _random_graph({}, 1)
    with pytest.raises(ArgumentError, match="potentials belong to 'a.v'"):
        check_graph(graph, {"a.spikes": trace.v["a"]}, stimulus)
    with pytest.raises(ArgumentError, match=r"an array 'b\.v', of the population that the network ends in"):
        check_graph(graph, {"a.spikes": trace.spikes["a"]}, stimulus)
    with pytest.raises(ArgumentError, match="got nothing"):
        check_graph(graph, {}, stimulus)


def test_a_file_is_read_and_a_missing_one_is_named(
    build: Build, framework: Framework, tmp_path: Path
) -> None:
    write_arrays(tmp_path / "outputs.npz", framework.run())
    assert check_import(build, tmp_path / "outputs.npz").equal
    with pytest.raises(MissingFileError):
        check_import(build, str(tmp_path / "none.npz"))


def test_neurons_that_the_compiler_removed_are_counted(framework: Framework) -> None:
    dead = Framework()
    # Its eighth neuron reaches nothing.
    dead.weights[1] = dead.weights[1] * (np.arange(8) < 7)
    build = toolchain.compile_file(dead.graph(), convention="snntorch", reset="zero", stimulus=dead.x)
    check = check_import(build, dead.run())
    assert check.equal
    gone = 8 - neurons_of(build.float_graph, "lif1").vth.size
    assert gone
    assert check.left_out == {"lif1": gone}
    assert f"has {gone} neuron" in check.sentences()[1]
    # The network that was just read still has them.
    read = toolchain.compile_file(
        dead.graph(), convention="snntorch", reset="zero", stimulus=dead.x, expect=dead.run()
    )
    assert read.facts.source is not None
    assert read.facts.source.equal
    assert read.facts.source.left_out == {}


def test_the_verdict_stays_in_the_build(framework: Framework, tmp_path: Path) -> None:
    good = toolchain.compile_file(
        framework.graph(), convention="snntorch", reset="zero", stimulus=framework.x, expect=framework.run()
    )
    assert good.facts.source is not None
    assert good.facts.source.equal
    assert good.notes[0].startswith("equal to what the framework computed")
    good.save(tmp_path / "build")
    assert toolchain.load(tmp_path / "build").facts == good.facts


def test_a_network_that_was_trained_on_or_holds_integers_is_not_what_was_read(
    build: Build, framework: Framework
) -> None:
    trained = replace(build, facts=build.facts.model_copy(update={"repair": RepairFacts(epochs=1, loss=0.5)}))
    with pytest.raises(UsageError, match="was trained on with its integers"):
        check_import(trained, framework.run())
    with pytest.raises(UsageError, match="does not hold its network in real numbers"):
        check_import(replace(build, passes=()), framework.run())
    with pytest.raises(UsageError, match="nothing says on which samples"):
        toolchain.compile_file(framework.graph(), convention="snntorch", reset="zero", expect=framework.run())


def test_a_build_of_a_pytorch_network_can_be_checked_too(framework: Framework) -> None:
    graph, stimulus, trace = _random_graph({}, 3)
    build = compile_graph(graph, stimulus=stimulus, loop_delay=True)
    assert check_import(build, trace).equal
    with pytest.raises(StimulusError):
        check_import(build, trace, Stimulus.of(framework.x))
