"""Rules of language and size: phrases that stand alone, names that say something, functions of one screen."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

_BODY_LINES = 40
_POSITIONAL = 8
_BROKEN = re.compile(r"(Of|That|Whose|As which|Which|Where they|As they)\b")
"""How a line begins that goes on from its name, and says nothing where the name is not beside it."""
_ENTRY = re.compile(r" {4}(\*{0,2}\w+)(?: \([^)]*\))?: (.*)")
_NO_NAMES = {"found", "held", "told", "kept", "seen"}
"""Participles that tell a reader nothing: the thing has a name."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module


def _described(node: Definition) -> Iterator[tuple[str, str]]:
    """Yield every argument and attribute that a docstring describes, and what it says of it."""
    section = ""
    for line in (ast.get_docstring(node) or "").splitlines():
        if re.fullmatch(r"[A-Z]\w+:", line):
            section = line
        entry = _ENTRY.fullmatch(line)
        if entry and section in {"Args:", "Attributes:"}:
            yield entry[1], entry[2]


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function takes below its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_what_is_described_is_a_phrase_that_stands_alone(trees: dict[str, ast.Module]) -> None:
    broken = [
        f"{path}: {name}: {phrase}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Definition)
        for name, phrase in _described(node)
        if _BROKEN.match(phrase)
    ]
    assert not broken


def test_names_say_what_a_thing_is(trees: dict[str, ast.Module]) -> None:
    empty = [
        f"{path}:{node.lineno}: {name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.arg)
        for name in [node.id if isinstance(node, ast.Name) else node.arg]
        if name in _NO_NAMES
    ]
    assert not empty


def test_functions_stay_small(trees: dict[str, ast.Module]) -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": lines
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := _body_lines(node)) > _BODY_LINES
    }
    assert not long


def test_arguments_beyond_a_few_are_named(trees: dict[str, ast.Module]) -> None:
    crowded = [
        f"{path}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and len(node.args) > _POSITIONAL
    ]
    assert not crowded


def test_no_class_name_has_two_meanings(trees: dict[str, ast.Module]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}
