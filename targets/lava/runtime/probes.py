"""Records of Lava's own populations by Lava's own means, which need nothing of the CPU simulator."""

from typing import Any, Final, final

import numpy as np
from lava.proc.io.sink import RingBuffer
from lava.proc.monitor.process import Monitor

from .building import Processes
from .jobs import LavaJob
from .simulation import Observer

_STATES: Final = ("v", "u")


@final
class Probes(Observer):
    """Joins a sink to the spikes of every population, and a monitor to every state that is recorded.

    Args:
        job: A job whose processes are Lava's own.
    """

    def __init__(self, job: LavaJob) -> None:
        self._job = job
        self._sample = 0
        self._sinks: dict[str, Any] = {}
        self._monitors: dict[tuple[str, str], Any] = {}

    def begin(self, sample: int, processes: Processes) -> None:
        """Join sinks and monitors to the processes of a sample."""
        self._sample, steps = sample, self._job.windows.period
        self._sinks.clear()
        self._monitors.clear()
        for name, quantities in self._job.run.records.items():
            process = processes[name]
            self._sinks[name] = RingBuffer(shape=process.s_out.shape, buffer=steps)
            process.s_out.connect(self._sinks[name].a_in)
            for quantity in (state for state in _STATES if state in quantities):
                monitor = self._monitors[name, quantity] = Monitor()
                monitor.probe(getattr(process, quantity), steps)

    def finish(self, names: set[str]) -> None:
        """Write what was recorded of the processes."""
        for population in self._job.network.populations:
            if population.name in names:
                window = slice(population.offset, population.offset + self._job.run.steps)
                for quantity, path in self._job.record_paths(population.name).items():
                    record = np.load(path, mmap_mode="r+", allow_pickle=False)
                    record[self._sample] = self._series(population.name, quantity)[window]

    def _series(self, name: str, quantity: str) -> np.ndarray[Any, Any]:
        """Return a quantity of a population at all steps, `[steps, *features]`."""
        if quantity == "spikes":
            return np.moveaxis(self._sinks[name].data.get(), -1, 0)
        return np.asarray(self._monitors[name, quantity].get_data()[name][quantity])
