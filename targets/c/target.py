"""Plain C as a target; what it needs is loaded when a network is built."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from targets.c.processor import ProcessorProfile
    from targets.c.program import CProgram
    from toolchain.execution.activity import Activity
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.processor_fit import ProcessorFit
    from toolchain.target.protocol import ProcessorTarget


@final
@dataclass(frozen=True)
class CTarget:
    """Writes a network as C99, and runs it as a program of the system's compiler.

    Attributes:
        patience_s: Seconds without progress after which a run is ended.
    """

    patience_s: float = 120.0

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return "c"

    @property
    def profile(self) -> HardwareProfile:
        """The limits of Lava's fixed-point models, whose integers these are."""
        from toolchain.hardware import LAVA_FIXED_POINT

        return LAVA_FIXED_POINT

    @property
    def capabilities(self) -> Capabilities:
        """What C can: integers only, since the code holds no real number."""
        from targets.c.declared import CAPABILITIES

        return CAPABILITIES

    @property
    def compiler(self) -> tuple[str, ...]:
        """The compiler: what `CC` says, as `make` reads it, or `cc`."""
        return tuple(shlex.split(os.environ.get("CC", ""))) or ("cc",)

    def check(self) -> None:
        """Raise unless there is a compiler."""
        from targets.c.compiler import find_compiler

        find_compiler(self.compiler)

    def legalization(self) -> Sequence[Pass]:
        """Delays per neuron go into the synapses."""
        from toolchain.passes import FoldDelays

        return (FoldDelays(),)

    def build(self, graph: Graph) -> CProgram:
        """Write a graph as C; it is compiled when it first runs.

        Raises:
            TargetError: The graph holds real numbers, or is larger than a compiler takes.
        """
        from targets.c.program import CProgram

        return CProgram(graph, self.compiler, self.patience_s)

    @property
    def processors(self) -> Sequence[str]:
        """Names of the microcontrollers whose figures are here."""
        from targets.c.processor import BUILT_IN

        return BUILT_IN

    @property
    def processor_form(self) -> type[ProcessorProfile]:
        """The class that says what may stand in a file of another microcontroller."""
        from targets.c.processor import ProcessorProfile

        return ProcessorProfile

    def fit_processor(self, graph: Graph, activity: Activity, processor: str | Path) -> ProcessorFit:
        """Return what a network takes on a microcontroller.

        Args:
            graph: A fixed graph.
            activity: Events of its sources in a recorded run.
            processor: A name of `processors`, or a TOML file of the same schema.

        Raises:
            ProfileError: The profile lacks a value, or holds an impossible one.
            TargetError: The graph holds real numbers, or is larger than a compiler takes.
        """
        from targets.c.fitting import fit_graph
        from targets.c.processor import load_processor

        return fit_graph(load_processor(processor), graph, activity, self.compiler)


if TYPE_CHECKING:
    _conforms: type[ProcessorTarget] = CTarget
