"""`[search]` says what is wrong with it, and which values must be accepted."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from toolchain.files.documents import explain
from toolchain.sweep.search_section import Objective, Range, SearchSection

_SPACE = {"model.gain": {"low": 0.5, "high": 2}}


def _section(**keys: Any) -> SearchSection:
    return SearchSection.model_validate_json(json.dumps({"space": _SPACE} | keys))


def test_a_section_of_a_space_alone_looks_for_accuracy_and_operations() -> None:
    section = _section()
    assert section.trials == 40
    assert section.objectives == (Objective.ACCURACY, Objective.OPERATIONS)
    assert not section.prune
    assert SearchSection.model_validate_json(section.model_dump_json()) == section


def test_whole_ends_make_a_range_of_whole_numbers() -> None:
    assert Range(low=1, high=5).whole
    assert not Range(low=1, high=5.0).whole
    assert not Range(low=1, high=5, step=0.5).whole
    assert Range(low=1, high=5.0).ends == (1.0, 5.0)


def test_every_choice_and_both_ends_must_be_accepted() -> None:
    space = _SPACE | {"quantization.weight_bits": [4, 8], "model.cluster_tau_ms": [[], [5, 10.5]]}
    assert _section(space=space).ends() == [
        {"model.gain": 0.5},
        {"model.gain": 2.0},
        {"quantization.weight_bits": 4},
        {"quantization.weight_bits": 8},
        {"model.cluster_tau_ms": ()},
        {"model.cluster_tau_ms": (5, 10.5)},
    ]


def test_keys_of_a_space_may_be_written_without_quotes() -> None:
    quoted = _section(space={"model.gain": {"low": 0, "high": 1}, "model.cluster_tau_ms": [[], [5]]})
    assert _section(space={"model": {"gain": {"low": 0, "high": 1}, "cluster_tau_ms": [[], [5]]}}) == quoted
    twice = {"model.gain": [1, 2], "model": {"gain": [3, 4]}}
    with pytest.raises(ValidationError, match=r"names 'model.gain' twice"):
        _section(space=twice)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"low": 2, "high": 2}, "expected low < high, got low = 2 and high = 2"),
        ({"low": 0, "high": 1, "log": True}, "expected low > 0 for log = true, got low = 0"),
        ({"low": 0.1, "high": 1, "log": True, "step": 0.1}, "a step goes with log = false only"),
        ({"low": 0, "high": 1.0, "step": 0.3}, "expected ends a whole number of steps apart"),
        ({"low": 0, "high": 1, "step": 2}, "expected a step of more than 0 and at most 1, got 2"),
        ({"low": "0", "high": 1}, "'low' expected a number, got '0'"),
        ({"low": 0}, "'high' is missing"),
        ({"low": 0, "high": 1, "stp": 1}, "'stp' is not known"),
        ({"low": 0, "high": math.inf}, "'high' expected a finite number"),
        ([], "expected at least 1 values"),
        ([1, 1], "expected each of the choices once"),
        ([{}], "expected numbers, texts, true, false, and lists of those, got {}"),
        ([math.nan], "got nan"),
        (3, "expected a list, got 3"),
    ],
)
def test_values_that_cannot_be_are_refused_by_their_key(values: object, expected: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _section(space={"model.gain": values})
    key, reason = explain(refused.value)
    assert key == "space"
    assert reason.startswith('"model.gain": ')
    assert expected in reason


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"objectives": ["accuracy", "accuracy"]}, "expected each of the objectives once"),
        ({"objectives": ["accuracy", "rmse"]}, "give one of them"),
        ({"objectives": []}, "expected at least 1 values"),
        ({"objectives": ["speed"]}, "expected 'accuracy', 'rmse', 'operations', 'cores' or 'microjoules'"),
        ({"prune": True}, "accuracy or rmse as the only objective"),
        ({"prune": True, "objectives": ["cores"]}, "accuracy or rmse as the only objective"),
        ({"sampler": "nsga2", "objectives": ["accuracy"]}, "for several objectives"),
        ({"space": {}}, "expected keys with their values"),
        ({"space": 3}, "expected keys with their values"),
        ({"trials": 0}, "expected more than 0"),
    ],
)
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _section(**keys)
    assert expected in explain(refused.value)[1]


def test_a_range_knows_its_values() -> None:
    assert 4 in Range(low=2, high=8)
    assert 4.5 not in Range(low=2, high=8)
    assert True not in Range(low=0, high=8)
    assert 5 not in Range(low=2, high=8, step=2)
    assert 0.3 in Range(low=0.1, high=0.5, step=0.1)
    assert "4" not in Range(low=2, high=8)


@given(low=st.integers(-1000, 1000), step=st.integers(1, 50), steps=st.integers(1, 50))
def test_whole_steps_reach_the_high_end(low: int, step: int, steps: int) -> None:
    values = Range(low=low, high=low + step * steps, step=step)
    assert [each for each in range(low, low + step * steps + 1) if each in values] == [
        low + step * i for i in range(steps + 1)
    ]


@pytest.mark.parametrize(
    "ends", [{"low": -1e308, "high": 1e308}, {"low": 0.0, "high": 1e308, "step": 1e-300}]
)
def test_ends_whose_distance_no_number_holds_are_refused(ends: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="expected (ends|a step) that (are|is) not so"):
        _section(space={"training.learning_rate": ends})
