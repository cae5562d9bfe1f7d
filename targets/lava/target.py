"""Lava's CPU simulator as a target."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from targets.lava.compatibility import INSTALL_COMMAND, lava_version
from targets.lava.job import write_job
from targets.lava.plan import Plan, plan_processes
from targets.lava.runner import Limits, job_folder, run_job
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.ir import Conv2d, FixedConv2d, Graph, Stage, save_graph, verify
from toolchain.passes import FoldDelays, Pass
from toolchain.progress import Progress, no_progress
from toolchain.stimulus import Stimulus, fit_stimulus
from toolchain.target import Target
from toolchain.trace import QUANTITIES, Trace, check_quantities

_STOCK_LIMIT: Final = 127
_NEEDS: Final = ("asteval", "networkx", "scipy", "sklearn")


@final
class LavaProgram:
    """A graph laid out as Lava processes.

    Args:
        graph: Float (Lava's floating_pt models) or fixed (fixed_pt).
        limits: How long to wait.
        stock_convolution: Whether Lava's own model of `Conv` runs, instead of ours.
    """

    def __init__(self, graph: Graph, limits: Limits, *, stock_convolution: bool = False) -> None:
        verify(graph)
        self._graph = graph
        self._limits = limits
        self._stock_convolution = stock_convolution
        self.plan: Plan = plan_processes(graph)

    def run(
        self,
        stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run all samples, each from rest, in one simulation in a child process.

        Raises:
            SimulationError: Lava raised, died or hung.
        """
        check_quantities(record)
        fitted = fit_stimulus(self._graph, stimulus)
        kept = self._graph.recorded(record)
        with job_folder() as folder:
            window = write_job(
                folder,
                self.plan,
                self._graph,
                fitted,
                kept,
                stock_convolution=self._stock_convolution,
            )
            run_job(folder, window, self._limits, progress)
            return Trace(
                **{
                    quantity: {
                        name: np.load(folder / f"{name}.{quantity}.npy", allow_pickle=False)
                        for name, quantities in kept.items()
                        if quantity in quantities
                    }
                    for quantity in QUANTITIES
                }
            )

    def save(self, directory: Path) -> None:
        """Write the graph; offsets and relays are laid out again when it is built."""
        save_graph(self._graph, directory)


@final
@dataclass(frozen=True)
class LavaTarget:
    """Runs graphs on Lava's CPU models: stock Dense and Sparse, and our LIF process around Lava's dynamics.

    Convolutions are Lava's own `Conv` process. Its stock model takes hundreds of milliseconds a step; ours
    gives the same integers in a few.

    Attributes:
        limits: How long to wait for the simulator.
        stock_convolution: Whether Lava's own model of `Conv` runs, instead of ours.
    """

    limits: Limits = field(default_factory=Limits)
    stock_convolution: bool = False

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return "lava"

    @property
    def profile(self) -> HardwareProfile:
        """The limits of Lava's fixed-point models."""
        return LAVA_FIXED_POINT

    @property
    def stages(self) -> frozenset[Stage]:
        """Float and fixed."""
        return frozenset(Stage)

    def check(self) -> None:
        """Raise unless lava-nc and what it needs are installed."""
        command = f"python -m {INSTALL_COMMAND}"
        if lava_version() is None:
            raise TargetUnavailableError(self.name, "lava-nc is not installed", command)
        missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
        if missing:
            raise TargetUnavailableError(
                self.name, f"{', '.join(missing)} not installed", "python -m pip install --upgrade pumice"
            )
        if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 4):
            raise TargetUnavailableError(
                self.name,
                f"numpy {np.__version__} lacks what lava-nc uses",
                "python -m pip install 'numpy<2.4'",
            )

    def legalization(self) -> Sequence[Pass]:
        """Delays per neuron go into the synapses."""
        return (FoldDelays(),)

    def build(self, graph: Graph) -> LavaProgram:
        """Lay a graph out as Lava processes.

        Raises:
            TargetUnavailableError: Lava is not installed.
            FeedbackError: A loop has less delay than connections.
        """
        self.check()
        if self.stock_convolution:
            _check_stock_limits(graph)
        return LavaProgram(graph, self.limits, stock_convolution=self.stock_convolution)


def _check_stock_limits(graph: Graph) -> None:
    """Raise where Lava's own model of a convolution would return wrong sums in silence."""
    for node in graph.synapses:
        if isinstance(node, Conv2d | FixedConv2d):
            window = node.window
            largest = max(node.groups, *window.kernel, *window.stride, *window.padding, *window.dilation)
            if largest > _STOCK_LIMIT:
                raise TargetError(
                    f"convolution '{node.name}': Lava's own model holds groups, kernel, stride, padding and "
                    f"dilation in 8 bits and would wrap {largest}; run it with our model "
                    "(stock_convolution=False)"
                )


if TYPE_CHECKING:
    _conforms: type[Target] = LavaTarget
