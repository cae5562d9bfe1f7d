"""A graph made ready for the emulator, and a stimulus cut so that it fits the memory and the cores."""

from collections.abc import Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import local
from typing import Any, Final, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray

from targets.emulator.compiled.events import MOST_LANES
from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.session import CompiledSession
from targets.emulator.compiled.workspace import Workspace
from targets.emulator.declared import CAPABILITIES
from targets.emulator.tensors.session import TensorSession
from toolchain.errors import TargetError
from toolchain.execution.clipping import ClippedInput
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.intake import count_of
from toolchain.ir import Graph, Stage, save_graph
from toolchain.ir.types import size_of
from toolchain.progress import Progress, no_progress
from toolchain.target.acceptance import check_graph
from toolchain.target.records import Records, empty_records

_CACHE_BYTES: Final = 4 * 2**20
"""Synaptic input of the largest population over one block, which stays near a core until it is used."""
_LONGEST_BLOCK: Final = 256
_TENSOR_STEPS: Final = 4
_MEMORY_BYTES: Final = 256 * 2**20
"""Working memory of one batch; larger stimuli are cut."""
_BATCH_RECORD_BYTES: Final = 128 * 2**20
_RECORDED_BYTES: Final = 9
"""A spike and a potential in real numbers."""


class BlockSession(Protocol):
    """A batch in the middle of a run that advances over blocks of steps."""

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """Inputs that `step` had to clip since the last reset."""
        ...

    def step(self, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Advance one step; take `[batch, *features]` per input, return spikes per population."""
        ...

    def advance(self, values: Mapping[str, NDArray[Any]], records: Records) -> None:
        """Advance over a block `[batch, steps, *features]`; write what is recorded."""
        ...

    def reset(self) -> None:
        """Return to rest."""
        ...


@final
@dataclass(frozen=True)
class Cut:
    """How a stimulus is cut.

    Attributes:
        samples: Number of samples that run together.
        steps: Number of steps of one block.
        workers: Number of batches that run at the same time, each on one core.
    """

    samples: int
    steps: int
    workers: int


@final
class EmulatorProgram:
    """A graph made ready for the emulator.

    Args:
        graph: A float or fixed graph.
        device: `cpu` or `cuda`.
        tensors: Whether to run it on tensors, as on a GPU, also on the CPU.
    """

    def __init__(self, graph: Graph, device: str, *, tensors: bool = False) -> None:
        check_graph(graph, CAPABILITIES)
        self._graph = graph
        self._device = torch.device(device)
        self._compiled = self._device.type == "cpu" and not tensors

    def session(self, batch: int) -> BlockSession:
        """Return a batch at rest that is stepped by hand."""
        return self._session(count_of(batch, "batch", least=1), 1)

    def run(
        self,
        stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run every sample from rest, cut into batches that fit the memory.

        All numbers equal `toolchain.execution.reference` bit for bit. Only real numbers on tensors, as on a
        GPU, differ from it by the order of summation.
        """
        check_quantities(record)
        fitted = fit_stimulus(self._graph, stimulus)
        records = empty_records(self._graph, fitted, record, cleared=False)
        cut = self.cut(fitted.samples, fitted.steps)
        parts = [
            slice(start, min(start + cut.samples, fitted.samples))
            for start in range(0, fitted.samples, cut.samples)
        ]
        done, sessions = 0, local()
        with _threads(torch.get_num_threads() if self._compiled else 1) as pool:
            # Samples need no barrier between them. A single part shares its blocks among the threads instead.
            shared = pool if cut.workers == 1 else None
            in_turn = map if pool is None or cut.workers == 1 else pool.map
            for samples in in_turn(
                lambda part: self._run_batch(sessions, shared, fitted.take(part), records, part, cut.steps),
                parts,
            ):
                done += samples
                progress(done, fitted.samples)
        return Trace(**records)

    def cut(self, samples: int, steps: int) -> Cut:
        """Return how a stimulus is cut: its states, history and blocks fit the memory."""
        neurons, channels, history = self._sizes
        # Bytes of the state of a neuron in integers; on tensors what a step computes is counted as well.
        state = 8 if all(node.is_plain for node in self._graph.populations) else 16
        if not self._compiled:
            # Until a block ends, its records take a byte and two doubles per neuron beside the state.
            block = min(steps, _TENSOR_STEPS)
            per_sample = sum(neurons) * (8 * state + history + 17 * block) + channels * 8 * (block + history)
            together = max(1, _MEMORY_BYTES // per_sample)
            if self._device.type == "cpu":
                # A reader of single batches needs no more memory for long samples than for short ones.
                together = min(
                    together, max(1, _BATCH_RECORD_BYTES // (_RECORDED_BYTES * sum(neurons) * steps))
                )
            return Cut(together, block, 1)
        number = np.dtype(self._network.number).itemsize
        cores = max(1, min(torch.get_num_threads(), samples))
        rows = max(1, _CACHE_BYTES // (number * max(*neurons, 1)))
        if self._network.loops:
            # A loop runs many samples side by side; otherwise the state of a few stays cached for many steps.
            together = min(-(-samples // cores), rows, MOST_LANES)
            block = min(steps, max(1, rows // together), _LONGEST_BLOCK)
        else:
            block = min(steps, rows, _LONGEST_BLOCK)
            together = min(-(-samples // cores), rows // block)
        state *= number // 4
        per_sample = sum(neurons) * (state + history + block) + channels * number * (history + block)
        return Cut(max(1, min(together, _MEMORY_BYTES // per_sample)), block, cores)

    def batch_size(self, steps: int) -> int:
        """Return how many samples run together; 1 if numbers do not depend on that."""
        real = self._graph.stage is Stage.FLOAT
        return self.cut(1, steps).samples if real and not self._compiled else 1

    def save(self, directory: Path) -> None:
        """Write the graph; the emulator needs nothing else."""
        save_graph(self._graph, directory)

    @cached_property
    def _sizes(self) -> tuple[list[int], int, int]:
        """Neurons of each population, input channels, and the number of steps that are remembered."""
        neurons = [node.vth.size for node in self._graph.populations]
        channels = sum(size_of(node.shape) for node in self._graph.inputs)
        return neurons, channels, self._graph.largest_delay() + 1

    @cached_property
    def _network(self) -> CompiledNetwork:
        return CompiledNetwork.of(self._graph)

    def _session(self, batch: int, steps: int, pool: Executor | None = None) -> BlockSession:
        if self._compiled:
            return CompiledSession(self._network, batch, steps, Workspace(pool, torch.get_num_threads()))
        return TensorSession(self._graph, batch, self._device)

    def _session_of(self, sessions: local, batch: int, steps: int, pool: Executor | None) -> BlockSession:
        """Return a session at rest: the last one of this thread if it has the same size."""
        last: tuple[int, BlockSession] | None = getattr(sessions, "last", None)
        if last is not None and last[0] == batch:
            last[1].reset()
            return last[1]
        session = self._session(batch, steps, pool)
        sessions.last = (batch, session)
        return session

    def _run_batch(
        self,
        sessions: local,
        pool: Executor | None,
        stimulus: Stimulus,
        records: Records,
        part: slice,
        block: int,
    ) -> int:
        try:
            session = self._session_of(sessions, stimulus.samples, block, pool)
            for start in range(0, stimulus.steps, block):
                steps = slice(start, min(start + block, stimulus.steps))
                values = {name: array[:, steps] for name, array in stimulus.values.items()}
                own = {
                    quantity: {name: array[part, steps] for name, array in arrays.items()}
                    for quantity, arrays in records.items()
                }
                session.advance(values, own)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise TargetError(
                f"the emulator ran out of memory with {stimulus.samples} samples: {error}"
            ) from None
        return stimulus.samples


@contextmanager
def _threads(count: int) -> Generator[ThreadPoolExecutor | None]:
    """Yield a pool of threads that ends with the run, or None if one thread is enough."""
    if count == 1:
        yield None
        return
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
