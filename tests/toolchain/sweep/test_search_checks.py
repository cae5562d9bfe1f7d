"""A search that nothing could judge is refused when its file is read."""

from typing import Any

import pytest

from tests.toolchain.sweep.searches import SPACE, section_of, shared_of
from toolchain.errors import ExperimentError, SweepError
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.point import SharedSettings
from toolchain.sweep.search_checks import check_search, default_point, within
from toolchain.sweep.sweep_file import parse_sweep


def _space(**keys: Any) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in keys.items()}


@pytest.mark.parametrize(
    ("section", "document", "expected"),
    [
        ({}, {"data": {"name": "digits"}}, "set validation_fraction"),
        ({"space": _space(data__validation_fraction=[0.0, 0.2])}, {}, "set validation_fraction"),
        ({"objectives": ["rmse"]}, {}, "'rmse' is not measured of classification; give 'accuracy'"),
        ({}, {"data": {"name": "lorenz63"}}, "'accuracy' is not measured of forecast; give 'rmse'"),
        (
            {"objectives": ["accuracy", "cores"]},
            {},
            "'cores' is measured of chips, and target 'emulator' is none",
        ),
        (
            {"objectives": ["accuracy"], "prune": True, "space": SPACE | {"training.epochs": [2, 4]}},
            {},
            "those of different 'training.epochs' cannot be",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(
    section: dict[str, Any], document: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SweepError, match=expected):
        check_search(shared_of(**document), section_of(**section))


def test_cores_are_measured_of_a_chip() -> None:
    section = section_of(objectives=["accuracy", "cores"])
    check_search(SharedSettings(shared_of().document, "loihi2"), section)
    check_search(SharedSettings(shared_of().document, compare=CompareSection(chip="loihi2")), section)


def test_an_end_that_the_experiment_refuses_is_named() -> None:
    document = {
        "experiment": dict(shared_of().document),
        "search": {"space": {"pruning.synapse_fraction": {"low": 0.1, "high": 1.5}}},
    }
    with pytest.raises(ExperimentError, match=r"pruning.synapse_fraction.*1.5"):
        parse_sweep(document)


def test_a_file_without_samples_for_validation_is_refused_when_it_is_read() -> None:
    with pytest.raises(SweepError, match="set validation_fraction"):
        parse_sweep({"search": {"space": {"seed": [0, 1]}}})


def test_own_settings_are_found_with_their_defaults() -> None:
    keys = (
        "pruning.importance",
        "quantization.weight_bits",
        "model.cluster_tau_ms",
        "target",
        "task",
        "pruning",
    )
    section = section_of(space={key: [1] for key in keys})
    point = default_point(shared_of(), section)
    assert point.settings == {
        "pruning.importance": "weight",
        "quantization.weight_bits": 8,
        "model.cluster_tau_ms": (),
        "target": "emulator",
        "task": False,
        "pruning": None,
    }
    assert default_point(shared_of(pruning=False), section).settings["pruning.importance"] is None
    assert default_point(shared_of(pruning=False), section).settings["pruning"] is False
    assert point.name == shared_of().point({}).name


def test_values_are_within_a_space_in_its_own_words() -> None:
    space = section_of(space={"a": [1, True, "x"], "b": {"low": 0.5, "high": 2}}).space
    assert within(space, {"a": 1.0, "b": 1}) == {"a": 1, "b": 1}
    assert within(space, {"a": True, "b": 0.5}) == {"a": True, "b": 0.5}
    assert within(space, {"a": False, "b": 1}) is None
    assert within(space, {"a": 1, "b": 3}) is None
    assert within(space, {"b": 1}) is None
