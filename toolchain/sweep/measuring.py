"""What is measured of a point: accuracies, spikes, operations, cores."""

from typing import Any, Final

import numpy as np

from toolchain.errors import TargetError
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
    comparison, (cost, fixed_cost) = judgement.comparison, judgement.costs
    outputs = comparison.outputs
    real = {} if outputs is None else {"float": outputs.float_error, "fixed": outputs.fixed_error}
    firing = _firing(build.float_graph)
    return Figures(
        **_of_validation(trained, build),
        float_accuracy=comparison.float_accuracy,
        fixed_accuracy=comparison.fixed_accuracy,
        **{f"{name}_rmse": error.together for name, error in real.items() if error is not None},
        spike_f1=comparison.spike_f1,
        neurons=sum(cost.neurons[name] for name in firing),
        synapses=sum(cost.synapses.values()),
        operations=fixed_cost.total_operations,
        **_of_chip(build, judgement, compare),
        exact={name: result.equal for name, result in judgement.exact.items()},
    )


def _of_validation(trained: TrainedRun, build: Build) -> dict[str, Any]:
    """Return what real numbers and integers do on the samples for validation, if there are some."""
    history = trained.history
    if history.validation is None and history.validation_error is None:
        return {}
    samples = load_data(trained.experiment).for_validation()
    assert samples is not None  # noqa: S101 - they were there when the network was trained
    stimulus = repeat_over_steps(trained.still_steps, samples)
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


def _of_chip(build: Build, judgement: Judgement, compare: CompareSection) -> dict[str, Any]:
    """Return cores and energy on the chip that was asked for, or on that of the target."""
    fit = _fit(build, judgement, compare)
    if fit is None:
        return {}
    joules = [each.dynamic_joules for each in fit.estimates if each.dynamic_joules is not None]
    band = [_MICRO * fit.steps * each for each in joules]
    return {"cores": fit.packing.cores, "microjoules": (min(band), max(band)) if band else None}


def _fit(build: Build, judgement: Judgement, compare: CompareSection) -> Fit | None:
    """Return the build on its chip; None if there is none, or a part of the network is too large for it."""
    if compare.chip in {None, build.target} and compare.chips == 1:
        return None if judgement.resources is None else judgement.resources.fit
    if compare.chip is None and judgement.resources is None:
        return None
    try:
        return check_build(build, compare.chip, chips=compare.chips).fit
    except TargetError:
        return None


def _firing(graph: Graph) -> tuple[str, ...]:
    """Return the populations that can fire."""
    return tuple(node.name for node in graph.populations if np.isfinite(node.vth).any())
