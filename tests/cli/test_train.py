"""What `pumice train` says of pruning."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain.cli.main import main
from toolchain.cli.train import print_run
from toolchain.workflow.run_folder import TrainedRun

_TOML = """
[data]
name = "digits"
train_samples = 60
test_samples = 20
[encoding]
steps = 2
[model]
name = "vgg"
layers = [4, "pool", 4, "pool"]
[pruning]
method = "sca"
sparsity = 0.5
[training]
epochs = 2
"""


def test_what_pruning_left_and_the_unpruned_network_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.toml").write_text(_TOML)
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(tmp_path / "run")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    history = TrainedRun.load(tmp_path / "run").history
    before, living = history.unpruned[-1], history.channels[-1].living
    assert sum(living) < 8
    assert f"channels that are left, by layer: {living[0]}, {living[1]} " in printed
    assert f"unpruned network, to compare: loss {before.loss:.4f}, training accuracy" in printed
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(tmp_path / "run"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert history.unpruned_test is not None
    assert f", test accuracy {history.unpruned_test:.2f} %" in printed
    assert document["unpruned"] == {
        "loss": before.loss,
        "train_accuracy": before.accuracy,
        "test_accuracy": history.unpruned_test,
    }
    assert document["living_channels"] == list(living)


def test_synapses_that_are_left_are_told_of_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = _TOML.replace('method = "sca"\nsparsity = 0.5', 'method = "gradual"\nfraction = 0.5')
    (tmp_path / "x.toml").write_text(document)
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(tmp_path / "run")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    run = TrainedRun.load(tmp_path / "run")
    left, before = run.synapses_left, run.synapses_before
    total = sum(before.values())
    assert f"synapses that are left: {sum(left.values()):,} of {total:,} (" in printed
    for name, count in left.items():
        assert f"{name} {count:,} of {before[name]:,}" in printed


def test_a_pruning_that_cost_much_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = _TOML.replace('method = "sca"\nsparsity = 0.5', 'method = "gradual"\nfraction = 0.5')
    (tmp_path / "x.toml").write_text(document.replace("epochs = 2", "epochs = 1"))
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(tmp_path / "run")]) == 0
    run = TrainedRun.load(tmp_path / "run")
    capsys.readouterr()
    for before, cost in ((90.0, 20), (71.0, None)):
        epochs = (replace(run.history.network[-1], accuracy=before),)
        after = (replace(run.history.network[-1], accuracy=70.0),)
        history = run.history.model_copy(update={"unpruned": epochs, "network": after})
        print_run(replace(run, history=history), tmp_path)
        printed = " ".join(capsys.readouterr().out.split())
        advice = f"pruning cost {cost}.0 points of training accuracy: a larger `fraction` under [pruning]"
        assert (advice in printed) is (cost is not None)
