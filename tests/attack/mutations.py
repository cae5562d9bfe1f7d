"""All single mutations of a JSON file, and what became of them: refused with a lesson, accepted, or broken.

A mutation changes one thing: a value becomes one of the odd values below, a key is deleted, renamed or given
twice, a list is emptied, reversed, repeated or cut. `attack` writes each into a file, lets somebody read it,
and counts; whatever is raised that is no `ToolchainError` is a finding.
"""

import json
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from toolchain.errors import ToolchainError

_DEEP: Final = 1000
ODD_VALUES: Final[dict[str, str]] = {
    "null": "null",
    "true": "true",
    "false": "false",
    "0": "0",
    "1": "1",
    "-1": "-1",
    "0.5": "0.5",
    "2^31": str(2**31),
    "2^63": str(2**63),
    "2^64": str(2**64),
    "1e30": "1e30",
    "a whole 10^30": "1" + "0" * 30,
    "5e-324": "5e-324",
    "1e308": "1e308",
    "-1e308": "-1e308",
    "1e999": "1e999",
    "400 digits": "7" * 400,
    "5000 digits": "7" * 5000,
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "an empty text": '""',
    "x": '"x"',
    "a number as text": '"1"',
    "a path upwards": '"../../x"',
    "a very long text": '"' + "x" * 100_000 + '"',
    "control characters": '"\\u001b[31m\\u0007\\r\\n\\u0000"',
    "a lone surrogate": '"\\ud800"',
    "[]": "[]",
    "{}": "{}",
    "[null]": "[null]",
    "a list of numbers": "[1, 2, 3]",
    "a section": '{"x": 1}',
    "1000 lists": "[" * _DEEP + "]" * _DEEP,
    "1000 sections": '{"x":' * _DEEP + "1" + "}" * _DEEP,
}
"""Text that takes the place of a value, by what a finding calls it."""

Place = tuple[str | int, ...]
_VALUE: Final = "@value of the mutation@"
_KEY: Final = "@key of the mutation@"


@final
@dataclass(frozen=True)
class Mutation:
    """A file in which one thing was changed.

    Attributes:
        told: What was changed, and how.
        content: The whole file.
    """

    told: str
    content: bytes


def mutations(content: str | bytes) -> Iterator[Mutation]:
    """Yield all single mutations of a JSON file, in an order that depends on nothing but the file."""
    document = json.loads(content)
    for place, value in _places(document):
        yield from _of_value(document, place, value)
        if isinstance(value, dict):
            yield from _of_keys(document, place, value)
        if isinstance(value, list):
            yield from _of_list(document, place, value)
    yield from _of_text(content.encode() if isinstance(content, str) else content)


def drawn(content: str | bytes, count: int) -> list[Mutation]:
    """Some of the mutations of a JSON file, the same in every run."""
    every = list(mutations(content))
    chosen = np.random.default_rng(0).permutation(len(every))[:count]
    return [every[i] for i in sorted(chosen)]


