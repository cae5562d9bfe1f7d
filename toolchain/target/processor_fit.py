"""What a processor says of a network written for it: whether it fits, and what a step would take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

from toolchain.target.chip_fit import Fact

FLASH: Final = "flash"
RAM: Final = "RAM"


@final
@dataclass(frozen=True)
class LayerFootprint:
    """One population, or pooling, with the connections that it reads.

    Attributes:
        name: Its name.
        neurons: Number of neurons.
        table_bytes: Constant tables of its connections and its neurons.
        state_bytes: What it keeps between two steps.
        instructions: Instructions of a step, estimated.
    """

    name: str
    neurons: int
    table_bytes: int
    state_bytes: int
    instructions: float


@final
@dataclass(frozen=True)
class ProcessorFit:
    """A network on a processor.

    Attributes:
        processor: Name of the profile.
        title: Name of the processor, for people.
        limits: Flash and RAM with their sources.
        code_bytes: Instructions in flash; None if nothing could compile them.
        table_bytes: Constant tables in flash, with what lies between them.
        state_bytes: State in RAM.
        compiled_by: The compiler whose object was measured; empty if there was none.
        exact: Whether it was a compiler for this processor, so that flash is exact.
        layers: Layers in the order of the network.
        operations: What is done in a step, counted over the recorded run.
        instructions: Instructions of a step on this processor, estimated.
        cycles: Cycles of a step, estimated.
        seconds: Duration of a step, estimated.
        step_seconds: Duration of a step in the model's own time.
        notes: Sentences that the reader should know.
        advice: Changes with which the network would fit, or take less.
        steps: Number of steps of a sample of the recorded run.
    """

    processor: str
    title: str
    limits: Mapping[str, Fact]
    code_bytes: int | None
    table_bytes: int
    state_bytes: int
    compiled_by: str
    exact: bool
    layers: tuple[LayerFootprint, ...]
    operations: Mapping[str, float]
    instructions: float
    cycles: float
    seconds: float
    step_seconds: float
    notes: tuple[str, ...]
    advice: tuple[str, ...]
    steps: int

    @property
    def used(self) -> dict[str, int]:
        """Bytes of every limit that are used."""
        return {FLASH: self.table_bytes + (self.code_bytes or 0), RAM: self.state_bytes}

    @property
    def utilization(self) -> dict[str, float]:
        """Share of every limit that is used."""
        return {name: used / self.limits[name].value for name, used in self.used.items()}

    @property
    def binding(self) -> tuple[str, float]:
        """The limit that is used most, and the share."""
        return max(self.utilization.items(), key=lambda pair: pair[1])

    @property
    def fits(self) -> bool:
        """Whether flash and RAM hold the network."""
        return self.binding[1] <= 1

    def advised(self, advice: tuple[str, ...]) -> "ProcessorFit":
        """Return it with advice."""
        return replace(self, advice=advice)

    def sentence(self) -> str:
        """Return what a step takes, in words that say that it is an estimate."""
        share = self.seconds / self.step_seconds
        return (
            f"estimated, measured on no chip: {self.instructions:,.0f} instructions and {self.cycles:,.0f} "
            f"cycles a step, {1e6 * self.seconds:,.1f} us at full clock; that is {share:.1%} of a step of "
            f"{1e3 * self.step_seconds:g} ms"
        )
