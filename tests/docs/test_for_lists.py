"""What the texts for lists of others say of NIR and of the project is so."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from toolchain.interchange.nir import file, to_nir


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "for-lists.md").read_text(encoding="utf-8")


def test_the_primitives_are_those_that_are_read_and_written(page: str) -> None:
    table = page.partition("<!-- primitives: begin -->")[2].partition("<!-- primitives: end -->")[0]
    rows = dict(re.findall(r"^\| (\w+) \| ([→⟷]) \|$", table, re.MULTILINE))
    read = set(file._KINDS) - {"Input", "Output"}
    made = {
        call.func.attr
        for call in ast.walk(ast.parse(Path(to_nir.__file__).read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "nir"
    }
    assert rows == {name: "⟷" if name in made else "→" for name in read}


def test_licence_and_version_are_those_of_the_package(page: str, repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f'license: "{project["license"]}"' in page
    assert f"version {project['version']}" in page
