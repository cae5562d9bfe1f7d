"""Trials depend on the seed, their number and the trials before them, wherever the search was interrupted."""

import json
from pathlib import Path
from typing import Any

import pytest

from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.sweep.search_journal import JOURNAL
from toolchain.sweep.search_section import SearchSection
from toolchain.sweep.search_study import SearchStudy, Trial, TrialEnd

_SPACE: dict[str, Any] = {
    "model.cluster_tau_ms": [[], [5, 10], True, 1, "x"],
    "model.neurons": {"low": 10, "high": 500, "log": True},
    "model.gain": {"low": 0.1, "high": 1, "step": 0.1},
    "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
}


def _section(**keys: Any) -> SearchSection:
    return SearchSection.model_validate_json(json.dumps({"space": _SPACE, "startup": 4} | keys))


def _measure(trial: Trial) -> tuple[float, float]:
    neurons, gain = trial.settings["model.neurons"], trial.settings["model.gain"]
    assert isinstance(neurons, int)
    assert isinstance(gain, float)
    return 100 * gain - neurons / 10, neurons * gain


def _searched(section: SearchSection, folder: Path, batches: int, *, reopened: bool = False) -> list[Trial]:
    study = SearchStudy(section, folder)
    for _ in range(batches):
        asked = [study.ask() for _ in range(2)]
        study.save()
        if reopened:
            study = SearchStudy(section, folder)
            assert [each for each in study.trials() if each.running] == asked
        for each in asked:
            study.tell(each.number, TrialEnd.MEASURED, _measure(each)[: len(section.objectives)])
        study.save()
        if reopened:
            study = SearchStudy(section, folder)
    return study.trials()


@pytest.mark.parametrize(
    "keys", [{}, {"sampler": "nsga2"}, {"sampler": "random"}, {"objectives": ["accuracy"]}]
)
def test_a_search_that_is_killed_after_every_step_has_the_same_trials(
    keys: dict[str, Any], tmp_path: Path
) -> None:
    section = _section(**keys)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = _searched(section, tmp_path / "whole", 6)
    assert _searched(section, tmp_path / "killed", 6, reopened=True) == whole
    assert len({json.dumps(each.settings) for each in whole}) > 6


def test_another_seed_draws_other_trials(tmp_path: Path) -> None:
    drawn: list[list[Trial]] = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        drawn.append(_searched(_section(seed=seed), folder, 2))
    assert drawn[0] != drawn[1]


def test_values_are_those_of_the_space(tmp_path: Path) -> None:
    section = _section(sampler="random")
    for trial in _searched(section, tmp_path, 20):
        assert trial.settings["model.cluster_tau_ms"] in section.space["model.cluster_tau_ms"]
        gain = trial.settings["model.gain"]
        assert gain in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_choices_that_are_equal_in_python_stay_apart(tmp_path: Path) -> None:
    study = SearchStudy(_section(), tmp_path)
    settings = study.trials()
    assert settings == []
    for value in (True, 1):
        given = {"model.cluster_tau_ms": value, "model.neurons": 10, "model.gain": 0.1}
        trial = study.ask(given | {"training.learning_rate": 0.01})
        assert trial.settings["model.cluster_tau_ms"] is value


def test_trials_that_failed_or_were_pruned_have_no_values(tmp_path: Path) -> None:
    section = _section(objectives=["accuracy"], prune=True)
    study = SearchStudy(section, tmp_path)
    for end in (TrialEnd.FAILED, TrialEnd.PRUNED):
        study.tell(study.ask().number, end)
    study.save()
    assert [(each.values, each.running) for each in SearchStudy(section, tmp_path).trials()] == [
        (None, False)
    ] * 2


def test_more_trials_go_on_with_the_journal_and_another_search_does_not(tmp_path: Path) -> None:
    _searched(_section(trials=4), tmp_path, 2)
    assert len(SearchStudy(_section(trials=8), tmp_path).trials()) == 4
    with pytest.raises(UsageError, match="is the journal of another search"):
        SearchStudy(_section(seed=3), tmp_path)


def test_a_journal_of_json_that_is_no_search_is_named(tmp_path: Path) -> None:
    _searched(_section(), tmp_path, 2)
    path = tmp_path / JOURNAL
    lines = path.read_text().splitlines()
    for damaged in (
        lines[1:],
        [line.replace('"op_code":5', '"op_code":77') for line in lines],
        [line.replace("CategoricalDistribution", "os.system") for line in lines],
        [line.replace('"trial_id":1', '"trial_id":99') for line in lines],
        [line for line in lines if '"op_code":4' not in line],
        [line for line in lines if "model.gain" not in line or '"op_code":2' in line],
    ):
        path.write_text("\n".join(damaged) + "\n")
        with pytest.raises(
            CorruptArtifactError, match=r"is not the journal of a search|is damaged in line \d+"
        ):
            SearchStudy(_section(), tmp_path)
