"""How much memory reading something takes at its peak, measured in a process of its own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_CHILD = """
import resource, sys
{imports}
from toolchain.errors import ToolchainError

def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))

# Not ru_maxrss, which begins with the memory of the process that started this one.
base, said = status("VmRSS"), ""
try:
    {statement}
except ToolchainError as error:
    said = f"{{type(error).__name__}}: {{error}}"
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(max(status("VmHWM") - base, 0), children, said)
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
    own, children, said = done.stdout.rstrip("\n").split(" ", 2)
    return Peak(int(own), int(children), said)
