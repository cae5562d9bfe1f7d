"""A convolutional network that is sparse while it trains, from its experiment to its integers."""

from pathlib import Path
from typing import Any

import pytest

from tests.small_run import small_experiment
from toolchain.errors import ToolchainError
from toolchain.models import FeedForward
from toolchain.progress import no_stages
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.train import train

_DOCUMENT: dict[str, Any] = {
    "data": {"train_samples": 150, "test_samples": 30},
    "encoding": {"steps": 3},
    "model": {"name": "vgg", "layers": [4, "pool", 6, "pool"], "hidden": [12]},
    "pruning": {"method": "rigl", "fraction": 0.2, "interval": 2},
    "training": {"epochs": 2, "batch_size": 32, "calibration_samples": 16},
}


def test_a_sparse_convolutional_network_is_trained_compiled_and_compared(tmp_path: Path) -> None:
    run = train(parse_experiment(_DOCUMENT), tmp_path / "run")
    last = run.history.synapses[-1]
    weights = 9 * 4 + 9 * 4 * 6 + 6 * 4 * 12 + 12 * 10
    assert sum(last.living) == round(0.2 * weights)
    assert isinstance(run.network, FeedForward)
    assert list(run.synapses_left) == ["conv1", "conv2", "hidden1", "classifier"]
    assert all(now <= last for now, last in zip(run.synapses_left.values(), last.living, strict=True))
    assert repr(run).startswith("TrainedRun: data 'digits', network 'vgg', seed 0, test accuracy")
    page = (tmp_path / "run" / "pruning" / "report.html").read_text()
    assert "hidden1: " in page
    build = compile_run(tmp_path / "run", target="emulator")
    judgement = compare_build(build)
    assert judgement.comparison.float_accuracy == pytest.approx(run.history.test, abs=1e-6)
    sizes = build.facts.sizes
    assert sizes is not None
    assert sizes.parameters is not None
    assert sizes.parameters.after <= sum(last.living) < sizes.parameters.before <= weights
    assert sizes.synapses.after < sizes.synapses.before
    assert sum(judgement.costs[0].parameters.values()) == sizes.parameters.after


def test_a_training_that_was_interrupted_ends_with_the_same_network(tmp_path: Path) -> None:
    document = _DOCUMENT | {"pruning": _DOCUMENT["pruning"] | {"baseline": False}}

    def stop(_: str, done: int, __: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    whole = train(parse_experiment(document), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(parse_experiment(document), tmp_path / "run", stop)
    again = train(parse_experiment(document), tmp_path / "run")
    assert again.history == whole.history
    files = [tmp_path / name / "network" / "network.safetensors" for name in ("whole", "run")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("pruning", "message"),
    [
        ({"method": "rigl", "connections": ["recure"]}, "did you mean 'recur'"),
        ({"method": "snip", "fraction": 0.001}, "raise `fraction`"),
    ],
)
def test_sparse_training_that_cannot_be_leaves_no_folder(
    pruning: dict[str, object], message: str, tmp_path: Path
) -> None:
    """A folder is one experiment's for good, so that a mended file could not be given to it any more."""
    with pytest.raises(ToolchainError, match=message):
        train(small_experiment(pruning=pruning), tmp_path / "run", no_stages)
    assert not (tmp_path / "run").exists()
