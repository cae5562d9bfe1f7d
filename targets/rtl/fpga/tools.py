"""The open tools for FPGAs as child processes: Yosys, nextpnr and the packers of bitstreams.

The extra `pumice[fpga]` brings them as WebAssembly (YoWASP), so that everybody gets the same ones; those of
the system are taken where that is not installed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from toolchain.child_process import problem_of
from toolchain.errors import TargetError, TargetUnavailableError

INSTALL: Final = "python -m pip install 'pumice[fpga]'"
_PREFIXES: Final = ("yowasp-", "")
_VERSION: Final = re.compile(r"\b\d+(\.\d+)+\b")
_LOG: Final = "log.txt"
_LINES: Final = 12
"""Lines of a tool's message that are shown."""
_WIDTH: Final = 200
_PATIENCE_S: Final = 3600.0


def find_tool(name: str) -> str:
    """Return the path of a tool.

    Args:
        name: Its name without the prefix of YoWASP, such as `nextpnr-ice40`.

    Raises:
        TargetUnavailableError: It is not installed.
    """
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    for prefix in _PREFIXES:
        path = shutil.which(prefix + name, path=places)
        if path is not None:
            return path
    raise TargetUnavailableError("rtl", f"there is no '{name}', nor 'yowasp-{name}'", INSTALL)


def tool_version(name: str) -> str:
    """Return a tool and the number of its version."""
    tool = find_tool(name)
    flag = "--version" if name.startswith("nextpnr") else "-V"
    done = subprocess.run(  # noqa: S603 - a tool of ours or of the user, no shell
        [tool, flag],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=_PATIENCE_S,
        check=False,
    )
    number = _VERSION.search(done.stdout + done.stderr)
    return f"{name} {number[0] if number else 'of an unknown version'}"


def run_tool(name: str, arguments: Sequence[str], folder: Path, made: str) -> str:
    """Run a tool in a folder, and return all that it said.

    Args:
        name: Name of the tool.
        arguments: Its arguments. Files are named relative to the folder: YoWASP sees no others of the
            temporary folder.
        folder: Folder of its files.
        made: File that it must write.

    Raises:
        TargetUnavailableError: It is not installed.
        TargetError: It fails; the last lines that it said are a note of the error.
    """
    command = (find_tool(name), *arguments)
    problem = problem_of(command, folder, folder / _LOG, patience_s=_PATIENCE_S)
    said = (folder / _LOG).read_text(encoding="utf-8", errors="replace")
    if problem or not (folder / made).is_file():
        raise _failure(name, problem or f"it wrote no '{made}'", said)
    return said


def _failure(name: str, problem: str, said: str) -> TargetError:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines[-_LINES:]
    error = TargetError(
        f"'{name}' does not take the network's design: {problem}",
        "its message follows; choose a larger device, or report it with the network",
    )
    error.add_note("\n".join(line[:_WIDTH] for line in errors[:_LINES]) or "the tool said nothing")
    return error
