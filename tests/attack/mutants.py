"""Damaged bytes of every kind of file: read, or refused with an error of ours, in bounded time and memory.

A hundred mutants are read by one process, which is a fork of this one; what ends it, or takes too long, is found
by trying its mutants one by one.
"""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from tests.attack.forked import Outcome, forked
from tests.attack.kinds import Kind
from tests.fuzz.files import mutant

MEMORY: Final = 2 * 2**30
SECONDS: Final = 45.0


@final
@dataclass
class Damage:
    """What became of the mutants of one kind.

    Attributes:
        tried: How many.
        outcomes: How they ended.
        broken: Number of a mutant, and what no user should see.
        slowest: Seconds of the slowest.
        most: Bytes that one took.
    """

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, Outcome]] = field(default_factory=list)
    slowest: float = 0.0
    most: int = 0


def damage(kind: Kind, numbers: range) -> Damage:
    """Try the mutants of these numbers, of one kind; equal numbers are equal mutants."""
    found = Damage()
    with tempfile.TemporaryDirectory() as place:
        path = kind.write(Path(place) / "good" if not (Path(place) / "good").mkdir() else Path(place))
        good = path.read_bytes()
        for number in numbers:
            rng = random.Random(f"{kind.name} {number}")  # noqa: S311 - mutants, not secrets
            _fresh(kind, path)
            path.write_bytes(mutant(good, [good], rng))
            outcome = forked(lambda: kind.read(path), seconds=SECONDS, memory=MEMORY)
            _count(found, number, outcome)
    return found


def _fresh(kind: Kind, path: Path) -> None:
    """Write again what stands beside the file, if reading it changes that."""
    if kind.changes:
        folder = next(each for each in path.parents if each.name == "good")
        shutil.rmtree(folder)
        folder.mkdir()
        kind.write(folder)


def _count(found: Damage, number: int, outcome: Outcome) -> None:
    found.tried += 1
    found.outcomes["broken" if outcome.broken else outcome.said] += 1
    if outcome.broken:
        found.broken.append((number, outcome))
    found.slowest = max(found.slowest, outcome.seconds)
    found.most = max(found.most, outcome.memory)


def numbered(count: int, part: int = 0) -> Iterator[int]:
    """Yield the numbers of so many mutants."""
    yield from range(part * count, (part + 1) * count)
