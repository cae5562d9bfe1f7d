"""The networks of the NIR paper: what is read equals their equations, and integers stay close."""

from typing import Any

import nir
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.real_data import real_data
from toolchain.exchange import compile_file, import_file
from toolchain.judge import compare_build
from toolchain.quantization import Quantization
from toolchain.stimulus import Stimulus
from toolchain.target import load_target

_DT = 1e-4


def _fold(number: int, part: slice) -> Stimulus:
    with np.load(real_data("braille", f"encoded_val_{number}.npz"), allow_pickle=False) as arrays:
        return Stimulus({"input": arrays["input"][part]}, arrays["labels"][part].astype(np.int64))


def _braille(x: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Run the equations of `braille_zero.nir` by Euler's method; the recurrent spikes come a step later."""
    outer: Any = nir.read(str(real_data("nir", "braille_zero.nir")))
    nodes = outer.nodes
    layers = [(nodes["fc1"], nodes["lif1.lif"], nodes["lif1.w_rec"]), (nodes["fc2"], nodes["lif2"], None)]
    sent = x.astype(np.float64)
    found: list[NDArray[np.bool_]] = []
    for affine, neuron, loop in layers:
        weights, bias = affine.weight.astype(np.float64), affine.bias.astype(np.float64)
        size = len(bias)
        slow, fast = (_DT / np.asarray(tau, np.float64) for tau in (neuron.tau_mem, neuron.tau_syn))
        gain = neuron.w_in * fast * neuron.r * slow
        # Exported so that the input of a step is added as it is.
        assert np.allclose(gain, 1, atol=1e-6)
        i, v = np.zeros((len(x), size)), np.zeros((len(x), size))
        spikes = np.zeros((len(x), x.shape[1], size), bool)
        for t in range(x.shape[1]):
            a = sent[:, t] @ weights.T + bias
            if loop is not None:
                back = spikes[:, t - 1].astype(np.float64) * (t > 0)
                a = a + back @ loop.weight.astype(np.float64).T + loop.bias.astype(np.float64)
            i = (1 - fast) * i + a
            v = (1 - slow) * v + i
            spikes[:, t] = v > neuron.v_threshold
            v = np.where(spikes[:, t], neuron.v_reset, v)
        found.append(spikes)
        sent = spikes.astype(np.float64)
    return found


def test_the_braille_network_is_read_as_its_equations_spike_by_spike() -> None:
    samples = _fold(0, slice(0, 280, 14))
    graph = import_file(real_data("nir", "braille_zero.nir"), convention="snntorch").graph
    trace = load_target("emulator").build(graph).run(samples)
    hidden, output = _braille(samples.values["input"])
    assert hidden.any()
    assert np.array_equal(trace.spikes["lif1.lif"], hidden)
    assert np.array_equal(trace.spikes["lif2"], output)


@pytest.mark.parametrize(("bits", "least"), [(8, 0.83), (12, 0.95)])
def test_integers_of_the_braille_network_fire_as_real_numbers_do(bits: int, least: float) -> None:
    """Of eight bits, rounding moves two spikes of ten; of twelve, in two synapses, hardly any."""
    judged = _fold(0, slice(0, 280, 14))
    build = compile_file(
        real_data("nir", "braille_zero.nir"),
        convention="snntorch",
        stimulus=judged,
        calibration=Stimulus.of(_fold(1, slice(0, 280, 5)).values),
        quantization=Quantization(weight_bits=bits),
    )
    comparison = compare_build(build).comparison
    assert comparison.spike_f1 >= least
    assert comparison.accuracy_drop is not None
    assert comparison.accuracy_drop <= 5.0
    if bits > 8:
        assert min(node.spike_f1 for node in comparison.nodes.values()) >= least


def test_the_single_neuron_fires_where_its_traces_do() -> None:
    """Norse's own trace, to single precision; `nir` reads the old file as it was meant."""
    trace = np.loadtxt(real_data("nir", "lif_norse.csv"), delimiter=",")
    graph = import_file(real_data("nir", "lif_norse.nir"), convention="nir").graph
    (name,) = (node.name for node in graph.populations)
    got = load_target("emulator").build(graph).run(trace[None, :, :1] > 0, record=("spikes", "v"))
    assert np.array_equal(got.spikes[name][0, :, 0], trace[:, 2] > 0)
    assert np.abs(got.v[name][0, :, 0] - trace[:, 1]).max() < 1e-6
