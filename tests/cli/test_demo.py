"""The demo as a newcomer runs it, with the figures it promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.build_folder import Build
from toolchain.run_folder import TrainedRun


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
    assert TrainedRun.load(folder / "run").network.layer("hidden").size == result["neurons_after"]
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
        "Spikes of the first sample",
        "lava: u, v and spikes of 32",
    ):
        assert text in page
    assert page.count("<svg") == 3
    for outside in ('src="http', 'href="http', "@import", "<script"):
        assert outside not in page.replace('xlink:href="#', "")
