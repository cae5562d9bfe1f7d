"""Every public function that takes values from a Python caller takes them alike, whatever their form.

The same numbers give the same result; anything else is refused by the name of the argument; nothing raises an
error that is not ours, and nothing trains on data of another shape.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolchain
from tests.callers import FORMS, KINDS, NO_NUMBERS, as_given
from toolchain import intake
from toolchain.data import Encoding, encode, load_cifar10, load_csv, load_digits, mackey_glass
from toolchain.errors import ArgumentError, MissingFileError, StimulusError, ToolchainError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.models import HrsnnShape, Network, Readout, build_hrsnn
from toolchain.target.registry import load_target
from toolchain.training import (
    FitOptions,
    StdpOptions,
    fit,
    fit_linear_layer,
    fit_ridge,
    learn_stdp,
    load_network,
    save_network,
    tune_graph,
)
from toolchain.workflow.build_folder import LongerThanProvedWarning
from toolchain.workflow.compile import compile_run
from toolchain.workflow.run import run_build


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mapped")


@dataclass(frozen=True)
class Entry:
    """A public function, the argument that is varied, and what a good value is."""

    call: Callable[[Any], Any]
    argument: str
    good: np.ndarray


def _entries() -> dict[str, Entry]:
    rng = np.random.default_rng(0)
    x, y = rng.random((6, 5, 4)) < 0.5, np.array([0, 1, 0, 1, 0, 1])
    options = FitOptions(1, 4, 0.01, device="cpu")

    def net() -> Network:
        shape = HrsnnShape(channels=4, classes=2, neurons=8)
        return build_hrsnn(shape, np.random.default_rng(0), readout=Readout.LAST_V)

    def trained(inputs: Any, labels: Any) -> Any:
        network = net()
        return fit(network, inputs, labels, options, seed=0), network.state_dict()

    def linear(inputs: Any, labels: Any) -> Any:
        network = net()
        fit_linear_layer(network, "hidden", inputs, labels)
        return network.state_dict()

    def stdp(inputs: Any) -> Any:
        network = net()
        learn_stdp(network, "hidden", inputs, StdpOptions())
        return network.state_dict()

    build = toolchain.compile(net(), x)
    emulator: Any = load_target("emulator").build(build.fixed_graph)
    onnx: Any = load_target("onnx").build(build.fixed_graph)
    tune = build.float_graph, build.fixed_graph
    return {
        "fit": Entry(lambda v: trained(v, y), "inputs", x),
        "fit, labels": Entry(lambda v: trained(x, v), "labels", y),
        "tune_graph": Entry(lambda v: tune_graph(*tune, v, y, options, seed=0)[1], "inputs", x),
        "tune_graph, labels": Entry(lambda v: tune_graph(*tune, x, v, options, seed=0)[1], "labels", y),
        "fit_linear_layer": Entry(lambda v: linear(v, y), "inputs", x),
        "fit_linear_layer, labels": Entry(lambda v: linear(x, v), "labels", y),
        "learn_stdp": Entry(stdp, "inputs", x),
        "forward": Entry(lambda v: net()(v).scores.detach(), "x", x),
        "compile": Entry(lambda v: toolchain.compile(net(), v).quantization, "example", x),
        "compile, calibration": Entry(
            lambda v: toolchain.compile(net(), x, calibration=v).quantization, "calibration", x
        ),
        "run_build": Entry(lambda v: run_build(build, None, v).spikes, "stimulus|input", x),
        "Program.run": Entry(lambda v: emulator.run(v).spikes, "stimulus|input", x),
        "Program.run, ONNX": Entry(lambda v: onnx.run(v).spikes, "stimulus|input", x),
        "Session.step": Entry(lambda v: emulator.session(6).step({"input": v}), "input", x[:, 0]),
        "Session.step, ONNX": Entry(lambda v: onnx.session(6).step({"input": v}), "input", x[:, 0]),
        "compare": Entry(lambda v: toolchain.compare(build, v).document(), "stimulus|input", x),
        "repair": Entry(
            lambda v: toolchain.repair(build, Stimulus({"input": x}, v)).quantization, "labels", y
        ),
        "encode": Entry(
            lambda v: encode(v, Encoding.RATE, 4, rng=np.random.default_rng(0)), "intensities", x[:, 0]
        ),
        "fit_ridge": Entry(lambda v: fit_ridge(v, y[:, None], 1e-3).weights, "features|targets", x[:, 0]),
    }


ENTRIES = (
    "fit",
    "fit, labels",
    "tune_graph",
    "tune_graph, labels",
    "fit_linear_layer",
    "fit_linear_layer, labels",
    "learn_stdp",
    "forward",
    "compile",
    "compile, calibration",
    "run_build",
    "Program.run",
    "Program.run, ONNX",
    "Session.step",
    "Session.step, ONNX",
    "compare",
    "repair",
    "encode",
    "fit_ridge",
)


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    return _entries()


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(np.array_equal(one, other)) if hasattr(one, "shape") else one == other


@st.composite
def spoilt(draw: st.DrawFn, good: np.ndarray) -> Any:
    """A value near a good one that is not: wrong rank, size, empty, not finite, out of range, no numbers."""
    whole = good.astype(np.float64)
    axis = draw(st.integers(0, good.ndim - 1))
    spoil: tuple[Callable[[], Any], ...] = (
        lambda: draw(st.sampled_from(NO_NUMBERS)),
        lambda: np.take(good, 0, axis=axis),
        lambda: np.expand_dims(good, axis),
        lambda: np.take(good, [], axis=axis),
        lambda: np.concatenate([good, good], axis=axis),
        lambda: np.where(np.arange(whole.size).reshape(whole.shape) == whole.size // 2, np.nan, whole),
        lambda: np.where(np.arange(whole.size).reshape(whole.shape) == 0, np.inf, whole),
        lambda: good.astype(int) + draw(st.sampled_from([-1, 7, 2**40])),
        lambda: whole / 2,
        lambda: good.astype(str),
    )
    return draw(st.sampled_from(spoil))()


@pytest.mark.parametrize("name", ENTRIES)
@settings(max_examples=10)
@given(data=st.data())
def test_an_entry_gives_the_same_for_the_same_numbers(
    name: str, data: st.DataObject, entries: dict[str, Entry], folder: Path
) -> None:
    entry = entries[name]
    floats = {"tensor", "tensor with gradient", "bfloat16", "list of tensors"}
    # Labels in real numbers are values to be learnt, so they are not the same labels.
    labels = entry.good.ndim == 1
    form = data.draw(st.sampled_from([form for form in sorted(FORMS) if not (labels and form in floats)]))
    dtype = np.dtype(data.draw(st.sampled_from(KINDS[:9] if labels else KINDS)))
    order: Any = data.draw(st.sampled_from("<>"))
    dtype = dtype.newbyteorder(order)
    value = as_given(entry.good.astype(dtype), form, folder)
    assert _equal(entry.call(value), entry.call(entry.good))


@pytest.mark.parametrize("name", ENTRIES)
@settings(max_examples=10)
@given(data=st.data())
def test_an_entry_refuses_by_name_or_has_a_reason_not_to(
    name: str, data: st.DataObject, entries: dict[str, Entry]
) -> None:
    entry = entries[name]
    value = data.draw(spoilt(entry.good))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LongerThanProvedWarning)
            entry.call(value)
    except ToolchainError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert re.search(rf"\b({entry.argument}|labels)\b", refused), refused
        return
    # What went through is numbers of the right rank, and finite: more samples or steps, or other values.
    if value is None:
        assert name in {"run_build", "compare", "compile", "compile, calibration", "repair"}
        return
    if isinstance(value, dict):
        value = value["input"]
    found = intake.array_of(value, "values")
    assert found.size > 0
    # A network that is called directly computes with NaN, as any module of PyTorch does.
    assert np.isfinite(found).all() or name == "forward"
    if name not in {"encode", "fit_ridge"}:
        assert found.ndim == entry.good.ndim
        assert found.shape[-1] == entry.good.shape[-1] or found.ndim < 2


def test_paths_may_be_text_everywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    network = build_hrsnn(HrsnnShape(channels=4, classes=2, neurons=8), rng)
    x = rng.random((2, 5, 4)) < 0.5
    build = toolchain.compile(network, x)
    (tmp_path / "s.csv").write_text("a,b\n" + "\n".join(f"{i},{i % 7}" for i in range(40)))
    place = str(tmp_path)
    build.save(f"{place}/build")
    assert toolchain.load(f"{place}/build").target == "emulator"
    stage: Any = "float"
    toolchain.export(build, f"{place}/nir", "nir", stage)
    assert toolchain.compile_file(f"{place}/nir/network.nir").float_graph.name == "network"
    toolchain.export(build, f"{place}/onnx", "onnx")
    columns: Any = ["a"]
    assert load_csv(f"{place}/s.csv", columns).values.shape == (40, 1)
    save_network(network, f"{place}/network")
    assert load_network(f"{place}/network").inputs == network.inputs
    Stimulus.of(x).save(f"{place}/s.npz")
    assert Stimulus.load(f"{place}/s.npz").samples == 2
    program: Any = load_target("emulator").build(build.fixed_graph)
    program.save(f"{place}/program")
    program.run(x).save(f"{place}/t.npz")
    assert Trace.load(f"{place}/t.npz").spikes.keys() == {"hidden", "readout"}
    fit(network, x, [0, 1], FitOptions(1, 2, 0.01), seed=0, checkpoint=f"{place}/state")
    assert (tmp_path / "state" / "state.safetensors").is_file()
    for missing in (
        lambda: compile_run(f"{place}/none", target="emulator"),
        lambda: load_cifar10(f"{place}/none"),
    ):
        with pytest.raises(MissingFileError):
            missing()


@pytest.mark.parametrize("path", [b"x", "", "a\0b", None, 3, ["x"]])
def test_what_is_no_path_is_refused_everywhere(path: Any) -> None:
    x = np.ones((1, 3, 4), bool)
    build = toolchain.compile(
        build_hrsnn(HrsnnShape(channels=4, classes=2, neurons=8), np.random.default_rng(0)), x
    )
    program = load_target("emulator").build(build.fixed_graph)
    for call in (
        build.save,
        toolchain.load,
        lambda p: toolchain.export(build, p, "onnx"),
        toolchain.compile_file,
        load_csv,
        load_cifar10,
        load_network,
        Stimulus.of(x).save,
        Stimulus.load,
        program.run(x).save,
        Trace.load,
        program.save,
        lambda p: compile_run(p, target="emulator"),
    ):
        with pytest.raises(ArgumentError, match="^(folder|path|source|directory): expected a path"):
            call(path)


def test_options_are_refused_where_they_are_given() -> None:
    good: dict[str, Any] = {"epochs": np.int64(1), "batch_size": 4, "learning_rate": np.float32(0.5)}
    by_name: Any = "sgd"
    options = FitOptions(**good, optimizer=by_name)
    assert (type(options.epochs), options.learning_rate, options.optimizer.value) == (int, 0.5, "sgd")
    for name, value in {
        "epochs": 1.5,
        "batch_size": 0,
        "learning_rate": float("nan"),
        "weight_decay": -1,
        "gradient_clip": 0,
        "label_smoothing": 2,
        "optimizer": "adamm",
        "schedule": None,
        "device": "cuda:0",
    }.items():
        with pytest.raises(ToolchainError, match=name):
            FitOptions(**(good | {name: value}))
    for name, value in {
        "weight_bits": 16,
        "rounding": "up",
        "decay_profiles": 0,
        "tau_error": float("nan"),
    }.items():
        with pytest.raises(ToolchainError, match=name):
            toolchain.Quantization(**{name: value})
    bits: Any = np.int64(6)
    assert toolchain.Quantization(weight_bits=bits).weight_bits == 6


@pytest.mark.parametrize("share", [0.9999, 0.0001, 0, 1, -1, float("nan"), "half", None])
def test_a_share_that_leaves_a_class_without_images_is_refused(share: Any) -> None:
    with pytest.raises(ArgumentError, match="^test_fraction: "):
        load_digits(share, 0)


@pytest.mark.parametrize("share", [10 / 1797, 0.006, 0.3, 0.99])
def test_every_share_that_is_said_to_work_works(share: float) -> None:
    assert set(load_digits(share, 0).test_labels) == set(load_digits(share, 0).train_labels) == set(range(10))


def test_numbers_of_data_sets_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a,b\n" + "\n".join(f"{i},{i % 7}" for i in range(40)))
    for name, call in {
        "train": lambda: load_csv(tmp_path / "s.csv", train=float("nan")),
        "columns": lambda: load_csv(tmp_path / "s.csv", "a"),  # pyright: ignore[reportArgumentType]
        "delay": lambda: mackey_glass(delay=float("nan")),
        "samples": lambda: mackey_glass(samples=0),
        "intensities": lambda: encode(
            np.full((1, 2), 200, np.uint8),  # pyright: ignore[reportArgumentType]
            Encoding.RATE,
            4,
            rng=np.random.default_rng(0),
        ),
        "steps": lambda: encode(np.ones((1, 2)), Encoding.RATE, 0, rng=np.random.default_rng(0)),
    }.items():
        with pytest.raises(ArgumentError, match=rf"\b{name}\b.*: expected"):
            call()


def test_labels_outside_the_classes_are_refused_before_anything_is_judged() -> None:
    network = build_hrsnn(HrsnnShape(channels=4, classes=2, neurons=8), np.random.default_rng(0))
    build = toolchain.compile(network, np.ones((2, 5, 4), bool))
    labels: Any = [0, 2]
    with pytest.raises(StimulusError, match=r"labels must lie in 0 \.\. 1, .*, first 2 of sample"):
        toolchain.compare(build, Stimulus({"input": np.ones((2, 5, 4), bool)}, labels))


def test_a_stage_may_be_its_text_and_is_not_taken_for_the_other() -> None:
    network = build_hrsnn(HrsnnShape(channels=4, classes=2, neurons=8), np.random.default_rng(0))
    build = toolchain.compile(network, np.ones((2, 5, 4), bool))
    known: Any = "fixed"
    v = run_build(build, stage=known, record=("v",)).v
    assert all(values.dtype == np.int32 for values in v.values())
    with pytest.raises(ToolchainError, match="stage 'fix' is not known"):
        run_build(build, stage="fix")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="^samples: expected a whole number, 1 or more, got -1"):
        run_build(build, samples=-1)


def test_what_is_no_build_is_refused_by_name() -> None:
    for call in (toolchain.compare, toolchain.check, run_build):
        with pytest.raises(ArgumentError, match=r"build: expected Build\(\.\.\.\), got str"):
            call("build")  # pyright: ignore[reportArgumentType]
