"""`import pumice`: everything that users need, under a name that is ours, at the price of nothing."""

import ast
import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

import pumice
import toolchain

_HEAVY = {"numpy", "targets", "toolchain", "torch"}


def _loaded_by(code: str) -> set[str]:
    listing = f"{code}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_facade_offers_what_the_toolchain_offers() -> None:
    assert pumice.__all__ == toolchain.__all__
    for name in toolchain.__all__:
        assert name == "__version__" or getattr(pumice, name) is getattr(toolchain, name)


def test_no_other_package_has_to_be_imported_for_the_names_of_a_star() -> None:
    names: dict[str, object] = {}
    exec("from pumice import *", names)  # noqa: S102 - what a notebook does
    assert {*pumice.__all__} <= names.keys()


def test_the_table_of_homes_has_every_name_that_type_checkers_see() -> None:
    """The names stand twice: for Python, which imports them on first use, and for whoever reads the types."""
    tree = ast.parse(Path(toolchain.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = [alias for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert {alias.asname or alias.name for alias in imported} == {*toolchain.__all__} - {"__version__"}


def test_every_public_name_is_listed_and_explained() -> None:
    assert sorted(dir(pumice)) == sorted(pumice.__all__)
    for name in pumice.__all__:
        assert f"`{name}`" in (pumice.__doc__ or "")


def test_the_version_is_that_of_the_installation() -> None:
    assert pumice.__version__ == version("pumice")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pumice' has no attribute 'compare_everything'"):
        _ = pumice.compare_everything


@pytest.mark.parametrize("code", ["import pumice", "import pumice.pytest_plugin", "import pumice.command"])
def test_importing_it_loads_nothing_else(code: str) -> None:
    assert not _loaded_by(code) & _HEAVY


def test_listing_its_names_loads_none_of_them() -> None:
    assert not _loaded_by("import pumice; dir(pumice)") & (_HEAVY - {"toolchain"})


def test_every_entry_point_can_be_loaded(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    assert groups["console_scripts"] == {"pumice": "pumice.command:main"}
    assert groups["pytest11"] == {"pumice": "pumice.pytest_plugin"}
    for group, points in groups.items():
        for name, value in points.items():
            assert EntryPoint(name, value, group).load()


def test_the_facade_is_shipped(repository: Path) -> None:
    build = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert "pumice" in build["wheel"]["packages"]
    assert "pumice" in build["sdist"]["include"]
    assert (repository / "pumice" / "py.typed").is_file()
