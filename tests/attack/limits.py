"""Every verb on a machine that has little of something: room, memory, open files, processes, permissions.

A call ends well or with an error of ours; what it wrote is whole or absent, and nothing else is left.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, final

from tests.attack.verbs import VERBS, Call, Caller, Verb, breaches, clear

_DISK: Final = 300_000
_SECONDS: Final = 300.0
_ENDS: Final = {0, 2, 3, 4}
"""Codes of a call that ended as it should: all but 1, our bug, and death by a signal."""
_NOBODY: Final = 65_533

Prepare = Callable[[], object]


def _limited(kind: int, size: int) -> Prepare:
    return partial(resource.setrlimit, kind, (size, size))


def _onto(number: int, path: str) -> Prepare:
    def prepare() -> None:
        os.dup2(os.open(path, os.O_WRONLY), number)

    return prepare


def _broken_pipe(*numbers: int) -> Prepare:
    def prepare() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        for number in numbers:
            os.dup2(writer, number)

    return prepare


def _closed(*numbers: int) -> Prepare:
    def prepare() -> None:
        for number in numbers:
            os.close(number)

    return prepare


def _without_folder() -> None:
    os.rmdir(os.getcwd())  # noqa: PTH106, PTH109 - what a user's shell does


@final
@dataclass(frozen=True)
class Trial:
    """A machine that lacks something.

    Attributes:
        name: What.
        prepare: Takes it away, in the process itself.
        fresh: Whether the interpreter starts without it, too.
        verbs: Names of those that are tried; all if there are none.
        told: Whether an error can be told at all.
    """

    name: str
    prepare: Prepare
    fresh: bool = False
    verbs: tuple[str, ...] = ()
    told: bool = True


_FEW: Final = ("show", "run", "compile")
TRIALS: Final = (
    *(
        Trial(f"ulimit -f {size}", _limited(resource.RLIMIT_FSIZE, size))
        for size in (20_000, 40_000, 100_000)
    ),
    *(Trial(f"ulimit -n {count}", _limited(resource.RLIMIT_NOFILE, count)) for count in (10, 20, 40)),
    *(
        Trial(
            f"ulimit -n {count}, from the start",
            _limited(resource.RLIMIT_NOFILE, count),
            True,
            ("show", "run on lava"),
        )
        for count in (10, 40)
    ),
    *(
        Trial(
            f"ulimit -v {size} GB, from the start",
            _limited(resource.RLIMIT_AS, size * 10**9),
            True,
            (*_FEW, "run on lava"),
        )
        for size in (1, 2, 4, 8)
    ),
    Trial("ulimit -s 256 kB", _limited(resource.RLIMIT_STACK, 2**18), True, _FEW),
    Trial("standard output closed", _closed(1), told=False),
    Trial("standard output closed, from the start", _closed(1), True, ("show", "run"), told=False),
    Trial("all streams closed", _closed(0, 1, 2), True, ("show", "run", "run on lava"), told=False),
    Trial("a pipe that nobody reads", _broken_pipe(1), told=False),
    Trial("two pipes that nobody reads", _broken_pipe(1, 2), told=False),
    Trial("standard output on a full disk", _onto(1, "/dev/full")),
    Trial("current folder deleted", _without_folder),
    Trial("current folder deleted, from the start", _without_folder, True, ("show", "run", "run on lava")),
)


@contextmanager
def small_disk(place: Path, size: int = _DISK) -> Iterator[bool]:
    """Mount a disk of so many bytes at a folder; yield whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    allowed = (
        shutil.which("mount") is not None
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )
    try:
        yield allowed
    finally:
        if allowed:
            subprocess.run(["umount", "--lazy", str(place)], check=False)


def _judged(call: Call, verb: Verb, *, told: bool = True) -> list[str]:
    """Wait for a call to end and return what was wrong with it."""
    if not call.wait(_SECONDS):
        call.kill()
        return [f"hangs: {call.said('stderr')[-200:]}"]
    found = breaches(call, verb)
    if call.code not in _ENDS:
        found.append(f"exit code {call.code}: {call.said('stderr').strip()[-300:]}")
    elif call.code == 0 and verb.check is not None and not call.output.exists():
        found.append("exit code 0, but no output")
    elif call.code and told and not call.said("stderr").strip():
        found.append(f"exit code {call.code} without a word")
    return found


def limits(caller: Caller, chosen: str = "") -> Iterator[tuple[str, str, int | None, list[str]]]:
    """Yield trial, verb, exit code and what was wrong, for all of them."""
    for trial in TRIALS:
        for verb in VERBS:
            if chosen not in f"{trial.name} {verb.name}" or (trial.verbs and verb.name not in trial.verbs):
                continue
            call = caller.start(verb, caller.place(), trial.prepare, fresh=trial.fresh)
            found = _judged(call, verb, told=trial.told)
            yield trial.name, verb.name, call.code, found
            clear(call)


def disks(caller: Caller, chosen: str = "") -> Iterator[tuple[str, str, int | None, list[str]]]:
    """Yield the same for small disks: for what is written, and for temporary files; half full and full."""
    for where in ("out", "tmp"):
        for taken in (0, _DISK - 40_960, _DISK):
            for verb in VERBS:
                name = f"{where} on a disk of {_DISK - taken:,} bytes"
                if chosen in f"{name} {verb.name}":
                    yield name, verb.name, *_on_disk(caller, verb, where, taken)


def _on_disk(caller: Caller, verb: Verb, where: str, taken: int) -> tuple[int | None, list[str]]:
    place = caller.place()
    with small_disk(place / where) as allowed:
        if not allowed:
            return None, []
        filler = place / where / "filler"
        with suppress(OSError):
            filler.write_bytes(bytes(taken))
        call = caller.start(verb, place)
        call.wait(_SECONDS)
        filler.unlink(missing_ok=True)
        found = _judged(call, verb)
        shutil.rmtree(place / where, ignore_errors=True)
    clear(call)
    return call.code, found


def permissions(caller: Caller, chosen: str = "") -> Iterator[tuple[str, str, int | None, list[str]]]:
    """Yield the same for folders that may not be written."""
    for where in ("out", "tmp", "cwd"):
        for verb in VERBS:
            name = f"{where} read-only"
            if chosen not in f"{name} {verb.name}":
                continue
            place = caller.place()
            mount = ["mount", "-t", "tmpfs", "-o", "size=4k,ro", "none", str(place / where)]
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                continue
            try:
                call = caller.start(verb, place)
                found = _judged(call, verb)
            finally:
                subprocess.run(["umount", "--lazy", str(place / where)], check=False)
            yield name, verb.name, call.code, found
            clear(call)
