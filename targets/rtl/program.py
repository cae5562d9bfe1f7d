"""A network on a simulated core: its runs are child processes, and its sessions, too."""

import subprocess
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from targets.rtl.child import PROCESS, CoreCall, failure, receive
from targets.rtl.declared import CAPABILITIES, LARGEST
from targets.rtl.exchange import (
    FROM_REST,
    ON,
    answer_size,
    answered,
    asked_words,
    config_words,
    read_cycles,
    read_records,
)
from targets.rtl.image import LANES, MemoryImage, memory_image
from targets.rtl.simulator import Simulator, find_simulator, simulated_core
from targets.rtl.size import CoreSize, family_of
from toolchain.arrays import Array
from toolchain.child_process import end_child
from toolchain.errors import ArgumentError, SimulationError, TargetError
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import Stimulus, fit_step, fit_stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.temporary import temporary_folder
from toolchain.intake import count_of, path_of
from toolchain.ir import Graph, save_graph
from toolchain.progress import Progress, no_progress
from toolchain.target.protocol import PortableProgram, Session, SteppedProgram
from toolchain.target.records import empty_records, kept_quantities

_TOGETHER: Final = 2**26
"""Bytes of what enters and leaves that one child is given, or more if a sample has more."""


@final
@dataclass(frozen=True)
class CoreSimulation:
    """How a core is simulated.

    Attributes:
        lanes: Neurons side by side.
        simulator: What simulates it; None for the first that is here.
        exact: Whether it is as small as the network allows, as a chip has it, and not a core for many.
        seed: Seed of random stalls of all streams, and of what is not reset; 0 for none.
        patience_s: Seconds without progress after which a run is ended.
    """

    lanes: int = 1
    simulator: Simulator | None = None
    exact: bool = False
    seed: int = 0
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        if self.lanes not in LANES:
            raise ArgumentError("lanes", f"one of {', '.join(map(str, LANES))}", str(self.lanes))


@final
@dataclass(frozen=True, eq=False)
class CoreRun:
    """What was seen of a core.

    Attributes:
        trace: What its neurons did.
        cycles: Cycles of every step, `[batch, time]`, from its first event until it is over.
        beats: What went out: kind, source, index and value, `[beats, 4]`.
    """

    trace: Trace
    cycles: NDArray[np.int64]
    beats: NDArray[np.int64]


