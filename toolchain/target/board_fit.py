"""What an FPGA on a board says of a network: whether its design fits, how fast it runs, what a step takes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

from toolchain.target.chip_fit import Fact

CLOCK: Final = "clock"


@final
@dataclass(frozen=True)
class BoardFit:
    """A network on a board.

    Attributes:
        board: Name of the profile.
        title: Name of the board and its FPGA, for people.
        limits: How many there are of each resource, with its source.
        used: How many of each the design takes.
        clock: The clock of the board.
        highest: Highest clock in Hz after place and route; None if the design found no place.
        problem: Why it found none; empty if it did.
        parameters: Sizes that the core was given.
        work: Cycles of a step, by what they are for, in the mean over the recorded run.
        seconds: Duration of a step at the clock of the board.
        line_seconds: Time that the bytes of a step take on the serial line of the board.
        step_seconds: Duration of a step in the model's own time.
        steps: Number of steps of a sample of the recorded run.
        tools: The tools that made the design, with their versions.
        notes: Sentences that the reader should know.
        advice: Changes with which the network would fit, or take less.
    """

    board: str
    title: str
    limits: Mapping[str, Fact]
    used: Mapping[str, int]
    clock: Fact
    highest: float | None
    problem: str
    parameters: Mapping[str, int]
    work: Mapping[str, float]
    seconds: float
    line_seconds: float
    step_seconds: float
    steps: int
    tools: tuple[str, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def cycles(self) -> float:
        """Cycles of a step."""
        return sum(self.work.values())

    @property
    def utilization(self) -> dict[str, float]:
        """Share of every resource that is used, and of the highest clock."""
        shares = {name: self.used[name] / max(fact.value, 1) for name, fact in self.limits.items()}
        return shares if self.highest is None else shares | {CLOCK: self.clock.value / self.highest}

    @property
    def binding(self) -> tuple[str, float]:
        """What is used most, and the share."""
        return max(self.utilization.items(), key=lambda pair: pair[1])

    @property
    def fits(self) -> bool:
        """Whether the design found a place, and is in time at the clock of the board."""
        return self.highest is not None and not self.problem and self.binding[1] <= 1

    def advised(self, advice: tuple[str, ...]) -> "BoardFit":
        """Return it with advice."""
        return replace(self, advice=advice)

    def sentence(self) -> str:
        """Return what a step takes, in words."""
        sample = self.steps * self.seconds
        share = self.seconds / self.step_seconds
        return (
            f"counted from the core's own cycles, measured on no board: {self.cycles:,.0f} cycles a step, "
            f"{1e6 * self.seconds:,.1f} us at {self.clock.value / 1e6:g} MHz; that is {share:.1%} of a step "
            f"of {1e3 * self.step_seconds:g} ms, and {1 / sample:,.1f} samples of {self.steps} steps a "
            f"second; the serial line takes {1e6 * self.line_seconds:,.1f} us a step"
        )
