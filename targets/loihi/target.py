"""Loihi 1 and Loihi 2 as targets: integers run on Lava, and a model of the chip says what fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, final

from targets.lava.target import LavaTarget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from targets.lava.program import LavaProgram
    from targets.loihi.profile import ChipProfile
    from toolchain.execution.activity import Activity
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.chip_fit import Fit
    from toolchain.target.protocol import ChipTarget


@final
@dataclass(frozen=True)
class LoihiTarget:
    """A chip without a chip on the desk.

    Programs run on Lava's CPU simulator, whose integers are those of the chip's neurons as far as Lava
    models them. `fit` says whether a network fits the chip, on which cores, and what a step would take.

    Attributes:
        chip: Name of a built-in profile.
        lava: Target on which programs run.
    """

    chip: str
    lava: LavaTarget = field(default_factory=LavaTarget)

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return self.chip

    @cached_property
    def facts(self) -> ChipProfile:
        """Everything that is known of the chip, with its sources."""
        from targets.loihi.profile import load_profile

        return load_profile(self.chip)

    @property
    def profile(self) -> HardwareProfile:
        """The limits that the compiler respects: Lava's number formats, and the chip's neurons."""
        return self.facts.hardware()

    @property
    def capabilities(self) -> Capabilities:
        """What the chip can, as far as its integers run on Lava."""
        return self.facts.capabilities()

    @property
    def profile_form(self) -> type[ChipProfile]:
        """The class that says what may stand in a file with the limits of a chip."""
        from targets.loihi.profile import ChipProfile

        return ChipProfile

    def check(self) -> None:
        """Raise unless Lava is installed."""
        self.lava.check()

    def legalization(self) -> Sequence[Pass]:
        """As for Lava."""
        return self.lava.legalization()

    def build(self, graph: Graph) -> LavaProgram:
        """Lay a graph out as Lava processes.

        Raises:
            TargetUnavailableError: Lava is not installed.
            TargetError: The graph is beyond what the chip can.
        """
        from toolchain.target.acceptance import check_graph

        check_graph(graph, self.capabilities)
        return self.lava.build(graph)

    def fit(self, graph: Graph, activity: Activity, *, chips: int = 1, profile: Path | None = None) -> Fit:
        """Spread a network over the chip's cores and return what that takes.

        Args:
            graph: A fixed graph.
            activity: Events of its sources in a recorded run.
            chips: Number of chips that may be used.
            profile: TOML file of another chip of the same schema.

        Raises:
            ProfileError: The profile lacks a value, or holds an impossible one.
            DoesNotFitError: A part of the network is too large for any core.
            LackingNeuronsError: The chip has no neurons that do what those of a population do.
        """
        from targets.loihi.fitting import fit_graph
        from targets.loihi.profile import load_profile

        facts = self.facts if profile is None else load_profile(profile)
        return fit_graph(facts, graph, activity, chips)


def loihi1() -> LoihiTarget:
    """Return Intel's Loihi 1."""
    return LoihiTarget("loihi1")


def loihi2() -> LoihiTarget:
    """Return Intel's Loihi 2."""
    return LoihiTarget("loihi2")


if TYPE_CHECKING:
    _conforms: type[ChipTarget] = LoihiTarget
