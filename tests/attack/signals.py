"""Signals at random moments of every verb.

Nothing may be left in the temporary folder, beside the output, in shared memory or of processes; outputs are
complete or absent, and the exit code names the signal. The command runs in forks of a process that has
imported everything, so that moments fall into its work.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.signalled import REPOSITORY, Ended, signalled
from tests.small_run import TOML
from toolchain.cli.main import entry
from toolchain.execution.trace import Trace
from toolchain.files import temporary
from toolchain.interrupts import INTERRUPTS
from toolchain.workflow.export import export_build
from toolchain.workflow.load import load
from toolchain.workflow.run_folder import TrainedRun

_SENT = [(number,) for number in INTERRUPTS] + [
    (signal.SIGINT, signal.SIGINT),
    (signal.SIGTERM, signal.SIGHUP),
]


class Forked:
    """The command in a fork of this process.

    Args:
        arguments: Arguments of the command.
        environment: Further variables.
        stderr: Where it says what it has to say.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], stderr: int) -> None:
        self._pid = os.fork()
        self._code: int | None = None
        if self._pid == 0:
            try:
                self._run(arguments, environment, stderr)
            except SystemExit as end:
                os._exit(end.code if isinstance(end.code, int) else 0)
            finally:
                os._exit(99)

    def _run(self, arguments: Sequence[str], environment: Mapping[str, str], stderr: int) -> None:
        os.environ.update(environment)
        tempfile.tempdir = None
        temporary._SWEPT.clear()
        for number in INTERRUPTS:
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number, stream in enumerate((nowhere, nowhere, stderr)):
            os.dup2(stream, number)
        sys.argv = ["pumice", *arguments]
        os.chdir(REPOSITORY)
        entry()

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.002)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self._pid, sig)


def _trained(output: Path) -> None:
    if (output / "run.json").exists():
        TrainedRun.load(output)


def _page(output: Path) -> None:
    if not output.read_text().rstrip().endswith("</html>"):
        raise ValueError("the page ends early")


def _there(output: Path) -> None:
    if not output.stat().st_size:
        raise ValueError("empty")


Verbs = dict[str, tuple[list[str], Callable[[Path], object]]]


def verbs(folder: Path) -> Verbs:
    """Return arguments of every verb, where OUT is the output, and what reads that."""
    run, build, toml = (str(folder / name) for name in ("run", "build", "x.toml"))
    return {
        "show": (["show", build], _there),
        "targets": (["targets"], _there),
        "doctor": (["doctor"], _there),
        "check": (["check", build, "-t", "loihi2", "--report", "OUT"], _page),
        "compare": (["compare", build], _there),
        "baseline": (["compare", build, "--update", "--baseline", "OUT"], _there),
        "run": (["run", build, "-o", "OUT", "--record", "v,u"], Trace.load),
        "lava": (["run", build, "-t", "lava", "-o", "OUT", "--samples", "8"], Trace.load),
        "export onnx": (["export", build, "-f", "onnx", "-o", "OUT"], _there),
        "export nir": (["export", build, "-f", "nir", "-o", "OUT"], _there),
        "export lava": (["export", build, "-f", "lava", "-o", "OUT"], _there),
        "compile": (["compile", run, "-o", "OUT"], load),
        "compile nir": (["compile", str(folder / "nir" / "network.nir"), "-o", "OUT"], load),
        "prune": (["prune", toml, "-o", "OUT"], _trained),
        "train": (["train", toml, "-o", "OUT"], _trained),
        "demo": (["demo", "-o", "OUT"], _trained),
    }


def _faults(ended: Ended, numbers: Sequence[int], output: Path, read: Callable[[Path], object]) -> list[str]:
    """Return what a signal did that it must not."""
    found = list(ended.left)
    if ended.code not in {0, *(128 + number for number in numbers)}:
        found.append(f"exit code {ended.code}: {ended.stderr[-2000:]}")
    if output.exists():
        try:
            read(output)
        except Exception as error:  # noqa: BLE001 - whatever a half-written file gives
            found.append(f"output: {error!r}")
    elif ended.code == 0 and "OUT" in output.name:
        found.append("no output")
    return found


@dataclass
class Sent:
    """What came of signals at random moments of one verb.

    Attributes:
        moments: How many there were.
        seconds: How long the verb takes when nobody disturbs it.
        codes: Exit codes, and how often.
        faults: What was wrong.
    """

    moments: int
    seconds: float
    codes: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def ends(self) -> str:
        """Return the exit codes for reading."""
        return ", ".join(f"{code}: {count}" for code, count in sorted(self.codes.items()))


def attack(name: str, arguments: list[str], read: Callable[[Path], object], moments: int) -> Sent:
    """Send signals at random moments of a verb."""
    chance = random.Random(name)  # noqa: S311 - any moments will do
    with tempfile.TemporaryDirectory() as place:
        output = Path(place) / "out"
        words = [str(output) if word == "OUT" else word for word in arguments]
        undisturbed = signalled(words, output, start=Forked)
        sent = Sent(moments, undisturbed.seconds)
        if undisturbed.code not in {0, 4} or undisturbed.left:
            sent.faults.append(f"without a signal: {undisturbed}")
        for moment in range(moments):
            shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
            numbers = _SENT[moment % len(_SENT)]
            after = chance.uniform(0, undisturbed.seconds)
            ended = signalled(words, output, after, numbers, start=Forked)
            sent.codes[ended.code] += 1
            names = ", ".join(signal.Signals(number).name for number in numbers)
            sent.faults += [f"{names}: {fault}" for fault in _faults(ended, numbers, output, read)]
    return sent


def prepare(folder: Path, run: Path, build: Path) -> None:
    """Put into a folder what the verbs read.

    Args:
        folder: An empty folder.
        run: A finished run.
        build: A build.
    """
    (folder / "x.toml").write_text(TOML)
    shutil.copytree(run, folder / "run")
    shutil.copytree(build, folder / "build")
    export_build(load(build), folder / "nir", "nir")
