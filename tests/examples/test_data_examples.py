"""Every kind of data has a complete example, and each trains on small true files of its kind."""

import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.data_files import WRITERS
from toolchain.cli.main import main
from toolchain.data.codes.options import CodeOptions
from toolchain.data.pictures.cifar import load_cifar10
from toolchain.data.sets import open_pictures
from toolchain.data.sets.options import ChaosData, DataOptions, DigitsData, MackeyGlassData
from toolchain.files.documents import Document
from toolchain.workflow.experiment import Experiment, load_experiment, parse_experiment
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.sections.wording import names_in
from toolchain.workflow.train import train

_KINDS: tuple[type[Document], ...] = get_args(get_args(DataOptions)[0])
_CODES: tuple[type[Document], ...] = get_args(get_args(CodeOptions)[0])
_WITHOUT_FILES = (DigitsData, ChaosData, MackeyGlassData)
"""Kinds that are read from no path; `digits.toml` shows the first, the others are forecast."""


def _shown(text: str, section: str) -> set[str]:
    """Return the keys of a section that a file shows, those in comments included."""
    part = text.partition(f"[{section}]\n")[2].partition("\n[")[0]
    return set(re.findall(r"^#? ?(\w+) = ", part, re.MULTILINE))


def _small(document: dict[str, Any], path: Path) -> Experiment:
    data = document["data"] | {"path": str(path)}
    if "partial" in data:
        data["partial"] = True
    model, training = {"neurons": 16, "density": 0.3}, {"epochs": 1, "batch_size": 16}
    return parse_experiment(document | {"data": data, "model": model, "training": training})


def test_every_kind_that_is_read_has_an_example_or_shares_one(repository: Path) -> None:
    shown = {path.stem for path in (repository / "examples" / "data").glob("*.toml")}
    assert shown == WRITERS.keys()
    for kind in _KINDS:
        assert issubclass(kind, _WITHOUT_FILES) or shown & set(names_in(kind)), kind


@pytest.mark.parametrize("name", WRITERS)
def test_an_example_shows_every_key_of_its_kind_and_its_code(name: str, repository: Path) -> None:
    path = repository / "examples" / "data" / f"{name}.toml"
    experiment, text = load_experiment(path), path.read_text()
    assert experiment.data.name == name
    for section in ("data", "encoding"):
        options = getattr(experiment, section)
        assert _shown(text, section) == set(type(options).model_fields), section


@pytest.mark.parametrize("name", WRITERS)
def test_an_example_trains_on_files_of_its_kind(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The published files have ten thousand records each.
    monkeypatch.setattr(open_pictures, "load_cifar10", partial(load_cifar10, records=10))
    (tmp_path / "files").mkdir()
    document = tomllib.loads((repository / "examples" / "data" / f"{name}.toml").read_text())
    run = train(_small(document, WRITERS[name](tmp_path / "files")), tmp_path / "run")
    assert run.origin is not None
    assert run.stimulus.samples == run.origin.test > 0
    assert run.history.validation is not None
    assert run.stimulus.labels is not None
    assert set(run.stimulus.labels.tolist()) <= set(range(len(run.classes)))
    assert TrainedRun.load(tmp_path / "run").origin == run.origin


def test_the_command_says_where_the_samples_came_from(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (repository / "examples" / "data" / "csv.toml").read_text()
    path = WRITERS["csv"](tmp_path)
    text = text.replace("flowers.csv", str(path)).replace("epochs = 40", "epochs = 1")
    (tmp_path / "mine.toml").write_text(text)
    assert main(["train", str(tmp_path / "mine.toml"), "-o", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"data: '{path}', SHA-256 \w{{12}}: 17 to train, 2 to validate, 5 to test", said)
    assert "validation accuracy" in said
