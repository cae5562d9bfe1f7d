"""Forecasting: states, loops and read-outs, on float graph and integers alike."""

import numpy as np
import pytest

from tests.graphs import lif
from toolchain import ir
from toolchain.data import SeriesCode, SeriesEncoding
from toolchain.data.series.windows import windows_of
from toolchain.errors import SeriesError, TargetError, UsageError
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.models import HrsnnShape, Network, Readout, build_hrsnn
from toolchain.target.registry import load_target
from toolchain.training import FitOptions, LinearReadout, fit
from toolchain.workflow.compile import compile_module
from toolchain.workflow.forecast import (
    Forecaster,
    ForecastOptions,
    feeding_layer,
    fit_forecaster,
    predict_closed_loop,
    predict_from_windows,
    predict_open_loop,
    run_states,
    states_of_spikes,
)

WAVE = np.sin(np.arange(1200) * 0.1)[:, None] * np.sqrt(2)
OPTIONS = ForecastOptions("hidden", segments=8, wash_out=30)


def _network(code: SeriesCode, neurons: int = 80) -> Network:
    shape = HrsnnShape(
        channels=code.channels,
        classes=1,
        neurons=neurons,
        density=0.1,
        input_density=1.0,
        gain=10.0,
        input_gain=2.0,
        bias=0.8,
    )
    network = build_hrsnn(shape, np.random.default_rng(1))
    network.input_code = code.input_code
    return network


@pytest.mark.parametrize("encoding", list(SeriesEncoding))
def test_a_sine_is_continued_whatever_the_code(encoding: SeriesEncoding, rng: np.random.Generator) -> None:
    code = SeriesCode(1, encoding, steps=10, bits=8)
    program = load_target("emulator").build(from_torch(_network(code)))
    forecaster = fit_forecaster(program, code, WAVE[:1000], OPTIONS, rng)
    predicted = predict_closed_loop(forecaster, program, WAVE[None, 1000:1100], 20, rng)
    assert predicted.shape == (1, 20, 1)
    assert np.sqrt(np.mean((predicted[0] - WAVE[1100:1120]) ** 2)) < 0.6


def test_stepping_and_running_read_the_same_states(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=5, bits=8)
    graph = from_torch(_network(code))
    program = load_target("emulator").build(graph)
    options = ForecastOptions("hidden", windows=(5.0, 20.0))
    stepped = run_states(program, code, WAVE[None, :40], options, rng)
    spikes = program.run({"input": code.encode_all(WAVE[None, :40], rng)}).spikes["hidden"]
    assert stepped == pytest.approx(states_of_spikes(spikes, 5, options.windows), abs=1e-12)
    assert stepped.shape == (1, 40, 160)
    assert spikes.any()


def test_the_filter_is_an_exponential_mean(rng: np.random.Generator) -> None:
    spikes = rng.random((2, 12, 3)) < 0.4
    forget = np.exp(-1 / 7.0)
    by_hand = sum((1 - forget) * forget ** (11 - t) * spikes[:, t] for t in range(12))
    assert states_of_spikes(spikes, 4, (7.0,))[:, -1] == pytest.approx(by_hand)


@pytest.mark.slow
def test_integers_predict_like_the_float_network(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=10, bits=8)
    calibration = code.encode_all(WAVE[:800].reshape(8, 100, 1), rng)
    build = compile_module(_network(code), calibration[:1], calibration=calibration)
    emulator = load_target("emulator")
    float_program, fixed_program = emulator.build(build.float_graph), emulator.build(build.fixed_graph)
    forecaster = fit_forecaster(float_program, code, WAVE[:1000], OPTIONS, rng)
    history = np.stack([WAVE[i : i + 80] for i in range(0, 200, 20)])
    truth = np.stack([WAVE[i + 1 : i + 81] for i in range(0, 200, 20)])
    errors = [
        np.sqrt(np.mean((predict_open_loop(forecaster, program, history, rng) - truth)[:, 40:] ** 2))
        for program in (float_program, fixed_program)
    ]
    assert errors[1] < 1.5 * errors[0] + 0.01
    assert errors[0] < 0.1


