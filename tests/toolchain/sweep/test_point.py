"""Points are named by what decides them: all of it, and nothing else."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.errors import ExperimentError
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.point import SharedSettings, decides_run, located, spelled, with_settings
from toolchain.workflow.experiment import parse_experiment


def test_bits_and_target_change_the_point_but_not_its_run() -> None:
    shared = SharedSettings()
    points = [
        shared.point(settings)
        for settings in (
            {"quantization.weight_bits": 4},
            {"quantization.weight_bits": 8},
            {"quantization.qat_epochs": 2},
            {"target": "lava"},
        )
    ]
    points.append(SharedSettings(compare=CompareSection(samples=7)).point({}))
    assert len({point.name for point in points}) == len(points)
    assert len({point.run_name for point in points}) == 1
    assert not decides_run("target")
    assert not decides_run("quantization.weight_bits")


@pytest.mark.parametrize("settings", [{"seed": 1}, {"model.neurons": 700}, {"pruning": False}])
def test_what_training_reads_changes_the_run(settings: dict[str, int]) -> None:
    point, usual = SharedSettings().point(settings), SharedSettings().point({})
    assert point.run_name != usual.run_name
    assert point.name != usual.name
    assert decides_run(next(iter(settings)))


def test_it_does_not_matter_where_a_value_stands_or_how_it_is_written() -> None:
    varied = SharedSettings().point({"training.gradient_clip": 2})
    fixed = SharedSettings({"training": {"gradient_clip": 2.0}, "seed": 0}).point({})
    assert varied.name == fixed.name
    assert varied.run_name == fixed.run_name


def test_other_code_of_an_own_network_is_another_run(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    document = {"model": {"module": f"{file}:make"}}
    file.write_text("first")
    before = SharedSettings(document).point({})
    names = before.run_name, before.name
    file.write_text("second")
    after = SharedSettings(document).point({})
    assert after.run_name != names[0]
    assert after.name != names[1]


def test_code_that_is_changed_under_way_is_noticed_and_names_no_other_point(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("first")
    shared = SharedSettings({"model": {"module": f"{file}:make"}})
    point = shared.point({})
    point.check_code()
    file.write_text("second")
    assert shared.point({}).name == point.name
    with pytest.raises(ExperimentError, match=r"net.py:make' was changed while the sweep was under way"):
        point.check_code()


def test_the_run_does_not_say_with_which_bits_it_began() -> None:
    point = SharedSettings({"quantization": {"weight_bits": 4}}).point({"seed": 3})
    assert point.run_experiment == parse_experiment({"seed": 3})


def test_relative_paths_are_seen_from_a_folder(tmp_path: Path) -> None:
    experiment = parse_experiment(
        {"data": {"name": "npz", "path": "a.npz", "test_path": "/b.npz"}, "model": {"module": "n.py:f"}}
    )
    moved = located(experiment, tmp_path).model_dump()
    assert moved["data"]["path"] == os.fspath(tmp_path / "a.npz")
    assert moved["data"]["test_path"] == "/b.npz"
    assert moved["model"]["module"] == f"{tmp_path}/n.py:f"
    digits = parse_experiment({})
    assert located(digits, tmp_path) == digits


@given(st.dictionaries(st.sampled_from(["seed", "model.gain", "model.neurons", "a.b.c"]), st.integers()))
def test_settings_do_not_touch_the_document(settings: dict[str, int]) -> None:
    document = {"model": {"neurons": 5}, "data": {"name": "digits"}}
    changed = with_settings(document, settings)
    assert document == {"model": {"neurons": 5}, "data": {"name": "digits"}}
    assert changed["data"] == document["data"]
    for key, value in settings.items():
        place = changed
        for part in key.split("."):
            place = place[part]
        assert place == value


def test_settings_are_spelled_as_in_a_file() -> None:
    assert spelled({"a": True, "b.c": (1, 2), "d": "x"}) == 'a = true, b.c = [1, 2], d = "x"'
    assert spelled({}) == "without settings"
