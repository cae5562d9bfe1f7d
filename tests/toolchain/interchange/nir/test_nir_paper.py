"""The networks of the NIR paper: what is read equals their equations, and integers stay close."""

from typing import Any

import nir
import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.nir_tasks import nmnist_part, sinabs_spikes
from tests.real_data import real_data
from toolchain.errors import FrontendError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.interchange.nir.file import read_nir
from toolchain.target.registry import load_target
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile_file import compile_file, import_file
from toolchain.workflow.quantization import Quantization

_DT = 1e-4


def _fold(number: int, part: slice) -> Stimulus:
    with np.load(real_data("braille", f"encoded_val_{number}.npz"), allow_pickle=False) as arrays:
        return Stimulus({"input": arrays["input"][part]}, arrays["labels"][part].astype(np.int64))


def _braille(file: str, x: NDArray[np.bool_], reset: str = "zero") -> list[NDArray[np.bool_]]:
    """Run the equations of a Braille network by Euler's method; the recurrent spikes come a step later."""
    nodes: Any = nir.read(str(real_data("nir", file))).nodes
    layers = [(nodes["fc1"], nodes["lif1.lif"], nodes["lif1.w_rec"]), (nodes["fc2"], nodes["lif2"], None)]
    sent = x.astype(np.float64)
    found: list[NDArray[np.bool_]] = []
    for affine, neuron, loop in layers:
        weights, bias = affine.weight.astype(np.float64), _bias(affine)
        size = len(weights)
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
                a = a + back @ loop.weight.astype(np.float64).T + _bias(loop)
            i = (1 - fast) * i + a
            threshold, above = neuron.v_threshold, v > neuron.v_threshold
            v = (1 - slow) * v + i
            if reset in {"subtract-delayed", "subtract-snntorch"}:
                # As snnTorch writes it: what ended a step above the threshold loses it first.
                v = v - above * threshold
            spikes[:, t] = v > threshold
            match reset:
                case "zero":
                    v = np.where(spikes[:, t], neuron.v_reset, v)
                case "subtract":
                    v = v - spikes[:, t] * threshold
                case "subtract-snntorch":
                    v = v - (1.0 * spikes[:, t] - above) * threshold
                case _:
                    pass
        found.append(spikes)
        sent = spikes.astype(np.float64)
    return found


def _bias(node: nir.Affine | nir.Linear) -> NDArray[np.float64]:
    return np.asarray(node.bias, np.float64) if isinstance(node, nir.Affine) else np.zeros(len(node.weight))


def test_the_braille_network_is_read_as_its_equations_spike_by_spike() -> None:
    samples = _fold(0, slice(0, 280, 14))
    graph = import_file(real_data("nir", "braille_zero.nir"), convention="snntorch", reset="zero").graph
    trace = load_target("emulator").build(graph).run(samples)
    hidden, output = _braille("braille_zero.nir", samples.values["input"])
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
        reset="zero",
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


def _single(convention: str, dt: float | None) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return spikes and potentials of the one neuron, driven as in Norse's trace."""
    x = np.loadtxt(real_data("nir", "lif_norse.csv"), delimiter=",")[None, :, :1] > 0
    path, reset = real_data("nir", "lif_norse.nir"), None if convention == "nir" else "zero"
    graph = import_file(path, convention=convention, dt=dt, reset=reset).graph
    (name,) = (node.name for node in graph.populations)
    trace = load_target("emulator").build(graph).run(x, record=("spikes", "v"))
    return trace.spikes[name][0, :, 0], trace.v[name][0, :, 0]


@pytest.mark.parametrize(("convention", "dt"), [("nir", None), ("norse-seconds", 1e-4), ("norse", 1e-4)])
def test_the_single_neuron_fires_where_its_traces_do(convention: str, dt: float | None) -> None:
    """An older Norse wrote the file, with tau in seconds, for cells with a dt of 0.1 ms."""
    spikes, v = _single(convention, dt)
    norse, snntorch, exact, lava = (
        np.loadtxt(real_data("nir", f"lif_{name}.csv"), delimiter=",")
        for name in ("norse", "snntorch", "exact", "lava_cpu_float")
    )
    assert spikes.sum() == 4
    # Norse, to single precision; snnTorch's trace has another unit of potential.
    assert np.array_equal(spikes, norse[:, 2] > 0)
    assert np.abs(v - norse[:, 1]).max() < 1e-6
    assert np.array_equal(spikes, snntorch[:, 2] > 0)
    # Lava's own connections deliver one step late.
    assert np.array_equal(spikes[:-1], lava[1:, 2] > 0)
    assert np.abs(v[:-1] - lava[1:, 1]).max() < 1e-6
    # The solution of the equation itself, which Euler's method approaches.
    assert np.array_equal(spikes, exact[:, 2] > 0)
    assert np.abs(v - exact[:, 1]).max() < 0.01