@final
class RtlProgram:
    """A network on a simulated core.

    Args:
        graph: A fixed graph.
        simulation: How the core is simulated.

    Raises:
        VerifyError: The graph is not well formed.
        TargetError: It holds real numbers, or more than a simulation holds.
    """

    def __init__(self, graph: Graph, simulation: CoreSimulation) -> None:
        self.image: MemoryImage = memory_image(graph, simulation.lanes)
        self._simulation = simulation
        family = None if simulation.exact else family_of(self.image.size)
        fits = family is not None and family.memory_bytes <= LARGEST
        self.size: CoreSize = family if family is not None and fits else self.image.size
        CAPABILITIES.check_size(graph, self.size.memory_bytes)

    def session(self, batch: int) -> "RtlSession":
        """Return a batch at rest, in a child process that lives as long as the session.

        Raises:
            TargetUnavailableError: There is no simulator.
            TargetError: The cores of the batch take more memory than a simulation has.
        """
        count = count_of(batch, "batch", least=1)
        if count * self.size.memory_bytes > LARGEST:
            most = LARGEST // self.size.memory_bytes
            raise TargetError(f"a session simulates a core for each sample, {most} at most, got {count}")
        return RtlSession(self.image, self._call(answered(())), self.size, count)

    def run(
        self,
        stimulus: Stimulus | Array | Mapping[str, Array],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run every sample from rest; progress counts samples.

        Raises:
            TargetUnavailableError: There is no simulator.
            TargetError: It does not take the core.
            SimulationError: The child dies, or makes no progress.
        """
        return self.observe(stimulus, record=record, progress=progress).trace

    def observe(
        self,
        stimulus: Stimulus | Array | Mapping[str, Array],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> "CoreRun":
        """Do the same, and return also what was seen of the core."""
        check_quantities(record)
        graph = self.image.graph
        fitted = fit_stimulus(graph, stimulus)
        records = empty_records(graph, fitted, record)
        wanted = kept_quantities(records, graph)
        call = self._call(answered(tuple(dict.fromkeys(each for some in wanted.values() for each in some))))
        cycles = np.zeros((fitted.samples, fitted.steps), np.int64)
        beats: list[NDArray[np.int64]] = []
        each = fitted.steps * answer_size(self.image, call.quantities)
        together = max(1, _TOGETHER // each)
        for start in range(0, fitted.samples, together):
            part = slice(start, min(start + together, fitted.samples))
            asked = _from_rest(asked_words(self.image, {k: x[part] for k, x in fitted.values.items()}))
            with temporary_folder("rtl") as folder:
                config = config_words(self.image, self.size)
                answers, out = call.run(
                    folder, config, asked, lambda done, start=start: progress(start + done, fitted.samples)
                )
            cycles[part] = read_cycles(answers)
            beats.append(out.view(np.int32).astype(np.int64))
            for quantity, by_name in read_records(self.image, answers, call.quantities).items():
                for name, array in by_name.items():
                    if quantity in wanted[name]:
                        records[quantity][name][part] = array
        progress(fitted.samples, fitted.samples)
        return CoreRun(Trace(**records), cycles, np.concatenate(beats))

    def _call(self, quantities: tuple[str, ...]) -> CoreCall:
        simulation = self._simulation
        simulator = find_simulator(simulation.simulator)
        if simulator is Simulator.ICARUS:
            quantities = answered(("v", "u"))
        core = simulated_core(simulator, self.size)
        return CoreCall(core, quantities, simulation.seed, simulation.patience_s)

    def save(self, directory: Path) -> None:
        """Write the graph."""
        save_graph(self.image.graph, directory)

    def export(self, directory: Path) -> None:
        """Write the core, its memories, and what its streams mean."""
        from targets.rtl.export import export_core  # noqa: PLC0415 - only who exports needs it

        export_core(self.image, path_of(directory, "directory"))


def _from_rest(asked: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return steps of samples with the word in front that says where each begins."""
    begins = np.full((*asked.shape[:2], 1), ON, np.uint32)
    begins[:, :1] = FROM_REST
    return np.concatenate([begins, asked], axis=2)


@final
class RtlSession:
    """A batch in the middle of a run, in a child process.

    Args:
        image: The network.
        call: How the core is run.
        size: Size of the core.
        batch: Number of samples stepped together.
    """

    def __init__(self, image: MemoryImage, call: CoreCall, size: CoreSize, batch: int) -> None:
        self._image, self._call, self._batch = image, call, batch
        self._is_over = False
        self._clipping = ClippingTally.of(image.graph)
        # Files may go once the core is loaded.
        with temporary_folder("rtl") as folder:
            self._child: subprocess.Popen[bytes] = call.start(
                folder, config_words(image, size), batch, subprocess.PIPE, subprocess.PIPE
            )
            weakref.finalize(self, end_child, self._child)
            loaded = memoryview(bytearray(4))
            receive(self._child, cast("IO[bytes]", self._child.stdout), loaded, call.patience_s)
        self.reset()

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """What was clipped of the values that `step` was given since the last reset."""
        return self._clipping.clipped

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._clipping.reset()
        self._begins = FROM_REST

    def step(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Advance one step; take `[batch, *features]` per input, return spikes per population.

        Raises:
            SimulationError: The child died, or does not answer.
        """
        fitted = fit_step(self._image.graph.inputs, values, self._batch)
        if self._is_over:
            raise SimulationError(
                "the simulated core ended within an earlier step: begin another session",
                process=PROCESS,
                step=0,
            )
        try:
            answers = self._exchange(asked_words(self._image, fitted))
        except BaseException:
            # An answer may be on its way, which the next step must not take for its own.
            self._is_over = True
            end_child(self._child)
            raise
        self._begins = ON
        self._clipping.add(fitted)
        return read_records(self._image, answers.view(np.uint32), self._call.quantities)["spikes"]

    def _exchange(self, asked: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Ask for a step of every sample, and return the answers."""
        size = answer_size(self._image, self._call.quantities)
        answers = np.empty((self._batch, size), np.uint8)
        sink, source = cast("IO[bytes]", self._child.stdin), cast("IO[bytes]", self._child.stdout)
        begins = np.array([self._begins], np.uint32).tobytes()
        for sample, row in enumerate(asked):
            try:
                sink.write(begins + row.tobytes())
                sink.flush()
            except BrokenPipeError:
                raise failure(self._child.wait(), sample) from None
            begins = b""
            receive(self._child, source, memoryview(answers[sample]), self._call.patience_s)
        return answers


if TYPE_CHECKING:
    _is_stepped: type[SteppedProgram] = RtlProgram
    _is_portable: type[PortableProgram] = RtlProgram
    _is_session: type[Session] = RtlSession
