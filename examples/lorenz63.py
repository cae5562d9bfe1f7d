"""Lorenz63 from an untrained spiking network: pruned without data, read out by ridge regression, in integers.

A clustered heterogeneous network is pruned by Lyapunov Noise Pruning, its spikes predict the next
value, and the prediction is fed back: closed loop on the emulator in real numbers and in integers, open
loop on Lava.
Run it with `python examples/lorenz63.py`; `--plot FILE` draws a prediction.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import toolchain
from toolchain.data import SeriesCode, lorenz63
from toolchain.fidelity.metrics import normalised_error, valid_prediction_time
from toolchain.frontends import from_torch
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.pruning import LnpOptions, LnpRecord, prune_recurrent
from toolchain.target.registry import load_target
from toolchain.workflow.forecast import (
    ForecastOptions,
    fit_forecaster,
    predict_closed_loop,
    predict_open_loop,
)

HISTORY, HORIZON = 150, 100


def main(seed: int, neurons: int, starts: int, iterations: int, lava_values: int, plot: Path | None) -> None:
    """Prune, fit, compile and predict; print what came out."""
    rng = np.random.default_rng(seed)
    series = lorenz63()
    values = series.normalised

    # Each value enters as a current for ten steps; eight bits carry it once the network is in integers.
    code = SeriesCode(dimensions=3, steps=10, bits=8)
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

    room = series.test - series.validation - HISTORY - HORIZON
    begins = series.validation + HISTORY + np.arange(starts) * (room // starts)
    history = np.stack([values[i - HISTORY : i] for i in begins])
    future = np.stack([values[i : i + HORIZON] for i in begins])

    # Pruning sees noise, never the series.
    options = LnpOptions(neurons=round(0.43 * neurons), synapse_fraction=0.06, iterations=iterations)
    course: list[tuple[float, float]] = []

    def observe(record: LnpRecord, left: Network) -> None:
        # Every tenth of the way the network is judged; pruning does not learn what came out.
        if plot is not None and record.iteration % max(1, iterations // 10) == 0:
            program = load_target("emulator").build(from_torch(left))
            judged = fit_forecaster(program, code, values[: series.train], ForecastOptions(), rng)
            guess = predict_closed_loop(judged, program, history, HORIZON, rng)
            error = np.minimum(normalised_error(future, guess, np.ones(3)), 10)
            course.append((record.operations, float(np.sqrt(np.mean(error**2)))))

    network, result = prune_recurrent(dense, "hidden", options, rng, cluster=shape.cluster, observe=observe)
    first, last = result.records[0], result.records[-1]
    print(f"pruned {first.neurons} -> {last.neurons} neurons, {first.synapses} -> {last.synapses} synapses")

    # Integers for Lava; the training part shows how large currents become.
    pieces = values[: series.train][:4000].reshape(16, 250, 3)
    calibration = code.encode_all(pieces, rng)
    build = toolchain.compile(network, calibration[:1], target="lava", calibration=calibration)
    emulator = load_target("emulator")
    programs = {"float": emulator.build(build.float_graph), "integers": emulator.build(build.fixed_graph)}

    # One read-out, fitted on the spikes of the float network, serves both.
    fitted = fit_forecaster(programs["float"], code, values[: series.train], ForecastOptions(), rng)
    predicted = {}
    for name, program in programs.items():
        predicted[name] = predict_closed_loop(fitted, program, history, HORIZON, rng)
        error = normalised_error(future, predicted[name], np.ones(3))
        valid = valid_prediction_time(error)
        print(
            f"closed loop, {name}: valid for {valid.mean():.1f} ± {valid.std() / starts**0.5:.1f} "
            f"of {HORIZON} values, RMSE {np.sqrt(np.mean(np.minimum(error, 10) ** 2)):.3f}"
        )

    # Open loop on Lava: the same predictions as the emulator's integers, to the last bit.
    part = history[:1, :lava_values]
    on_lava = predict_open_loop(fitted, load_target("lava").build(build.fixed_graph), part, rng)
    on_emulator = predict_open_loop(fitted, programs["integers"], part, rng)
    print(f"open loop on Lava equals the emulator: {np.array_equal(on_lava, on_emulator)}")
    if plot is not None:
        draw(plot, future[0], predicted, course)


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
