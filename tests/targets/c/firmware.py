"""Programs that use a network's header and source as somebody's firmware would."""

from pathlib import Path

from targets.c.compiler import write_source
from targets.c.source import NetworkCode
from tests.targets.c.strict import SANITIZED, run_strictly


def run_firmware(code: NetworkCode, main: str, folder: Path, asked: bytes = b"") -> str:
    """Compile a main function with a network, every warning an error; return what it prints."""
    names = [path.name for path in write_source(code, folder, driver=False)]
    (folder / "main.c").write_text(main)
    return run_strictly([*names, "main.c"], folder, SANITIZED, asked)
