"""The experiment file: every message names its key."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_run import TOML, small_experiment
from toolchain.data import Encoding
from toolchain.data.codes.options import CodeOptions
from toolchain.data.pictures.digits import CLASSES, DIGITS
from toolchain.data.sets.options import DataOptions
from toolchain.errors import ExperimentError, MissingFileError, ToolchainError
from toolchain.models import Readout
from toolchain.options import LARGEST_FACTOR, LONGEST_MS, SMALLEST_FACTOR
from toolchain.workflow.experiment import (
    Experiment,
    load_experiment,
    parse_experiment,
)
from toolchain.workflow.prepare import load_data
from toolchain.workflow.sections.pruning import ChannelSelection, SynapsePruning
from toolchain.workflow.sections.wording import names_in
from toolchain.workflow.train import train

_EXAMPLES = int(os.environ.get("PUMICE_EXPERIMENTS", "20"))


def test_the_defaults_are_a_complete_experiment() -> None:
    assert parse_experiment({}) == Experiment()
    assert Experiment().pruning is not None


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(TOML)
    assert load_experiment(path) == small_experiment()


@pytest.mark.parametrize(
    ("document", "method"),
    [
        ({}, "gradual"),
        ({"pruning": {"fraction": 0.1}}, "gradual"),
        ({"pruning": {"baseline": False}}, "gradual"),
        ({"pruning": {"neurons": 50}}, "lnp"),
        ({"pruning": {"synapse_fraction": 0.2, "baseline": False}}, "lnp"),
        ({"model": {"name": "vgg"}}, "sca"),
        ({"model": {"name": "vgg"}, "pruning": {"fit": {"synops": 1000}}}, "gradual"),
    ],
)
def test_the_method_of_pruning_follows_from_what_is_said(document: dict[str, object], method: str) -> None:
    pruning = parse_experiment(document).pruning
    assert pruning is not None
    assert pruning.method == method


def test_pruning_can_be_left_out() -> None:
    assert parse_experiment({"pruning": False}).pruning is None


@pytest.mark.parametrize(
    ("document", "key", "message"),
    [
        ({"modle": {}}, "modle", "did you mean 'model'"),
        ({"model": {"neuron": 5}}, "model.neuron", "did you mean 'neurons'"),
        ({"model": {"neurons": 0}}, "model.neurons", "expected more than 0, got 0"),
        ({"model": {"neurons": "many"}}, "model.neurons", "expected a whole number, got 'many'"),
        ({"model": {"density": 1.5}}, "model.density", "expected at most 1.0, got 1.5"),
        ({"model": {"tau_mean_ms": float("nan")}}, "model.tau_mean_ms", "finite|more than 0"),
        (
            {"encoding": {"name": "morse"}},
            "encoding.name",
            "got 'morse'.*known here: as_is, bins",
        ),
        ({"training": {"learning_rate": -1}}, "training.learning_rate", "at least 1e-09, got -1"),
        ({"model": {"reset": "soft"}}, "model.reset", "'zero', 'value', 'subtract' or 'none'"),
        ({"model": {"reset": "value"}}, "model.reset_amount", "the value that a spike sets"),
        ({"model": {"reset_amount": 0.5}}, "model.reset_amount", "None, since reset is 'zero'"),
        ({"model": {"reset": "subtract", "reset_amount": -0.5}}, "model.reset_amount", "0 or more, got -0.5"),
        ({"model": {"refractory_ms": 5000.0}}, "model.refractory_ms", "0 .. 4095, got 5000"),
        ({"model": {"adaptation": -1.0}}, "model.adaptation", "at least 0"),
        ({"model": {"train": ["tau"]}}, "model.train", "dv, vth"),
        ({"model": {"train": ["du"]}}, "model.du", "between time constants"),
        ({"model": {"train": ["adaptation"]}}, "model.train", "adaptation"),
        ({"model": {"delays": "all"}}, "model.delays", "'none', 'connection' or 'synapse'"),
        ({"model": {"longest_delay": 0}}, "model.longest_delay", "more than 0"),
        ({"data": {"test_fraction": 1}}, "data.test_fraction", "less than 1"),
        ({"data": {"test_fraction": 0.9999}}, "data.test_fraction", "one image of each of the 10 classes"),
        ({"data": {"test_fraction": 1e-300}}, "data.test_fraction", r"about 0\.0056 \.\. 0\.9944"),
        ({"data": {"split_seed": -1}}, "data.split_seed", "at least 0"),
        ({"data": {"split_seed": 2**32}}, "data.split_seed", "less than 4294967296"),
        ({"seed": 2**70}, "seed", "less than 4294967296"),
        ({"training": {"epochs": 10**30}}, "training.epochs", "less than 2147483648"),
        (
            {"model": {"neurons": 200, "cluster_tau_ms": [1.0] * 201}, "pruning": False},
            "model.cluster_tau_ms",
            "201",
        ),
        ({"seed": -1}, "seed", "at least 0"),
        ({"model": 3}, "model", "expected a section of keys, got 3"),
        ({"data": {"name": "cvs"}}, "data.name", "got 'cvs'; did you mean 'csv'?"),
        ({"data": {"name": 3}}, "data.name", "got '3'"),
        (
            {"data": {"name": "csv", "path": "x", "size": [1, 2]}},
            "data.size",
            "'csv': it belongs to images",
        ),
        ({"data": {"name": "csv", "path": "x", "bands": 3}}, "data.bands", r"it belongs to \[encoding\]"),
        ({"data": {"name": "csv", "pth": "x"}}, "data.pth", "did you mean 'path'"),
        ({"data": {"name": "mnist"}}, "data.path", "is missing: .*a folder with train-images-idx3-ubyte"),
        ({"data": {"name": "npz", "path": ""}}, "data.path", "at least 1"),
        ({"data": {"path": "x"}}, "data.path", "to 'digits': it belongs to .*csv"),
        ({"encoding": {"bands": 3}}, "encoding.bands", "to 'rate': it belongs to filter_bank"),
        ({"encoding": {"name": "bins", "steps": "a"}}, "encoding.steps", "expected a whole number, got 'a'"),
        ({"model": {"name": "vgg16"}}, "model.name", "got 'vgg16'; did you mean 'vgg'"),
        ({"model": {"name": "vgg", "neurons": 5}}, "model.neurons", "to 'vgg': it belongs to hrsnn, chrsnn"),
        ({"model": {"name": "vgg", "layers": ["pol"]}}, "model.layers", "pool|whole number"),
        ({"model": {"module": ""}}, "model.module", "at least 1"),
        ({"model": {"name": "vgg"}, "pruning": {"method": "lnp"}}, "pruning.method", "pruned by 'sca'"),
        ({"model": {"name": "vgg"}, "pruning": {"method": "synflow"}}, "pruning.method", "such as 'gradual'"),
        ({"pruning": {"method": "sca"}}, "pruning.method", "convolutions, of which 'hrsnn' has none"),
        ({"model": {"name": "vgg"}, "pruning": {"sparsity": 1.0}}, "pruning.sparsity", "sparsity < 1"),
        (
            {"model": {"name": "vgg"}, "pruning": {"sparsity": 0.9, "regrowth": 0.2}},
            "pruning.sparsity",
            "their sum at most 1, got 0.9 and 0.2",
        ),
        (
            {"model": {"module": "net.py:Net"}, "training": {"operation_penalty": 1e-5}},
            "training.operation_penalty",
            "0 for a module of your own",
        ),
        ({"pruning": {"method": "rigl", "allocation": "global"}}, "pruning.method", "no global allocation"),
        ({"pruning": {"method": "synflow", "price": "operations"}}, "pruning.method", "weigh operations"),
        ({"pruning": {"method": "scaa"}}, "pruning.method", "got 'scaa'; did you mean 'sca'"),
        ({"pruning": {"sparsity": 0.5}}, "pruning.sparsity", "to 'gradual': it belongs to sca"),
        ({"quantization": {"weight_bits": 16}}, "quantization.weight_bits", "at most 15"),
        ({"quantization": {"bits": 4}}, "quantization.bits", "is not known"),
        ({"pruning": {"neurons": 600}}, "pruning.neurons", "at most model.neurons = 512"),
    ],
)
def test_what_is_not_accepted_names_its_key(document: dict[str, object], key: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message) as caught:
        parse_experiment(document)
    assert caught.value.key == key
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({}, "rate"),
        ({"name": "wav", "path": "x"}, "filter_bank"),
        ({"name": "npz", "path": "x"}, "as_is"),
        ({"name": "shd", "path": "x"}, "bins"),
        ({"name": "cifar10", "path": "x"}, "rate"),
    ],
)
def test_the_encoding_is_that_of_the_data_unless_it_is_named(data: dict[str, object], code: str) -> None:
    assert parse_experiment({"data": data}).encoding.name == code
    if code != "as_is":
        assert parse_experiment({"data": data, "encoding": {"steps": 3}}).encoding.name == code
    assert parse_experiment({"data": data, "encoding": {"name": "latency"}}).encoding.name == "latency"


def test_an_experiment_of_digits_is_written_as_it_always_was() -> None:
    written = parse_experiment({"data": {"name": "sequential_digits"}}).model_dump(mode="json")
    assert written["data"] == {"name": "sequential_digits", "test_fraction": 0.3, "split_seed": 0}
    assert written["encoding"] == {"name": "rate", "steps": 16, "max_rate": 1.0}


def test_what_is_not_named_suits_the_network() -> None:
    vgg = parse_experiment({"model": {"name": "vgg"}})
    assert (vgg.encoding.name, vgg.surrogate_slope) == ("direct", 4.0)
    assert isinstance(vgg.pruning, ChannelSelection)
    own = parse_experiment({"model": {"module": "net.py:Net"}})
    assert (own.model.name, own.pruning) == ("module", None)
    assert parse_experiment({}).surrogate_slope == 2.0
    assert parse_experiment({"training": {"surrogate_slope": 3.0}}).surrogate_slope == 3.0


def test_a_run_of_before_there_were_kinds_of_networks_is_read() -> None:
    written = Experiment().model_dump(mode="json")
    assert "name" not in written["model"]
    assert "quantization" not in written
    assert Experiment.model_validate_json(json.dumps(written)) == Experiment()


def test_every_kind_of_data_has_a_code_that_there_is() -> None:
    sections = tuple(get_args(get_args(options)[0]) for options in (DataOptions, CodeOptions))
    codes = {name for kind in sections[1] for name in names_in(kind)}
    assert {kind.CODE for kind in sections[0]} <= codes


@pytest.mark.parametrize("name", ["lorenz63", "rossler", "mackey_glass"])
def test_series_are_refused_where_classes_are_asked_for(name: str) -> None:
    with pytest.raises(ExperimentError, match=f"'{name}' are a series to forecast") as caught:
        parse_experiment({"data": {"name": name}, "task": {"name": "classification"}})
    assert caught.value.key == "task.name"


def test_data_that_are_missing_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nothing"):
        train(
            parse_experiment({"data": {"name": "npz", "path": str(tmp_path / "nothing")}}), tmp_path / "run"
        )
    assert not list(tmp_path.iterdir())


def test_the_data_are_what_the_experiment_says() -> None:
    encoded = load_data(Experiment())
    assert len(encoded.data.train) + len(encoded.data.test) == DIGITS
    assert len(encoded.data.classes) == CLASSES
    assert encoded.train.shape == (1257, 16, 64)


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"encoding": {"steps": 2**31 - 1}}, "encoding.steps"),
        ({"model": {"neurons": 10**9}}, "model.neurons"),
    ],
)
def test_sizes_beyond_the_memory_are_refused_before_anything_is_made(
    document: dict[str, object], key: str, tmp_path: Path
) -> None:
    with pytest.raises(ExperimentError, match="the machine has") as caught:
        train(parse_experiment(document), tmp_path / "run")
    assert caught.value.key == key
    assert not list(tmp_path.iterdir())


_TINY = st.floats(0, 1, exclude_min=True)
_ANY = st.floats(SMALLEST_FACTOR, LARGEST_FACTOR) | st.sampled_from(
    [SMALLEST_FACTOR, LONGEST_MS, LARGEST_FACTOR]
)
_SMALL = st.integers(1, 12)
_SECTIONS = {
    "data": {"test_fraction": st.floats(0.97, 1, exclude_max=True), "split_seed": st.integers()},
    "encoding": {"steps": st.integers(1, 3), "max_rate": _TINY, "name": st.sampled_from(Encoding)},
    "model": {
        "neurons": _SMALL,
        "density": _TINY,
        "rewiring": st.floats(0, 1),
        "input_density": _TINY,
        "tau_mean_ms": _ANY,
        "tau_shape": _ANY,
        "cluster_tau_ms": st.lists(_ANY, max_size=3),
        "between": st.floats(0, 1),
        "inhibitory": st.floats(0, 1),
        "inhibition": _ANY,
        "gain": _ANY,
        "input_gain": _ANY,
        "bias": st.floats(-LARGEST_FACTOR, LARGEST_FACTOR),
        "readout": st.sampled_from(Readout),
        "readout_tau_ms": _ANY,
        "dt_ms": _ANY,
    },
    "pruning": {
        "method": st.sampled_from(names_in(SynapsePruning)),
        "neurons": _SMALL,
        "synapse_fraction": _TINY,
        "iterations": st.integers(1, 3),
    },
    "training": {
        "batch_size": st.integers(1, 40),
        "learning_rate": _ANY,
        "weight_decay": _ANY,
        "gradient_clip": _ANY,
        "surrogate_slope": _ANY,
        "label_smoothing": st.floats(0, 1, exclude_max=True),
        "calibration_samples": st.integers(1, 10**30),
    },
}
_USUAL: dict[str, dict[str, object]] = {
    "data": {"test_fraction": 0.98},
    "encoding": {"steps": 2},
    "model": {"neurons": 12},
    "pruning": {"neurons": 6, "synapse_fraction": 0.5, "iterations": 1},
    "training": {"epochs": 1},
}


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, object]:
    """Draw a few values of any size; the others are such that a training takes a moment."""
    document: dict[str, object] = {}
    for name, values in _SECTIONS.items():
        chosen = draw(st.sets(st.sampled_from(sorted(values)), max_size=2))
        document[name] = _USUAL[name] | {key: draw(values[key]) for key in sorted(chosen)}
    return document | {"seed": draw(st.integers(0, 2**33))}


@settings(max_examples=_EXAMPLES, deadline=None)
@given(document=_documents())
@pytest.mark.filterwarnings("ignore")
def test_no_values_of_an_experiment_end_in_anything_but_an_error_of_ours(document: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"), suppress(ToolchainError):
        train(parse_experiment(document), Path(folder) / "run")


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="x.toml"):
        load_experiment(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("seed = = 1")
    with pytest.raises(ExperimentError, match="is not TOML"):
        load_experiment(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("seeed = 1")
    with pytest.raises(ExperimentError, match="did you mean 'seed'") as caught:
        load_experiment(tmp_path / "x.toml")
    assert "x.toml" in caught.value.__notes__[0]
