"""Lava's CPU simulator as a target; what it needs is loaded when a network is built."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Final, final

from targets.lava.runtime.compatibility import INSTALL_COMMAND, lava_version
from targets.lava.runtime.models import Models
from targets.lava.settings import NAMES, Limits
from toolchain.errors import TargetUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from targets.lava.program import LavaProgram
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.protocol import Target

_NEEDS: Final = ("asteval", "networkx", "scipy", "sklearn")


@final
@dataclass(frozen=True)
class LavaTarget:
    """Runs graphs on Lava's CPU simulator.

    By default the connections are Lava's own processes, and the populations ours around Lava's dynamics, so
    that many samples run in one simulation. Lava's model of `Conv` takes a hundred milliseconds a step; ours
    gives the same integers in a few.

    Attributes:
        limits: How long to wait for the simulator.
        models: How many of the processes are Lava's own.
    """

    limits: Limits = field(default_factory=Limits)
    models: Models = Models.MIXED

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return NAMES[self.models]

    @property
    def profile(self) -> HardwareProfile:
        """The limits of Lava's fixed-point models."""
        from toolchain.hardware import LAVA_FIXED_POINT

        return LAVA_FIXED_POINT

    @property
    def capabilities(self) -> Capabilities:
        """What Lava can, or its own processes and models alone."""
        from targets.lava.declared import CAPABILITIES

        return CAPABILITIES[self.models]

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
        numpy = metadata.version("numpy")
        if tuple(map(int, numpy.split(".")[:2])) >= (2, 4):
            raise TargetUnavailableError(
                self.name,
                f"numpy {numpy} lacks what lava-nc uses",
                "python -m pip install 'numpy<2.4'",
            )

    def legalization(self) -> Sequence[Pass]:
        """Delays per neuron go into the synapses."""
        from toolchain.passes import FoldDelays

        return (FoldDelays(),)

    def build(self, graph: Graph) -> LavaProgram:
        """Lay a graph out as Lava processes.

        Raises:
            TargetUnavailableError: Lava is not installed.
            TargetError: The graph is beyond what these models can.
        """
        from targets.lava.plan import plan_processes
        from targets.lava.program import LavaProgram
        from toolchain.target.acceptance import check_graph

        self.check()
        check_graph(graph, self.capabilities)
        return LavaProgram(graph, plan_processes(graph), self.limits, self.models)


def stock_lava() -> LavaTarget:
    """Return Lava with its own processes and models only, one simulation per sample: the judge."""
    return LavaTarget(models=Models.STOCK)


def layered_lava() -> LavaTarget:
    """Return Lava with one process per population: the fewest messages."""
    return LavaTarget(models=Models.LAYERS)


if TYPE_CHECKING:
    _conforms: type[Target] = LavaTarget
