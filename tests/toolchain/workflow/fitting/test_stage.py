"""Networks are pruned until the place they run on has room for them, and runs say how."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.small_run import small_experiment
from toolchain.errors import PruningError, TargetError, UnknownNameError, UsageError
from toolchain.models import HrsnnShape, build_hrsnn
from toolchain.progress import no_stages
from toolchain.pruning.fit import SizeAnswer
from toolchain.target.registry import load_memories
from toolchain.training import save_trained
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.fitting.asking import FitQuestion
from toolchain.workflow.run_folder import TrainedRun, claim
from toolchain.workflow.train import prune_to_fit, train

_ROOMY = "bram=10 KiB"
"""A budget that the whole network fits."""


def _experiment(fit: dict[str, object], **changes: object) -> Experiment:
    document: dict[str, object] = {
        "data": {"name": "digits", "validation_fraction": 0.05, "train_samples": 200, "test_samples": 40},
        "pruning": {"fit": fit, "baseline": False},
        "quantization": {"rounding": "nearest"},
    }
    return small_experiment(**(document | changes))


def _memory(folder: Path) -> int:
    return sum(load_memories("rtl").memory_bytes(compile_run(folder, target="rtl").fixed_graph).values())


def test_a_network_is_trained_to_fit_and_its_run_compiles_to_what_was_promised(tmp_path: Path) -> None:
    run = train(_experiment({"bram": 2500}), tmp_path, no_stages)
    record = run.history.fit
    assert record is not None
    assert _memory(tmp_path) == record.amount <= record.allowed == 2500
    assert record.amount > 2000
    assert record.steps[-1].what == "after the training"
    assert record.steps[-1].accuracy is not None
    assert sum(run.history.synapses[-1].living) == sum(each.after for each in record.connections)
    assert "2,500 bytes" in (tmp_path / "pruning" / "report.html").read_text()
    assert TrainedRun.load(tmp_path).history == run.history


def test_a_convolutional_network_is_trained_to_fit(tmp_path: Path) -> None:
    changes: dict[str, object] = {
        "encoding": {"name": "direct", "steps": 2},
        "model": {"name": "vgg", "layers": [4, "pool", 4, "pool"]},
        "training": {"epochs": 1, "batch_size": 100, "calibration_samples": 32},
    }
    record = train(_experiment({"synops": 1500}, **changes), tmp_path, no_stages).history.fit
    assert record is not None
    cost = compare_build(compile_run(tmp_path, target="emulator")).costs[0]
    assert record.amount <= 1500
    assert cost.total_operations == pytest.approx(record.amount, rel=0.3), "of other samples"
    assert all(0 < each.after < each.before for each in record.connections)


def test_a_finished_run_is_pruned_to_fit_and_an_interrupted_pruning_continues(
    small_run: Path, tmp_path: Path
) -> None:
    stopped = False

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal stopped
        del total
        if stage.startswith("train and prune") and done == 1 and not stopped:
            stopped = True
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_to_fit(small_run, tmp_path / "a", _ROOMY, epochs=2, progress=progress)
    went_on = prune_to_fit(small_run, tmp_path / "a", _ROOMY, epochs=2, progress=no_stages)
    assert went_on.history.fit is not None
    at_once = prune_to_fit(small_run, tmp_path / "b", _ROOMY, epochs=2, progress=no_stages)
    assert went_on.history == at_once.history
    assert went_on.unpruned is not None
    with pytest.raises(UsageError, match="run of another experiment"):
        prune_to_fit(small_run, tmp_path / "a", "bram=1700 B", epochs=2, progress=no_stages)


@pytest.mark.parametrize("begun", ["pruning of another network", "run that was trained so"])
def test_a_folder_that_holds_the_pruning_of_another_network_is_no_answer(
    begun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that were pruned in another way, or trained for longer, are pruned to fit by one experiment."""
    shape = HrsnnShape(channels=4, classes=2, neurons=5, density=0.5)
    one, other = (build_hrsnn(shape, np.random.default_rng(seed)) for seed in (0, 1))
    before = small_experiment(pruning=None)
    monkeypatch.setattr(TrainedRun, "load", lambda _: SimpleNamespace(network=one, experiment=before))
    folder = tmp_path / "small"
    document = before.model_dump(mode="json")
    document["pruning"] = {"fit": {"bram": "10 KiB"}, "baseline": False}
    document["training"]["epochs"] = 1
    claim(folder, parse_experiment(document))
    if begun.startswith("pruning"):
        save_trained(other, folder / "unpruned")
    else:
        (folder / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="a pruning of another network"):
        prune_to_fit("run", folder, _ROOMY, epochs=1, progress=no_stages)


