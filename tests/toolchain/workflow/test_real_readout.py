"""Real values that convolutional networks say, and what their builds say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.networks import images, small_vgg
from toolchain.errors import CorruptArtifactError, TrainingError
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Stage
from toolchain.models import FeedForward, Spiking
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_module, compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.predict import predict_build
from toolchain.workflow.prepare import load_data
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


_OWN = """
import torch
from torch import nn

from toolchain.models import Spiking


class ByStep(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.inner, self.outer = nn.Linear(channels, 12), nn.Linear(12, classes)
        self.spiking = Spiking(vth=1.0, dv=0.2)

    def forward(self, x):
        return torch.stack([self.outer(self.spiking(self.inner(x[:, t]))) for t in range(x.shape[1])], 1)


class OfMean(ByStep):
    def forward(self, x):
        spikes = [self.spiking(self.inner(x[:, t])) for t in range(x.shape[1])]
        return self.outer(torch.stack(spikes, 1).mean(1))
"""


@pytest.fixture
def recordings(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Frames of different lengths, padded by spikes that say nothing, whose mean is to be said."""
    lengths = rng.integers(2, 9, 40)
    frames = rng.random((40, 8, 1, 6, 6)) < rng.random((40, 1, 1, 1, 1))
    valid = np.arange(8) < lengths[:, None]
    means = [frame[:length].mean() for frame, length in zip(frames, lengths, strict=True)]
    frames |= ~valid[:, :, None, None, None]
    labels = np.stack([means, 1 - np.array(means)], axis=1)
    Stimulus({"input": frames}, labels, lengths).save(tmp_path / "frames.npz")
    (tmp_path / "net.py").write_text(_OWN)
    return tmp_path / "frames.npz"


@pytest.mark.parametrize(
    "model",
    [
        {"name": "vgg", "layers": [4]},
        {"name": "preresnet", "widths": [4], "blocks": [1]},
        {"name": "hrsnn", "neurons": 20, "input_density": 1.0},
        {"module": "net.py:ByStep", "flat": True},
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_steps_after_the_end_of_a_sample_are_read_nowhere(
    model: dict[str, Any], recordings: Path, tmp_path: Path
) -> None:
    if "module" in model:
        model = model | {"module": f"{tmp_path}/{model['module']}"}
    document = _document(recordings, "as_is", {"name": "own", **model})
    document["encoding"] = {"name": "as_is"}
    document |= {"pruning": False, "task": {"name": "regression"}}
    if "module" in model:
        del document["model"]["name"]
    run = train(parse_experiment(document), tmp_path / "run")
    assert run.stimulus.lengths is not None
    build = compile_run(tmp_path / "run", target="emulator")
    said = predict_build(build, stage=Stage.FLOAT)
    assert said.real is not None
    assert said.real.errors is not None
    assert said.real.errors.float_error is not None
    learnt = run.history.test_error
    assert learnt is not None
    assert learnt.float_error is not None
    assert said.real.errors.float_error.rmse == pytest.approx(learnt.float_error.rmse, rel=1e-4)
    # What stands after the end changes nothing that is said.
    other = {"input": np.array(run.stimulus.values["input"])}
    for sample, length in zip(other["input"], run.stimulus.lengths, strict=True):
        sample[length:] = 0
    for stage in Stage:
        ends = predict_build(build, Stimulus(other, lengths=run.stimulus.lengths), stage=stage)
        assert np.array_equal(ends.scores["output"], predict_build(build, stage=stage).scores["output"])
    assert compare_build(build, exact=("emulator",)).exact["emulator"].equal
    assert compile_run(tmp_path / "run", target="emulator", qat_epochs=1).facts.repair is not None
    encoder = build.encoder
    assert encoder is not None
    assert predict_build(build, encoder.read(recordings)).real is not None


def test_an_own_module_that_reads_all_steps_itself_says_so(recordings: Path, tmp_path: Path) -> None:
    document = _document(recordings, "as_is", {"name": "own"})
    document["model"] = {"module": f"{tmp_path}/net.py:OfMean", "flat": True}
    document |= {"pruning": False, "encoding": {"name": "as_is"}}
    with pytest.raises(TrainingError, match="reads all steps itself.*return the spikes or potentials"):
        train(parse_experiment(document), tmp_path / "run")


def test_a_mean_over_the_steps_of_a_module_is_one_of_the_valid_steps(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    layers = torch.nn.Linear(6, 8), torch.nn.Linear(8, 2)

    class OfMean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = layers
            self.spiking = Spiking(vth=1.0, dv=0.2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = [self.spiking(self.inner(x[:, t])) for t in range(x.shape[1])]
            return self.outer(torch.stack(steps, 1).mean(1))

    module, x = OfMean(), rng.random((5, 7, 6)) < 0.5
    build = compile_module(module, Stimulus({"input": x}, rng.normal(size=(5, 2))))
    assert build.facts.source is not None
    build.facts.source.require_equal()
    lengths = np.array([7, 1, 4, 2, 6])
    cut = predict_build(build, Stimulus({"input": x}, lengths=lengths), stage=Stage.FLOAT).scores["output"]
    for sample, length, said in zip(x, lengths, cut, strict=True):
        alone = predict_build(build, Stimulus({"input": sample[None, :length]}), stage=Stage.FLOAT)
        assert alone.scores["output"][0] == pytest.approx(said)


@pytest.mark.parametrize(
    ("shape", "lengths", "words"),
    [
        ((6, 8, 3), [1, 2, 3, 4, 5, 9], "holds lengths 1 .. 9, expected 1 .. 8 valid steps"),
        ((6, 8, 3), [1, 2], "lengths.*that cannot be used"),
        ((6, 1, 4, 4), [1, 1, 1, 1, 1, 1], "only samples of several steps have any"),
    ],
)
def test_lengths_that_are_none_are_refused(
    shape: tuple[int, ...], lengths: list[int], words: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    np.savez(tmp_path / "x.npz", input=rng.random(shape), labels=np.arange(6) % 2, lengths=lengths)
    document = _document(tmp_path / "x.npz", "as_is", {"name": "hrsnn"})
    document["encoding"] = {"name": "as_is"} if len(shape) == 3 else {"name": "rate"}
    with pytest.raises(CorruptArtifactError, match=words):
        load_data(parse_experiment(document | {"pruning": False}))
