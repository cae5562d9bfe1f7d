"""Errors of real outputs, and of guesses that need no network."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs import feed_forward
from toolchain.data.codes.options import ValuesCode
from toolchain.data.sets.output_scale import OutputScale
from toolchain.errors import FidelityError, SeriesError, UsageError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import check_baseline, check_gates, compare_traces, scores, write_baseline
from toolchain.fidelity.outputs import ForecastForm, OutputForm, OutputTally

SCALE = OutputScale(names=("a", "b"), mean=(10.0, -2.0), deviation=(4.0, 0.5))


def _form(*, increments: bool) -> OutputForm:
    code = ValuesCode(name="values")
    return OutputForm(
        scale=SCALE, forecast=ForecastForm(window=3, horizon=2, increments=increments, encoding=code)
    )


def _rmse(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


@pytest.mark.parametrize("increments", [True, False])
def test_errors_are_those_of_the_values_in_their_units(increments: bool, rng: np.random.Generator) -> None:
    form, present, after = _form(increments=increments), *rng.normal(size=(2, 9, 2))
    labels = after - present if increments else after
    said = [labels + rng.normal(0, 0.1, (9, 2)) for _ in range(2)]
    tally = OutputTally(SCALE.names, form)
    tally.add(said, labels, present)
    figures = tally.result()
    truth = SCALE.in_units(after)
    for execution, error in zip(said, (figures.float_error, figures.fixed_error), strict=True):
        assert error is not None
        values = form.values(execution, present)
        assert error.rmse == pytest.approx([_rmse(values[:, i] - truth[:, i]) for i in range(2)])
        assert error.together == pytest.approx(_rmse(execution - labels))
        shares = 1 - np.sum((values - truth) ** 2, axis=0) / np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
        assert error.r_squared == pytest.approx(shares)
    assert figures.mean_error is not None
    assert figures.mean_error.rmse == pytest.approx([_rmse(truth[:, i] - SCALE.mean[i]) for i in range(2)])
    assert figures.persistence_error is not None
    last = SCALE.in_units(present)
    assert figures.persistence_error.rmse == pytest.approx(
        [_rmse(truth[:, i] - last[:, i]) for i in range(2)]
    )
    assert figures.difference is not None
    assert figures.difference.together == pytest.approx(_rmse(said[0] - said[1]))


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 11), max_size=4, unique=True))
def test_no_figure_depends_on_the_parts(seed: int, cuts: list[int]) -> None:
    said, other, labels, present = np.random.default_rng(seed).normal(size=(4, 12, 2)) * 1e3
    whole, parts = (OutputTally(SCALE.names, _form(increments=True)) for _ in range(2))
    whole.add([said, other], labels, present)
    for piece in np.split(np.arange(12), sorted(cuts)):
        parts.add([said[piece], other[piece]], labels[piece], present[piece])
    assert parts.result() == whole.result()


def test_without_units_errors_are_those_of_the_network_and_no_guess_is_known() -> None:
    tally = OutputTally(("one",))
    tally.add([np.array([[1.0], [3.0]])], np.array([[0.0], [0.0]]))
    figures = tally.result()
    assert figures.float_error is not None
    assert figures.float_error.rmse == (5**0.5,)
    assert figures.float_error.r_squared == (None,)
    assert (figures.mean_error, figures.persistence_error, figures.fixed_error) == (None, None, None)
    assert figures.sentence() == "RMSE in units of the network: network 2.236"
    assert figures.rows() == (["output", "RMSE", "R²"], [["one", "2.236", "-"]])


def test_without_labels_only_the_difference_is_known() -> None:
    tally = OutputTally(SCALE.names, OutputForm(scale=SCALE))
    tally.add([np.zeros((3, 2)), np.full((3, 2), 0.5)])
    figures = tally.result()
    assert figures.difference is not None
    assert figures.difference.rmse == (2.0, 0.25)
    assert figures.float_error is None
    assert figures.error_rise is None
    assert figures.sentence() == "RMSE in standard deviations: integers from float 0.5"


def test_changes_without_the_value_they_start_from_know_no_mean() -> None:
    tally = OutputTally(SCALE.names, _form(increments=True))
    tally.add([np.zeros((3, 2))], np.ones((3, 2)))
    figures = tally.result(present=False)
    assert figures.mean_error is None
    assert figures.persistence_error is not None
    assert figures.persistence_error.rmse == (4.0, 0.5)


@pytest.mark.parametrize(
    ("values", "said"), [([3.0, 3.0], "'b' never changes"), ([1e300, -1e300], "'b' is too large")]
)
def test_an_output_that_cannot_be_scaled_is_named(values: list[float], said: str) -> None:
    with pytest.raises(SeriesError, match=said):
        OutputScale.of(np.array([[1.0, values[0]], [2.0, values[1]]]), ("a", "b"), "t.csv")


def test_a_comparison_of_real_targets_says_errors_and_guards_them(tmp_path: Path) -> None:
    graph = feed_forward()
    trace = reference.run(graph, Stimulus({"x": np.ones((4, 6, 2))}))
    truth = scores(graph, trace, graph.outputs[0]) + np.array([0.5, -1.0])
    comparison = compare_traces((graph, graph), (trace, trace), labels=truth)
    assert (comparison.prediction_agreement, comparison.float_accuracy) == (None, None)
    assert comparison.outputs is not None
    assert comparison.outputs.float_error is not None
    assert comparison.outputs.float_error.rmse == (0.5, 1.0)
    assert comparison.error_rise == 0
    assert "RMSE in units of the network: float 0.7906, integers 0.7906" in repr(comparison)
    check_gates(comparison, {"error_rise": 0.0, "spike_f1": 1.0})
    with pytest.raises(FidelityError, match="error_rise"):
        check_gates(comparison, {"error_rise": -1.0})
    with pytest.raises(UsageError, match="'prediction_agreement' cannot be measured"):
        check_gates(comparison, {"prediction_agreement": 50})
    write_baseline(tmp_path / "b.json", comparison)
    check_baseline(tmp_path / "b.json", comparison)
    classes = compare_traces((graph, graph), (trace, trace), labels=np.array([0, 1, 0, 1]))
    assert classes.outputs is None
    with pytest.raises(UsageError, match="'accuracy_drop' of 'output' was measured in this comparison only"):
        check_baseline(tmp_path / "b.json", classes)