def test_lava_predicts_what_the_emulator_predicts(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=5, bits=8)
    build = compile_module(_network(code, 20), code.encode_all(WAVE[None, :100], rng))
    forecaster = Forecaster(
        code, ForecastOptions("hidden"), LinearReadout(rng.normal(size=(1, 21)), np.zeros(1))
    )
    history = WAVE[None, :12]
    one, other = (
        predict_open_loop(forecaster, load_target(name).build(build.fixed_graph), history, rng)
        for name in ("emulator", "lava")
    )
    assert np.array_equal(one, other)


def test_a_diverging_loop_stays_finite(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=2, bits=8)
    program = load_target("emulator").build(from_torch(_network(code, 10)))
    wild = Forecaster(code, ForecastOptions("hidden"), LinearReadout(np.full((1, 11), 50.0), np.ones(1)))
    assert np.isfinite(predict_closed_loop(wild, program, WAVE[None, :5], 30, rng)).all()


def test_the_layer_that_feeds_the_output_is_taken_from_the_graph() -> None:
    code = SeriesCode(1, steps=2, bits=8)
    graph = from_torch(_network(code, 10))
    assert feeding_layer(graph) == "hidden"
    two = [
        ir.Input(name="x", shape=(2,)),
        *(ir.Dense(name=f"to_{name}", inputs=("x",), weights=np.ones((2, 2))) for name in "ab"),
        *(lif(name=name, inputs=(f"to_{name}",), size=2) for name in "ab"),
        *(ir.Dense(name=f"from_{name}", inputs=(name,), weights=np.ones((1, 2))) for name in "ab"),
        lif(name="out", inputs=("from_a", "from_b"), size=1),
        ir.Output(name="output", inputs=("out",), decode=ir.Decode.LAST_V),
    ]
    with pytest.raises(UsageError, match="one population that feeds 'out', got a, b; name the one"):
        feeding_layer(Graph(tuple(two)))


def test_a_short_series_is_refused(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=2, bits=8)
    program = load_target("emulator").build(from_torch(_network(code, 10)))
    with pytest.raises(SeriesError, match="32 segments with wash-out 60 need 1985"):
        fit_forecaster(program, code, WAVE, ForecastOptions("hidden"), rng)


def test_closed_loops_need_a_target_that_can_be_stepped(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=2, bits=8)
    build = compile_module(_network(code, 10), code.encode_all(WAVE[None, :50], rng))
    program = load_target("lava").build(build.fixed_graph)
    readout = LinearReadout(np.zeros((1, 11)), np.zeros(1))
    with pytest.raises(TargetError, match="such as the emulator"):
        predict_closed_loop(
            Forecaster(code, ForecastOptions("hidden"), readout), program, WAVE[None, :5], 3, rng
        )


def test_windows_are_followed_by_their_next_value() -> None:
    series = np.arange(12, dtype=np.float64).reshape(6, 2) ** 2
    x, y = windows_of(series, 2)
    assert x.shape == (4, 2, 2)
    assert np.array_equal(x[1], series[1:3])
    assert np.array_equal(y[1], series[3] - series[2])
    assert np.array_equal(windows_of(series, 2, increments=False)[1][1], series[3])
    with pytest.raises(SeriesError, match="a window of 6 needs one more"):
        windows_of(series, 6)


def test_a_network_trained_on_windows_continues_a_sine(rng: np.random.Generator) -> None:
    code = SeriesCode(1, steps=2, bits=8)
    shape = HrsnnShape(
        channels=1, classes=1, neurons=40, density=0.1, input_density=1.0, gain=5.0, input_gain=2.0, bias=0.8
    )
    network = build_hrsnn(shape, np.random.default_rng(1), readout=Readout.LAST_V)
    network.input_code = code.input_code
    network.layer("hidden").slope = 2.0
    wave = np.sin(np.arange(600) * 0.5)[:, None] * np.sqrt(2)
    x, y = windows_of(wave[:400], 8)
    options = FitOptions(20, 32, 0.01, device="cpu")
    records = fit(network, code.encode_all(x, rng), y, options, seed=0)
    assert records[-1].accuracy is None
    assert records[-1].loss < 0.2 * records[0].loss
    graph = from_torch(network)
    program = load_target("emulator").build(graph)
    starts = range(500, 580, 10)
    history, future = (np.stack([wave[i + a : i + b] for i in starts]) for a, b in ((0, 8), (8, 13)))
    predicted = predict_from_windows(program, graph, code, history, 5, rng)
    # A quarter of the error of holding the last value.
    assert np.mean((predicted - future) ** 2) < 0.06 * np.mean((history[:, -1:] - future) ** 2)
