"""`pumice train`: from an experiment file to a trained, pruned network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolchain.cli.console import answer, out, print_table, stages
from toolchain.cli.fitted import print_fit_record
from toolchain.cli.options import AsJson, ExperimentFile, OutFolder

if TYPE_CHECKING:
    from toolchain.training import EpochRecord, LearntTimeConstants
    from toolchain.workflow.run_folder import History, TrainedRun

_MUCH: Final = 3
"""Points of training accuracy that pruning may cost without a word."""


def train(
    experiment: ExperimentFile,
    output: OutFolder,
    *,
    as_json: AsJson = False,
) -> None:
    """Prune and train the network of an experiment file.

    An interrupted training continues where it stopped when the same command is given again.
    """
    from toolchain.files.disk import check_output_folder
    from toolchain.workflow.experiment import load_experiment
    from toolchain.workflow.run_folder import EXPERIMENT
    from toolchain.workflow.train import train as run

    check_output_folder(output, EXPERIMENT, "a run folder")
    settings = load_experiment(experiment)
    with stages(quiet=as_json) as progress:
        trained = run(settings, output, progress)
    answer(run_document(trained, output))
    if not as_json:
        print_run(trained, output)


def run_document(trained: "TrainedRun", folder: Path) -> dict[str, Any]:
    """Return what machines are told of a run."""
    last = trained.history.network[-1]
    return {
        "run": str(folder),
        "epochs": last.epoch,
        "loss": last.loss,
        "train_accuracy": last.accuracy,
        **_measured(trained),
        **_learnt(trained.time_constants),
    }


def print_run(trained: "TrainedRun", folder: Path) -> None:
    """Print what came of a training, and what comes next."""
    if trained.history.fit is not None:
        print_fit_record(trained.history.fit)
    _print(trained)
    out.print(f"next: pumice compile {folder} -o BUILD", soft_wrap=True)


def _print(trained: "TrainedRun") -> None:
    """Print where the samples came from, and how far the network is right on every part of them."""
    history, last = trained.history, trained.history.network[-1]
    if trained.origin is not None:
        out.print(f"data: {trained.origin.line}", soft_wrap=True)
    count = "1 epoch" if last.epoch == 1 else f"{last.epoch} epochs"
    if history.unpruned:
        # A run that is pruned to fit may have been sparse before.
        before = "unpruned network" if history.fit is None else "network before it was pruned to fit"
        out.print(
            f"the {before}, to compare: {_reached(history.unpruned[-1])}{_tested(history)}", soft_wrap=True
        )
    if history.channels:
        living = ", ".join(map(str, history.channels[-1].living))
        out.print(f"channels that are left, by layer: {living}", soft_wrap=True)
    if history.synapses and history.fit is None:
        out.print(_left(trained.synapses_left, trained.synapses_before), soft_wrap=True)
    out.print(f"trained {count}, {_reached(last)}")
    _print_held_out(history)
    for row in trained.time_constants:
        out.print(str(row), soft_wrap=True)
    if cost := _cost_of_pruning(trained):
        out.tell(cost)


def _print_held_out(history: "History") -> None:
    """Print how right the network is on the samples that it did not learn."""
    for name, errors in (("validation", history.validation_error), ("test", history.test_error)):
        if errors is not None:
            print_table(f"errors on the {name} samples", *errors.rows())
            out.print(f"{name}: {errors.sentence()}", soft_wrap=True)
    for name, right in (("validation", history.validation), ("test", history.test)):
        if right is not None:
            out.print(f"{name} accuracy {right:.2f} %")


def _cost_of_pruning(trained: "TrainedRun") -> str:
    """Return in words what pruning by a share cost on the samples that were learnt, if it cost much.

    It is not asked of test samples, since the advice is about a choice.
    """
    from toolchain.workflow.sections.pruning import SparseLearning

    section, history = trained.experiment.pruning, trained.history
    if not isinstance(section, SparseLearning) or history.fit is not None or not history.unpruned:
        return ""
    before, after = history.unpruned[-1].accuracy, history.network[-1].accuracy
    if before is None or after is None or before - after <= _MUCH:
        return ""
    return (
        f"pruning cost {before - after:.1f} points of training accuracy: a larger `fraction` under [pruning] "
        f"keeps more synapses, and more neurons leave more to choose from"
    )


def _left(left: Mapping[str, int], before: Mapping[str, int]) -> str:
    """Return in words how many synapses are left, and of how many where that is known."""
    shares = [f"{name} {count:,}{f' of {before[name]:,}' if before else ''}" for name, count in left.items()]
    total, all_before = sum(left.values()), sum(before.values())
    share = f" of {all_before:,} ({100 * total / all_before:.1f} %)" if before else ""
    return f"synapses that are left: {total:,}{share}, by connection: {', '.join(shares)}"


def _tested(history: "History") -> str:
    """Return in words how right the unpruned network is on the held-out samples, if that was measured."""
    if history.unpruned_test is not None:
        return f", test accuracy {history.unpruned_test:.2f} %"
    if history.unpruned_test_error is not None:
        return f", test: {history.unpruned_test_error.sentence()}"
    return ""


def _reached(last: "EpochRecord") -> str:
    """Return in words how far an epoch has come on the samples it learnt."""
    if last.accuracy is None:
        return f"loss {last.loss:.4f}, training RMSE {last.loss**0.5:.4g} standard deviations"
    return f"loss {last.loss:.4f}, training accuracy {last.accuracy:.2f} %"


def _measured(trained: "TrainedRun") -> dict[str, Any]:
    """Return where the samples came from and what validation gave, as JSON holds it, if there is any."""
    facts: dict[str, Any] = {}
    if trained.origin is not None:
        facts["data"] = trained.origin.model_dump(mode="json")
    if trained.history.unpruned:
        facts["unpruned"] = _unpruned(trained.history)
    if trained.history.channels:
        facts["living_channels"] = trained.history.channels[-1].living
    if trained.history.synapses:
        facts["living_synapses"] = trained.history.synapses[-1].living
    if trained.history.fit is not None:
        facts["fit"] = asdict(trained.history.fit)
    if trained.history.validation is not None:
        facts["validation_accuracy"] = trained.history.validation
    parts = {"validation": trained.history.validation_error, "test": trained.history.test_error}
    for name, errors in parts.items():
        if errors is not None:
            facts[f"{name}_error"] = errors.model_dump(mode="json")
    if trained.history.test is not None:
        facts["test_accuracy"] = trained.history.test
    return facts


def _unpruned(history: "History") -> dict[str, Any]:
    """Return how far the unpruned network came, as JSON holds it."""
    last, errors = history.unpruned[-1], history.unpruned_test_error
    facts: dict[str, Any] = {"loss": last.loss, "train_accuracy": last.accuracy}
    if history.unpruned_test is not None:
        facts["test_accuracy"] = history.unpruned_test
    if errors is not None:
        facts["test_error"] = errors.model_dump(mode="json")
    return facts


def _learnt(rows: "Sequence[LearntTimeConstants]") -> dict[str, Any]:
    """Return how time constants changed, as JSON holds it; nothing if none was learnt."""
    if not rows:
        return {}
    return {
        "time_constants": [
            {
                "layer": row.layer,
                "parameter": row.name,
                "before": row.before.as_dict(),
                "after": row.after.as_dict(),
            }
            for row in rows
        ]
    }
