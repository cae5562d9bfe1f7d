"""When the samples of a simulation begin and end, in steps of Lava, and populations that keep to it."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .firing import PopulationState


@final
@dataclass(frozen=True)
class SampleWindows:
    """The windows in which samples run, one after the other.

    Attributes:
        period: Steps from one sample to the next; where every sample is a simulation, the length of each.
        steps: Length of a sample.
        samples: Number of samples.
        total: Steps of the whole run.
    """

    period: int
    steps: int
    samples: int
    total: int

    def position(self, time_step: int, offset: int) -> tuple[int, int] | None:
        """Return sample and step of a process at a step of Lava; None outside of all windows.

        Args:
            time_step: Lava's step, which begins at 1.
            offset: Step of Lava at which the process does step 0 of the first sample.
        """
        sample, t = divmod(time_step - 1 - offset, self.period)
        return (sample, t) if 0 <= sample < self.samples and t < self.steps else None

    def finished(self, done: int) -> int:
        """Return how many samples are complete when every process has done so many steps."""
        last = self.total - (self.samples - 1) * self.period
        return min(max((done - last) // self.period + 1, 0), self.samples)

    def of_one_sample(self) -> "SampleWindows":
        """Return the window of a sample that is a simulation of its own."""
        return SampleWindows(self.period, self.steps, 1, self.period)


class WindowedModel:
    """Mixed into a model of a population: opens and closes the sample windows, and writes the records.

    The process gives it `windows`, `offset`, and `records`, paths of files by quantity.
    """

    proc_params: Any
    time_step: int
    u: NDArray[Any]
    v: NDArray[Any]
    waiting: NDArray[Any]
    rise: NDArray[Any]
    _files: dict[str, NDArray[Any]] | None = None

    def enter_step(self) -> tuple[int, int] | None:
        """Return sample and step if this step lies in a window; rest outside and at its beginning."""
        position = self.proc_params["windows"].position(self.time_step, self.proc_params["offset"])
        if position is None or position[1] == 0:
            # A network without delays has no gap between samples: rest is entered here too.
            for state in self.state:
                state[:] = 0
        return position

    @property
    def state(self) -> PopulationState:
        """What a neuron remembers from one step to the next."""
        return PopulationState(self.u, self.v, self.waiting, self.rise)

    def record(self, sample: int, t: int, spikes: NDArray[Any]) -> None:
        """Write what is recorded of this step."""
        if self._files is None:
            records = self.proc_params["records"].items()
            self._files = {name: np.load(path, mmap_mode="r+", allow_pickle=False) for name, path in records}
        for quantity, file in self._files.items():
            file[sample, t] = {"spikes": spikes, "v": self.v, "u": self.u}[quantity]

    def advance(self, a: NDArray[Any]) -> NDArray[Any]:
        """Do one step of the dynamics on the input `a`; return the spikes, or how many."""
        del a
        raise TypeError("a windowed model must say how it advances")
