"""The code base, parsed once."""

import ast
from pathlib import Path

import pytest

_PACKAGES = ("pumice", "toolchain", "targets")


@pytest.fixture(scope="package")
def trees(repository: Path) -> dict[str, ast.Module]:
    """The syntax tree of every module of the packages, by its path. Nobody changes it."""
    return {
        path.relative_to(repository).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for package in _PACKAGES
        for path in sorted((repository / package).rglob("*.py"))
    }