def test_the_single_neuron_is_not_taken_for_one_of_norse_1_1() -> None:
    path = real_data("nir", "lif_norse.nir")
    with pytest.raises(
        FrontendError, match='nir 0.1.1, which is older than .* `convention="norse-seconds"` .* `dt`'
    ):
        import_file(path, convention="norse")
    graph = read_nir(path)
    graph.metadata = {}
    with pytest.raises(
        FrontendError, match="'1' has tau = 0.0025, which is 2,500 steps .* `convention=\"norse-seconds\"`"
    ):
        import_file(graph, convention="norse")
    notes = import_file(path, convention="norse", dt=1e-6, reset="zero").notes
    assert any("'1' has a tau of 2,500 steps" in note for note in notes)


@pytest.mark.parametrize("reset", ["zero", "subtract", "subtract-snntorch", "subtract-delayed"])
def test_the_braille_network_that_subtracts_is_read_as_each_reset_has_it(reset: str) -> None:
    """snnTorch trained `braille_subtract.nir` with reset_delay=False, which its file cannot say."""
    path, samples = real_data("nir", "braille_subtract.nir"), _fold(0, slice(3, 4))
    graph = import_file(path, convention="snntorch", reset=reset).graph
    trace = reference.run(graph, samples, record=("spikes",))
    hidden, output = _braille("braille_subtract.nir", samples.values["input"], reset)
    assert np.array_equal(trace.spikes["lif1.lif"], hidden)
    assert np.array_equal(trace.spikes["lif2"], output)
    others = {"zero", "subtract", "subtract-snntorch", "subtract-delayed"} - {reset}
    for other in others:
        assert not np.array_equal(hidden, _braille("braille_subtract.nir", samples.values["input"], other)[0])


def test_the_reset_of_a_published_network_is_asked_for() -> None:
    path = real_data("nir", "braille_subtract.nir")
    with pytest.raises(FrontendError, match="'lif1.lif' fires, and files of snntorch do not say what"):
        import_file(path, convention="snntorch")
    told = read_nir(path)
    told.metadata = {"reset": "subtract"}
    notes = import_file(told, convention="snntorch").notes
    assert any(
        note.endswith("threshold from the potential at once (the metadata of the file)") for note in notes
    )


def test_edges_to_a_node_that_is_not_there_are_refused_by_its_name() -> None:
    """As found in the wild: inner edges name `lif`, the node is `lif1`."""
    with pytest.raises(FrontendError, match="no node 'lif1.lif'"):
        import_file(real_data("nir", "braille_zero_subgraph.nir"), convention="snntorch")


def test_the_convolutional_network_is_read_as_sinabs_runs_it_without_a_limit_of_potentials() -> None:
    """Two recordings, all neurons and steps; the default limit makes layer 1 fire 1.6 times as often."""
    path = real_data("nir", "nmnist_sinabs.nir")
    samples = nmnist_part(real_data("nmnist", "nmnist_train_1000.zip").parents[1], slice(0, 2))
    found = import_file(path, convention="sinabs", reset="zero")
    trace = load_target("emulator").build(found.graph).run(samples)
    for i, x in enumerate(samples.values["input"]):
        free, limited = sinabs_spikes(path, x, -np.inf), sinabs_spikes(path, x, -1.0)
        for name, spikes in free.items():
            assert np.array_equal(trace.spikes[name][i].reshape(spikes.shape), spikes), name
        assert 1.5 * free["1"].sum() < limited["1"].sum() < 1.8 * free["1"].sum()
    (said,) = (note for note in found.notes if "min_v_mem of from_model" in note)
    assert "'1', '3', '6', '10', '12' may fall below -1" in said
    assert "min_v_mem=None" in said
