"""The studies are scripts that import one another from their own folder."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def experiment(repository: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of `experiments` by its name."""
    folder = str(repository / "experiments")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)
