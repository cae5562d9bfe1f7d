"""Programs that use a network's header and source as somebody's firmware would."""

import subprocess
from pathlib import Path

from targets.c.compiler import write_source
from targets.c.source import NetworkCode
from tests.targets.c.strict import SANITIZED


def run_firmware(code: NetworkCode, main: str, folder: Path, asked: bytes = b"") -> str:
    """Compile a main function with a network, every warning an error; return what it prints."""
    names = [path.name for path in write_source(code, folder, driver=False)]
    (folder / "main.c").write_text(main)
    command = [*SANITIZED, "-std=c99", "-o", "firmware", *names, "main.c"]
    compiled = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    ended = subprocess.run([folder / "firmware"], input=asked, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode()
