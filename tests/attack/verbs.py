"""The verbs of the command line, each as one call that ends in seconds, and how a call of it is started."""

import atexit
import gc
import io
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from tests.attack.forked import WORD, processes_of
from tests.small_run import TOML, small_experiment
from toolchain.execution.trace import Trace
from toolchain.workflow.load import load
from toolchain.workflow.run_folder import TrainedRun

SHARED: Final = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
_PATIENCE: Final = 10.0
"""Seconds for what ends by itself, and for others on this machine that are just making theirs."""


@final
@dataclass(frozen=True)
class Verb:
    """A call of the command line.

    Attributes:
        name: The verb, and what is special about the call.
        arguments: With RUN, BUILD, TOML for what is read and OUT for what is written.
        check: Reads what was written and raises unless it is whole; None if nothing is written.
        goes_on: Whether something unfinished may stay at OUT, with which the same call goes on.
    """

    name: str
    arguments: tuple[str, ...]
    check: Callable[[Path], object] | None = None
    goes_on: bool = False


def _exported(folder: Path) -> None:
    if not (folder / "network.onnx").stat().st_size or not (folder / "step.onnx").stat().st_size:
        raise ValueError("an exported file is empty")


def _pruned(folder: Path) -> None:
    if not (folder / "pruning/pruning.json").stat().st_size:
        raise ValueError("no pruning.json")


def _demo(folder: Path) -> None:
    TrainedRun.load(folder / "run")
    load(folder / "build")
    (folder / "report.html").read_text()


VERBS: Final = (
    Verb("show", ("show", "BUILD")),
    Verb("check", ("check", "BUILD", "--target", "loihi2", "--report", "OUT"), Path.read_text),
    Verb("run", ("run", "BUILD", "-o", "OUT", "--record", "v,u"), Trace.load),
    Verb("run on lava", ("run", "BUILD", "-o", "OUT", "--target", "lava", "--samples", "4"), Trace.load),
    Verb(
        "compare",
        ("compare", "BUILD", "--baseline", "OUT", "--update", "--exact", "lava", "--samples", "2"),
        Path.read_text,
    ),
    Verb("export", ("export", "BUILD", "-o", "OUT"), _exported),
    Verb("compile", ("compile", "RUN", "-o", "OUT"), load),
    Verb("prune", ("prune", "TOML", "-o", "OUT"), _pruned, goes_on=True),
    Verb("train", ("train", "TOML", "-o", "OUT"), TrainedRun.load, goes_on=True),
    Verb("demo", ("demo", "-o", "OUT", "--samples", "2"), _demo, goes_on=True),
)


