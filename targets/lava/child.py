"""The child, `python -P child.py FOLDER PARENT`: runs the worker from its parent's packages.

By their names alone it could find others: a `targets.py` in a folder of PYTHONPATH, or an older installation.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).parents[2]
"""The folder of both packages."""


def pin(name: str) -> None:
    """Import a package from beside this one, wherever else Python would find that name."""
    spec = PathFinder.find_spec(name, [str(HOME)])
    if spec is None or spec.loader is None:
        raise ImportError(f"Pumice's package '{name}' is not in {str(HOME)!r}; install Pumice again")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    for package in ("toolchain", "targets"):
        pin(package)
    from targets.lava.worker import main

    sys.exit(main(sys.argv[1:]))
