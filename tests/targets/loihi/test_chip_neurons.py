"""Which neurons a chip has: profiles, refusals, notes, and what a message that counts spikes costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.loihi.network import chip_network
from targets.loihi.profile import BUILT_IN, NeuronLimits, load_profile
from targets.loihi.target import loihi1, loihi2
from tests.graphs import chain, fixed_dense, fixed_lif
from tests.random_graphs import random_fixed, random_stimulus
from tests.targets import conformance
from toolchain import ir
from toolchain.errors import LackingNeuronsError, ProfileError, TraceError
from toolchain.execution import reference
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.ir import Graph
from toolchain.neuron_rules import EVERY_NEURON
from toolchain.reset import Reset

SEVERAL: dict[str, Any] = {"reset": Reset.SUBTRACT, "reset_amount": 64, "max_spikes": 15}


def _graph(**firing: Any) -> Graph:
    """A neuron `p` that gets 640 a step, and one that reads it."""
    nodes = (
        fixed_dense("w", "x", np.array([[10]])),
        fixed_lif("p", ("w",), 1, vth=1, **firing),
        fixed_dense("w2", "p", np.array([[2]])),
        fixed_lif("q", ("w2",), 1, vth=1),
    )
    return chain(*nodes)


def _activity(graph: Graph, x: Any) -> Activity:
    return count_events(graph, Stimulus.of(x), reference.run(graph, x))


def _fit(chip: Any, graph: Graph) -> Any:
    return chip.fit(graph, _activity(graph, np.ones((1, 4, 1), bool)))


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_neurons_do_says_where_it_is_from(name: str) -> None:
    neurons = load_profile(name).neurons
    assert isinstance(neurons, NeuronLimits)
    for _, item in neurons:
        assert item.source
    assert Reset.ZERO in neurons.resets.value


def test_loihi_1_only_resets_to_zero_and_its_register_holds_63() -> None:
    rules = loihi1().capabilities.fixed
    assert rules is not None
    assert rules.resets == {Reset.ZERO}
    assert (rules.longest_refractory, rules.adapts, rules.max_spikes) == (62, False, 1)
    assert loihi2().capabilities.fixed == EVERY_NEURON


@pytest.mark.parametrize(
    ("firing", "lacks"),
    [
        ({"reset": Reset.NONE}, ("a reset of kind 'none'",)),
        ({"reset": Reset.VALUE, "reset_amount": 0}, ("a reset of kind 'value'",)),
        (SEVERAL, ("a reset of kind 'subtract'", "15 spikes a step")),
        ({"adaptation": 1, "adaptation_decay": 1}, ("thresholds that spikes raise",)),
        ({"refractory": 63}, ("a refractory period of 63 steps",)),
    ],
)
def test_loihi_1_refuses_what_it_lacks_and_says_what_to_do(
    firing: dict[str, Any], lacks: tuple[str, ...]
) -> None:
    graph = _graph(**firing)
    for ask in (loihi1().build, lambda graph: _fit(loihi1(), graph)):
        with pytest.raises(LackingNeuronsError, match=r"Intel Loihi 1 has no such neurons") as caught:
            ask(graph)
        assert caught.value.lacking == {"p": lacks}
        assert '`replace_reset="zero"`' in caught.value.remedy
    notes = _fit(loihi2(), graph).notes
    assert any(f"'p' ({', '.join(lacks)}): Lava's LIF only resets to zero" in note for note in notes)


def test_a_refractory_period_that_the_chip_holds_is_no_program() -> None:
    graph = _graph(refractory=62)
    loihi1().build(graph)
    assert not any("program" in note for note in _fit(loihi1(), graph).notes)


def test_a_refractory_period_is_part_of_a_profile() -> None:
    """Two neurons of equal decays and unequal periods take two of the profiles of a core."""
    graph = chain(fixed_dense("w", "x", np.array([[10], [10], [10]])), fixed_lif("p", ("w",), 3))
    periods = graph.map(
        lambda node: replace(node, refractory=np.array([1, 2, 2])) if isinstance(node, ir.FixedLif) else node
    )
    for each, profiles in ((graph, 1), (periods, 2)):
        (layer,) = chip_network(each, graded=False).layers
        assert len(np.unique(layer.decays)) == profiles
        (core,) = _fit(loihi1(), each).cores
        assert core.used["decay profiles"] == profiles


def test_a_message_that_counts_spikes_is_one_event() -> None:
    graph, x = _graph(**SEVERAL), np.ones((1, 4, 1), bool)
    trace = reference.run(graph, x)
    assert trace.spikes["p"].sum() == 39
    assert count_events(graph, Stimulus.of(x), trace).events["p"].tolist() == [4]
    fit = _fit(loihi2(), graph)
    single = _fit(loihi2(), _graph())
    assert fit.events["messages"] == single.events["messages"] == 1
    assert "a message of 'p' carries how many spikes there were, and counts once" in fit.notes


def test_a_population_that_needs_a_program_takes_the_words_of_one_with_its_own_parameters() -> None:
    words = [_fit(loihi2(), graph).cores[0].used["memory words"] for graph in (_graph(), _graph(**SEVERAL))]
    assert words[1] == words[0] + 1


@pytest.mark.parametrize("population", ["p0", "p2"])
def test_spikes_of_the_other_type_are_no_record_of_the_network(population: str) -> None:
    graph, x = random_fixed(conformance.FIRING), random_stimulus(conformance.FIRING, 1, 3)
    trace = reference.run(graph, x)
    wrong = trace.spikes[population].astype(bool if population == "p2" else np.uint8)
    with pytest.raises(TraceError, match=r"expected (bool, a spike or none|uint8, how many spikes)"):
        count_events(graph, Stimulus.of(x), Trace(spikes={**trace.spikes, population: wrong}))


def test_a_chip_whose_file_says_nothing_of_spikes_only_resets_to_zero(
    tmp_path: Path, repository: Path
) -> None:
    text = (repository / "targets" / "loihi" / "loihi2.toml").read_text()
    start, end = text.index("[neurons]"), text.index("[memory]")
    path = tmp_path / "mine.toml"
    path.write_text(text[:start] + text[end:])
    graph = _graph(reset=Reset.NONE)
    activity = _activity(graph, np.ones((1, 4, 1), bool))
    with pytest.raises(LackingNeuronsError, match="a reset of kind 'none': Intel Loihi 2 has no such"):
        loihi2().fit(graph, activity, profile=path)
    path.write_text(text.replace('"subtract", "none"]', '"soft"]'))
    with pytest.raises(ProfileError, match=r"neurons\.resets\.value"):
        load_profile(path)
