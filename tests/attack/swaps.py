"""Readers beside writers, and two writers of one place: readers see one whole state, and no save is lost.

Every writer writes its own number twice into every file; a reader that finds two numbers, or misses a file,
met half of a swap.
"""

import mmap
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from toolchain.errors import ToolchainError
from toolchain.files.atomic import replacing_file
from toolchain.files.opened import OpenedFolder, read_folder
from toolchain.files.swapping import replacing_folder
from toolchain.workflow.build_folder import Build
from toolchain.workflow.load import load

_FILES: Final = ("marker", "a", "inner/b", "inner/c")
_FILLING: Final = "x" * 20_000

Write = Callable[[Path, int], None]
Read = Callable[[Path], str]


def _numbered(number: int) -> str:
    return f"{number} {_FILLING} {number}"


def _whole(texts: list[str]) -> str:
    numbers = {number for text in texts for number in text.split(f" {_FILLING} ")}
    return "whole" if len(numbers) == 1 else "mixed"


def _write_file(path: Path, number: int) -> None:
    with replacing_file(path) as place:
        place.write_text(_numbered(number))


def _write_folder(folder: Path, number: int) -> None:
    with replacing_folder(folder, marker=_FILES[0]) as place:
        (place / "inner").mkdir()
        for name in _FILES:
            (place / name).write_text(_numbered(number))


def _read_paths(folder: Path) -> str:
    """Look for every file by its path: there always is one, whosever it is."""
    for name in _FILES:
        (folder / name).read_text()
    return "whole"


def _read_opened(folder: Path) -> str:
    """Read a folder as ours are read."""

    def texts(opened: OpenedFolder) -> list[str]:
        return [opened.read(name).decode() for name in _FILES]

    return _whole(read_folder("folder", folder, texts))


def _of_builds(builds: tuple[Build, Build]) -> tuple[Write, Read]:
    """Return a writer that saves two builds by turns, and a reader that loads whichever is there."""

    def write(folder: Path, number: int) -> None:
        builds[number % 2].save(folder)

    def read(folder: Path) -> str:
        return (
            "whole"
            if load(folder).fixed_graph.name in {build.fixed_graph.name for build in builds}
            else "mixed"
        )

    return write, read


def swaps(folder: Path, builds: tuple[Build, Build], reads: int) -> Iterator[tuple[str, Counter[str]]]:
    """Yield what was written and read, and what was found, and how often.

    Args:
        folder: An empty folder.
        builds: Two that differ.
        reads: How often a small folder is read; builds a tenth of that.
    """
    trials: dict[str, tuple[Write, Read, int]] = {
        "a file": (_write_file, lambda path: _whole([path.read_text()]), reads),
        "files by their paths": (_write_folder, _read_paths, reads),
        "an opened folder": (_write_folder, _read_opened, reads),
        "a build": (*_of_builds(builds), max(1, reads // 20)),
    }
    for name, (write, read, count) in trials.items():
        for writers in (1, 2):
            place = folder / f"{name} {writers}" / "it"
            place.parent.mkdir()
            yield f"{name}, {writers} writing", beside(place, write, read, reads=count, writers=writers)
            shutil.rmtree(place.parent)


def beside(place: Path, write: Write, read: Read, *, reads: int, writers: int) -> Counter[str]:
    """Let writers write without a pause while a reader reads; return what was found, and how often."""
    found: Counter[str] = Counter()
    write(place, 0)
    with mmap.mmap(-1, 8 * (writers + 1)) as shared:
        children = [_writer(place, write, number, shared) for number in range(1, writers + 1)]
        for _ in range(reads):
            found[_tried(lambda: read(place))] += 1
        shared[0] = 1
        for child in children:
            if os.waitpid(child, 0)[1]:
                found["writers that failed"] += 1
        found["saves"] = sum(
            int.from_bytes(shared[8 * n : 8 * n + 8], "little") for n in range(1, writers + 1)
        )
    found[f"in the end {_tried(lambda: read(place))}"] += 1
    found["left beside"] = sum(item != place for item in place.parent.iterdir())
    return found


def breaches(found: Counter[str]) -> list[str]:
    """Return what should not have been found."""
    good = {"whole", "saves", "in the end whole"}
    return [f"{name}: {count}" for name, count in found.items() if name not in good and count]


def _tried(read: Callable[[], str]) -> str:
    try:
        return read()
    except (ToolchainError, OSError) as error:
        return f"missed, {type(error).__name__}"


def _writer(place: Path, write: Write, number: int, shared: mmap.mmap) -> int:
    """Start a process that writes until it is told to stop, and counts what it wrote."""
    child = os.fork()
    if child:
        return child
    code, count = 1, 0
    with suppress(BaseException):
        while not shared[0]:
            write(place, number * 1_000_000 + count)
            count += 1
            shared[8 * number : 8 * number + 8] = count.to_bytes(8, "little")
        code = 0
    os._exit(code)
