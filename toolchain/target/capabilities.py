"""What a target can: the one declaration that its checks, messages, tables and tests are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from toolchain.errors import TargetError
from toolchain.neuron_rules import EVERY_NEURON, NeuronRules
from toolchain.stage import Stage

if TYPE_CHECKING:
    from toolchain.ir import Graph

NUMBERS: Final = {Stage.FLOAT: "real numbers", Stage.FIXED: "integers"}
"""What graphs of a stage hold, in words."""


@final
@dataclass(frozen=True, kw_only=True)
class ImageRules:
    """Which convolutions and poolings a place computes; by default all.

    Attributes:
        largest_convolution: Largest number of channels, groups, rows or columns, padding included, and of
            any number of the kernel of a convolution; None for any.
        largest_image: Most channels, and most columns, of what a convolution or pooling reads; None for any.
    """

    largest_convolution: int | None = None
    largest_image: int | None = None


EVERY_IMAGE: Final = ImageRules()
"""All convolutions and poolings."""


@final
@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a target can; by default it runs every graph, in samples that begin at rest, and nothing else.

    Attributes:
        name: Name of the place in messages, which a verb in the singular follows.
        real: Neurons of real numbers; None if it runs none.
        fixed: Neurons of integers; None if it runs none.
        least_exponent: Smallest exponent of integer weights; None for any. Below 0 a sum of synapses is
            rounded down, and a place that rounds otherwise has none of these.
        neuron_delays: Whether a delay of real numbers may differ from neuron to neuron; `FoldDelays` puts
            these into the synapses.
        synapse_delays: Whether the synapses of a connection may have delays of their own.
        longest_delay: Steps that a synapse of a clocked place may wait, beyond the one that every connection
            takes; None for any.
        clocked: Whether every connection takes a step and leads to one population, so that a loop needs as
            many steps of delay as it has connections.
        most_read: Most populations and poolings that a population reads, counted anew for each delay with
            which it reads one; None for any.
        graded_inputs: Whether values may enter that are no spikes.
        graded_messages: Whether what a population or pooling sends may carry a number. Where it does not,
            the sums of a pooling are part of the connection that reads them.
        images: Convolutions and poolings; None if it computes none.
        largest: Bytes that a network may take in the form that the place needs; None for any.
        form: What that form is.
        stepped: Whether its programs can be stepped by hand.
        resumed: Whether a run of it can keep the samples that are finished.
        exports: The stages that it writes as files that run without this toolchain.
        remedy: Advice to whoever has a graph with neurons or images that it lacks.
    """

    name: str
    real: NeuronRules | None = EVERY_NEURON
    fixed: NeuronRules | None = EVERY_NEURON
    least_exponent: int | None = None
    neuron_delays: bool = True
    synapse_delays: bool = True
    longest_delay: int | None = None
    clocked: bool = False
    most_read: int | None = None
    graded_inputs: bool = True
    graded_messages: bool = True
    images: ImageRules | None = EVERY_IMAGE
    largest: int | None = None
    form: str = ""
    stepped: bool = False
    resumed: bool = False
    exports: frozenset[Stage] = frozenset()
    remedy: str = "run it on another target, such as the emulator"

    @property
    def stages(self) -> frozenset[Stage]:
        """The stages whose graphs it runs."""
        return frozenset(stage for stage in Stage if self.neurons(stage) is not None)

    def neurons(self, stage: Stage) -> NeuronRules | None:
        """Return what its neurons of real numbers, or of integers, can do; None if it has none."""
        return self.real if stage is Stage.FLOAT else self.fixed

    def check_size(self, graph: Graph, needed: int) -> None:
        """Raise if a network takes more bytes in the form of the place than it holds.

        Raises:
            TargetError: Says how much it takes, and how much there is.
        """
        if self.largest is not None and needed > self.largest:
            raise TargetError(
                f"network '{graph.name}' takes {needed / 2**20:,.1f} MiB as {self.form}, expected at most "
                f"{self.largest / 2**20:,.1f}",
                "prune it, or run it on another target, such as the emulator",
            )
