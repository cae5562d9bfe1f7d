"""The demo as a newcomer runs it, with the figures it promises."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_run import recurrent_of
from toolchain.cli.main import main
from toolchain.execution import reference
from toolchain.frontends import from_torch
from toolchain.workflow.build_folder import Build
from toolchain.workflow.run_folder import TrainedRun

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.cli", "demo", "--json", "-o", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_it_keeps_accuracy_while_it_loses_most_of_itself(demo: tuple[Path, dict]) -> None:
    result = demo[1]
    assert result["test_images"] == 540
    assert result["float_accuracy"] >= 97
    assert result["pruned_accuracy"] >= 97
    assert result["neurons_before"] == 512
    assert result["neurons_after"] <= 220
    assert result["synapses_after"] <= 0.1 * result["synapses_before"]
    assert result["synops_before"] >= 4 * result["synops_after"]


def test_its_integers_are_the_network_that_was_trained(demo: tuple[Path, dict]) -> None:
    result = demo[1]
    assert abs(result["pruned_accuracy"] - result["fixed_accuracy"]) <= 0.5
    assert result["spike_f1"] >= 0.95
    assert (result["lava_images"], result["lava_equal"]) == (32, True)


def test_it_leaves_run_build_and_report(demo: tuple[Path, dict]) -> None:
    folder, result = demo
    assert (
        recurrent_of(TrainedRun.load(folder / "run").network).layer("hidden").size == result["neurons_after"]
    )
    build = Build.load(folder / "build")
    assert build.target == "lava"
    assert build.stimulus is not None
    assert build.stimulus.samples == 540
    assert (folder / "report.html").read_bytes() == (folder / "build" / "report.html").read_bytes()


def test_its_report_needs_no_network_and_shows_what_it_promises(demo: tuple[Path, dict]) -> None:
    page = (demo[0] / "report.html").read_text()
    for text in (
        "Before and after pruning",
        "Agreement per population",
        "Where the loss comes from",
        "Spikes and potentials",
        "Lava: u, v and spikes of 32",
    ):
        assert text in page
    # The weights have a panel per connection; what only a browser can tell is in test_report.
    connections = Build.load(demo[0] / "build").quantization.connections
    assert page.count("<svg") == 4 + len(connections)
    for outside in ("src=", 'href="http', "@import", "fetch(", "XMLHttpRequest"):
        assert outside not in page.replace('xlink:href="#', "")


def test_its_network_equals_its_graph_in_float64(demo: tuple[Path, dict]) -> None:
    trained = TrainedRun.load(demo[0] / "run")
    network, x = recurrent_of(trained.network).double(), trained.stimulus.values["input"][:12]
    with torch.inference_mode():
        activity = network(torch.tensor(x).double(), record=True)
    trace = reference.run(from_torch(network), x)
    for name in ("hidden", "readout"):
        assert np.array_equal(activity.spikes[name].numpy().astype(bool), trace.spikes[name])
        assert np.abs(activity.v[name].numpy() - trace.v[name]).max() <= 1e-9
        assert np.abs(activity.u[name].numpy() - trace.u[name]).max() <= 1e-9


def _block(repository: Path, language: str, word: str) -> str:
    """Return the block of the README that holds a word."""
    text = (repository / "README.md").read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    return block


def test_the_commands_of_the_readme_work(
    demo: tuple[Path, dict], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo has run already."""
    shutil.copytree(demo[0], tmp_path / "pumice-demo")
    monkeypatch.chdir(tmp_path)
    first, *commands = _block(repository, "sh", "pumice demo").splitlines()
    assert (first, len(commands)) == ("pumice demo", 3)
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command


def test_four_bits_with_training_lose_little(
    demo: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(demo[0] / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    command = "compile run --target lava --weight-bits 4 --qat-epochs 5 -o four-bits"
    assert main([*command.split()]) == 0
    build = Build.load(tmp_path / "four-bits")
    assert build.facts.repair is not None
    assert build.facts.repair.epochs == 5
    drop = json.loads((tmp_path / "four-bits" / "fidelity.json").read_text())["accuracy_drop"]
    assert abs(drop) <= 1.5


def test_the_python_of_the_readme_works(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(_block(repository, "python", "import pumice"), {})  # noqa: S102
    assert "lava: u, v and spikes of 32 samples equal" in capsys.readouterr().out
    assert Build.load(tmp_path / "digits-build").target == "lava"
