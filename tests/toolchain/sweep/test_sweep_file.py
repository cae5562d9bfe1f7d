"""What may stand in a sweep file, and that everything else is refused by name before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from toolchain.errors import ExperimentError, MissingFileError, SweepError, TargetError, UnknownNameError
from toolchain.sweep.plan import GridPlan
from toolchain.sweep.sweep_file import load_sweep, parse_sweep


def _seeds(**sections: Any) -> dict[str, Any]:
    return {"grid": {"seed": [1]}} | sections


def test_a_grid_has_all_combinations_of_lists_and_ranges() -> None:
    sweep = parse_sweep(
        {"grid": {"seed": {"range": 3}, "model.neurons": {"range": [510, 512]}, "target": ["onnx", "c"]}}
    )
    assert sweep.grid == {"seed": (0, 1, 2), "model.neurons": (510, 511), "target": ("onnx", "c")}
    assert sweep.points == 12
    assert sweep.targets == ("onnx", "c")


def test_keys_without_quotes_are_those_with_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[grid]\npruning.synapse_fraction = [0.1]\nmodel.gain = [1.0]")
    (tmp_path / "b.toml").write_text('[grid]\n"pruning.synapse_fraction" = [0.1]\n"model.gain" = [1.0]')
    assert load_sweep(tmp_path / "a.toml") == load_sweep(tmp_path / "b.toml")


def test_a_key_given_in_both_ways_is_refused() -> None:
    with pytest.raises(SweepError, match=r"names 'model.gain' twice, with quotes and without"):
        parse_sweep({"grid": {"model.gain": [1.0], "model": {"gain": [2.0]}}})


def test_an_experiment_file_is_seen_from_the_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[model]\nneurons = 700")
    (tmp_path / "sweep.toml").write_text('experiment = "x.toml"\n[grid]\nseed = [4]')
    sweep = load_sweep(tmp_path / "sweep.toml")
    (point,) = GridPlan(sweep.shared, sweep.grid or {}).points()
    assert point.experiment.seed == 4
    assert point.experiment.model.model_dump()["neurons"] == 700


def test_an_experiment_may_stand_in_the_file() -> None:
    sweep = parse_sweep(_seeds(experiment={"pruning": False}, target="onnx"))
    (point,) = GridPlan(sweep.shared, sweep.grid or {}).points()
    assert point.experiment.pruning is None
    assert point.target == "onnx"


def test_equal_values_are_one_point() -> None:
    assert parse_sweep({"grid": {"training.gradient_clip": [1, 1.0, 2]}}).points == 2


def test_values_may_be_lists_and_sections_may_be_left_out() -> None:
    sweep = parse_sweep({"grid": {"model.cluster_tau_ms": [[5, 20], [10, 40]], "pruning": [False]}})
    assert sweep.grid == {"model.cluster_tau_ms": ((5, 20), (10, 40)), "pruning": (False,)}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, r"expected either \[grid\] or \[search\], got neither"),
        (_seeds(search={"space": {"seed": [1, 2]}}), r"expected either \[grid\] or \[search\], got both"),
        ({"grid": {}}, "expected at least one key with its values"),
        ({"gird": {"seed": [1]}}, "sweep key 'gird': is not known.*did you mean 'grid'"),
        (_seeds(compare={"exct": ["lava"]}), "sweep key 'compare.exct'.*did you mean 'exact'"),
        (_seeds(compare={"samples": 0}), "sweep key 'compare.samples': expected more than 0, got 0"),
        (
            {"data": {"name": "npz"}, "pruning": False},
            r"sweep key 'data': is a key of an experiment: write it below \[experiment\], or name the file",
        ),
        ({"grid": {"seed": 4}}, r"sweep key 'grid.seed': expected a list of values.*got 4"),
        ({"grid": {"seed": []}}, r"sweep key 'grid.seed': expected a list of values"),
        ({"grid": {"seed": "abc"}}, r"sweep key 'grid.seed': expected a list of values"),
        ({"grid": {"seed": {"range": 0}}}, r"sweep key 'grid.seed': expected more than 0, got 0"),
        ({"grid": {"seed": {"range": [8, 2]}}}, r"expected a range of 1 .. 1000000 values"),
        ({"grid": {"seed": {"range": [0, 10**7]}}}, r"expected a range of 1 .. 1000000 values"),
        ({"grid": {"seed": {"range": [0, 10**12]}}}, r"expected a range of 1 .. 1000000 values"),
        (
            {"grid": {"seed": {"range": [10**30, 10**31]}}},
            r"sweep key 'grid.seed': expected a whole number, got .10{30}, 10",
        ),
        (
            {"grid": {"seed": {"range": 10**6}, "data.split_seed": {"range": 10**6}}},
            r"sweep key 'grid': expected at most 100,000 combinations of values, got 1,000,000,000,000",
        ),
        ({"grid": {"seed": [None]}}, r"expected numbers, texts, true, false, and lists of those, got None"),
        ({"grid": {"seed": [[[1]]]}}, r"expected numbers, texts, true, false, and lists of those"),
    ],
)
def test_what_is_no_sweep_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError, match=message):
        parse_sweep(document)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"sed": [1]}, "'sed': is not known.*did you mean 'seed'"),
        ({"targt": ["lava"]}, "'targt': is not known.*did you mean 'target'"),
        ({"target.name": ["lava"]}, "'target.name': is not known"),
        ({"pruning.synapse_fractoin": [0.1]}, "did you mean 'synapse_fraction'"),
        ({"pruning.synapse_fraction": [0.1, 7]}, "'pruning.synapse_fraction': expected at most 1.0, got 7"),
        ({"quantization.weight_bits": [8, 99]}, "'quantization.weight_bits.*99"),
        ({"target": [1]}, "expected the name of a target, got 1|target '1' is not known"),
    ],
)
def test_a_key_or_value_that_no_experiment_has_is_named(grid: dict[str, Any], message: str) -> None:
    with pytest.raises((ExperimentError, UnknownNameError), match=message):
        parse_sweep({"experiment": {"pruning": {"method": "lnp"}}, "grid": grid})


def test_the_point_at_which_values_contradict_one_another_is_told() -> None:
    grid = {"model.neurons": [600, 100], "pruning.neurons": [50, 500]}
    with pytest.raises(ExperimentError, match=r"expected at most model.neurons = 100, got 500") as caught:
        parse_sweep({"grid": grid})
    assert caught.value.__notes__ == ["at the point model.neurons = 100, pruning.neurons = 500"]


def test_a_key_inside_of_what_is_no_section_is_refused() -> None:
    with pytest.raises(ExperimentError, match="cannot be varied: the experiment says that pruning is False"):
        parse_sweep({"experiment": {"pruning": False}, "grid": {"pruning.neurons": [10]}})


@pytest.mark.parametrize("keys", [("pruning.neurons", "pruning"), ("pruning", "pruning.neurons")])
def test_keys_of_which_one_sets_the_other_are_refused(keys: tuple[str, str]) -> None:
    values: dict[str, list[Any]] = {"pruning.neurons": [50], "pruning": [False]}
    expected = "'pruning.neurons': cannot be varied beside 'pruning', which sets it, too"
    with pytest.raises(ExperimentError, match=expected):
        parse_sweep({"grid": {key: values[key] for key in keys}})
    with pytest.raises(ExperimentError, match=expected):
        parse_sweep({"search": {"space": {key: values[key] for key in keys}}})


def test_targets_must_be_installed_and_a_chip_must_be_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lava'"):
        parse_sweep({"grid": {"target": ["emulator", "lva"]}})
    with pytest.raises(UnknownNameError, match="did you mean 'lava'") as unknown:
        parse_sweep(_seeds(compare={"exact": ["lavaa"]}))
    assert unknown.value.__notes__ == ["as compare.exact"]
    with pytest.raises(TargetError, match="has no cores to fill") as unfit:
        parse_sweep(_seeds(compare={"chip": "lava"}))
    assert unfit.value.__notes__ == ["as compare.chip"]


def test_errors_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    with pytest.raises(MissingFileError, match="sweep file"):
        load_sweep(file)
    file.write_text("[grid")
    with pytest.raises(SweepError, match="sweep key '\\(file\\)': is not TOML") as caught:
        load_sweep(file)
    file.write_text("[grid]\nsed = [1]")
    with pytest.raises(ExperimentError) as caught:
        load_sweep(file)
    assert f"in sweep file '{file}'" in caught.value.__notes__
    file.write_text('experiment = "none.toml"\n[grid]\nseed = [1]')
    with pytest.raises(MissingFileError, match="none.toml"):
        load_sweep(file)
    (tmp_path / "none.toml").write_text("[model")
    with pytest.raises(ExperimentError, match="none.toml"):
        load_sweep(file)
