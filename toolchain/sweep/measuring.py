"""What is measured of a point: accuracies, spikes, operations, cores."""

from typing import Any, Final

import numpy as np

from toolchain.errors import TargetError
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.rows import Figures
from toolchain.target.chip_fit import Fit
from toolchain.target.registry import DEFAULT_EXECUTOR
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import check_build
from toolchain.workflow.compile import repeat_over_steps
from toolchain.workflow.judgement import Judgement
from toolchain.workflow.predict import predict_build
from toolchain.workflow.prepare import load_data
from toolchain.workflow.run_folder import TrainedRun

_MICRO: Final = 1e6


def figures_of(trained: TrainedRun, build: Build, judgement: Judgement, compare: CompareSection) -> Figures:
    """Return the figures of a point.

    Args:
        trained: Its run.
        build: Its build.
        judgement: What the comparison of the build said.
        compare: What is measured beside that.
    """
    return Figures(
        **_of_validation(trained, build),
        **tested_figures(judgement),
        **_of_network(build, judgement),
        **_of_chip(build, judgement, compare),
    )


def trial_figures(
    build: Build, judgement: Judgement, compare: CompareSection, samples: Stimulus | None
) -> Figures:
    """Return the figures of a trial of a search, which has seen no test sample.

    Args:
        build: Its build.
        judgement: What the comparison on the samples for validation said.
        compare: What is measured beside that.
        samples: These samples.
    """
    names = {"float_accuracy": "validation", "fixed_accuracy": "fixed_validation"}
    names |= {"float_rmse": "validation_rmse", "fixed_rmse": "fixed_validation_rmse"}
    measured = tested_figures(judgement)
    return Figures(
        **{name: measured[other] for other, name in names.items() if other in measured},
        **_of_network(build, judgement),
        **_of_chip(build, judgement, compare, samples),
    )


def tested_figures(judgement: Judgement) -> dict[str, Any]:
    """Return what a comparison said of the samples, by the fields of `Figures`, as if they were the test."""
    comparison = judgement.comparison
    outputs = comparison.outputs
    real = {} if outputs is None else {"float": outputs.float_error, "fixed": outputs.fixed_error}
    return {
        "float_accuracy": comparison.float_accuracy,
        "fixed_accuracy": comparison.fixed_accuracy,
        **{f"{name}_rmse": error.together for name, error in real.items() if error is not None},
        "exact": {name: result.equal for name, result in judgement.exact.items()},
    }


def validation_samples(trained: TrainedRun) -> Stimulus | None:
    """Return the samples for validation as they enter the network of a run; None if there are none."""
    samples = load_data(trained.experiment).for_validation()
    return None if samples is None else repeat_over_steps(trained.still_steps, samples)


def _of_network(build: Build, judgement: Judgement) -> dict[str, Any]:
    """Return what a network is and does."""
    cost, fixed_cost = judgement.costs
    return {
        "spike_f1": judgement.comparison.spike_f1,
        "neurons": sum(cost.neurons[name] for name in _firing(build.float_graph)),
        "synapses": sum(cost.synapses.values()),
        "operations": fixed_cost.total_operations,
    }


def _of_validation(trained: TrainedRun, build: Build) -> dict[str, Any]:
    """Return what real numbers and integers do on the samples for validation, if there are some."""
    history = trained.history
    if history.validation is None and history.validation_error is None:
        return {}
    stimulus = validation_samples(trained)
    said = predict_build(build, stimulus, DEFAULT_EXECUTOR, progress=lambda done, total: None)  # noqa: ARG005
    if said.real is None:
        return {"validation": history.validation, "fixed_validation": said.accuracy}
    errors, before = said.real.errors, history.validation_error
    float_error = None if before is None else before.float_error
    fixed_error = None if errors is None else errors.float_error
    return {
        "validation_rmse": None if float_error is None else float_error.together,
        "fixed_validation_rmse": None if fixed_error is None else fixed_error.together,
    }


def _of_chip(
    build: Build, judgement: Judgement, compare: CompareSection, samples: Stimulus | None = None
) -> dict[str, Any]:
    """Return cores and energy on the chip that was asked for, or on that of the target.

    Args:
        build: The build.
        judgement: What the comparison said.
        compare: The chip that is asked for.
        samples: Samples that were compared; by default the build's own.
    """
    fit = _fit(build, judgement, compare, samples)
    if fit is None:
        return {}
    joules = [each.dynamic_joules for each in fit.estimates if each.dynamic_joules is not None]
    band = [_MICRO * fit.steps * each for each in joules]
    return {"cores": fit.packing.cores, "microjoules": (min(band), max(band)) if band else None}


def _fit(build: Build, judgement: Judgement, compare: CompareSection, samples: Stimulus | None) -> Fit | None:
    """Return the build on its chip; None if there is none, or a part of the network is too large for it."""
    if compare.chip in {None, build.target} and compare.chips == 1:
        return None if judgement.resources is None else judgement.resources.fit
    if compare.chip is None and judgement.resources is None:
        return None
    try:
        return check_build(build, compare.chip, stimulus=samples, chips=compare.chips).fit
    except TargetError:
        return None


def _firing(graph: Graph) -> tuple[str, ...]:
    """Return the populations that can fire."""
    return tuple(node.name for node in graph.populations if np.isfinite(node.vth).any())
