"""The demo: from untrained network to Lava on real digits, in one call."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from toolchain.errors import UsageError
from toolchain.files.atomic import write_bytes
from toolchain.files.disk import check_output_file, check_output_folder
from toolchain.progress import StageProgress, no_stages
from toolchain.target.registry import STANDALONE, load_target
from toolchain.workflow.build_folder import MANIFEST, Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_trained
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.judgement import Judgement
from toolchain.workflow.run_folder import EXPERIMENT, can_continue
from toolchain.workflow.train import train

_REPORT: Final = "report.html"


@final
@dataclass(frozen=True)
class DemoResult:
    """The figures of the demo; accuracies in percent on the same held-out split.

    Attributes:
        float_accuracy: Accuracy of the unpruned network after training.
        pruned_accuracy: Accuracy of the same untrained network pruned by LNP and then trained alike.
        fixed_accuracy: Accuracy of the pruned network in integers.
        neurons_before: Neurons of the recurrent pool before pruning.
        neurons_after: Neurons of the recurrent pool after pruning.
        synapses_before: Recurrent synapses before pruning.
        synapses_after: Recurrent synapses after pruning.
        synops_before: Synaptic operations per image before pruning, over all connections in real numbers.
        synops_after: Synaptic operations per image after pruning.
        spike_f1: Spike F1 of float against fixed.
        lava_images: Number of images that ran on Lava.
        lava_equal: Whether Lava, emulator and reference were equal at every step.
        test_images: Size of the held-out split.
        seconds: Time of the work in seconds, set-up excluded.
    """

    float_accuracy: float
    pruned_accuracy: float
    fixed_accuracy: float
    neurons_before: int
    neurons_after: int
    synapses_before: int
    synapses_after: int
    synops_before: float
    synops_after: float
    spike_f1: float
    lava_images: int
    lava_equal: bool
    test_images: int
    seconds: float


def demo_experiment(seed: int = 0) -> Experiment:
    """Return the experiment of the demo, which is `examples/digits.toml`.

    Its pruning keeps few neurons, so that it fits small chips and boards, and has the settings of the first
    release: the figures that are published of the demo's network are of no other one.

    Args:
        seed: Seed of weights, pruning and the order of samples.
    """
    pruning = {"method": "lnp", "attribution": "auto", "balanced": False}
    return parse_experiment({"seed": seed, "pruning": pruning})


def run_demo(
    folder: Path,
    *,
    experiment: Experiment | None = None,
    lava_images: int = 32,
    progress: StageProgress = no_stages,
) -> tuple[DemoResult, Build, Judgement]:
    """Train, prune, compile, run on Lava and compare; leave `run/`, `build/` and `report.html` in `folder`.

    Args:
        folder: Folder to write; an earlier demo there is replaced, an interrupted one continued.
        experiment: Experiment to carry out; by default the built-in one, which prunes.
        lava_images: Number of test images that Lava runs.
        progress: Callback with the stage and how far it is.
    """
    started = time.monotonic()
    load_target(STANDALONE).check()
    experiment = experiment or demo_experiment()
    if experiment.pruning is None or not experiment.pruning.baseline:
        raise UsageError(
            "the demo compares with the unpruned network; it needs [pruning] with baseline = true"
        )
    _clear_demo(folder, experiment)
    trained = train(experiment, folder / "run", progress)
    build = compile_trained(trained, STANDALONE)
    judgement = compare_build(
        build, exact=(STANDALONE,), samples=lava_images, attribute=True, progress=progress
    )
    build.save(folder / "build", judgement)
    write_bytes(folder / _REPORT, (folder / "build" / _REPORT).read_bytes())
    return _demo_result(build, judgement, time.monotonic() - started), build, judgement


def check_demo_output(folder: Path) -> None:
    """Raise unless a demo can be written to a folder; what else it holds stays.

    Raises:
        UsageError: Something that is no part of a demo stands where a part will.
        StorageError: It cannot be written.
    """
    if not folder.is_dir():
        check_output_folder(folder)
        return
    check_output_folder(folder / "run", EXPERIMENT, "a run folder")
    check_output_folder(folder / "build", MANIFEST, "a build folder")
    check_output_file(folder / _REPORT)


def _demo_result(build: Build, judgement: Judgement, seconds: float) -> DemoResult:
    fixed = judgement.comparison.fixed_accuracy
    if fixed is None:
        raise UsageError("the test samples have no labels; accuracy cannot be measured")
    sizes = build.facts.sizes
    if sizes is None or sizes.recurrent_synapses is None or sizes.accuracy is None:
        raise UsageError("the run holds no unpruned network; nothing can be compared with it")
    return DemoResult(
        float_accuracy=round(sizes.accuracy.before, 3),
        pruned_accuracy=round(sizes.accuracy.after, 3),
        fixed_accuracy=round(fixed, 3),
        neurons_before=int(sizes.neurons.before),
        neurons_after=int(sizes.neurons.after),
        synapses_before=int(sizes.recurrent_synapses.before),
        synapses_after=int(sizes.recurrent_synapses.after),
        synops_before=round(sizes.operations.before, 1),
        synops_after=round(sizes.operations.after, 1),
        spike_f1=round(judgement.comparison.spike_f1, 5),
        lava_images=judgement.exact[STANDALONE].samples,
        lava_equal=judgement.exact[STANDALONE].equal,
        test_images=judgement.comparison.samples,
        seconds=round(seconds, 1),
    )


def _clear_demo(folder: Path, experiment: Experiment) -> None:
    """Remove an earlier demo, and nothing else; an interrupted training of the same demo stays."""
    run, build = folder / "run", folder / "build"
    check_demo_output(folder)
    if not can_continue(run, experiment):
        shutil.rmtree(run, ignore_errors=True)
    shutil.rmtree(build, ignore_errors=True)
    (folder / _REPORT).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