def _places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield every value of a document with the keys and indices that lead to it, the document first."""
    yield place, value
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*place, key))


def _of_value(document: Any, place: Place, value: Any) -> Iterator[Mutation]:
    before = json.dumps(value)
    changed = _text(document, place, _VALUE)
    for name, text in (ODD_VALUES | _siblings(document, place, value)).items():
        if text != before:
            yield Mutation(f"{_named(place)} = {name}", changed.replace(f'"{_VALUE}"', text).encode())


def _siblings(document: Any, place: Place, value: Any) -> dict[str, str]:
    """Return the first neighbour of another type: what a mixed-up file would hold here."""
    around = _at(document, place[:-1]) if place else None
    values = around.values() if isinstance(around, dict) else around or ()
    other = next((each for each in values if type(each) is not type(value)), None)
    return {} if other is None else {"its neighbour of another type": json.dumps(other)}


def _of_keys(document: Any, place: Place, section: dict[str, Any]) -> Iterator[Mutation]:
    for key, value in section.items():
        where = _named((*place, key))
        without = {name: each for name, each in section.items() if name != key}
        yield Mutation(f"{where} is deleted", _text(document, place, without).encode())
        renamed = {f"{name}x" if name == key else name: each for name, each in section.items()}
        yield Mutation(f"{where} is renamed", _text(document, place, renamed).encode())
        for again, text in (("equal", json.dumps(value)), ("null", "null"), ("1", "1")):
            twice = _text(document, place, section | {_KEY: _VALUE})
            twice = twice.replace(f'"{_KEY}"', json.dumps(key)).replace(f'"{_VALUE}"', text)
            yield Mutation(f"{where} stands twice, then {again}", twice.encode())


def _of_list(document: Any, place: Place, values: list[Any]) -> Iterator[Mutation]:
    forms = {
        "reversed": values[::-1],
        "repeated": values + values,
        "without its first": values[1:],
        "without its last": values[:-1],
        "with its first twice": values[:1] + values,
        "with its last twice": values + values[-1:],
    }
    for name, form in forms.items():
        if form != values:
            yield Mutation(f"{_named(place)} is {name}", _text(document, place, form).encode())


def _of_text(content: bytes) -> Iterator[Mutation]:
    """Yield files that are no JSON any more, or JSON of another encoding."""
    forms = {
        "nothing": b"",
        "half of it": content[: len(content) // 2],
        "twice itself": content + content,
        "itself and a zero": content + b"\0",
        "no UTF-8": content.replace(b'"', b'"\xff', 1),
        "begun with a mark of order": b"\xef\xbb\xbf" + content,
        "UTF-16": content.decode().encode("utf-16"),
    }
    for name, form in forms.items():
        yield Mutation(f"the file is {name}", form)


def _at(document: Any, place: Place) -> Any:
    for key in place:
        document = document[key]
    return document


def _text(document: Any, place: Place, value: Any) -> str:
    return json.dumps(_with(document, place, value))


def _with(document: Any, place: Place, value: Any) -> Any:
    """Return a document that shares all but one place with another."""
    if not place:
        return value
    first, *others = place
    changed: Any = dict(document) if isinstance(document, dict) else list(document)
    changed[first] = _with(document[first], tuple(others), value)
    return changed


def _named(place: Place) -> str:
    return ".".join(map(str, place)) or "the document"


@final
@dataclass
class Outcomes:
    """What became of mutations.

    Attributes:
        refused: Count per kind of `ToolchainError`.
        accepted: What was changed without anybody objecting.
        broken: What was changed, and the traceback of an error that no user should see.
    """

    refused: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """How many there were."""
        return self.refused.total() + len(self.accepted) + len(self.broken)

    def __str__(self) -> str:
        return (
            f"{self.tried} mutations: {self.refused.total()} refused, {len(self.accepted)} accepted, "
            f"{len(self.broken)} broken"
        )


def attack(path: Path, chosen: Iterable[Mutation], read: Callable[[], object]) -> Outcomes:
    """Write every mutation into a file and let somebody read it; the file is as before in the end.

    Args:
        path: The file.
        chosen: Mutations of its content.
        read: Does all that a user could do with the file.
    """

    def write_and_read(content: bytes) -> None:
        path.write_bytes(content)
        read()

    before = path.read_bytes()
    try:
        return attack_content(chosen, write_and_read)
    finally:
        path.write_bytes(before)


def attack_content(chosen: Iterable[Mutation], read: Callable[[bytes], object]) -> Outcomes:
    """Let somebody read every mutation of a file without writing it.

    Args:
        chosen: Mutations of its content.
        read: Does with the content all that a user could do with the file.
    """
    found = Outcomes()
    for mutation in chosen:
        _judge(mutation, read, found)
    return found


def _judge(mutation: Mutation, read: Callable[[bytes], object], found: Outcomes) -> None:
    try:
        refusal = _refusal(mutation.content, read)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - any other error is the finding, a panic of Rust as well
        found.broken.append((mutation.told, traceback.format_exc()))
        return
    if refusal:
        found.refused[refusal] += 1
    else:
        found.accepted.append(mutation.told)


def _refusal(content: bytes, read: Callable[[bytes], object]) -> str:
    """Return the class of the error that a user is told, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            read(content)
    except ToolchainError as error:
        str(error).encode()  # Whoever prints it must not stumble over it.
        return type(error).__name__
    return ""
