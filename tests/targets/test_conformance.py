"""Every installed target, and the fake, keeps the contract."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.targets import conformance
from toolchain.errors import StimulusError, TargetError, UnknownNameError
from toolchain.ir import Graph, Stage
from toolchain.neuron_rules import NeuronRules
from toolchain.reset import Reset
from toolchain.target.acceptance import check_graph
from toolchain.target.capabilities import Capabilities, ImageRules
from toolchain.target.protocol import Target
from toolchain.target.registry import PORTABLE, installed_targets, load_target
from toolchain.workflow.targets import target_statuses

QUICK = ("fake", "emulator", "onnx", "c", "rtl")
"""They run many small graphs in a second or two; Lava takes longer to start."""
NARROW = Capabilities(
    name="the narrow fake",
    real=None,
    fixed=NeuronRules(
        resets=frozenset({Reset.ZERO, Reset.SUBTRACT}),
        longest_refractory=3,
        one_period=True,
        adapts=False,
        max_spikes=2,
    ),
    least_exponent=-1,
    synapse_delays=False,
    longest_delay=2,
    clocked=True,
    most_read=3,
    graded_inputs=False,
    graded_messages=False,
    images=ImageRules(largest_convolution=70),
)
"""A place that lacks something of everything."""


def _named(name: str) -> Target:
    return conformance.FakeTarget() if name == "fake" else load_target(name)


def _targets() -> list[Target]:
    return [conformance.FakeTarget(), *(load_target(name) for name in sorted(installed_targets()))]


@pytest.fixture(params=_targets(), ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    return request.param


def test_it_equals_the_integer_reference_and_tells_how_far_it_is(target: Target) -> None:
    conformance.check_equal_to_the_reference(target)


@pytest.mark.parametrize("name", QUICK)
def test_random_graphs_within_what_it_declares_equal_the_reference(name: str) -> None:
    conformance.check_random_graphs(_named(name))


@pytest.mark.slow
def test_graphs_at_and_within_the_limits_of_lava_equal_the_reference() -> None:
    conformance.check_random_graphs(load_target("lava"), 2)
    conformance.check_limits(load_target("lava"))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({*installed_targets()} - {*QUICK}))
def test_graphs_at_and_within_the_limits_of_the_slow_ones_equal_the_reference(name: str) -> None:
    conformance.check_random_graphs(load_target(name))
    conformance.check_limits(load_target(name))


def test_it_runs_what_lies_at_its_limits_and_refuses_what_lies_beyond(target: Target) -> None:
    conformance.check_limits(target, runs=target.name in QUICK)


def test_every_rule_of_a_declaration_is_asked_for() -> None:
    """A place that can hardly anything keeps its word."""
    conformance.check_limits(conformance.FakeTarget(NARROW))
    conformance.check_random_graphs(conformance.FakeTarget(NARROW))


def test_a_target_that_runs_more_than_it_declares_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it lacks something, and never looks."""
    careless = conformance.FakeTarget(NARROW)
    monkeypatch.setattr(conformance.FakeTarget, "build", lambda _, graph: conformance.FakeProgram(graph))
    with pytest.raises(AssertionError, match="fake runs a graph beyond what it declares: stage"):
        conformance.check_limits(careless)


def test_a_target_that_runs_less_than_it_declares_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: object, graph: Graph) -> conformance.FakeProgram:
        check_graph(graph, NARROW)
        return conformance.FakeProgram(graph)

    monkeypatch.setattr(conformance.FakeTarget, "build", build)
    with pytest.raises(TargetError, match="the narrow fake"):
        conformance.check_limits(conformance.FakeTarget())


@pytest.mark.parametrize("images", [None, ImageRules(largest_image=90)])
def test_a_place_that_knows_no_or_no_large_images_says_so(images: ImageRules | None) -> None:
    conformance.check_limits(conformance.FakeTarget(replace(conformance.FAKE, images=images)))


def test_a_network_that_takes_too_many_bytes_is_refused() -> None:
    small = replace(conformance.FAKE, largest=2**20, form="a model")
    small.check_size(conformance.graph(), 2**20)
    with pytest.raises(TargetError, match=r"takes 1\.5 MiB as a model, expected at most 1\.0"):
        small.check_size(conformance.graph(), 3 * 2**19)


def test_its_programs_can_do_what_it_declares(target: Target, tmp_path: Path) -> None:
    conformance.check_programs(target, tmp_path)


@pytest.mark.slow
def test_every_sample_starts_from_rest(target: Target) -> None:
    conformance.check_rest(target)


def test_what_it_saves_runs_again(target: Target, tmp_path: Path) -> None:
    conformance.check_save(target, tmp_path)


def test_it_refuses_a_stimulus_that_does_not_fit(target: Target) -> None:
    with pytest.raises(StimulusError):
        target.build(conformance.graph()).run(conformance.stimulus()[:, :, :2])


def test_the_installed_targets_are_found_by_name() -> None:
    assert set(installed_targets()) == {
        "c",
        "emulator",
        "lava",
        "lava-layers",
        "lava-stock",
        "loihi1",
        "loihi2",
        "onnx",
        "rtl",
    }
    with pytest.raises(UnknownNameError, match="did you mean 'lava'"):
        load_target("lave")


def test_their_status_is_told_without_building_anything() -> None:
    assert [(status.name, status.problem) for status in target_statuses()] == [
        ("c", None),
        ("emulator", None),
        ("lava", None),
        ("lava-layers", None),
        ("lava-stock", None),
        ("loihi1", None),
        ("loihi2", None),
        ("onnx", None),
        ("rtl", None),
    ]


def test_every_target_says_what_it_is_and_what_limits_networks_are_pruned_to_there() -> None:
    statuses = {status.name: status for status in target_statuses()}
    assert all(status.place for status in statuses.values())
    budgets = {"c": {"flash", "ram"}, "loihi1": {"cores"}, "loihi2": {"cores"}, "rtl": {"bram"}}
    assert {name: set(status.budgets) for name, status in statuses.items()} == {
        name: budgets.get(name, set()) | {"synops"} for name in statuses
    }


def test_what_is_exported_by_name_is_declared() -> None:
    assert all(Stage.FIXED in load_target(name).capabilities.exports for name in PORTABLE)