@final
@dataclass
class Call:
    """A call of a verb that has been started.

    Attributes:
        process: Its number.
        word: By which all of its processes are known.
        place: Folder of the call, with `out/` for what is written, `tmp/` as its temporary folder.
        began: When.
    """

    process: int
    word: str
    place: Path
    began: float
    code: int | None = None
    shared: set[str] = field(default_factory=set)

    @property
    def output(self) -> Path:
        """What OUT stands for."""
        return self.place / "out/OUT"

    @property
    def temporary(self) -> Path:
        """Its temporary folder."""
        return self.place / "tmp"

    def said(self, name: str) -> str:
        """Return what it said on `stdout` or `stderr`."""
        return (self.place / name).read_text(errors="replace")

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; return whether it has."""
        deadline = time.monotonic() + seconds
        while self.code is None and time.monotonic() < deadline:
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)
        return self.code is not None

    def seconds(self) -> float:
        """Return for how long it has been running."""
        return time.monotonic() - self.began

    def new_shared(self) -> set[str]:
        """Return the names of shared memory that came up since it was started and that nobody uses."""
        return {item.name for item in SHARED.iterdir()} - self.shared - _in_use()

    def others(self, seconds: float = _PATIENCE) -> list[int]:
        """Return its processes that live on a while after it has ended."""
        deadline = time.monotonic() + seconds
        while (left := [each for each in processes_of(self.word, self.process) if each != self.process]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.02)
        return left

    def kill(self) -> None:
        """End everything of it."""
        for process in [self.process, *processes_of(self.word, self.process)]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.wait(10)


@final
class Caller:
    """Starts verbs on a small run and a small build.

    Args:
        materials: Folder with `run/`, `build/`.
        folder: Where calls have their folders.
    """

    def __init__(self, materials: Path, folder: Path) -> None:
        self.folder = folder
        toml = folder / "x.toml"
        toml.write_text(TOML)
        self.words = {"RUN": str(materials / "run"), "BUILD": str(materials / "build"), "TOML": str(toml)}

    def place(self) -> Path:
        """Make the folder of a call."""
        place = self.folder / secrets.token_hex(4)
        for name in ("out", "tmp", "cwd"):
            (place / name).mkdir(parents=True)
        return place

    def start(
        self,
        verb: Verb,
        place: Path,
        prepare: Callable[[], object] = lambda: None,
        *,
        fresh: bool = False,
        output: Path | None = None,
        temporary: Path | None = None,
    ) -> Call:
        """Start a call.

        Args:
            verb: Name of the verb.
            place: The folder of the call; a second call in it goes on where the first one ended.
            prepare: Run in the process before the verb, such as to set limits.
            fresh: Whether the interpreter is started anew, as users do; else it is a fork of this process,
                which has imported everything.
            output: OUT, if it lies elsewhere.
            temporary: The temporary folder, if it lies elsewhere.
        """
        words = self.words | {"OUT": str(output or place / "out/OUT")}
        arguments = [words.get(part, part) for part in verb.arguments]
        word = secrets.token_hex(8)
        variables = {WORD: word, "TMPDIR": str(temporary or place / "tmp"), "OMP_NUM_THREADS": "1"}
        start = _start_fresh if fresh else _start_fork
        shared = {item.name for item in SHARED.iterdir()}
        began = time.monotonic()
        return Call(start(arguments, variables, place, prepare), word, place, began, shared=shared)


def _start_fresh(
    arguments: list[str], variables: dict[str, str], place: Path, prepare: Callable[[], object]
) -> int:
    with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "toolchain.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=place / "cwd",
            env=os.environ | variables | {"PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - this process has no threads
        )
    # It is waited for by its number.
    child.returncode = 0
    return child.pid


def _start_fork(
    arguments: list[str], variables: dict[str, str], place: Path, prepare: Callable[[], object]
) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setsid()
            # What this process removes at its end is not the child's.
            vars(weakref.finalize)["_registry"].clear()
            _redirect(place)
            os.environ.update(variables)
            tempfile.tempdir = None
            os.chdir(place / "cwd")
            sys.argv = ["pumice", *arguments]
            code = _call(prepare)
        finally:
            os._exit(code)
    return process


def _redirect(place: Path) -> None:
    for number, name, flags in (
        (0, "/dev/null", os.O_RDONLY),
        (1, str(place / "stdout"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, str(place / "stderr"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        handle = os.open(name, flags, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), write_through=False)  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), write_through=True)  # noqa: SIM115


def _call(prepare: Callable[[], object]) -> int:
    """Do what the interpreter does with the installed command, to its exit code."""
    from toolchain.cli.main import entry  # noqa: PLC0415 - a child may have had it replaced

    code: object = 0
    try:
        prepare()
        entry()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    return code if isinstance(code, int) else int(code is not None)


def small_demo() -> None:
    """Let `demo` train the small network, in this process."""
    import toolchain.workflow.demo  # noqa: PLC0415

    full = toolchain.workflow.demo.run_demo

    def run_demo(folder: Path, **options: Any) -> object:
        changed: dict[str, Any] = options | {"experiment": small_experiment()}
        return full(folder, **changed)

    toolchain.workflow.demo.run_demo = run_demo


def breaches(call: Call, verb: Verb) -> list[str]:
    """Return what a call that has ended left or said that it should not have."""
    found = []
    if "Traceback (most recent call last)" in call.said("stderr") + call.said("stdout"):
        found.append("traceback: " + call.said("stderr").strip().splitlines()[-1][:200])
    if left := call.others():
        found.append(f"{len(left)} processes left")
    if names := [item.name for item in call.temporary.iterdir()]:
        found.append(f"left in the temporary folder: {', '.join(sorted(names))}")
    if names := [item.name for item in (call.place / "out").iterdir() if item.name != "OUT"]:
        found.append(f"left beside the output: {', '.join(sorted(names))}")
    if names := [item.name for item in (call.place / "cwd").iterdir()]:
        found.append(f"left in the current folder: {', '.join(sorted(names))}")
    deadline = time.monotonic() + _PATIENCE
    while (names := sorted(call.new_shared())) and time.monotonic() < deadline:
        time.sleep(0.1)
    if names:
        found.append(f"left in shared memory: {', '.join(names)}")
    if call.output.exists() and not verb.goes_on and verb.check is not None:
        found += whole(call.output, verb.check)
    return found


def whole(output: Path, check: Callable[[Path], object]) -> list[str]:
    """Return why an output is not whole; nothing if it is."""
    try:
        check(output)
    except Exception as error:  # noqa: BLE001 - whatever it is, the output is not whole
        return [f"the output is not whole: {type(error).__name__}: {str(error)[:200]}"]
    return []


def _in_use() -> set[str]:
    """Names of shared memory that some process has mapped: what others do on this machine is theirs."""
    names: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            names |= {
                line.rpartition("/")[2].removesuffix(" (deleted)")
                for line in maps.read_text().splitlines()
                if "/dev/shm/" in line  # noqa: S108
            }
    return names


def clear(call: Call) -> None:
    """Remove the folder of a call."""
    call.kill()
    shutil.rmtree(call.place, ignore_errors=True)
