"""The share of a core that neurons of a layer take: axons, words, profiles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, final

from targets.loihi.network import ChipNetwork, Link
from targets.loihi.slices import NeuronSlice
from toolchain.arrays import Ints
from toolchain.target.chip_fit import Fact

NEURONS: Final = "neurons"
INPUT_AXONS: Final = "input axons"
SYNAPTIC_WORDS: Final = "synaptic words"
WORDS_PER_AXON: Final = "words of an axon"
OUTPUT_AXONS: Final = "output axons"
DECAY_PROFILES: Final = "decay profiles"
THRESHOLD_PROFILES: Final = "threshold profiles"
SYNAPSE_FORMATS: Final = "synapse formats"
SHARED_BASE: Final = "base of shared lists"
MEMORY_WORDS: Final = "memory words"
AXON_MAP: Final = "axon map"
NEURON_GROUPS: Final = "neuron groups"


@final
@dataclass(frozen=True)
class SynapseBlock:
    """The synapses of one link that end in one slice of neurons.

    Attributes:
        link: Name of the link.
        encoding: Name of the way in which they are stored.
        words: Words of memory in all.
        axons: Number of axons that arrive.
        largest: Words of the largest axon.
        form: Values by which the synapse format differs from others.
        base: Compartment at which the last shared list begins, counted from 1; 0 if none is shared.
        delay_bits: Bits of the delay of every synapse.
    """

    link: str
    encoding: str
    words: int
    axons: int
    largest: int
    form: tuple[object, ...] = ()
    base: int = 0
    delay_bits: int = 0


@final
@dataclass(frozen=True)
class CoreShare:
    """Neurons of a layer on a core, and the synapses that end in them.

    Attributes:
        neurons: The neurons.
        blocks: Their synapses, a block per link.
    """

    neurons: NeuronSlice
    blocks: tuple[SynapseBlock, ...]

    @property
    def words(self) -> int:
        """Words of synaptic memory."""
        return sum(block.words for block in self.blocks)


class Memory(Protocol):
    """The way in which the cores of a chip hold synapses."""

    @property
    def limits(self) -> Mapping[str, Fact]:
        """The most that a core holds, per resource."""
        ...

    def block(self, link: Link, neurons: NeuronSlice) -> SynapseBlock:
        """Return the synapses of a link into a slice, stored in the cheapest way."""
        ...

    def stored(self, link: Link, neurons: NeuronSlice, block: SynapseBlock, reached: Ints) -> Ints:
        """Return the number of stored synapses of every element of a source, stored zeros included.

        Args:
            link: Link that the synapses belong to.
            neurons: Slice in which they end.
            block: Block in which they are stored.
            reached: Number of synapses that are not zero.
        """
        ...

    def usage(self, shares: Iterable[CoreShare], leaving: int = 0) -> dict[str, int]:
        """Return how much of every resource a core uses.

        Args:
            shares: Neurons and synapses on the core.
            leaving: Sum of `leaving` over all of them.
        """
        ...

    def leaving(self, link: Link, neurons: int, reached: int, cores: int) -> int:
        """Return the slots or words that the axons of a link take on the core at which they begin.

        Args:
            link: Link that begins at a slice on the core.
            neurons: Number of neurons of the slice that reach any core.
            reached: Number of pairs of such a neuron and a core that it reaches.
            cores: Number of cores that the slice reaches.
        """
        ...


def core_share(memory: Memory, network: ChipNetwork, neurons: NeuronSlice) -> CoreShare:
    """Return neurons with the synapses that end in them."""
    return CoreShare(neurons, tuple(memory.block(link, neurons) for link in network.incoming(neurons.layer)))