def test_bits_and_synapses_are_chosen_together_on_validation_samples(tmp_path: Path) -> None:
    fit: dict[str, object] = {"bram": "10 KiB", "weight_bits": [8, 4]}
    run = train(_experiment(fit), tmp_path, no_stages)
    record = run.history.fit
    assert record is not None
    assert [each.weight_bits for each in record.candidates] == [4, 8]
    best = max(record.candidates, key=lambda each: (each.accuracy or 0, -(each.weight_bits or 0)))
    assert run.experiment.quantization.weight_bits == record.weight_bits == best.weight_bits
    assert run.experiment.quantization.qat_epochs == record.qat_epochs == 1
    assert "Bits and synapses" in (tmp_path / "pruning" / "report.html").read_text()


def test_a_core_has_room_for_several_populations_before_neurons_have_to_go(tmp_path: Path) -> None:
    """One population may have all thresholds and decays of a core; then no other finds room beside it."""
    model = {"neurons": 48, "density": 0.3}
    run = train(_experiment({"target": "loihi1", "cores": 1}, model=model), tmp_path, no_stages)
    record, quantization = run.history.fit, run.experiment.quantization
    assert record is not None
    assert record.amount == 1
    assert all(each.after == each.before for each in record.layers)
    assert (record.threshold_profiles, record.decay_profiles) == (6, 30)
    assert (quantization.threshold_profiles, quantization.decay_profiles) == (6, 30)
    assert len(check_build(compile_run(tmp_path, target="loihi1")).fit.cores) == 1


def test_profiles_that_are_given_stay(tmp_path: Path) -> None:
    changes: dict[str, object] = {
        "model": {"neurons": 48, "density": 0.3},
        "quantization": {"rounding": "nearest", "threshold_profiles": 5},
    }
    run = train(_experiment({"target": "loihi1", "cores": 1}, **changes), tmp_path, no_stages)
    quantization = run.experiment.quantization
    assert (quantization.threshold_profiles, quantization.decay_profiles) == (5, 30)


def test_what_cannot_fit_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(PruningError, match="nearest budget that is possible is [0-9]+ bytes of memory"):
        train(_experiment({"bram": 100}), folder, no_stages)
    with pytest.raises(TargetError, match="has no cores to fill"):
        train(_experiment({"target": "emulator", "cores": 1}), folder, no_stages)
    with pytest.raises(TargetError, match="writes no programs for processors"):
        train(_experiment({"target": "loihi1", "flash": "1 KiB"}), folder, no_stages)
    with pytest.raises(TargetError, match="lays out no memories"):
        train(_experiment({"target": "c", "bram": "1 KiB"}), folder, no_stages)
    with pytest.raises(UnknownNameError, match="did you mean 'loihi1'"):
        train(_experiment({"target": "lohi1", "cores": 1}), folder, no_stages)
    none = {"name": "digits", "train_samples": 200, "test_samples": 40}
    with pytest.raises(PruningError, match="chosen by samples for validation"):
        train(_experiment({"bram": 4000, "weight_bits": "any"}, data=none), folder, no_stages)
    assert not folder.exists()


def test_a_trained_network_that_never_fits_says_what_it_takes(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs have parts that depend on numbers, so what fitted before the training need not after it."""
    monkeypatch.setattr(FitQuestion, "of_build", lambda *_: SizeAnswer(4321.0, 4321.0))
    monkeypatch.setattr(FitQuestion, "__call__", lambda *_: SizeAnswer(1000.0, 1000.0))
    with pytest.raises(PruningError, match="still does not fit 2,000 bytes.*: it takes 4,321 bytes") as error:
        prune_to_fit(small_run, tmp_path / "never", "bram=2000", epochs=1, progress=no_stages)
    assert "give that, or train longer" in str(error.value)
