"""The tasks of the study of neurons: their data, the network that is trained, and how a build is measured."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolchain.data import Encoding, SeriesCode, encode, in_rows, load_digits, lorenz63
from toolchain.data.series.windows import windows_of
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.decode import scores
from toolchain.fidelity.metrics import normalised_error, valid_prediction_time
from toolchain.ir import Graph
from toolchain.models import HrsnnShape, Readout
from toolchain.models.input_code import InputCode
from toolchain.target.registry import load_target
from toolchain.training import FitOptions
from toolchain.training.ridge import fit_ridge
from toolchain.workflow.forecast import predict_from_windows

NEURONS, STEPS = 48, 64
BATCH, CALIBRATED = 64, 256
WINDOW, WINDOWS, JUDGED, STARTS, HORIZON = 16, 1280, 512, 100, 100
SPLIT = 23
"""A split of the digits that no other study uses."""
Part = Literal["validation", "test"]
Floats = NDArray[np.float64]
Figures = dict[str, float]
Predict = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Data:
    """What a network is trained on and judged by, and how.

    Attributes:
        train: Samples `[n, steps, channels]`.
        labels: Their classes, or the values that are wanted.
        judged: Samples of the part that is judged; with labels if these are classes.
        measure: Function from a graph to its figures on that part.
    """

    train: NDArray[Any]
    labels: NDArray[Any]
    judged: Stimulus
    measure: Callable[[Graph], Figures]


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        shape: The untrained network.
        readout: How its output is read.
        fit: How it is trained.
        decode: Factor of the first weights of the output.
        input_code: Integers that stand for what enters.
        data: Data to judge a part by: the validation part while settings are chosen, and the test part, which
            is looked at once.
    """

    shape: HrsnnShape
    readout: Readout
    fit: FitOptions
    decode: float
    input_code: InputCode | None
    data: Callable[[Part], Data]


# ---------------------------------------------------------------- digits, row by row


def _digits(part: Part) -> Data:
    images = in_rows(load_digits(0.3, seed=SPLIT))
    rng = np.random.default_rng(0)
    train, test = (encode(each, Encoding.RATE, 8, rng=rng) for each in (images.train, images.test))
    train_labels, labels = images.train_labels, images.test_labels
    if part == "validation":
        end = 4 * len(train) // 5
        train, test = train[:end], train[end:]
        train_labels, labels = train_labels[:end], train_labels[end:]

    def measure(graph: Graph) -> Figures:
        values = _output(graph, test)
        return {"accuracy": float(100 * (values.argmax(axis=1) == labels).mean())}

    return Data(train, train_labels, Stimulus({"input": test}, labels), measure)


def _output(graph: Graph, x: NDArray[Any]) -> Floats:
    trace = load_target("emulator").build(graph).run({"input": x}, record=("spikes", "v"))
    return scores(graph, trace, graph.outputs[0])


# ---------------------------------------------------------------- Lorenz63, window by window

CODE = SeriesCode(3, steps=STEPS // WINDOW, bits=8)


def _part(part: Part) -> tuple[Floats, Floats]:
    """Return the series to train on and that to judge by, normalised."""
    series = lorenz63()
    ends = (series.validation, series.test) if part == "test" else (series.train, series.validation)
    return series.normalised[: series.train], series.normalised[slice(*ends)]


def _every(windows: Floats, wanted: Floats, n: int) -> tuple[Floats, Floats]:
    chosen = np.arange(n) * (len(windows) // n)
    return windows[chosen], wanted[chosen]


def forecast_figures(
    judged: Floats, one_step: Predict, closed_loop: Callable[[Floats, int], Floats]
) -> Figures:
    """Return the error of the next value, and how long predictions hold.

    Args:
        judged: The part that is judged, normalised, `[time, 3]`.
        one_step: Function from windows to the changes that come next.
        closed_loop: Function from windows and a number of values to these values.
    """
    windows, wanted = _every(*windows_of(judged, WINDOW), JUDGED)
    begins = WINDOW + np.arange(STARTS) * ((len(judged) - WINDOW - HORIZON) // STARTS)
    history = np.stack([judged[i - WINDOW : i] for i in begins])
    future = np.stack([judged[i : i + HORIZON] for i in begins])
    error = normalised_error(future, closed_loop(history, HORIZON), np.ones(3))
    return {
        "one_step": float(np.sqrt(np.mean((one_step(windows) - wanted) ** 2))),
        "vpt": float(valid_prediction_time(error).mean()),
    }


def _lorenz(part: Part) -> Data:
    training, judged = _part(part)
    windows, wanted = _every(*windows_of(training, WINDOW), WINDOWS)
    rng = np.random.default_rng(0)
    shown = _every(*windows_of(judged, WINDOW), JUDGED)[0]

    def measure(graph: Graph) -> Figures:
        program = load_target("emulator").build(graph)
        return forecast_figures(
            judged,
            lambda x: _output(graph, CODE.encode_all(x, rng)),
            lambda history, n: predict_from_windows(program, graph, CODE, history, n, rng),
        )

    return Data(
        CODE.encode_all(windows, rng), wanted, Stimulus({"input": CODE.encode_all(shown, rng)}), measure
    )


def without_a_network() -> dict[str, Figures]:
    """Return what the present value, and a linear function of the same windows, predict of Lorenz63."""
    training, judged = _part("test")
    windows, wanted = _every(*windows_of(training, WINDOW), WINDOWS)
    linear = fit_ridge(windows.reshape(len(windows), -1), wanted, 1e-9)

    def changes(x: Floats) -> Floats:
        return linear(x.reshape(len(x), -1))

    def closed_loop(predict: Predict, window: Floats, n: int) -> Floats:
        values: list[Floats] = []
        for _ in range(n):
            values.append(np.clip(window[:, -1] + predict(window), -8, 8))
            window = np.concatenate([window[:, 1:], values[-1][:, None]], axis=1)
        return np.stack(values, axis=1)

    predictors: dict[str, Predict] = {
        "no change": lambda x: np.zeros((len(x), 3)),
        "linear": changes,
    }
    return {
        name: forecast_figures(judged, predict, functools.partial(closed_loop, predict))
        for name, predict in predictors.items()
    }


DIGITS, LORENZ = "sequential digits", "Lorenz63"
TASKS = {
    DIGITS: Task(
        HrsnnShape(
            channels=8,
            classes=10,
            neurons=NEURONS,
            density=0.2,
            input_density=1.0,
            gain=5.0,
            input_gain=8.0,
            readout_tau_ms=100.0,
        ),
        Readout.MEAN_V,
        FitOptions(8, BATCH, 0.04, label_smoothing=0.1),
        1.0,
        None,
        functools.cache(_digits),
    ),
    LORENZ: Task(
        HrsnnShape(
            channels=3,
            classes=3,
            neurons=NEURONS,
            density=0.2,
            input_density=1.0,
            gain=5.0,
            input_gain=2.0,
            bias=0.8,
            readout_tau_ms=10.0,
        ),
        Readout.LAST_V,
        FitOptions(8, BATCH, 0.02),
        0.1,
        CODE.input_code,
        functools.cache(_lorenz),
    ),
}
