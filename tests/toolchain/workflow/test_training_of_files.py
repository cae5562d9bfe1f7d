"""Networks from files trained on with their integers: NIR, classifiers in ONNX, netx."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.graphs import chain, dense, lif, recurrent
from tests.real_data import real_data
from tests.toolchain.interchange.netx_graphs import save, small
from toolchain import ir
from toolchain.cli.main import main
from toolchain.errors import StimulusError, TrainingError, UsageError
from toolchain.execution.stimulus import Stimulus, shared_samples
from toolchain.interchange.nir.conventions import reader_convention
from toolchain.interchange.nir.file import write_nir
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import Graph, same_structure
from toolchain.ir.matrix import values_of
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.compile_file import compile_file
from toolchain.workflow.load import load
from toolchain.workflow.quantization import Quantization, RepairOptions, repair_build

USUAL = RepairOptions.of_epochs(2)
EPOCHS = replace(USUAL, fit=replace(USUAL.fit, batch_size=8, learning_rate=0.1))


def _samples(shape: tuple[int, ...], seed: int, classes: int = 3, *, graded: bool = False) -> Stimulus:
    rng = np.random.default_rng(seed)
    values = rng.random(shape)
    return Stimulus({"input": values if graded else values < 0.4}, rng.integers(0, classes, len(values)))


def _weights(graph: Graph) -> list[list[float]]:
    return [values_of(node.weights).tolist() for node in graph.synapses]


def _nir(folder: Path) -> tuple[Path, Stimulus, Stimulus]:
    graph = recurrent(np.random.default_rng(3))
    write_nir(to_nir(graph, reader_convention("snntorch")).graph, folder / "net.nir")
    return folder / "net.nir", _samples((24, 10, 6), 1), _samples((6, 10, 6), 2)


def _onnx(folder: Path) -> tuple[Path, Stimulus, Stimulus]:
    rng = np.random.default_rng(3)
    tensors = {"w": rng.normal(size=(5, 8)), "b": rng.normal(size=8), "v": rng.normal(size=(8, 3))}
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["g"], name="first"),
        helper.make_node("Relu", ["g"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "v"], ["y"], name="second"),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, folder / "net.onnx")
    shown = [_samples((count, 1, 5), seed, graded=True) for count, seed in ((24, 1), (6, 2))]
    still = [Stimulus({"input": np.repeat(each.values["input"], 10, axis=1)}, each.labels) for each in shown]
    return folder / "net.onnx", still[0], still[1]


def _netx(folder: Path) -> tuple[Path, Stimulus, Stimulus]:
    path = save(folder / "net.net", small(np.random.default_rng(3)))
    return path, _samples((24, 10, 2, 6, 6), 1, 4), _samples((6, 10, 2, 6, 6), 2, 4)


FILES: dict[str, Callable[[Path], tuple[Path, Stimulus, Stimulus]]] = {
    "nir": _nir,
    "onnx": _onnx,
    "netx": _netx,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_network_from_a_file_is_trained_with_its_integers(kind: str, tmp_path: Path) -> None:
    path, train, example = FILES[kind](tmp_path)
    told: list[tuple[str, int, int]] = []
    options: dict[str, Any] = {"stimulus": example, "calibration": train, "target": "emulator"}
    plain = compile_file(path, **options)
    build = compile_file(
        path, **options, train=train, repair=EPOCHS, progress=lambda *each: told.append(each)
    )
    assert build.facts.repair is not None
    assert build.facts.repair.epochs == 2
    assert build.facts.imported is not None
    assert build.facts.imported.file == path.name
    assert ("train with integers", 2, 2) in told
    assert _weights(build.fixed_graph) != _weights(plain.fixed_graph)
    assert [node.name for node in build.fixed_graph] == [node.name for node in plain.fixed_graph]
    judgement = compare_build(build, exact=("onnx",), samples=2)
    judgement.require_exact()
    again = compile_file(path, **options, train=train, repair=EPOCHS)
    assert same_structure(again.fixed_graph, build.fixed_graph)
    other = compile_file(path, **options, train=train, repair=replace(EPOCHS, seed=1))
    assert _weights(other.fixed_graph) != _weights(build.fixed_graph)


def test_ranges_are_observed_on_the_training_samples(tmp_path: Path) -> None:
    """What a network is judged by should have chosen nothing."""
    path, train, example = _nir(tmp_path)
    build = compile_file(path, stimulus=example, train=train, repair=EPOCHS)
    assert build.quantization.calibration_samples == 24
    wide = Stimulus({"input": train.values["input"] * 5.0}, train.labels)
    (entered,) = compile_file(path, stimulus=example, train=wide, repair=EPOCHS).fixed_graph.inputs
    assert entered.scale == 255 / 5


def test_a_training_that_ended_early_goes_on_and_ends_with_the_same_numbers(tmp_path: Path) -> None:
    path, train, example = _nir(tmp_path)
    whole = compile_file(path, stimulus=example, train=train, repair=EPOCHS)

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("train with integers", 1):
            raise KeyboardInterrupt

    options: dict[str, Any] = {"stimulus": example, "repair": EPOCHS, "resume": tmp_path / "state"}
    with pytest.raises(KeyboardInterrupt):
        compile_file(path, train=train, **options, progress=stop)
    # Neither other samples nor other labels may go on from there.
    for changed in (_samples((24, 10, 6), 7), replace(train, labels=2 - np.asarray(train.labels))):
        with pytest.raises(TrainingError, match="other options"):
            compile_file(path, train=changed, calibration=train, **options)
    done = compile_file(path, train=train, **options)
    assert same_structure(done.fixed_graph, whole.fixed_graph)


def test_training_needs_samples_and_labels_by_name(tmp_path: Path) -> None:
    path, train, example = _nir(tmp_path)
    with pytest.raises(UsageError, match="an array named 'labels' to `train`, with the class"):
        compile_file(path, train=Stimulus(train.values), repair=EPOCHS)
    with pytest.raises(UsageError, match="give some as `train`"):
        compile_file(path, stimulus=example, repair=EPOCHS)


def test_a_network_is_not_judged_by_what_it_was_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, train, example = _nir(tmp_path)
    within = train.take(slice(3, 9))
    with pytest.raises(UsageError, match="all 6 samples of `stimulus` are among those of `train`"):
        compile_file(path, stimulus=within, train=train, repair=EPOCHS)
    mixed = {"input": np.concatenate([within.values["input"][:2], example.values["input"]])}
    build = compile_file(path, stimulus=Stimulus(mixed), train=train, repair=EPOCHS)
    assert build.notes[-1] == "2 of the 8 samples that it is judged by are training samples too"
    train.save(tmp_path / "s.npz")
    arguments = ["compile", str(path), "--calibration", str(tmp_path / "s.npz"), "--qat-epochs", "1"]
    assert main([*arguments, "--example", str(tmp_path / "s.npz"), "-o", str(tmp_path / "b")]) == 2
    assert "is given as --calibration and as --example" in " ".join(capsys.readouterr().err.split())


def test_the_command_trains_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, train, example = _nir(tmp_path)
    train.save(tmp_path / "train.npz")
    example.save(tmp_path / "example.npz")
    arguments = ["compile", str(path), "--calibration", str(tmp_path / "train.npz"), "--qat-epochs", "1"]
    arguments += ["--example", str(tmp_path / "example.npz"), "--resume", str(tmp_path / "state")]
    assert main([*arguments, "-o", str(tmp_path / "b")]) == 0
    said = capsys.readouterr()
    assert "train with integers ..." in said.err
    assert "trained 1 epoch with the integers, loss" in said.out
    judged = compare_build(load(tmp_path / "b")).comparison
    assert f"accuracy float {judged.float_accuracy:.2f} %, fixed {judged.fixed_accuracy:.2f} %" in said.out
    assert (tmp_path / "state" / "state.safetensors").exists()
    repair = load(tmp_path / "b").facts.repair
    assert repair is not None
    assert repair.epochs == 1


def test_samples_are_shared_value_by_value() -> None:
    one = _samples((4, 3, 20), 1)
    assert shared_samples(one, one) == 4
    assert shared_samples(one, Stimulus.of(one.values["input"].astype(float))) == 4
    assert shared_samples(one, one.take(np.array([2, 2, 0]))) == 2
    other = one.values["input"].copy()
    other[0, 0, 0] ^= True
    assert shared_samples(Stimulus.of(other), one) == 3


def test_the_learning_rate_counts_in_typical_weights() -> None:
    graph = recurrent(np.random.default_rng(3))
    larger = graph.map(lambda n: replace(n, weights=n.weights * 64.0) if isinstance(n, ir.Dense) else n)
    rates = [USUAL.fit_for(each).learning_rate for each in (graph, larger)]
    assert rates[1] == pytest.approx(64 * rates[0])
    assert RepairOptions().fit_for(larger).learning_rate == 1e-4


def test_what_is_wrong_with_training_samples_is_said_of_them(tmp_path: Path) -> None:
    path, train, held = _nir(tmp_path)
    assert train.labels is not None
    wrong = Stimulus(train.values, train.labels - 1)
    with pytest.raises(StimulusError, match="^train: labels must lie in"):
        compile_file(path, convention="snntorch", train=wrong, repair=EPOCHS, stimulus=held)


def test_counts_that_are_right_are_not_pulled_towards_one_another() -> None:
    """Every class has a channel whose neuron fires at all steps: there is nothing to be learnt."""
    graph = chain(dense("w", "x", 2 * np.eye(3)), lif("p", ("w",), 3), shape=(3,))
    labels = np.arange(12) % 3
    samples = Stimulus({"x": np.repeat(np.eye(3, dtype=bool)[labels][:, None], 20, axis=1)}, labels)
    build = repair_build(compile_graph(graph, calibration=samples), samples, USUAL)
    assert build.facts.repair is not None
    assert build.facts.repair.loss is not None
    assert build.facts.repair.loss < 1e-6


@pytest.mark.slow
def test_training_brings_a_network_back_that_subtracts() -> None:
    """Braille letters at three bits: every epoch lowers the loss, and the held-out fold becomes no worse."""
    path = real_data("nir", "braille_subtract.nir")
    train, held_out = (Stimulus.load(real_data("braille", f"encoded_val_{fold}.npz")) for fold in (1, 0))
    options: dict[str, Any] = {
        "convention": "snntorch",
        "reset": "subtract",
        "stimulus": held_out,
        "calibration": train,
        "quantization": Quantization(weight_bits=3),
    }
    plain = compile_file(path, **options)
    repaired = [repair_build(plain, train, RepairOptions.of_epochs(epochs)) for epochs in (1, 4)]
    losses = [build.facts.repair.loss for build in repaired if build.facts.repair and build.facts.repair.loss]
    assert losses[1] < losses[0]
    before, after = (compare_build(build).comparison for build in (plain, repaired[1]))
    assert before.fixed_accuracy is not None
    assert after.fixed_accuracy is not None
    assert after.fixed_accuracy >= before.fixed_accuracy
    assert after.spike_f1 > 0.98
    assert before.spike_f1 < 0.7
