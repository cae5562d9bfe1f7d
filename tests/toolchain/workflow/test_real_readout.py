"""Real values that convolutional networks say, and what their builds say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.networks import images, small_vgg
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Stage
from toolchain.models import FeedForward
from toolchain.workflow.compile import compile_module, compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.predict import predict_build
from toolchain.workflow.real_readout import with_real_readout
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train

_STEPS = 5


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> Path:
    brightness = rng.random((24, 1, 6, 6)).astype(np.float32)
    labels = np.stack([10 * brightness.mean(axis=(1, 2, 3)), brightness[:, 0, 0, 0]], axis=1)
    Stimulus({"input": brightness}, labels.astype(np.float64)).save(tmp_path / "pictures.npz")
    return tmp_path / "pictures.npz"


def _document(path: Path, code: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {"name": "npz", "path": str(path)},
        "encoding": {"name": code, "steps": _STEPS},
        "model": model,
        "pruning": {"sparsity": 0.3} if model["name"] == "vgg" else False,
        "training": {"epochs": 1, "batch_size": 8},
    }


@pytest.mark.parametrize("code", ["direct", "rate"])
@pytest.mark.parametrize(
    "model", [{"name": "vgg", "layers": [4]}, {"name": "preresnet", "widths": [4], "blocks": [1]}]
)
@pytest.mark.filterwarnings("ignore")
def test_a_build_says_the_values_that_were_learnt(
    model: dict[str, Any], code: str, pictures: Path, tmp_path: Path
) -> None:
    run = train(parse_experiment(_document(pictures, code, model)), tmp_path / "run")
    build = compile_run(tmp_path / "run", target="emulator")
    said = predict_build(build, stage=Stage.FLOAT)
    network = TrainedRun.load(tmp_path / "run").network
    assert isinstance(network, FeedForward)
    with torch.inference_mode():
        learnt = network.eval()(torch.from_numpy(np.array(run.stimulus.values["input"]))).scores.numpy()
    assert np.abs(learnt).max() > 0
    assert said.scores["output"] == pytest.approx(learnt, rel=1e-4, abs=1e-6)
    assert run.history.test_error is not None
    assert run.history.test_error.float_error is not None
    assert said.real is not None
    assert said.real.errors is not None
    assert said.real.errors.float_error is not None
    assert said.real.errors.float_error.rmse == pytest.approx(run.history.test_error.float_error.rmse)
    sizes = build.facts.sizes
    if sizes is not None:
        # Both are in the units of the network, and not five times as large.
        assert sizes.error is not None
        assert sizes.error.before == pytest.approx(sizes.error.after, rel=0.5)


def test_real_labels_of_an_example_say_it_too_and_the_network_stays() -> None:
    network = small_vgg().eval()
    values = images(network, 6).float()
    with torch.inference_mode():
        scores = network(values).scores.numpy()
    real = compile_module(network, Stimulus({"input": values.numpy()}, np.zeros(scores.shape)))
    classes = compile_module(network, Stimulus({"input": values.numpy()}, np.zeros(len(scores), np.int64)))
    said = [predict_build(each, stage=Stage.FLOAT).scores["output"] for each in (real, classes)]
    assert said[0] == pytest.approx(scores, rel=1e-4, abs=1e-6)
    assert said[1] == pytest.approx(scores * network.steps, rel=1e-4, abs=1e-6)
    with torch.inference_mode():
        assert np.array_equal(network(values).scores.numpy(), scores)
    assert with_real_readout(network, None) is network
