"""The tasks of the LNP study: how the untrained network looks, and how a pruned one is measured."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from toolchain.data import (
    Encoding,
    Series,
    SeriesCode,
    encode,
    in_rows,
    load_digits,
    lorenz63,
    mackey_glass,
    rossler,
)
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.cost import Cost, measure_cost
from toolchain.fidelity.metrics import normalised_error, valid_prediction_time
from toolchain.frontends import from_torch
from toolchain.models import HrsnnShape, Network
from toolchain.target.registry import load_target
from toolchain.training import FitOptions, fit
from toolchain.workflow.forecast import (
    ForecastOptions,
    fit_forecaster,
    predict_closed_loop,
    predict_open_loop,
)

NEURONS = 512
# Loihi 1, the least published: Davies et al. 2018, per synaptic operation and per update of a neuron.
OPERATION_PICOJOULES, UPDATE_PICOJOULES = 23.6, 52.0
HORIZON, HISTORY, STARTS = 100, 150, 100
EPOCHS, AP_EPOCHS = 20, 1


@dataclass(frozen=True)
class Task:
    """A task: how its untrained network looks, and how a network is measured on it."""

    shape: HrsnnShape
    measure: Callable[..., dict[str, float]]
    validate: Callable[..., float]
    activity: Callable[[Network], np.ndarray]
    retrain: Callable[[Network, int], None]


def nanojoules(operations: float, updates: float) -> float:
    """Return the least dynamic energy on Loihi 1 of synaptic operations and updates of neurons."""
    return 1e-3 * (OPERATION_PICOJOULES * operations + UPDATE_PICOJOULES * updates)


def _energy(cost: Cost, steps: int) -> float:
    return nanojoules(cost.total_operations, sum(cost.neurons.values()) * steps)


def _series_task(series: Series, steps: int) -> Task:
    values = series.normalised
    code = SeriesCode(values.shape[1], steps=steps, bits=8)
    options = ForecastOptions("hidden", windows=(30.0,))
    shape = HrsnnShape(
        channels=code.channels,
        classes=code.dimensions,
        neurons=NEURONS,
        density=0.1,
        input_density=1.0,
        gain=20.0,
        input_gain=2.0,
        bias=0.8,
    )
    begins = (
        series.validation
        + HISTORY
        + np.arange(STARTS) * ((series.test - series.validation - HISTORY - HORIZON) // STARTS)
    )
    history = np.stack([values[i - HISTORY : i] for i in begins])
    future = np.stack([values[i : i + HORIZON] for i in begins])
    one = np.ones(code.dimensions)

    def ready(network: Network) -> Any:
        network.input_code = code.input_code
        graph = from_torch(network)
        return graph, load_target("emulator").build(graph)

    def measure(
        network: Network, seed: int, *, noisy_too: bool = False, epochs: int = EPOCHS
    ) -> dict[str, float]:
        del epochs
        rng = np.random.default_rng([seed, 9])
        graph, program = ready(network)
        forecaster = fit_forecaster(program, code, values[: series.train], options, rng)
        predicted = predict_closed_loop(forecaster, program, history, HORIZON, rng)
        error = normalised_error(future, predicted, one)
        steps_ahead = predict_open_loop(forecaster, program, history[:20], rng)[:, 60:-1]
        stimulus = Stimulus({"input": code.encode_all(history[:8], rng)})
        cost = measure_cost(graph, stimulus, program.run(stimulus))
        result = {
            "vpt": float(valid_prediction_time(error).mean()),
            "rmse": float(np.sqrt(np.mean(np.minimum(error, 10) ** 2))),
            "one_step": float(np.sqrt(np.mean((steps_ahead - history[:20, 61:]) ** 2))),
            "recurrent_operations": cost.synaptic_operations.get("recur", 0.0) / HISTORY,
            "operations": cost.total_operations / HISTORY,
            "nanojoules": _energy(cost, HISTORY * code.steps) / HISTORY,
        }
        if series.name == "Lorenz63" and noisy_too:
            for decibel in (50, 40, 30, 20, 10):
                noise = 10 ** (-decibel / 20) * rng.normal(size=history.shape)
                noisy = predict_closed_loop(forecaster, program, history + noise, HORIZON, rng)
                squares = np.minimum(normalised_error(future, noisy, one), 10) ** 2
                result[f"rmse_{decibel}dB"] = float(np.sqrt(np.mean(squares)))
        return result

    def activity(network: Network) -> np.ndarray:
        _, program = ready(network)
        rng = np.random.default_rng(0)
        pieces = values[: series.train][: 8 * 200].reshape(8, 200, -1)
        spikes = program.run({"input": code.encode_all(pieces, rng)}).spikes["hidden"]
        return spikes.mean(axis=(0, 1))

    def validate(network: Network, seed: int, *, epochs: int = EPOCHS) -> float:
        del epochs
        rng = np.random.default_rng([seed, 10])
        _, program = ready(network)
        forecaster = fit_forecaster(program, code, values[: series.train], options, rng)
        room = series.validation - series.train - HISTORY - HORIZON
        at = series.train + HISTORY + np.arange(STARTS) * (room // STARTS)
        before, after = (
            np.stack([values[i + low : i + high] for i in at]) for low, high in ((-HISTORY, 0), (0, HORIZON))
        )
        predicted = predict_closed_loop(forecaster, program, before, HORIZON, rng)
        return float(valid_prediction_time(normalised_error(after, predicted, one)).mean())

    return Task(shape, measure, validate, activity, lambda _network, _seed: None)


def _digits_task(*, sequential: bool) -> Task:
    images = load_digits(0.3, seed=11)
    images = in_rows(images) if sequential else images
    steps = 4 if sequential else 16
    rng = np.random.default_rng(0)
    train, test = (encode(each, Encoding.RATE, steps, rng=rng) for each in (images.train, images.test))
    shape = HrsnnShape(
        channels=train.shape[2],
        classes=10,
        neurons=NEURONS,
        density=0.1,
        input_density=1.0 if sequential else 0.2,
        gain=20.0,
        input_gain=8.0,
        readout_tau_ms=100.0,
    )

    def trained(network: Network, seed: int, epochs: int, samples: Any = slice(None)) -> None:
        options = FitOptions(epochs, 64, 0.005, label_smoothing=0.1)
        fit(network, train[samples], images.train_labels[samples], options, seed=seed)

    def validate(network: Network, seed: int, *, epochs: int = EPOCHS) -> float:
        order = np.random.default_rng([seed, 10]).permutation(len(train))
        apart, samples = order[: len(train) // 5], np.sort(order[len(train) // 5 :])
        trained(network, seed, epochs, samples)
        with torch.inference_mode():
            scores = network(torch.from_numpy(train[apart]).float()).scores
        return float((scores.argmax(dim=1).numpy() == images.train_labels[apart]).mean())

    def measure(
        network: Network, seed: int, *, noisy_too: bool = False, epochs: int = EPOCHS
    ) -> dict[str, float]:
        del noisy_too
        trained(network, seed, epochs)
        graph = from_torch(network)
        stimulus = Stimulus({"input": test}, images.test_labels)
        program = load_target("emulator").build(graph)
        cost = measure_cost(graph, stimulus, program.run(stimulus))
        with torch.inference_mode():
            scores = network(torch.from_numpy(test).float()).scores
        right = (scores.argmax(dim=1).numpy() == images.test_labels).mean()
        return {
            "accuracy": float(100 * right),
            "recurrent_operations": cost.synaptic_operations.get("recur", 0.0),
            "operations": cost.total_operations,
            "nanojoules": _energy(cost, test.shape[1]),
        }

    def activity(network: Network) -> np.ndarray:
        with torch.inference_mode():
            spikes = network(torch.from_numpy(train[:256]).float()).spikes["hidden"]
        return spikes.mean(dim=(0, 1)).numpy()

    return Task(shape, measure, validate, activity, lambda network, seed: trained(network, seed, AP_EPOCHS))


TASKS: dict[str, Callable[[], Task]] = {
    "lorenz63": functools.cache(lambda: _series_task(lorenz63(), 10)),
    "rossler": functools.cache(lambda: _series_task(rossler(), 10)),
    "mackey_glass": functools.cache(lambda: _series_task(mackey_glass(), 2)),
    "sequential_digits": functools.cache(lambda: _digits_task(sequential=True)),
    "digits": functools.cache(lambda: _digits_task(sequential=False)),
}
