"""Readers beside writers, and two writers of one place: whoever reads sees one whole state, and no state is lost.

Every writer writes its own number into every file of a folder; a reader that finds two numbers, or none, met half
of a swap.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from toolchain.atomic import replacing_file, replacing_folder

_FILES: Final = ("marker.json", "a.txt", "inner/b.txt", "inner/c.txt")
_PADDING: Final = 20_000


def _write_folder(folder: Path, number: int) -> None:
    with replacing_folder(folder, marker=_FILES[0]) as place:
        (place / "inner").mkdir()
        for name in _FILES:
            (place / name).write_text(f"{number} {'x' * _PADDING} {number}")


def _read_folder(folder: Path) -> str:
    """Read a folder as a careful program does: opened once, so that its files are those of one state."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        numbers: set[str] = set()
        for name in _FILES:
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=handle)) as file:
                first, _, last = file.read().split(" ")
                numbers |= {first, last}
        return "whole" if len(numbers) == 1 else f"mixed: {sorted(numbers)}"
    except FileNotFoundError as error:
        return f"missing: {error.filename}"
    finally:
        os.close(handle)


def _write_file(path: Path, number: int) -> None:
    with replacing_file(path) as place:
        place.write_text(f"{number} {'x' * _PADDING} {number}")


def _read_file(path: Path) -> str:
    first, _, last = path.read_text().split(" ")
    return "whole" if first == last else f"mixed: {first} {last}"


def beside(
    place: Path,
    write: Callable[[Path, int], None],
    read: Callable[[Path], str],
    *,
    reads: int,
    writers: int = 2,
) -> dict[str, int]:
    """Let writers write while a reader reads; return what was read, how often, and what was left.

    Args:
        place: What is written.
        write: Writes a state of this number.
        read: Says what it found.
        reads: How many.
        writers: How many write at the same time, each without a pause.
    """
    write(place, 0)
    children = [_forked_writer(place, write, number + 1) for number in range(writers)]
    found: Counter[str] = Counter()
    for _ in range(reads):
        try:
            found[read(place)] += 1
        except OSError as error:
            found[f"missing: {type(error).__name__}"] += 1
    for child, pipe in children:
        os.close(pipe)
        _, status = os.waitpid(child, 0)
        found["writers that failed"] += int(status != 0)
    if read(place) != "whole":
        found["not whole in the end"] += 1
    found["left beside"] = len([item for item in place.parent.iterdir() if item != place])
    return {
        name.partition(":")[0] if name.startswith("mixed") else name: count for name, count in found.items()
    }


def _forked_writer(place: Path, write: Callable[[Path, int], None], number: int) -> tuple[int, int]:
    """Start a process that writes until the pipe is closed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(reader)
        return child, writer
    os.close(writer)
    os.set_blocking(reader, False)
    code, count = 0, 0
    try:
        while _is_open(reader):
            write(place, number * 10**6 + count)
            count += 1
    except BaseException:  # noqa: BLE001 - whatever it is, the save was lost
        code = 1
    os._exit(code)


def _is_open(pipe: int) -> bool:
    try:
        return os.read(pipe, 1) != b""
    except BlockingIOError:
        return True
