"""Small test benches under Icarus Verilog."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

VERILOG = Path("targets/rtl/verilog")
BENCHES = Path("tests/targets/rtl/benches")


def simulate(
    folder: Path, bench: str, sources: tuple[str, ...], parameters: Mapping[str, int] | None = None
) -> list[str]:
    """Compile a bench with sources of ours, run it, and return the lines that it prints.

    Args:
        folder: Folder for the program; the bench runs there.
        bench: Name of the bench, which is that of its top module.
        sources: Names of the modules of ours that it needs.
        parameters: Values of parameters of the bench.
    """
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")
    chosen = [f"-P{bench}.{name}={value}" for name, value in (parameters or {}).items()]
    files = [BENCHES / f"{bench}.v", *(VERILOG / f"{name}.v" for name in sources)]
    program = folder / "bench"
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-s", bench, *chosen, "-o", program, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    ran = subprocess.run(
        ["vvp", "-N", program], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return ran.stdout.splitlines()
