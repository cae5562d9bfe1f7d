"""Crafted texts: JSON, TOML and CSV that are deep, long or large, and files that are nothing but holes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

Make = Callable[[Path], object]


def _text(make: Callable[[], str]) -> Make:
    return lambda path: path.write_text(make(), encoding="utf-8")


def holes(head: bytes = b"") -> Make:
    """Ten GiB that take no room on the disk, behind what a file of its kind begins with."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(head)
            file.truncate(10 * 2**30)

    return make


JSON: Final[dict[str, Make]] = {
    "100,000 lists in one another": _text(lambda: "[" * 100_000 + "]" * 100_000),
    "100,000 sections in one another": _text(lambda: '{"a":' * 100_000 + "1" + "}" * 100_000),
    "20,000,000 lists": _text(lambda: "[" + "[]," * 20_000_000 + "[]]"),
    "20,000,000 numbers": _text(lambda: '{"format": [' + "1," * 20_000_000 + "1]}"),
    "1,000,000 keys": _text(lambda: "{" + ",".join(f'"k{number}":0' for number in range(1_000_000)) + "}"),
    "a number of 10,000,000 digits": _text(lambda: '{"version": ' + "9" * 10_000_000 + "}"),
    "a text of 200 MB": _text(lambda: '{"format": "' + "x" * 200_000_000 + '"}'),
    "ten GiB of holes": holes(),
    "a lone surrogate": _text(lambda: '{"format": "\\ud800", "version": 1}'),
}

TOML: Final[dict[str, Make]] = {
    "100,000 lists in one another": _text(lambda: "seed = " + "[" * 100_000 + "]" * 100_000),
    "100,000 tables in one another": _text(lambda: "seed = " + "{a=" * 100_000 + "1" + "}" * 100_000),
    "a key of 100,000 parts": _text(lambda: ".".join("a" * 100_000) + " = 1"),
    "a table of 100,000 parts": _text(lambda: "[" + ".".join("a" * 100_000) + "]"),
    "5,000,000 numbers": _text(lambda: "seed = [" + "1," * 5_000_000 + "]"),
    "a number of 1,000,000 digits": _text(lambda: "seed = " + "9" * 1_000_000),
    "a key of 50 MB": _text(lambda: "x" * 50_000_000 + " = 1"),
    "a value of 50 MB": _text(lambda: 'seed = "' + "x" * 50_000_000 + '"'),
    "200,000 dotted keys": _text(lambda: "\n".join(f"a.b{number}.c = 1" for number in range(200_000))),
    "ten GiB of holes": holes(),
    "no UTF-8": lambda path: path.write_bytes(b'seed = "\xff\xfe"'),
}

CSV: Final[dict[str, Make]] = {
    "20,000,000 rows": _text(lambda: "a,b\n" + "1,2\n" * 15_000_000),
    "3,000,000 columns": _text(
        lambda: ",".join(f"c{number}" for number in range(3_000_000)) + "\n" + ("1," * 3_000_000 + "\n") * 3
    ),
    "cells that no header names": _text(lambda: "a\n" + ("1," * 1_000_000 + "1\n") * 12),
    "a cell of 60 MB": _text(lambda: "a\n" + "1" * 60_000_000 + "\n"),
    "a quote that never ends": _text(lambda: 'a\n"' + "1\n" * 1_000_000),
    "zeros": lambda path: path.write_bytes(b"a\n" + b"\0\n" * 20),
    "columns of one name": _text(lambda: "a,a,a\n" + "1,2,3\n" * 20),
    "numbers that are none": _text(lambda: "a\n" + "nan\ninf\n-inf\n1e999\n" * 5),
    "ten GiB of holes": holes(b"a\n"),
}
