"""Every kind of network and of pruning has a complete example, and each goes the whole way to Lava."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from toolchain.models import FeedForward
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import load_experiment, parse_experiment
from toolchain.workflow.sections.fit import FitSection
from toolchain.workflow.sections.model import MODEL_KINDS, ConvolutionalModel, RecurrentModel
from toolchain.workflow.sections.pruning import PRUNING_KINDS, ChannelSelection, SparseLearning
from toolchain.workflow.sections.quantization import QuantizationSection
from toolchain.workflow.sections.wording import names_in
from toolchain.workflow.train import train

_FILES = ("vgg", "preresnet", "chrsnn", "sparse", "sparse_vgg", "module")
_SMALL: dict[str, dict[str, Any]] = {
    "vgg": {"model": {"layers": [4, "pool", 6, "pool"]}},
    "preresnet": {"model": {"widths": [4, 6]}},
    "chrsnn": {
        "model": {"neurons": 20, "density": 0.4},
        "pruning": {"neurons": 12, "synapse_fraction": 0.3, "iterations": 2},
    },
    "sparse": {"model": {"neurons": 20, "density": 0.4}, "pruning": {"fraction": 0.3, "interval": 2}},
    "sparse_vgg": {"model": {"layers": [4, "pool", 6, "pool"], "hidden": [16]}, "pruning": {"interval": 2}},
    "module": {},
}


def _document(repository: Path, name: str) -> dict[str, Any]:
    return tomllib.loads((repository / "examples" / "models" / f"{name}.toml").read_text())


def _shown(text: str, section: str) -> set[str]:
    part = text.partition(f"\n[{section}]")[2].partition("\n[")[0]
    return set(re.findall(r"^#? ?(\w+) = ", part, re.MULTILINE))


def test_every_kind_of_network_and_of_pruning_has_an_example(repository: Path) -> None:
    documents = [_document(repository, name) for name in _FILES]
    documents.append(tomllib.loads((repository / "examples" / "digits.toml").read_text()))
    experiments = [parse_experiment(document) for document in documents]
    assert {type(each.model) for each in experiments} == set(MODEL_KINDS)
    assert {type(each.pruning) for each in experiments} == {*PRUNING_KINDS, type(None)}
    names = {each.model.name for each in experiments}
    assert names == {name for kind in MODEL_KINDS for name in names_in(kind)}


def test_the_example_of_sparse_training_shows_every_key_of_it(repository: Path) -> None:
    text = (repository / "examples" / "models" / "sparse.toml").read_text()
    assert _shown(text, "pruning") == set(SparseLearning.model_fields)


def test_the_example_of_pruning_to_fit_shows_every_key_of_a_budget(repository: Path) -> None:
    path = repository / "examples" / "models" / "fit.toml"
    section = load_experiment(path).pruning
    assert isinstance(section, SparseLearning)
    assert section.fit is not None
    assert section.fit.budget().amount == 2
    assert _shown(path.read_text(), "pruning.fit") == set(FitSection.model_fields)


@pytest.mark.parametrize("name", ["vgg", "preresnet", "module"])
def test_an_example_shows_every_key_of_its_network(name: str, repository: Path) -> None:
    path = repository / "examples" / "models" / f"{name}.toml"
    experiment, text = load_experiment(path), path.read_text()
    shown = _shown(text, "model") | ({"name"} if name == "module" else set())
    assert shown == set(type(experiment.model).model_fields)
    if name == "vgg":
        assert _shown(text, "pruning") == set(ChannelSelection.model_fields)
        assert _shown(text, "quantization") == set(QuantizationSection.model_fields)


@pytest.mark.slow
@pytest.mark.parametrize("name", _FILES)
def test_an_example_goes_the_whole_way_to_lava(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    document = _document(repository, name)
    document["training"] = {"epochs": 2, "batch_size": 64, "calibration_samples": 16}
    document["data"] |= {"train_samples": 200, "test_samples": 40}
    for section, changes in _SMALL[name].items():
        document[section] = document.get(section, {}) | changes
    experiment = parse_experiment(document)
    run = train(experiment, tmp_path / "run")
    assert run.history.test is not None
    if isinstance(experiment.model, ConvolutionalModel):
        assert isinstance(run.network, FeedForward)
        assert run.history.channels or run.history.synapses
        assert (tmp_path / "run" / "pruning" / "report.html").is_file()
    build = compile_run(tmp_path / "run", target="lava")
    judgement = compare_build(build, exact=("lava",), samples=2)
    judgement.require_exact()
    assert judgement.comparison.float_accuracy == pytest.approx(run.history.test, abs=1e-6)
    sizes = build.facts.sizes
    assert (sizes is not None) == (name != "module")
    if sizes is not None:
        assert sizes.synapses.after < sizes.synapses.before
        assert (sizes.recurrent_synapses is not None) == isinstance(experiment.model, RecurrentModel)
        assert (sizes.parameters is None) == isinstance(experiment.model, RecurrentModel)
    assert (build.facts.source is not None) == (name == "module")
