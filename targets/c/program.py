"""A network as a C program: its runs are child processes, and its sessions, too."""

import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast, final

import numpy as np

from targets.c.compiler import PROGRAM, compile_driver, write_source
from targets.c.messages import RESET, STEP, answer_bytes, answered_quantities, input_bytes, read_answers
from targets.c.source import NetworkCode
from toolchain.arrays import Array
from toolchain.child_process import end_child, read_whole
from toolchain.errors import SimulationError, TargetError
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import Stimulus, fit_step, fit_stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.temporary import temporary_folder
from toolchain.intake import count_of, path_of
from toolchain.interrupts import Held
from toolchain.ir import Graph, save_graph
from toolchain.progress import Progress, no_progress
from toolchain.target.protocol import PortableProgram, Session, SteppedProgram
from toolchain.target.records import empty_records, kept_quantities

_TOGETHER: Final = 2**26
"""Bytes of what enters and leaves that one child is given, or more if a sample has more."""
_POLL_S: Final = 0.05
_MISFITS: Final = {2: "arguments", 3: "memory", 4: "input", 5: "room for its answers"}
"""Statuses with which the driver ends, by what was amiss."""


@final
class CProgram:
    """A network as C.

    Args:
        graph: A fixed graph.
        command: The compiler and its first arguments.
        patience_s: Seconds without progress after which a run is ended.
    """

    def __init__(self, graph: Graph, command: Sequence[str], patience_s: float) -> None:
        self._code = NetworkCode(graph)
        self._command = tuple(command)
        self._patience_s = patience_s

    @cached_property
    def _binary(self) -> bytes:
        return compile_driver(self._code, self._command)

    def session(self, batch: int) -> "CSession":
        """Return a batch at rest, in a child process that lives as long as the session."""
        return CSession(self._code, self._binary, count_of(batch, "batch", least=1), self._patience_s)

    def run(
        self,
        stimulus: Stimulus | Array | Mapping[str, Array],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run every sample from rest; progress counts samples.

        Raises:
            TargetUnavailableError: There is no compiler.
            TargetError: The compiler fails.
            SimulationError: The child dies, or makes no progress.
        """
        check_quantities(record)
        code, binary = self._code, self._binary
        fitted = fit_stimulus(code.graph, stimulus)
        records = empty_records(code.graph, fitted, record)
        wanted = kept_quantities(records, code.graph)
        quantities = answered_quantities(
            tuple(dict.fromkeys(each for some in wanted.values() for each in some))
        )
        width = sum(np.prod(node.shape, dtype=int) for node in code.graph.inputs) * 4
        each = fitted.steps * (int(width) + answer_bytes(code, quantities))
        together = max(1, _TOGETHER // each)
        for start in range(0, fitted.samples, together):
            part = slice(start, min(start + together, fitted.samples))
            values = {name: array[part] for name, array in fitted.values.items()}
            answers = self._run_part(binary, values, quantities, (part.start, fitted.samples), progress)
            for quantity, by_name in read_answers(code, answers, quantities).items():
                for name, array in by_name.items():
                    if quantity in wanted[name]:
                        records[quantity][name][part] = array
        progress(fitted.samples, fitted.samples)
        return Trace(**records)

    def _run_part(
        self,
        binary: bytes,
        values: Mapping[str, Array],
        quantities: tuple[str, ...],
        place: tuple[int, int],
        progress: Progress,
    ) -> Array:
        """Run some samples in a child; return its answers, `[samples, steps, bytes]`."""
        entering = input_bytes(self._code, values)
        letters = np.full((*entering.shape[:2], 1), STEP[0], np.uint8)
        letters[:, :1] = RESET[0]
        samples, steps, _ = entering.shape
        size = answer_bytes(self._code, quantities)
        with temporary_folder("c") as folder:
            asked, answered = folder / "asked", folder / "answered"
            np.concatenate([letters, entering], axis=2).tofile(asked)
            with asked.open("rb") as reading, answered.open("wb") as writing:
                command = _command(folder, binary, 1, quantities)
                with Held(lambda: _start(command, reading, writing), end_child) as child:
                    self._watch(child, answered, steps * size, place, progress)
            return np.fromfile(answered, np.uint8).reshape(samples, steps, size)

    def _watch(
        self,
        child: "subprocess.Popen[bytes]",
        answered: Path,
        per_sample: int,
        place: tuple[int, int],
        progress: Progress,
    ) -> None:
        before, total = place
        size, since = -1, time.monotonic()
        while True:
            try:
                status = child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                status = None
            now = answered.stat().st_size
            done = now // per_sample
            if status is not None:
                if status:
                    raise _failure(status, done)
                return
            if now != size:
                progress(before + done, total)
                size, since = now, time.monotonic()
            elif time.monotonic() - since > self._patience_s:
                raise SimulationError(
                    f"no progress for {self._patience_s:g} s in sample {before + done}",
                    process=PROGRAM,
                    step=0,
                )

    def save(self, directory: Path) -> None:
        """Write the graph."""
        save_graph(self._code.graph, directory)

    def export(self, directory: Path) -> None:
        """Write a header and a source."""
        write_source(self._code, path_of(directory, "directory"), driver=False)


@final
class CSession:
    """A batch in the middle of a run, in a child process.

    Args:
        code: The network.
        binary: The program that runs it.
        batch: Number of samples stepped together.
        patience_s: Seconds that an answer may take.
    """

    def __init__(self, code: NetworkCode, binary: bytes, batch: int, patience_s: float) -> None:
        self._code, self._batch, self._patience_s = code, batch, patience_s
        self._is_over = False
        self._clipping = ClippingTally.of(code.graph)
        self._quantities = answered_quantities(())
        # The file may go once the child runs.
        with temporary_folder("c") as folder:
            command = _command(folder, binary, batch, self._quantities)
            self._child = _start(command, subprocess.PIPE, subprocess.PIPE)
        weakref.finalize(self, end_child, self._child)
        self.reset()

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """What was clipped of the values that `step` was given since the last reset."""
        return self._clipping.clipped

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._clipping.reset()
        self._letter = RESET

    def step(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Advance one step; take `[batch, *features]` per input, return spikes per population.

        Raises:
            SimulationError: The child died, or does not answer.
        """
        fitted = fit_step(self._code.graph.inputs, values, self._batch)
        if self._is_over:
            raise SimulationError(
                "the program ended within an earlier step: begin another session", process=PROGRAM, step=0
            )
        try:
            answers = self._exchange(input_bytes(self._code, fitted))
        except BaseException:
            # An answer may be on its way, which the next step must not take for its own.
            self._is_over = True
            end_child(self._child)
            raise
        self._letter = STEP
        self._clipping.add(fitted)
        return read_answers(self._code, answers, self._quantities)["spikes"]

    def _exchange(self, entering: Array) -> Array:
        """Ask for a step of every sample, and return the answers."""
        size = answer_bytes(self._code, self._quantities)
        answers = np.empty((self._batch, size), np.uint8)
        asked, answered = cast("IO[bytes]", self._child.stdin), cast("IO[bytes]", self._child.stdout)
        letter = self._letter
        for sample, row in enumerate(entering):
            try:
                asked.write(letter + row.tobytes())
                asked.flush()
            except BrokenPipeError:
                raise _failure(self._child.wait(), sample) from None
            letter = b""
            self._receive(answered, memoryview(answers[sample]), sample)
        return answers

    def _receive(self, pipe: IO[bytes], into: memoryview, sample: int) -> None:
        try:
            read_whole(pipe, into, self._patience_s)
        except TimeoutError:
            end_child(self._child)
            raise SimulationError(
                f"no answer for {self._patience_s:g} s in sample {sample}", process=PROGRAM, step=0
            ) from None
        except EOFError:
            raise _failure(self._child.wait(), sample) from None


def _command(folder: Path, binary: bytes, batch: int, quantities: tuple[str, ...]) -> list[str]:
    """Write the program, and return how it is called."""
    program = folder / PROGRAM
    program.write_bytes(binary)
    program.chmod(0o700)
    flags = (str(int(quantity in quantities)) for quantity in ("v", "u"))
    return [str(program), str(batch), *flags]


def _start(command: list[str], reading: Any, writing: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401
    try:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            command, stdin=reading, stdout=writing, stderr=subprocess.DEVNULL, start_new_session=True, env={}
        )
    except PermissionError:
        raise TargetError(
            f"programs cannot be run in '{Path(command[0]).parent.parent}'",
            "set TMPDIR to a folder where they can",
        ) from None


def _failure(status: int, sample: int) -> SimulationError:
    why = f"for want of {_MISFITS[status]}" if status in _MISFITS else f"with status {status}"
    return SimulationError(f"the program ended {why} in sample {sample}", process=PROGRAM, step=0)


if TYPE_CHECKING:
    _is_stepped: type[SteppedProgram] = CProgram
    _is_portable: type[PortableProgram] = CProgram
    _is_session: type[Session] = CSession
