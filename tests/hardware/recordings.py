"""Two recordings labelled as chips: graphs, stimuli and what was recorded. The README has their provenance.

Steps count from 0. Spikes of Loihi 1 are recorded one step after the potential that crossed the threshold;
here they stand at the step of that potential.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.graphs import fixed_lif
from tests.real_data import real_data
from toolchain import ir
from toolchain.arrays import Ints
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph
from toolchain.target.registry import load_target

ARTEFACT = 128
"""What the potential probe shows at the step of a spike, on both chips: 128 for every step of the refractory
time, which is one step. The state is zero: the next potential follows from zero (`test_rules.py`)."""
EXECUTORS = ("reference", "emulator", "lava", "lava-stock", "lava-layers", "onnx")

Spikes = NDArray[np.bool_]


@dataclass(frozen=True)
class Loihi1:
    """A network of 250-25-1 neurons over 500 steps, with the registers that stand in its authors' test.

    Attributes:
        x: Input spikes, `[500, 250]`.
        x_recorded: The same as the chip recorded them, `[499, 250]`.
        hidden_weights: `[25, 250]`, even.
        output_weights: `[1, 25]`, even.
        hidden_spikes: `[499, 25]`.
        hidden_potential: Of hidden neuron 24, `[499]`.
        output_spikes: `[499, 1]`.
        output_potential: `[499]`.
    """

    x: Spikes
    x_recorded: Spikes
    hidden_weights: Ints
    output_weights: Ints
    hidden_spikes: Spikes
    hidden_potential: Ints
    output_spikes: Spikes
    output_potential: Ints

    probed_neuron = 24
    current_decay, potential_decay, threshold = 1024, 128, 80

    def graph(self, *, du: int = current_decay - 1, delay: int = 1) -> Graph:
        """The network in Lava's integers: `du` carries a hidden + 1."""
        registers = {"du": du, "dv": self.potential_decay, "vth": self.threshold}
        return Graph(
            (
                ir.Input(name="x", shape=(250,)),
                _synapses("encode", "x", self.hidden_weights, SignMode.MIXED),
                fixed_lif("hidden", ("encode",), 25, **registers),
                ir.Delay(name="axon", inputs=("hidden",), shape=(25,), steps=delay),
                _synapses("decode", "axon", self.output_weights, SignMode.MIXED),
                fixed_lif("out", ("decode",), 1, **registers),
                ir.Output(name="output", inputs=("out",), decode=Decode.SPIKE_COUNT),
            ),
            name="loihi-1",
        )


@dataclass(frozen=True)
class Loihi2:
    """One neuron over 1,000 steps.

    Attributes:
        x: Input spikes, `[1000]`.
        potential: `[1000]`.
        spikes: `[1000]`.
        lava: What Lava's CPU model gave its authors: input, potential, spikes, `[1000, 3]`.
    """

    x: Spikes
    potential: Ints
    spikes: Spikes
    lava: Ints

    # As its authors turn a time constant of 2.5 ms, a threshold of 0.1 and steps of 0.1 ms into integers.
    du, dv, threshold, weight = 4095, 163, 25, 10

    def graph(self) -> Graph:
        """An input spike of step t is in the potential of step t + 1."""
        return Graph(
            (
                ir.Input(name="x", shape=(1,)),
                ir.Delay(name="axon", inputs=("x",), shape=(1,), steps=1),
                _synapses("encode", "axon", np.array([[self.weight]]), SignMode.EXCITATORY),
                fixed_lif("lif", ("encode",), 1, du=self.du, dv=self.dv, vth=self.threshold),
                ir.Output(name="output", inputs=("lif",), decode=Decode.SPIKE_COUNT),
            ),
            name="loihi-2",
        )


def execute(executor: str, graph: Graph, x: Spikes) -> Trace:
    """Run one sample, `[steps, channels]`, and record everything."""
    if executor == "reference":
        return reference.run(graph, x[None])
    return load_target(executor).build(graph).run(x[None], record=QUANTITIES)


def loihi1() -> Loihi1:
    """Read the recording of Loihi 1; skip the test where it is missing."""
    folder = real_data("loihi")
    times = np.loadtxt(folder / "spikeIn.txt")
    # Time in ms, 0.1 ms a step, neurons from 1; the authors start the input at step 49.
    steps, neurons = np.rint(times[:, 0] / 0.1).astype(int) + 49, times[:, 1].astype(int) - 1
    inside = steps < 500
    return Loihi1(
        x=_raster(neurons[inside], steps[inside], 500, 250),
        x_recorded=_recorded(folder / "loihiInputSpikes.txt", 250),
        hidden_weights=_weights(folder / "w1learned.txt"),
        output_weights=_weights(folder / "w2learned.txt"),
        hidden_spikes=_recorded(folder / "loihiHiddenSpikes.txt", 25),
        hidden_potential=np.loadtxt(folder / "loihiHiddenVoltage24.txt", dtype=np.int64),
        output_spikes=_recorded(folder / "loihiOutputSpikes.txt", 1),
        output_potential=np.loadtxt(folder / "loihiOutputVoltage.txt", dtype=np.int64),
    )


def loihi2() -> Loihi2:
    """Read the recording of Loihi 2; skip the test where it is missing."""
    chip, lava = (
        np.loadtxt(real_data("loihi", name), delimiter=",")
        for name in ("lif_lava_loihi_fixed.csv", "lif_lava_cpu_fixed.csv")
    )
    assert np.array_equal(chip, np.rint(chip))
    assert np.array_equal(lava, np.rint(lava))
    return Loihi2(
        x=chip[:, 0] > 0,
        potential=chip[:, 1].astype(np.int64),
        spikes=chip[:, 2] > 0,
        lava=lava.astype(np.int64),
    )


def _weights(path: Path) -> Ints:
    """Return the even integers that the authors make of their trained weights."""
    return (np.round(np.loadtxt(path, ndmin=2) * 4 / 2) * 2).astype(np.int64)


def _recorded(path: Path, size: int) -> Spikes:
    """Return recorded spikes at the step of the potential, which is one before that of the spike."""
    neurons, steps = np.loadtxt(path, dtype=int, ndmin=2).T
    raster = _raster(neurons, steps, 500, size)
    assert raster.sum() == len(steps)
    assert not raster[0].any()
    return raster[1:]


def _raster(neurons: NDArray[Any], steps: NDArray[Any], length: int, size: int) -> Spikes:
    raster = np.zeros((length, size), bool)
    raster[steps, neurons] = True
    return raster


def _synapses(name: str, source: str, weights: Ints, mode: SignMode) -> ir.FixedDense:
    return ir.FixedDense(name=name, inputs=(source,), weights=weights, exponent=0, sign_mode=mode)
