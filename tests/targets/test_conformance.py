"""Every installed target, and the fake, keeps the contract."""

from pathlib import Path

import pytest

from tests.targets import conformance
from toolchain.errors import StimulusError, UnknownNameError
from toolchain.target.protocol import Target
from toolchain.target.registry import installed_targets, load_target
from toolchain.workflow.targets import target_statuses


def _targets() -> list[Target]:
    return [conformance.FakeTarget(), *(load_target(name) for name in sorted(installed_targets()))]


@pytest.fixture(params=_targets(), ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    return request.param


def test_it_equals_the_integer_reference_and_tells_how_far_it_is(target: Target) -> None:
    conformance.check_equal_to_the_reference(target)


def test_random_graphs_within_what_it_declares_equal_the_reference(target: Target) -> None:
    conformance.check_random_graphs(target)


def test_it_runs_what_lies_at_its_limits_and_refuses_what_lies_beyond(target: Target) -> None:
    conformance.check_limits(target)


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
