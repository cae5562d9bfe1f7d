"""A simulated core as a child process: how it is called, watched, and what its end means."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, final

import numpy as np

from targets.rtl.exchange import Words
from targets.rtl.simulator import SimulatedCore, Simulator
from toolchain.child_process import end_child, read_whole
from toolchain.errors import SimulationError, TargetError
from toolchain.interrupts import Held

PROCESS: Final = "core"
_POLL_S: Final = 0.05
_FAULT: Final = 6
_REASONS: Final = {
    2: "for want of arguments",
    3: "for want of memory",
    4: "for want of input",
    5: "for want of room for its answers",
    _FAULT: "since the core says that its input is none",
}
"""Why a bench ends, by its status."""


@final
@dataclass(frozen=True)
class CoreCall:
    """How a core is run.

    Attributes:
        core: The core.
        quantities: What it answers.
        seed: Seed of the stalls of its streams; 0 for none.
        patience_s: Seconds without progress after which it is ended.
    """

    core: SimulatedCore
    quantities: tuple[str, ...]
    seed: int
    patience_s: float

    def start(
        self,
        folder: Path,
        config: Words,
        batch: int,
        reading: IO[bytes] | int,
        writing: IO[bytes] | int,
        beats: Path | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a child that reads steps and writes answers.

        Args:
            folder: Folder for its files; they may go once it answers.
            config: What it must know of the network.
            batch: Number of samples stepped together.
            reading: Where it reads, as `Popen` takes it.
            writing: Where it writes.
            beats: File for all that goes out, which grows with every step; None for none.
        """
        config.tofile(folder / "config")
        program = folder / "program"
        program.write_bytes(self.core.program)
        program.chmod(0o700)
        try:
            return subprocess.Popen(  # noqa: S603 - our own program, no shell
                self._command(folder, batch, beats),
                stdin=reading,
                stdout=writing,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", "")},
            )
        except PermissionError:
            raise TargetError(
                f"programs cannot be run in '{folder.parent}'", "set TMPDIR to a folder where they can"
            ) from None

    def _command(self, folder: Path, batch: int, beats: Path | None) -> list[str]:
        if self.core.simulator is Simulator.VERILATOR:
            shown = [str(int(quantity in self.quantities)) for quantity in ("v", "u")]
            files = [str(folder / "program"), str(folder / "config")]
            beats_file = [] if beats is None else [str(beats)]
            return [*files, str(batch), *shown, str(self.seed), *beats_file]
        if batch != 1:
            raise TargetError(
                f"Icarus steps one sample at a time, got a batch of {batch}", "apt-get install verilator"
            )
        names = {
            "config": folder / "config",
            "asked": "/dev/stdin",
            "answered": "/dev/stdout",
            "seed": self.seed,
        } | ({} if beats is None else {"beats": beats})
        plus = [f"+{name}={value}" for name, value in names.items()]
        return ["vvp", "-n", str(folder / "program"), *plus]

    def run(
        self, folder: Path, config: Words, asked: Words, report: Callable[[int], None]
    ) -> tuple[Words, Words]:
        """Run samples one after the other.

        Returns:
            The answers, `[samples, steps, words]`, and what went out, `[beats, 4]`.

        Args:
            folder: Folder for files.
            config: What the bench must know of the network.
            asked: Steps of samples, `[samples, steps, words]`.
            report: Callback that is given how many samples are done.

        Raises:
            SimulationError: The child dies, or makes no progress.
        """
        reading, writing = folder / "asked", folder / "answered"
        asked.tofile(reading)
        with (
            reading.open("rb") as source,
            writing.open("wb") as sink,
            Held(lambda: self.start(folder, config, 1, source, sink, folder / "beats"), end_child) as child,
        ):
            self._watch(child, writing, asked.shape[0], report)
        answers = np.fromfile(writing, np.uint32)[1:]
        if answers.size == 0 or answers.size % (asked.shape[0] * asked.shape[1]):
            # An interpreter ends with 0, whatever it ran.
            raise failure(_FAULT, 0)
        beats = np.fromfile(folder / "beats", np.uint32).reshape(-1, 4)
        return answers.reshape(*asked.shape[:2], -1), beats

    def _watch(
        self, child: "subprocess.Popen[bytes]", writing: Path, samples: int, report: Callable[[int], None]
    ) -> None:
        size, since = -1, time.monotonic()
        while True:
            try:
                status = child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                status = None
            if status is not None:
                if status:
                    raise failure(status, 0)
                report(samples)
                return
            now = writing.stat().st_size
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > self.patience_s:
                raise SimulationError(f"no progress for {self.patience_s:g} s", process=PROCESS, step=0)


def receive(child: "subprocess.Popen[bytes]", pipe: IO[bytes], into: memoryview, patience_s: float) -> None:
    """Read a whole answer from a child.

    Raises:
        SimulationError: It died, or does not answer.
    """
    try:
        read_whole(pipe, into, patience_s)
    except TimeoutError:
        end_child(child)
        raise SimulationError(f"no answer for {patience_s:g} s", process=PROCESS, step=0) from None
    except EOFError:
        raise failure(child.wait(), 0) from None


def failure(status: int, sample: int) -> SimulationError:
    """Return the error for a child that ended.

    Args:
        status: Its status.
        sample: The sample that it was in.
    """
    why = _REASONS.get(status, f"with status {status}")
    return SimulationError(f"the simulated core ended {why} in sample {sample}", process=PROCESS, step=0)
