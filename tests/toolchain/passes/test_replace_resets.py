"""Neurons that a place lacks: replaced where that is asked for, measured, and refused by name otherwise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs import chain, dense, lif, recurrent, spikes
from tests.nodes import neurons_of
from tests.random_graphs import Recipe, random_fixed, random_stimuli, recipes
from toolchain import ir
from toolchain.errors import ArgumentError, LackingNeuronsError, PreconditionError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph, Stage, verify
from toolchain.neuron_rules import RESET_TO_ZERO
from toolchain.passes import DequantizeGraph, ReplaceResets
from toolchain.reset import LONGEST_REFRACTORY, Reset
from toolchain.target.acceptance import check_neurons
from toolchain.target.capabilities import Capabilities
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.quantization import Quantization, RepairOptions, repair_build
from toolchain.workflow.replaced_resets import replaced_resets, replacement

_RULES = replace(RESET_TO_ZERO, longest_refractory=LONGEST_REFRACTORY)
_ZERO_ONLY = Capabilities(name="zero only", fixed=_RULES)


def _subtracting(rng: np.random.Generator, **changes: Any) -> Graph:
    fields = {"reset": Reset.SUBTRACT, "reset_amount": np.full(12, 1.5)} | changes
    return recurrent(rng).map(lambda node: replace(node, **fields) if node.name == "hidden" else node)


@given(recipe=recipes, longest=st.integers(0, 4), adapts=st.booleans())
@settings(max_examples=40)
def test_what_comes_out_is_what_the_place_has(recipe: Any, longest: int, *, adapts: bool) -> None:
    rules = replace(_RULES, longest_refractory=longest, adapts=adapts)
    graph = DequantizeGraph()(random_fixed(recipe))
    after = ReplaceResets(rules=rules)(graph)
    verify(after)
    check_neurons(after.populations, replace(_ZERO_ONLY, fixed=rules), Stage.FIXED)
    for node in graph.populations:
        other = neurons_of(after, node.name)
        for name in ("du", "dv", "vth", "bias"):
            assert getattr(other, name) is getattr(node, name)
        if node.reset is Reset.ZERO and not rules.lacking(node):
            assert other is node
    x = random_stimuli(replace(recipe, inputs=1), 1, 4)
    assert all(fired.dtype == bool for fired in reference.run(after, x).spikes.values())


def test_a_population_that_never_fires_loses_nothing(rng: np.random.Generator) -> None:
    fields = {"reset": Reset.NONE, "refractory": np.ones(3), "adaptation": np.ones(3)}
    readout = {**fields, "adaptation_decay": np.full(3, 0.5)}
    graph = recurrent(rng).map(lambda node: replace(node, **readout) if node.name == "readout" else node)
    step = replacement(graph, None, _ZERO_ONLY)
    assert step is not None
    after, x = step(graph), spikes(rng, 2, 9, 6)
    assert neurons_of(after, "readout").is_plain
    for name, v in reference.run(graph, x).v.items():
        assert np.array_equal(v, reference.run(after, x).v[name])
    assert replacement(recurrent(rng), None, _ZERO_ONLY) is None


def test_a_place_that_lacks_a_neuron_refuses_it_and_says_what_can_be_done(rng: np.random.Generator) -> None:
    graph = _subtracting(rng, max_spikes=3).map(
        lambda node: replace(node, edge=ir.EdgeKind.GRADED) if node.name == "wait" else node
    )
    with pytest.raises(LackingNeuronsError, match="'hidden' has .*subtract.*3 spikes a step.*replace_reset"):
        replacement(graph, None, _ZERO_ONLY)
    step = replacement(graph, Reset.ZERO, _ZERO_ONLY)
    assert step is not None
    after = step(graph)
    assert neurons_of(after, "hidden").is_plain
    assert after.types["wait"].kind is ir.EdgeKind.SPIKE
    with pytest.raises(PreconditionError, match="needs a float graph"):
        ReplaceResets()(random_fixed(Recipe()))
    with pytest.raises(ArgumentError, match="replace_reset"):
        Quantization(replace_reset=Reset.SUBTRACT)


def test_a_build_says_what_was_replaced_and_what_it_cost(rng: np.random.Generator, tmp_path: Path) -> None:
    graph, x = _subtracting(rng), spikes(rng, 12, 25, 6)
    labels = np.arange(12) % 3
    options = Quantization(replace_reset=Reset.ZERO)
    build = compile_graph(graph, stimulus=Stimulus({"x": x}, labels), quantization=options)
    assert neurons_of(build.float_graph, "hidden").is_plain
    replaced = build.facts.replaced
    assert replaced is not None
    assert list(replaced.populations) == ["hidden"]
    assert (replaced.samples, replaced.accuracy is None) == (12, False)
    assert replaced.spike_f1 is not None
    assert 0.5 < replaced.spike_f1 < 0.999
    assert any("'hidden' (reset 'subtract')" in note and "spike F1" in note for note in build.notes)
    assert [each.name for each in build.passes][:3] == [
        "remove-dead-neurons",
        "fold-delays",
        "replace-resets",
    ]
    build.save(tmp_path / "build")
    again = Build.load(tmp_path / "build")
    assert again.facts == build.facts
    assert again.quantization.options is not None
    assert again.quantization.options.replace_reset is Reset.ZERO
    same = compile_graph(graph, stimulus=Stimulus({"x": x}))
    assert same.facts.replaced is None
    assert neurons_of(same.float_graph, "hidden").reset is Reset.SUBTRACT
    unmeasured = compile_graph(graph, quantization=Quantization(replace_reset=Reset.ZERO))
    assert "was not measured" in " ".join(unmeasured.notes)


def test_what_a_population_keeps_is_not_said_to_be_replaced(rng: np.random.Generator) -> None:
    keeps = ReplaceResets(rules=replace(_RULES, longest_refractory=62))

    def said(**changes: Any) -> str:
        before = _subtracting(rng, **changes)
        replaced = replaced_resets(before, keeps(before), None)
        assert replaced is not None
        return replaced.populations["hidden"]

    assert said(refractory=np.full(12, 2)) == "reset 'subtract'"
    rise = {"adaptation": np.full(12, 0.5), "adaptation_decay": np.full(12, 0.1)}
    assert said(refractory=np.full(12, 70), **rise) == (
        "reset 'subtract', refractory for up to 70 steps (now 62), thresholds that spikes raise"
    )


def test_a_training_that_followed_is_said_of_what_was_replaced(rng: np.random.Generator) -> None:
    graph, x = _subtracting(rng), spikes(rng, 24, 15, 6)
    train, held_out = (Stimulus({"x": part}, np.arange(12) % 3) for part in (x[:12], x[12:]))
    usual, options = RepairOptions.of_epochs(1), Quantization(replace_reset=Reset.ZERO)
    build = compile_graph(graph, stimulus=held_out, calibration=train, quantization=options)
    assert any("training with the integers may repair it" in note for note in build.notes)
    repaired = repair_build(build, train, usual)
    comparison = compare_build(repaired).comparison
    assert repaired.facts.replaced is not None
    assert repaired.facts.replaced.repaired == comparison.fixed_accuracy
    note = f"after training with them, the integers reach {comparison.fixed_accuracy:.2f} %"
    assert any(each.endswith(note) for each in repaired.notes)
    unjudged = repair_build(compile_graph(graph, calibration=train, quantization=options), train, usual)
    assert any(each.endswith("all of it before the training with the integers") for each in unjudged.notes)


def test_without_new_neurons_nothing_changes() -> None:
    plain = chain(dense("w", "x", [[1.0]]), lif("p", ("w",), 1))
    options = Quantization(replace_reset=Reset.ZERO)
    build = compile_graph(plain, quantization=options)
    assert build.facts.replaced is None
    assert "replace-resets" not in [each.name for each in build.passes]
    assert "replaced" not in build.facts.model_dump_json()
    assert "firing" not in build.quantization.model_dump_json()
