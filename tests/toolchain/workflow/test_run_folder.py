"""Run folders: complete or continued, never half believed."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from tests.small_run import recurrent_of, small_experiment
from toolchain.errors import CorruptArtifactError, FormatVersionError, MissingFileError, UsageError
from toolchain.models import FeedForward, InputCode, Network
from toolchain.models.neurons import MaskedSynapses
from toolchain.workflow.prune import prune
from toolchain.workflow.run_folder import TrainedRun, can_continue, is_run
from toolchain.workflow.train import train


def _copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "run"))


def test_a_run_holds_the_pruned_and_the_unpruned_network(small_run: Path) -> None:
    trained = TrainedRun.load(small_run)
    assert recurrent_of(trained.network).layer("hidden").size == 20
    assert recurrent_of(trained.unpruned).layer("hidden").size == 40
    assert (trained.stimulus.samples, trained.calibration.samples) == (540, 32)
    assert trained.stimulus.labels is not None
    assert len(trained.history.pruning) == 3
    assert is_run(small_run)


def test_no_pickle_lies_in_a_run(small_run: Path) -> None:
    suffixes = {item.suffix for item in small_run.rglob("*") if item.is_file()}
    assert suffixes == {".json", ".npz", ".safetensors", ".html"}


def test_the_same_command_again_finds_the_finished_run(small_run: Path, tmp_path: Path) -> None:
    folder = _copy(small_run, tmp_path)
    before = (folder / "run.json").stat().st_mtime_ns
    train(small_experiment(), folder)
    assert (folder / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("stage", ["train unpruned network", "train pruned network"])
def test_an_interrupted_run_continues_to_the_same_network(
    stage: str, small_run: Path, tmp_path: Path
) -> None:
    def interrupt(name: str, done: int, total: int) -> None:
        if (name, done) == (stage, 1):
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(small_experiment(), folder, interrupt)
    assert can_continue(folder, small_experiment())
    assert not can_continue(folder, small_experiment(seed=5))
    with pytest.raises(UsageError, match="not finished; continue it"):
        TrainedRun.load(folder)
    continued = train(small_experiment(), folder)
    assert not can_continue(folder, small_experiment())
    expected = TrainedRun.load(small_run)
    for name, tensor in recurrent_of(expected.network).state_dict().items():
        assert torch.equal(tensor, recurrent_of(continued.network).state_dict()[name])


def test_a_run_of_another_experiment_is_not_touched(small_run: Path, tmp_path: Path) -> None:
    folder = _copy(small_run, tmp_path)
    with pytest.raises(UsageError, match="another experiment"):
        train(small_experiment(seed=2), folder)


def test_somebody_elses_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not a run folder"):
        train(small_experiment(), tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_edited_missing_or_newer_file_is_named(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="run folder"):
        TrainedRun.load(tmp_path / "nowhere")
    folder = _copy(small_run, tmp_path)
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"version": 1', '"version": 9'))
    with pytest.raises(FormatVersionError):
        TrainedRun.load(folder)
    (folder / "run.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match="not the list of a pumice run"):
        TrainedRun.load(folder)
    (folder / "run.json").write_text('{"format": "pumice-run", "version": 1}')
    with pytest.raises(CorruptArtifactError, match="'files' is missing"):
        TrainedRun.load(folder)
    (folder / "run.json").write_text(text)
    weights = folder / "network" / "network.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(CorruptArtifactError, match="hash differs"):
        TrainedRun.load(folder)
    weights.unlink()
    with pytest.raises(MissingFileError, match=r"network\.safetensors"):
        TrainedRun.load(folder)


def _synapses(network: Network | FeedForward, name: str) -> int:
    synapses = recurrent_of(network).synapses[name]
    assert isinstance(synapses, MaskedSynapses)
    return synapses.count


@pytest.mark.parametrize("method", ["lnp", "activity", "magnitude", "random"])
def test_inputs_leave_too_if_asked_for(method: str, tmp_path: Path) -> None:
    section = {"method": method, "neurons": 20, "synapse_fraction": 0.2, "iterations": 2}
    folders = ("all", "some")
    whole, thin = (
        prune(small_experiment(pruning=section | {"input_fraction": share}), tmp_path / folder).network
        for share, folder in zip((1.0, 0.25), folders, strict=True)
    )
    counts = [_synapses(each, "encode") for each in (whole, thin)]
    assert counts[1] == pytest.approx(0.25 * counts[0], rel=0.1)
    assert _synapses(thin, "recur") == _synapses(whole, "recur")


def test_without_pruning_there_is_one_network(tmp_path: Path) -> None:
    trained = train(small_experiment(pruning=False), tmp_path / "run")
    assert trained.unpruned is None
    assert recurrent_of(trained.network).layer("hidden").size == 40


def test_direct_coding_makes_graded_inputs(tmp_path: Path) -> None:
    experiment = small_experiment(encoding={"name": "direct", "steps": 3}, pruning=False)
    trained = train(experiment, tmp_path / "run")
    assert recurrent_of(trained.network).input_code == InputCode(16.0, 5)
    assert trained.stimulus.values["input"].dtype.kind == "f"


@pytest.mark.parametrize("method", ["lnp", "activity", "magnitude", "random", "erdos_renyi"])
def test_every_method_prunes_to_the_same_size(method: str, tmp_path: Path) -> None:
    section = {"method": method, "neurons": 20, "synapse_fraction": 0.05, "iterations": 2}
    pruned = prune(small_experiment(pruning=section), tmp_path / "run")
    assert recurrent_of(pruned.network).layer("hidden").size == 20
    assert pruned.network.synapses["recur"].count == round(0.05 * 40 * 12)
    page = pruned.report.read_text(encoding="utf-8")
    assert f"Pruning of 40 neurons by {method}" in page
    assert ("Lyapunov spectrum" in page) == (method == "lnp")
    # Nothing is fetched: addresses only name XML vocabularies.
    assert not re.search(r'(?:src|href|url)\s*[=(]\s*["\']?https?:', page)


def test_training_goes_on_from_a_pruned_network(small_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    pruned = prune(small_experiment(), folder)
    again = prune(small_experiment(), folder)
    assert again.records == pruned.records
    before = (folder / "pruning" / "pruning.json").stat().st_mtime_ns
    trained = train(small_experiment(), folder)
    assert (folder / "pruning" / "pruning.json").stat().st_mtime_ns == before
    expected = TrainedRun.load(small_run)
    for name, tensor in recurrent_of(expected.network).state_dict().items():
        assert torch.equal(recurrent_of(trained.network).state_dict()[name], tensor)


def test_a_changed_pruning_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    prune(small_experiment(), folder)
    file = next((folder / "pruning" / "network").glob("*.safetensors"))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CorruptArtifactError, match="after the pruning"):
        prune(small_experiment(), folder)
    document = folder / "pruning" / "pruning.json"
    old = {
        name: value
        for name, value in json.loads(document.read_text()).items()
        if name in {"records", "files"}
    }
    document.write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(FormatVersionError, match="has format version 0, .* again with 'pumice prune'"):
        prune(small_experiment(), folder)
    document.write_text("[]", encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="is not the list of a pumice pruning"):
        prune(small_experiment(), folder)


def test_an_experiment_without_pruning_has_nothing_to_prune(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not prune"):
        prune(small_experiment(pruning=False), tmp_path / "run")


def test_sequences_of_rows_and_clusters_train_too(tmp_path: Path) -> None:
    experiment = small_experiment(
        data={"name": "sequential_digits"},
        encoding={"steps": 2},
        model={"neurons": 40, "density": 0.3, "cluster_tau_ms": [5, 40]},
    )
    trained = train(experiment, tmp_path / "run")
    assert trained.stimulus.values["input"].shape == (540, 16, 8)
