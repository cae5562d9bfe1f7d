"""Lorenz63 from an untrained spiking network: pruned without data, read out by ridge regression, in integers.

A clustered heterogeneous network is pruned by Lyapunov Noise Pruning. A read-out of its spikes predicts the
next value of the series. In closed loop each prediction is the next input, on the emulator in real numbers
and in integers; in open loop, on Lava, the true value is.

Run it with `python examples/lorenz63.py`; `--plot FILE` draws a prediction.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import toolchain
from toolchain.data import Series, SeriesCode, lorenz63
from toolchain.fidelity.metrics import normalised_error, valid_prediction_time
from toolchain.frontends import from_torch
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.pruning import LnpOptions, LnpRecord, prune_recurrent
from toolchain.target.registry import load_target
from toolchain.workflow.forecast import (
    ForecastOptions,
    feeding_layer,
    fit_forecaster,
    predict_closed_loop,
    predict_open_loop,
)

HISTORY, HORIZON = 150, 100


def main(seed: int, neurons: int, starts: int, iterations: int, lava_values: int, plot: Path | None) -> None:
    """Prune, fit, compile and predict; print what came out."""
    rng = np.random.default_rng(seed)
    series = lorenz63()
    training = series.normalised[: series.train]
    history, future = windows(series, starts)

    # Each value enters as a current for ten steps; eight bits carry it once the network is in integers.
    code = SeriesCode(dimensions=3, steps=10, bits=8)
    course = Course(code, training, history, future, rng, every=max(1, iterations // 10)) if plot else None
    network = pruned_network(code, neurons, iterations, rng, course)

    # Integers for Lava; the training part shows how large currents become.
    calibration = code.encode_all(training[:4000].reshape(16, 250, 3), rng)
    build = toolchain.compile(network, calibration[:1], target="lava", calibration=calibration)
    emulator = load_target("emulator")
    programs = {"float": emulator.build(build.float_graph), "integers": emulator.build(build.fixed_graph)}

    # One read-out, fitted on the spikes of the float network, serves both.
    forecaster = fit_forecaster(
        programs["float"], code, training, ForecastOptions(feeding_layer(build.float_graph)), rng
    )
    predicted = {}
    for name, program in programs.items():
        predicted[name] = predict_closed_loop(forecaster, program, history, HORIZON, rng)
        error = normalised_error(future, predicted[name], np.ones(3))
        valid = valid_prediction_time(error)
        print(
            f"closed loop, {name}: valid for {valid.mean():.1f} ± {valid.std() / starts**0.5:.1f} "
            f"of {HORIZON} values, RMSE {root_mean_square(error):.3f}"
        )

    # Open loop on Lava: the same predictions as the emulator's integers, to the last bit.
    start = history[:1, :lava_values]
    on_lava = predict_open_loop(forecaster, load_target("lava").build(build.fixed_graph), start, rng)
    on_emulator = predict_open_loop(forecaster, programs["integers"], start, rng)
    print(f"open loop on Lava equals the emulator: {np.array_equal(on_lava, on_emulator)}")
    if plot is not None and course is not None:
        draw(plot, future[0], predicted, course.points)


def windows(series: Series, starts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pieces of the test part: what a prediction begins with, and what it should say."""
    values = series.normalised
    room = series.test - series.validation - HISTORY - HORIZON
    begins = series.validation + HISTORY + np.arange(starts) * (room // starts)
    history = np.stack([values[i - HISTORY : i] for i in begins])
    return history, np.stack([values[i : i + HORIZON] for i in begins])


def pruned_network(
    code: SeriesCode, neurons: int, iterations: int, rng: np.random.Generator, course: "Course | None"
) -> Network:
    """Return a random network of five clusters, pruned under noise: it never sees the series."""
    shape = HrsnnShape(
        channels=code.channels,
        classes=3,
        neurons=neurons,
        density=0.1,
        cluster_tau_ms=(5, 10, 20, 40, 80),
        input_density=1.0,
        gain=20.0,
        input_gain=2.0,
        bias=0.8,
    )
    dense = build_hrsnn(shape, rng)
    dense.input_code = code.input_code
    options = LnpOptions(neurons=round(0.43 * neurons), synapse_fraction=0.06, iterations=iterations)
    network, result = prune_recurrent(dense, "hidden", options, rng, cluster=shape.cluster, observe=course)
    first, last = result.records[0], result.records[-1]
    print(f"pruned {first.neurons} -> {last.neurons} neurons, {first.synapses} -> {last.synapses} synapses")
    return network


@dataclass
class Course:
    """Judges the network at every tenth of the way; pruning does not learn what came out."""

    code: SeriesCode
    training: np.ndarray
    history: np.ndarray
    future: np.ndarray
    rng: np.random.Generator
    every: int = 1
    points: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, record: LnpRecord, network: Network) -> None:
        """Add the operations and the error of a network."""
        if record.iteration % self.every == 0:
            graph = from_torch(network)
            program, options = load_target("emulator").build(graph), ForecastOptions(feeding_layer(graph))
            forecaster = fit_forecaster(program, self.code, self.training, options, self.rng)
            guess = predict_closed_loop(forecaster, program, self.history, HORIZON, self.rng)
            error = normalised_error(self.future, guess, np.ones(3))
            self.points.append((record.operations, root_mean_square(error)))


def root_mean_square(error: np.ndarray) -> float:
    """Return the error over all values, each of which counts as 10 at most."""
    return float(np.sqrt(np.mean(np.minimum(error, 10) ** 2)))


def draw(
    path: Path, future: np.ndarray, predicted: dict[str, np.ndarray], course: list[tuple[float, float]]
) -> None:
    """Draw the first prediction of each program, and the error against the operations along the pruning."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    *axes, last = figure.subplots(4, 1)
    last.plot(*zip(*course, strict=True), marker="o", color="black")
    last.set(xlabel="recurrent operations a step under noise", ylabel="RMSE", xscale="log")
    for axis, dimension, name in zip(axes, range(3), "xyz", strict=True):
        axis.plot(future[:, dimension], color="black", label="Lorenz63")
        for label, values in predicted.items():
            axis.plot(values[0, :, dimension], label=label)
        axis.set_ylabel(name)
        axis.legend(fontsize=7, loc="upper right")
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--neurons", type=int, default=512, help="before pruning")
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--lava-values", type=int, default=20)
    parser.add_argument("--plot", type=Path, default=None)
    arguments = parser.parse_args()
    main(
        arguments.seed,
        arguments.neurons,
        arguments.starts,
        arguments.iterations,
        arguments.lava_values,
        arguments.plot,
    )
