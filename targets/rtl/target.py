"""The core as a target; what it needs is loaded when a network is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from toolchain.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from targets.rtl.program import RtlProgram
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.protocol import Target


@final
@dataclass(frozen=True)
class RtlTarget:
    """Runs a network on a core in Verilog, simulated cycle by cycle.

    Attributes:
        lanes: Neurons that the core computes side by side: 1, 2, 4, 8 or 16.
        patience_s: Seconds without progress after which a run is ended.
    """

    lanes: int = 1
    patience_s: float = 120.0

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return "rtl"

    @property
    def profile(self) -> HardwareProfile:
        """The limits of Lava's fixed-point models, whose integers these are."""
        from toolchain.hardware import LAVA_FIXED_POINT

        return LAVA_FIXED_POINT

    @property
    def stages(self) -> frozenset[Stage]:
        """Fixed only: the core holds no real number."""
        return frozenset({Stage.FIXED})

    def check(self) -> None:
        """Raise unless there is a simulator."""
        from targets.rtl.simulator import find_simulator

        find_simulator()

    def legalization(self) -> Sequence[Pass]:
        """Delays per neuron go into the synapses."""
        from toolchain.passes import FoldDelays

        return (FoldDelays(),)

    def build(self, graph: Graph) -> RtlProgram:
        """Write the memories of the core; a simulator is asked for when it first runs.

        Raises:
            TargetError: The graph holds real numbers, or more than a simulation holds.
        """
        from targets.rtl.program import CoreSimulation, RtlProgram

        return RtlProgram(graph, CoreSimulation(lanes=self.lanes, patience_s=self.patience_s))


if TYPE_CHECKING:
    _conforms: type[Target] = RtlTarget
