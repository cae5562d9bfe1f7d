"""What a piece of a layer takes on a core: neurons, axons, words, profiles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, final

from targets.loihi.network import ChipNetwork, Link
from targets.loihi.pieces import Piece
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
    """The synapses of one link that end in one piece.

    Attributes:
        link: Name.
        encoding: How they are stored.
        words: Of memory, all together.
        axons: That arrive.
        largest: Words of the largest axon.
        form: What tells its synapse format from others.
        base: Compartment at which the last shared list begins, counted from 1; 0 if none is shared.
        delay_bits: Of every synapse.
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
    """A piece and its synapses."""

    piece: Piece
    blocks: tuple[SynapseBlock, ...]

    @property
    def words(self) -> int:
        """Of synaptic memory."""
        return sum(block.words for block in self.blocks)


class Memory(Protocol):
    """How the cores of a chip hold synapses."""

    @property
    def limits(self) -> Mapping[str, Fact]:
        """Return what a core holds at most, per resource."""
        ...

    def block(self, link: Link, piece: Piece) -> SynapseBlock:
        """Return what the synapses of a link into a piece take, stored the cheapest way."""
        ...

    def stored(self, link: Link, piece: Piece, block: SynapseBlock, reached: Ints) -> Ints:
        """Return the synapses that every element of a source has in a block, zeros that are stored included.

        Args:
            link: Whose synapses they are.
            piece: Where they end.
            block: As which they are stored.
            reached: Those of them that are no zeros.
        """
        ...

    def usage(self, parts: Iterable[CoreShare], leaving: int = 0) -> dict[str, int]:
        """Return what a core with these parts uses, per resource.

        Args:
            parts: On the core.
            leaving: What `leaving` says of all of them.
        """
        ...

    def leaving(self, link: Link, neurons: int, reached: int, cores: int) -> int:
        """Return what the axons of a link take on the core they begin at.

        Args:
            link: That begins at a piece of the core.
            neurons: Of the piece, that reach any core.
            reached: Pairs of such a neuron and a core.
            cores: That the piece reaches.
        """
        ...


def part_of(memory: Memory, network: ChipNetwork, piece: Piece) -> CoreShare:
    """Return a piece with its synapses."""
    return CoreShare(piece, tuple(memory.block(link, piece) for link in network.incoming(piece.layer)))
