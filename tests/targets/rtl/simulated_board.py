"""The top level of a board under Verilator, its serial line bit by bit, as the line that a host opens."""

import os
import select
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.targets.rtl.icarus import BENCHES


def build_board(folder: Path, sources: list[Path], parameters: Mapping[str, int]) -> Path:
    """Return the program of a simulated board.

    Args:
        folder: Folder for it.
        sources: Files of Verilog.
        parameters: Parameters of `board`.
    """
    if shutil.which("verilator") is None:
        pytest.skip("Verilator is not installed")
    chosen = [f"-G{name}={value}" for name, value in parameters.items()]
    flags = f"-O2 -DDIVISOR={parameters['DIVISOR']}"
    command = ["verilator", "--cc", "--exe", "--build", "-Wall", "-O3", "--top-module", "board", *chosen]
    command += ["-CFLAGS", flags, "--Mdir", str(folder), "-o", "simulated", *map(str, sources)]
    done = subprocess.run(
        [*command, str((BENCHES / "board.cpp").resolve())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "simulated"


class SimulatedLine:
    """The serial line to a simulated board."""

    def __init__(self, program: Path, patience_s: float = 60.0) -> None:
        self._child = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._patience_s = patience_s
        self.sent = 0
        self.cycles = 0

    def write(self, data: bytes, /) -> None:
        assert self._child.stdin is not None
        self.sent += len(data)
        self._child.stdin.write(b"".join(bytes((0, byte)) for byte in data))
        self._child.stdin.flush()

    def read(self, most: int, /) -> bytes:
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], self._patience_s)
        return os.read(self._child.stdout.fileno(), most) if ready else b""

    def send_break(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(b"\x01\x00")
        self._child.stdin.flush()

    def close(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stderr is not None
        self._child.stdin.close()
        self.cycles = int(self._child.stderr.read() or 0)
        self._child.wait(30)
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
