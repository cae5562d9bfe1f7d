"""Classifiers as rates: real numbers keep what onnxruntime says, and integers keep what real numbers say."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save_model
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from targets.emulator.target import EmulatorTarget
from tests.exactness import check_equal
from toolchain import ir
from toolchain.cli.main import main
from toolchain.errors import UsageError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import predictions
from toolchain.interchange.onnx.from_onnx import from_onnx
from toolchain.ir import Graph
from toolchain.ir.currents import Branch, Current, Sent
from toolchain.rate_coding.activation_network import INPUT, ActivationNetwork, Rectified
from toolchain.rate_coding.graded_input import graded_input, range_notes
from toolchain.rate_coding.spiking_network import RateCode, rate_coded
from toolchain.rate_coding.threshold_balancing import fitted_units, lowered_share
from toolchain.target.registry import load_target
from toolchain.workflow.compile_file import compile_file
from toolchain.workflow.load import load

Images = NDArray[np.float64]


@pytest.fixture(scope="module")
def trained() -> tuple[MLPClassifier, Images, Images]:
    """A classifier of two hidden layers, the images it was trained on, and some it has not seen."""
    data: Any = load_digits()
    x, order = data.data / 16, np.random.default_rng(0).permutation(len(data.data))
    seen, other = x[order[:1300]], x[order[1300:]]
    model = MLPClassifier((64, 32), max_iter=60, random_state=0, tol=1e-3)
    with warnings.catch_warnings():
        # Sixty epochs are enough here; more would only take time.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(seen, data.target[order[:1300]]), seen, other[:250]


def _saved(model: MLPClassifier, path: Path, steps: list[np.ndarray] | None = None) -> Path:
    """Write a classifier; with steps, one per layer or per neuron, as whole numbers."""
    tensors: dict[str, np.ndarray] = {}
    nodes, value = [], "x"
    for i, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        tensors |= {f"w{i}": weights.astype(np.float32), f"b{i}": bias.astype(np.float32)}
        if steps is not None:
            tensors |= {f"q{i}": _whole(weights, steps[i]), f"s{i}": steps[i].astype(np.float32)}
            del tensors[f"w{i}"]
            inputs = [f"q{i}", f"s{i}"]
            nodes.append(helper.make_node("DequantizeLinear", inputs, [f"w{i}"], name=f"weights{i}", axis=1))
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"g{i}"], name=f"dense{i}"))
        value = f"g{i}"
        if i < len(model.coefs_) - 1:
            nodes.append(helper.make_node("Relu", [value], [f"r{i}"], name=f"relu{i}"))
            value = f"r{i}"
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def _whole(weights: np.ndarray, step: np.ndarray) -> NDArray[np.int8]:
    return np.rint(weights / step).astype(np.int8)


@pytest.fixture(scope="module")
def digits(
    trained: tuple[MLPClassifier, Images, Images], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Images, Images, NDArray[np.int64]]:
    """A classifier as a file; training images, images it has not seen and their classes in scikit-learn."""
    model, seen, other = trained
    path = _saved(model, tmp_path_factory.mktemp("digits") / "digits.onnx")
    return path, seen, other, np.asarray(model.predict(other))


def _classes(graph: Graph, images: Images, steps: int) -> NDArray[np.int64]:
    shown = Stimulus.of(np.repeat(images[:, None], steps, axis=1))
    return predictions(graph, load_target("emulator").build(graph).run(shown, record=("spikes", "v")))


@pytest.mark.parametrize("steps", [16, 128])
def test_rates_and_integers_keep_the_classes_however_long_an_image_is_shown(
    digits: tuple[Path, Images, Images, NDArray[np.int64]], steps: int
) -> None:
    path, seen, images, expected = digits
    shown = np.repeat(seen[:100, None], steps, axis=1)
    build = compile_file(path, stimulus=shown)
    real, whole = (_classes(graph, images, steps) for graph in (build.float_graph, build.fixed_graph))
    assert np.mean(real == expected) > 0.95
    assert np.mean(whole == real) > 0.97
    for row in build.quantization.connections.values():
        assert row.relative_rms_error < 0.1


@given(st.integers(1, 5), st.integers(1, 6), st.floats(0.1, 10), st.integers(0, 1000))
def test_a_spike_stands_for_what_the_line_through_zero_says(
    samples: int, channels: int, slope: float, seed: int
) -> None:
    rates = np.random.default_rng(seed).random((samples, channels, 2, 3)) + 0.01
    units = fitted_units(slope * rates, rates, otherwise=7.0)
    assert units.shape == (channels, 1, 1)
    assert np.allclose(units, slope)


def test_a_channel_that_is_seldom_active_stands_for_what_its_layer_does() -> None:
    rates = np.zeros((4, 3))
    rates[:, 0], rates[0, 1] = 0.5, 1e-4
    activations = rates * np.array([2.0, 9.0, 1.0])
    often, seldom, never = fitted_units(activations, rates, otherwise=7.0)
    assert often == pytest.approx(2.0, rel=1e-6)
    assert seldom == pytest.approx(2.0, rel=1e-3)
    assert never == pytest.approx(2.0, rel=1e-6)
    assert (fitted_units(activations, np.zeros((4, 3)), otherwise=7.0) == 7.0).all()


def test_thresholds_are_lowered_to_the_mean_rate_and_not_below_a_quarter() -> None:
    wanted = np.array([[0.4, 0.2]])
    assert lowered_share(np.array([[0.2, 0.1]]), wanted) == pytest.approx(0.5)
    assert lowered_share(np.array([[0.9, 0.9]]), wanted) == 1.0
    assert lowered_share(np.array([[0.0, 0.0]]), wanted) == 0.25
    assert lowered_share(np.array([[0.0, 0.0]]), np.zeros((1, 2))) == 1.0


def _layer(weights: Images) -> ActivationNetwork:
    source = Sent(INPUT, (weights.shape[1],), spikes=False)
    current = Current((Branch("w", source, weights),), np.zeros(len(weights)), (len(weights),))
    return ActivationNetwork((weights.shape[1],), (Rectified("hidden", current),), current)


@given(st.integers(1, 255), st.integers(1, 9), st.integers(0, 1000))
@settings(max_examples=30)
def test_counts_of_a_subtracting_layer_are_its_activations_rounded_to_steps_times_spikes(
    most: int, steps: int, seed: int
) -> None:
    frames = np.random.default_rng(seed).uniform(-1, 1, (12, 3)).astype(np.float32)
    network = _layer(np.eye(3))
    code = RateCode(max_spikes=most, percentile=100, balance=False)
    graph = rate_coded(network, frames, name="n", steps=steps, classes=(), code=code).graph
    still = np.repeat(frames[:, None].astype(np.float64), steps, axis=1)
    counts = reference.run(graph, still).spikes["hidden"].sum(axis=1, dtype=np.int64)
    levels = steps * most * np.maximum(frames, 0) / frames.max()
    assert counts.max() == steps * most
    # Rounded, half a level either way; sums of real numbers are not exact.
    assert np.abs(counts - levels).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("most", [1, 3, 15])
def test_several_spikes_a_step_keep_the_classes_in_a_few_steps_in_every_execution(
    digits: tuple[Path, Images, Images, NDArray[np.int64]], most: int
) -> None:
    path, seen, images, expected = digits
    steps = 8 if most == 1 else 4
    shown = np.repeat(seen[:100, None], steps, axis=1)
    build = compile_file(path, stimulus=shown, code=RateCode(max_spikes=most))
    real, whole = (_classes(graph, images, steps) for graph in (build.float_graph, build.fixed_graph))
    assert np.mean(real == expected) > 0.95
    assert np.mean(whole == real) > 0.97
    counts = build.fixed_graph.types["relu0"]
    assert counts.kind is (ir.EdgeKind.SPIKE if most == 1 else ir.EdgeKind.GRADED)
    x = shown[:3]
    check_equal(build.fixed_graph, reference.run(build.fixed_graph, x), EmulatorTarget(), x)


def test_the_command_line_says_how_many_spikes_a_neuron_sends(
    digits: tuple[Path, Images, Images, NDArray[np.int64]], tmp_path: Path
) -> None:
    path, seen, _, _ = digits
    Stimulus.of(np.repeat(seen[:8, None], 4, axis=1)).save(tmp_path / "s.npz")
    example = ["--example", str(tmp_path / "s.npz"), "-o", str(tmp_path / "b")]
    assert main(["compile", str(path), "--max-spikes", "7", *example]) == 0
    hidden = load(tmp_path / "b").fixed_graph.populations[0]
    assert (hidden.max_spikes, hidden.reset) == (7, ir.Reset.SUBTRACT)


def test_a_code_of_rates_is_refused_for_what_holds_neurons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.nir").write_bytes(b"x")
    assert main(["compile", str(tmp_path / "x.nir"), "--max-spikes", "7", "-o", str(tmp_path / "b")]) == 2
    assert "--max-spikes says how activations" in " ".join(capsys.readouterr().err.split())


def test_a_message_has_more_bits_where_weights_need_fewer(rng: np.random.Generator) -> None:
    weights, frames = rng.normal(size=(8, 20)), rng.random((10, 20))
    bits = [
        graded_input(_layer(weights), frames * peak, {"hidden": threshold}).bits
        for peak, threshold in ((1.0, 1.0), (1.0, 100.0), (1.0, 1e5), (1000.0, 1e5))
    ]
    assert bits == [8, 6, 4, 6]
    found = graded_input(_layer(weights), frames / frames.max() * 3, {"hidden": 1.0})
    assert found.scale == pytest.approx(255 / 3)
    assert graded_input(_layer(weights), frames * 0, {"hidden": 1.0}).scale == 255


def test_filters_delay_by_an_eighth_of_the_time_shown(
    digits: tuple[Path, Images, Images, NDArray[np.int64]],
) -> None:
    path, seen, _, _ = digits

    def decays(steps: int, code: RateCode | None = None) -> list[float]:
        samples = Stimulus.of(np.repeat(seen[:20, None], steps, axis=1))
        graph = from_onnx(path, samples=samples, code=code).graph
        return [float(node.du[0]) for node in graph.populations if isinstance(node, ir.Lif)]

    # The first layer reads the still input, the last integrates all that comes.
    assert decays(8) == [1.0, 0.5, 1.0]
    assert decays(64) == [1.0, 0.25, 1.0]
    assert decays(8, RateCode(current_decay=1.0)) == [1.0, 1.0, 1.0]
    assert decays(8, RateCode(max_spikes=1)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("most", [0, -1, 256])
def test_more_spikes_than_a_message_holds_are_refused(most: int) -> None:
    with pytest.raises(UsageError, match=f"`max_spikes` of 1 to 255 spikes a step, got {most}"):
        RateCode(max_spikes=most)


@pytest.mark.parametrize(
    "wrong",
    [
        {"largest_rate": 0.0},
        {"largest_rate": 1.5},
        {"largest_rate": 4.0, "max_spikes": 3},
        {"percentile": 101},
        {"current_decay": 0.0},
    ],
)
def test_a_code_outside_of_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="none of them 0"):
        RateCode(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("per_neuron", [False, True])
def test_whole_numbers_of_a_quantized_classifier_are_the_integers_of_its_synapses(
    trained: tuple[MLPClassifier, Images, Images], per_neuron: bool, tmp_path: Path
) -> None:
    model, seen, images = trained
    # Read-outs are compared with one another and share a scale, so the last layer has one step.
    peaks = [np.abs(weights).max(axis=0) for weights in model.coefs_]
    steps = [peak / 127 if per_neuron and i < 2 else peak.max() / 127 for i, peak in enumerate(peaks)]
    path = _saved(model, tmp_path / "quantized.onnx", steps)
    build = compile_file(path, stimulus=np.repeat(seen[:100, None], 32, axis=1))
    fixed = build.fixed_graph
    for population, weights, step in zip(fixed.populations, model.coefs_, steps, strict=True):
        halves = [fixed[name] for name in population.inputs]
        held = sum(_dense(half) * 2.0**half.exponent for half in halves if isinstance(half, ir.FixedDense))
        whole = _whole(weights, step).T.astype(np.float64)
        factor = np.abs(held).max(axis=1, keepdims=True) / np.abs(whole).max(axis=1, keepdims=True)
        exact = (held == whole * factor).all(axis=1)
        # Weights so small that 17 bits of threshold do not hold their step are rounded.
        assert exact.mean() > (0.9 if population.name == "relu0" else 0.999)
        assert np.array_equal(np.log2(factor[exact]), np.rint(np.log2(factor[exact])))
    real, integers = (_classes(graph, images, 32) for graph in (build.float_graph, fixed))
    assert np.mean(real == model.predict(images)) > 0.95
    assert np.mean(integers == real) > 0.97


def _dense(node: ir.FixedDense) -> NDArray[np.float64]:
    weights = node.weights.toarray() if isinstance(node.weights, csr_array) else node.weights
    return np.asarray(weights, np.float64)


def test_one_scale_for_values_of_many_sizes_is_said_to_cost(rng: np.random.Generator) -> None:
    frames = rng.random((200, 32)).astype(np.float32)
    assert not range_notes(frames)
    assert not range_notes(np.zeros((2, 3), np.float32))
    (said,) = range_notes(frames * np.where(np.arange(32) % 4, 1, 100))
    assert "those of a typical element" in said
    frames[3, 5] = -500
    (said,) = range_notes(frames)
    assert "leave such samples out" in said
