"""`python -m tests.attack [PART ...]`: every promise of docs/promises.md, attacked for some minutes.

Parts run beside one another, each in a fork of this process. Each prints its figures as a table when it ends;
the exit code is 1 if a promise was broken.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

# A process of several threads must not be forked.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

from tests.attack.forked import forked
from tests.attack.kinds import Kinds
from tests.attack.parts import PARTS, Part, Row, Setting
from tests.attack.verbs import small_demo

_HOURS: Final = 12 * 3600.0
_SHOWN: Final = 10
"""So many things that went wrong are shown for a row."""


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--size", type=float, default=1.0, help="how much is tried; 1 takes about 25 minutes")
    parser.add_argument("--jobs", type=int, default=2, help="how many parts run beside one another")
    parser.add_argument("--only", default="", help="only what has this in its name")
    parser.add_argument("--materials", type=Path, help="folder with a finished `run` and a `build` of it")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    small_demo()
    with tempfile.TemporaryDirectory(prefix="attack-") as place:
        kinds = Kinds(asked.materials or Path(place) / "materials")
        if asked.materials is None:
            made = forked(kinds.make, seconds=_HOURS, memory=2**40)
            if made.said != "read":
                sys.exit(f"nothing to attack: {made.said} {made.text}")
        return int(sum(_run_all(asked, kinds, Path(place))) > 0)


def _run_all(asked: argparse.Namespace, kinds: Kinds, place: Path) -> list[int]:
    """Start parts as others end; print each when it has ended; return how much was wrong."""
    waiting, running, wrong = [*asked.parts] or [*PARTS], dict[int, tuple[str, float]](), list[int]()
    while waiting or running:
        while waiting and len(running) < asked.jobs:
            name = waiting.pop(0)
            (place / name).mkdir()
            setting = Setting(kinds, place / name, asked.size, asked.only)
            running[_started(PARTS[name], setting, place / f"{name}.jsonl")] = name, time.monotonic()
        child, status = os.wait()
        if child in running:
            name, began = running.pop(child)
            rows = [Row(tuple(cells), said) for cells, said in _lines(place / f"{name}.jsonl")]
            if status:
                told = place / f"{name}.txt"
                rows.append(
                    Row(("the part itself",), [told.read_text()[-2000:] if told.exists() else "it died"])
                )
            wrong.append(_print_table(name, rows, time.monotonic() - began))
    return wrong


def _started(part: Part, setting: Setting, results: Path) -> int:
    """Start a part in a fork of this process."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with results.open("w") as file:
                for row in part.rows(setting):
                    file.write(json.dumps([row.cells, row.wrong]) + "\n")
                    file.flush()
            code = 0
        except BaseException:  # noqa: BLE001 - the parent tells it
            results.with_suffix(".txt").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    return child


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _print_table(name: str, rows: list[Row], seconds: float) -> int:
    """Print what a part found; return how much of it was wrong."""
    part = PARTS[name]
    shown = [row for row in rows if part.every or row.wrong]
    cells = [part.heading, *(row.cells for row in shown)]
    widths = [max(len(line[i]) for line in cells if i < len(line)) for i in range(len(part.heading))]
    wrong = sum(len(row.wrong) for row in rows)
    _say(f"\n{name}: {len(rows)} rows, {wrong} wrong, {seconds:.0f} s")
    for line, row in zip(cells, [None, *shown], strict=True):
        _say("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip())
        for text in row.wrong[:_SHOWN] if row else ():
            _say(f"      WRONG {ascii(text)[1:-1]}")
    return wrong


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
