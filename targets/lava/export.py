"""A network as files that run with lava-nc alone."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from targets.lava.job import write_network
from targets.lava.plan import Plan
from targets.lava.runtime.documents import Numbers
from toolchain.errors import TargetError
from toolchain.files.atomic import write_bytes

FILE: Final = "network.py"
"""What is run."""
RUNTIME: Final = "runtime"
"""Folder of the modules that it needs."""


def export_network(plan: Plan, folder: Path) -> None:
    """Write a network that runs where only lava-nc is installed.

    Beside `network.json` and `weights.npz`, which are what every run of ours is given, the folder holds
    `network.py` and a copy of `runtime`, which are what every run of ours is run by.

    Raises:
        TargetError: The network is not in integers.
    """
    if plan.network.numbers is not Numbers.FIXED:
        raise TargetError("a stand-alone network holds integers; write the fixed graph of a build")
    package = files("targets.lava")
    write_network(folder, plan)
    write_bytes(folder / FILE, (package / FILE).read_bytes())
    _copy(package / RUNTIME, folder / RUNTIME)


def _copy(source: Traversable, folder: Path) -> None:
    """Copy the modules of a package, and those of the packages in it."""
    for entry in source.iterdir():
        if entry.name.endswith(".py"):
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / entry.name, entry.read_bytes())
        elif entry.is_dir():
            _copy(entry, folder / entry.name)
