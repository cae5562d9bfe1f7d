"""Projects of other people, which use the names of Pumice's packages for things of their own."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE, MODULE = "toolchain", "targets.py"


def own(folder: Path, *names: str) -> Path:
    """Write a package or module that bears the name of one of ours, and return the folder."""
    for name in names:
        path = folder / name if name.endswith(".py") else folder / name / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("THEIRS = True\n")
    return folder


def python(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with Pumice where an installation has it: behind the folder of the script.

    Args:
        folder: Where it runs.
        arguments: What follows `python`.
        path: Folder that stands before Pumice in PYTHONPATH.
    """
    places = [str(place) for place in (path, REPOSITORY) if place is not None]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(places),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
