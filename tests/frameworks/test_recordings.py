"""What the guide lets users record in a framework proves the network that is read from its file."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from toolchain.cli.main import main
from toolchain.interchange.nir.conventions import CONVENTIONS

FRAMEWORKS = {
    "snntorch": "subtract-delayed",
    "norse": "zero",
    "sinabs": "subtract-several",
    "spikingjelly": "zero",
}
MISSING = [name for name in FRAMEWORKS if find_spec(name) is None]

pytestmark = pytest.mark.frameworks


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_a_framework_computes_is_what_was_read(
    framework: str, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = repository / "docs" / "_recording" / f"record_{framework}.py"
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=os.environ, check=True, timeout=600)
    command = ["compile", str(tmp_path / "net.nir"), "--convention", framework]
    for name in ("samples", "outputs"):
        command += ["--example" if name == "samples" else "--expect", str(tmp_path / f"{name}.npz")]
    assert main([*command, "--reset", FRAMEWORKS[framework], "-o", str(tmp_path / "build")]) == 0
    assert "equal to what the framework computed, at all 30 steps of 8 samples" in capsys.readouterr().out
    other = "zero" if framework in {"snntorch", "sinabs"} else "subtract"
    assert main([*command, "--reset", other, "-o", str(tmp_path / "build")]) == 4
    assert f"with --reset {FRAMEWORKS[framework]} all 30 steps" in capsys.readouterr().err


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_guide_says_the_default_of_every_framework(framework: str, repository: Path) -> None:
    assert CONVENTIONS[framework].resets[0][0] == FRAMEWORKS[framework]
    page = (repository / "docs" / "neurons.md").read_text()
    assert f"`--convention {framework} --reset {FRAMEWORKS[framework]}`" in page
    assert f"_recording/record_{framework}.py" in page
