"""Predict a time series from a CSV file with a recurrent spiking network, in integers, on Lava.

The network learns to say how the series goes on after a window of values. It then continues the test part on
its own predictions. Run it with `python examples/csv_forecast.py FILE --columns NAME ...`; without a file it
writes and reads a noisy sum of two sines.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import toolchain
from toolchain.data import Series, SeriesCode, load_csv
from toolchain.data.series.windows import windows_of
from toolchain.models import HrsnnShape, Readout, build_hrsnn
from toolchain.target.registry import load_target
from toolchain.training import FitOptions, fit
from toolchain.workflow.forecast import predict_from_windows

WINDOW, HORIZON, STARTS = 12, 6, 8


def main(series: Series, epochs: int, lava_windows: int) -> None:
    """Train, compile, predict and compare; print what came out."""
    rng = np.random.default_rng(0)
    values = series.normalised
    dimensions = values.shape[1]

    # Each value enters for two steps, as an integer of eight bits.
    code = SeriesCode(dimensions, steps=2, bits=8)
    shape = HrsnnShape(
        channels=code.channels,
        classes=dimensions,
        neurons=96,
        input_density=1.0,
        gain=5.0,
        input_gain=2.0,
        bias=0.8,
    )
    network = build_hrsnn(shape, rng, readout=Readout.LAST_V)
    network.input_code = code.input_code
    network.layer("hidden").slope = 2.0

    windows, changes = windows_of(values[: series.train], WINDOW)
    samples = code.encode_all(windows, rng)
    records = fit(network, samples, changes, FitOptions(epochs, 32, 0.01), seed=0)
    print(f"mean squared error of the training: {records[0].loss:.4f} -> {records[-1].loss:.4f}")

    build = toolchain.compile(network, samples[:64], target="lava", calibration=samples[:256])
    starts = np.linspace(series.validation, len(values) - WINDOW - HORIZON, STARTS).astype(int)
    history = np.stack([values[i : i + WINDOW] for i in starts])
    future = np.stack([values[i + WINDOW : i + WINDOW + HORIZON] for i in starts])
    emulator = load_target("emulator")
    for name, graph in (("float", build.float_graph), ("integers", build.fixed_graph)):
        predicted = predict_from_windows(emulator.build(graph), graph, code, history, HORIZON, rng)
        print(f"{name}: RMSE {rmse(predicted, future):.3f} over {HORIZON} values, in standard deviations")
    print(f"holding the last value: RMSE {rmse(history[:, -1:], future):.3f}")

    judgement = toolchain.compare(build, exact=("lava",), samples=lava_windows)
    print(judgement.sentences()[0])
    judgement.require_exact()


def rmse(predicted: np.ndarray, future: np.ndarray) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((predicted - future) ** 2)))


def example_series() -> Series:
    """Write a noisy sum of two sines to a CSV file and read it as a user reads a file."""
    time = np.arange(800)
    noise = np.random.default_rng(1).normal(size=len(time))
    wave = np.sin(0.5 * time) + 0.5 * np.sin(0.17 * time) + 0.02 * noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wave.csv"
        path.write_text("time,wave\n" + "".join(f"{t},{x}\n" for t, x in zip(time, wave, strict=True)))
        return load_csv(path, ("wave",))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="CSV file with a header, one row per time")
    parser.add_argument("--columns", nargs="*", default=(), help="columns to predict; all numbers by default")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lava-windows", type=int, default=8)
    arguments = parser.parse_args()
    read = load_csv(arguments.file, tuple(arguments.columns)) if arguments.file else example_series()
    main(read, arguments.epochs, arguments.lava_windows)
