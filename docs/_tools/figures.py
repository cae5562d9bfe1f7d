"""The figures of the documentation, computed by Pumice each time the site is built."""

from pathlib import Path

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from scipy.signal import lfilter
from sklearn.datasets import load_digits
from torch import Generator, nn

import pumice
from toolchain.execution.trace import Trace
from toolchain.fidelity import in_model_units
from toolchain.workflow.build_folder import Build

_REAL, _INTEGER, _NEAREST = "#1f5fa8", "#c8501e", "#8a8a8a"
_STEPS, _SAMPLES, _NEURONS, _LEAK = 32, 64, 24, 0.1


def draw(folder: Path) -> None:
    """Draw all figures into a folder, as SVG."""
    folder.mkdir(exist_ok=True)
    rcParams.update({"svg.hashsalt": "pumice", "svg.fonttype": "none", "font.size": 9})
    together, nearest = _build(), _build(rounding="nearest")
    _draw_scale(together, folder / "scale.svg")
    _draw_rounding(together, nearest, folder / "rounding.svg")


def _build(**options: str) -> Build:
    """Return a small random network over digits, with weights of four bits."""
    rng = np.random.default_rng(0)
    pixels = load_digits().data[:_SAMPLES] / 16
    spikes = rng.random((_SAMPLES, _STEPS, 64)) < 0.3 * pixels[:, None]
    synapses = nn.Linear(64, _NEURONS, bias=False)
    nn.init.normal_(synapses.weight, 0.02, 0.12, generator=Generator().manual_seed(1))
    read = nn.Linear(_NEURONS, 2, bias=False)
    nn.init.normal_(read.weight, generator=Generator().manual_seed(2))
    hidden, readout = pumice.CubaLif(_NEURONS, du=0.5, dv=_LEAK), pumice.CubaLif(2, vth=np.inf)
    layers = nn.Sequential(synapses, hidden, read, readout)
    return pumice.compile(layers, spikes, quantization=pumice.Quantization(weight_bits=4, **options))


def _traces(build: Build) -> tuple[Trace, Trace]:
    """Return what the build does in real numbers and in integers, both in the units of the model."""
    emulator = pumice.load_target("emulator")
    graphs = build.float_graph, build.fixed_graph
    real, integers = (
        emulator.build(graph).run(build.stimulus, record=("spikes", "u", "v")) for graph in graphs
    )
    states = [
        {name: in_model_units(graphs[1], name, values) for name, values in state.items()}
        for state in (integers.v, integers.u)
    ]
    return real, Trace(spikes=integers.spikes, v=states[0], u=states[1])


def _draw_scale(build: Build, path: Path) -> None:
    """Draw the potential of a neuron that fires now and then in the first sample."""
    real, integers = _traces(build)
    (name,) = (node for node in real.v if real.spikes[node].any())
    neuron = int(np.abs(real.spikes[name][0].sum(axis=0) - 4.0).argmin())
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    for trace, color, label in ((real, _REAL, "real numbers"), (integers, _INTEGER, "integers / scale")):
        axes.plot(trace.v[name][0, :, neuron], color=color, label=label, linewidth=1.5)
        steps = np.flatnonzero(trace.spikes[name][0, :, neuron])
        axes.plot(
            steps, np.full(steps.size, 1.15 if color == _REAL else 1.25), "o", color=color, markersize=4
        )
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel="step", ylabel="potential, in thresholds", ylim=(None, 1.35))
    figure.legend(loc="outside right", frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _draw_rounding(together: Build, nearest: Build, path: Path) -> None:
    """Draw the error that rounding brings into potentials without spikes, rounded in two ways."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    for build, color, label, shift in (
        (nearest, _NEAREST, "to the nearest", -0.2),
        (together, _INTEGER, "together", 0.2),
    ):
        real, integers = _traces(build)
        name = next(node for node in real.v if real.spikes[node].any())
        summed = lfilter([1], [1, -1 + _LEAK], integers.u[name] - real.u[name], axis=1)
        error = np.sqrt(np.mean(summed**2, axis=(0, 1)))
        axes.bar(np.arange(error.size) + shift, error, width=0.4, color=color, label=label)
    axes.set(xlabel="neuron", ylabel="error, in thresholds")
    figure.legend(loc="outside right", frameon=False)
    figure.savefig(path, metadata={"Date": None})
