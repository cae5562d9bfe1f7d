"""Damaged bytes of every kind of file: read, or refused with an error of ours, in bounded time and memory.

A fork of this process reads many mutants, one after another; after one that ends it, or that takes too long,
the next fork goes on.
"""

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from tests.attack.forked import BROKEN, Outcome, ended, forked
from tests.attack.kinds import Kind
from tests.fuzz.files import mutant

_MEMORY: Final = 2 * 2**30
_SECONDS: Final = 45.0
_BATCH: Final = 40


@final
class Damage(NamedTuple):
    """What became of the mutants of one kind.

    Attributes:
        outcomes: How they ended, and how often.
        broken: Number of a mutant, and what no user should see.
        memory: Bytes by which a process that read a batch grew.
    """

    outcomes: Counter[str]
    broken: list[tuple[int, str]]
    memory: int


def damage(kind: Kind, numbers: range) -> Damage:
    """Try the mutants of these numbers; equal numbers are equal mutants."""
    found = Damage(Counter(), [], 0)
    todo = list(numbers)
    with tempfile.TemporaryDirectory() as place:
        folder, told = Path(place) / "good", Path(place) / "told"
        while todo:
            batch, todo = todo[:_BATCH], todo[_BATCH:]
            told.write_text("")
            outcome = forked(
                lambda: _read_all(kind, folder, batch, told),  # noqa: B023
                seconds=_SECONDS * 2,
                memory=_MEMORY,
            )
            lines: list[list[Any]] = [json.loads(line) for line in told.read_text().splitlines()]
            todo = batch[len(lines) + outcome.broken :] + todo
            found = _added(found, batch, lines, outcome)
    return found


def _read_all(kind: Kind, folder: Path, numbers: list[int], told: Path) -> None:
    for number in numbers:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = kind.write(folder)
        good = path.read_bytes()
        path.write_bytes(mutant(good, [good], random.Random(f"{kind.name} {number}")))  # noqa: S311
        said, text = ended(lambda: kind.read(path))  # noqa: B023
        with told.open("a") as file:
            file.write(json.dumps([said, text[-2000:]]) + "\n")


def _added(found: Damage, batch: list[int], lines: list[list[Any]], outcome: Outcome) -> Damage:
    outcomes, broken = Counter(found.outcomes), list(found.broken)
    results = [(said, text) for said, text in lines]
    if outcome.broken:
        results.append((outcome.said, outcome.text))
    for number, (said, text) in zip(batch, results, strict=False):
        outcomes["broken" if said.startswith(BROKEN) else said] += 1
        if said.startswith(BROKEN):
            last = text.strip().splitlines()[-1] if text else ""
            broken.append((number, f"{said.removeprefix(BROKEN)}: {last[:200]}"))
    return Damage(outcomes, broken, max(found.memory, outcome.memory))


def mutants(kinds: dict[str, Kind], count: int, chosen: str = "") -> Iterator[tuple[str, Damage]]:
    """Yield every kind and what became of so many mutants of it."""
    for name, kind in kinds.items():
        if chosen in name:
            yield name, damage(kind, range(max(1, count // kind.cost)))
