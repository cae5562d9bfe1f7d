"""The third party's target of `examples/plugin-target`, built, installed and run. Needs `make frameworks`."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.frameworks.plugin_checks import NAME

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(find_spec("brian2_loihi") is None, reason="'make frameworks' installs brian2-loihi"),
]


@pytest.fixture(scope="module")
def environment(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of an environment where the target is installed from its wheel."""
    place = tmp_path_factory.mktemp("plugin")
    package = repository / "examples" / "plugin-target"
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), str(package)]
    subprocess.run([sys.executable, *command], check=True)
    paths = (str(place), str(repository), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_with_what_it_can(environment: dict[str, str]) -> None:
    listed = json.loads(_python(environment, "-m", "pumice", "targets", "--json"))
    assert listed[NAME]["problem"] is None
    assert listed[NAME]["can"]["numbers"] == "integers; exponents of weights from 0"


def test_random_graphs_within_what_it_declares_equal_the_reference(environment: dict[str, str]) -> None:
    assert "equal" in _python(environment, "-m", "tests.frameworks.plugin_checks")


def test_a_trained_network_is_compiled_for_it_and_equal(
    environment: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    run = repository / "tests" / "toolchain" / "workflow" / "first_release" / "run"
    build = str(tmp_path / "build")
    _python(environment, "-m", "pumice", "compile", str(run), "--target", NAME, "-o", build)
    compared = json.loads(_python(environment, "-m", "pumice", "compare", build, "--exact", NAME, "--json"))
    assert compared["exact"] == {NAME: True}
