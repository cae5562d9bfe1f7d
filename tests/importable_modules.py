"""The modules of a package that can be imported here."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from types import ModuleType

_KERNELS = {f"toolchain.models.loops.triton_{name}" for name in ("forward", "backward")}
"""Modules that are imported only where Triton is installed."""


def importable_modules(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield every module of a package."""
    missing = set() if importlib.util.find_spec("triton") else _KERNELS
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        # Importing these two runs them, or needs Lava's process registry.
        if not info.name.endswith("__main__") and info.name not in missing:
            yield importlib.import_module(info.name)
