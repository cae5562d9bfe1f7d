"""Letting a build continue its own series: by real numbers and by integers, beside the truth."""

from typing import Final

import numpy as np

from toolchain.data.codes.sample_encoder import series_code
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.continuation import Continuation, series_in
from toolchain.progress import StageProgress, no_stages, stage_progress
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.build_folder import Build
from toolchain.workflow.forecast import predict_from_windows

_STARTS: Final = 32
"""Windows from which a series is continued, at most; they are evenly spaced."""


def continue_series(
    build: Build, stimulus: Stimulus, progress: StageProgress = no_stages
) -> Continuation | None:
    """Let a build that forecasts continue the series of its samples on its own predictions.

    Args:
        build: The build.
        stimulus: Samples whose windows follow one another.
        progress: Callback with the stage and how far it is.

    Returns:
        Forecasts of float and integers on the emulator; None for a build that forecasts nothing, and for
        samples that hold no series as long as a window and the horizon.
    """
    form = build.facts.outputs
    if form is None or form.forecast is None:
        return None
    forecast, series = form.forecast, series_in(stimulus, form)
    window, horizon = forecast.window, forecast.horizon
    last = len(series) - window - horizon
    if last < 0:
        return None
    starts = np.unique(np.linspace(0, last, _STARTS).round().astype(np.int64))
    history = np.stack([series[i : i + window] for i in starts])
    truth = np.stack([series[i + window : i + window + horizon] for i in starts])
    code, emulator = series_code(forecast.encoding, series.shape[1]), load_target(DEFAULT_EXECUTOR)
    said, report = list[np.ndarray](), stage_progress(progress, "continue the series")
    graphs = build.float_graph, build.fixed_graph
    for i, graph in enumerate(graphs):
        report(i, len(graphs))
        said.append(
            predict_from_windows(
                emulator.build(graph),
                graph,
                code,
                history,
                horizon,
                np.random.default_rng(0),
                increments=forecast.increments,
            )
        )
    report(len(graphs), len(graphs))
    return Continuation(form, history, truth, said[0], said[1])
