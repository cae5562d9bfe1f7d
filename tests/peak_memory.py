"""How much memory reading something takes at its peak, measured in a process of its own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_CHILD = """
import resource, sys, threading
{imports}
from toolchain.errors import ToolchainError

def peak(who):
    return resource.getrusage(who).ru_maxrss * 1024

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

base, said = held(), ""
try:
    {statement}
except ToolchainError as error:
    said = f"{{type(error).__name__}}: {{error}}"
after = peak(resource.RUSAGE_SELF)
print(max(after - base, 0), peak(resource.RUSAGE_CHILDREN), said)
"""


@dataclass(frozen=True)
class Peak:
    """What reading something took.

    Attributes:
        own: Bytes beyond what the process held when everything was imported, at most: its peak may be older.
        children: Bytes of the largest process that it started.
        said: The toolchain's error; empty if there was none.
    """

    own: int
    children: int
    said: str

    @property
    def mebibytes(self) -> float:
        return self.own / 2**20


def peak_of(
    imports: str, statement: str, *arguments: object, environment: dict[str, str] | None = None
) -> Peak:
    """Run a statement after some imports; it finds its arguments in `sys.argv[1:]`."""
    code = _CHILD.format(imports=imports, statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **(environment or {})},
        timeout=300,
    )
    own, children, said = (
        done.stdout.strip().split(" ", 2) if done.stdout.count(" ") > 1 else (*done.stdout.split(), "")
    )
    return Peak(int(own), int(children), said)
