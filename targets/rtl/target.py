"""The core as a target; what it needs is loaded when a network is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from toolchain.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from targets.rtl.fpga.board import BoardProfile
    from targets.rtl.program import RtlProgram
    from toolchain.execution.activity import Activity
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.progress import Progress
    from toolchain.target.board_fit import BoardFit
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.protocol import BoardTarget, MemoryTarget


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
    def capabilities(self) -> Capabilities:
        """What the core can: integers only, since it holds no real number."""
        from targets.rtl.declared import CAPABILITIES

        return CAPABILITIES

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

    @property
    def boards(self) -> Sequence[str]:
        """Names of the boards whose figures are here."""
        from targets.rtl.fpga.board import BUILT_IN

        return BUILT_IN

    @property
    def board_form(self) -> type[BoardProfile]:
        """The class that says what may stand in a file of another board."""
        from targets.rtl.fpga.board import BoardProfile

        return BoardProfile

    def fit_board(
        self, graph: Graph, activity: Activity, board: str | Path, progress: Progress = no_progress
    ) -> BoardFit:
        """Return what a network takes on the FPGA of a board; see `targets.rtl.fpga.fitting.fit_graph`."""
        from targets.rtl.fpga.fitting import fit_graph

        return fit_graph(board, graph, activity, self.lanes, progress)

    def memory_bytes(self, graph: Graph) -> Mapping[str, int]:
        """Return the bytes of every memory of the core, of which block RAMs are whole blocks.

        Raises:
            TargetError: The graph holds real numbers, or more than the core can address.
        """
        from targets.rtl.fpga.design import memory_bits
        from targets.rtl.image import memory_image

        return {name: -(-bits // 8) for name, bits in memory_bits(memory_image(graph, self.lanes)).items()}

    def write_board(
        self, graph: Graph, board: str | Path, folder: Path, progress: Progress = no_progress
    ) -> tuple[str, ...]:
        """Write a network for a board; see `targets.rtl.fpga.fitting.write_graph`."""
        from targets.rtl.fpga.fitting import write_graph

        return write_graph(board, graph, folder, self.lanes, progress)


if TYPE_CHECKING:
    _conforms: type[BoardTarget] = RtlTarget
    _has_memories: type[MemoryTarget] = RtlTarget
