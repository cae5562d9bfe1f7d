"""The table of promises names tests and parts that exist."""

import ast
import re
from pathlib import Path

import pytest

_TABLE = "docs/promises.md"


@pytest.fixture
def promises(repository: Path) -> list[list[str]]:
    """The lines of the table, cell by cell."""
    lines = (repository / _TABLE).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][
        1:
    ]


def test_every_promise_is_attacked_by_a_test_that_exists(promises: list[list[str]], repository: Path) -> None:
    assert len(promises) > 10
    for promise, _, attacks in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", attacks)
        assert named, promise
        for path, name in named:
            tree = ast.parse((repository / path).read_text())
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{path}::{name}"


def test_every_module_that_keeps_a_promise_exists(promises: list[list[str]], repository: Path) -> None:
    for promise, kept, _ in promises:
        for path in re.findall(r"`([\w/]+(?:\.py|/))`", kept):
            assert (repository / path).exists(), f"{promise}: {path}"


def test_every_part_of_the_attack_is_in_the_table_and_no_other(
    promises: list[list[str]], repository: Path
) -> None:
    said = {
        name
        for _, _, attacks in promises
        for name in re.findall(r"`([a-z-]+)`", attacks.rpartition("part")[2])
    }
    tree = ast.parse((repository / "tests/attack/parts.py").read_text())
    (parts,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PARTS"
    )
    assert isinstance(parts, ast.Dict)
    assert said == {ast.literal_eval(key) for key in parts.keys if key is not None}
