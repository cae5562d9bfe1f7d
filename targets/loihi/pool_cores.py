"""Cores with one pool of words for everything, as inferred of Loihi 2."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from targets.loihi.encodings import (
    DENSE,
    SHARED,
    SPARSE,
    pool_dense_words,
    pool_shared_words,
    pool_sparse_words,
)
from targets.loihi.memory import (
    AXON_MAP,
    INPUT_AXONS,
    MEMORY_WORDS,
    NEURON_GROUPS,
    NEURONS,
    SYNAPTIC_WORDS,
    CoreShare,
    SynapseBlock,
)
from targets.loihi.network import ChipLayer, ConvolutionLink, Link, MatrixLink
from targets.loihi.profile import ChipProfile, PoolMemory
from targets.loihi.slices import NeuronSlice, channel_fan_out, columns_into, fan_out
from toolchain.arrays import Ints
from toolchain.target.chip_fit import Fact


@final
@dataclass(frozen=True)
class PoolCores:
    """Cores with one pool of words for neurons, axons and synapses.

    Attributes:
        profile: Limits of the chip.
        memory: Limits of its memory.
        layers: Layers of the network, by name.
        limits: The most that a core holds, per resource; the head-room is taken off the pool.
    """

    profile: ChipProfile
    memory: PoolMemory
    layers: Mapping[str, ChipLayer]
    limits: Mapping[str, Fact] = field(init=False)

    def __post_init__(self) -> None:
        core, memory = self.profile.core, self.memory
        pool = memory.memory_words.fact()
        share = memory.head_room.value
        usable = int(pool.value * (1 - share))
        source = f"{pool.source}, less {share:.0%} head-room"
        limits = {
            NEURONS: core.neurons.fact(),
            INPUT_AXONS: core.input_axons.fact(),
            SYNAPTIC_WORDS: memory.synaptic_words.fact(),
            AXON_MAP: memory.axon_map.fact(),
            MEMORY_WORDS: Fact(usable, pool.unit, source, pool.confidence),
            NEURON_GROUPS: memory.neuron_groups.fact(),
        }
        object.__setattr__(self, "limits", limits)

    def block(self, link: Link, neurons: NeuronSlice) -> SynapseBlock:
        """Return the cheapest of the encodings."""
        bits = link.bits + (self.memory.delay_bits.value if link.delay else 0)
        if isinstance(link, MatrixLink):
            targets = columns_into(link, neurons).targets
            each = int(pool_dense_words(self.memory, neurons.size, bits))
            dense = SynapseBlock(link.name, DENSE, len(targets) * each, len(targets), each)
        else:
            targets = fan_out(link, neurons)
            targets = targets[targets > 0]
            dense = self._shared(link, neurons, bits)
        words = pool_sparse_words(self.memory, targets, bits)
        sparse = SynapseBlock(link.name, SPARSE, int(words.sum()), len(targets), int(words.max(initial=0)))
        return min((dense, sparse), key=lambda block: block.words + block.axons)

    def _shared(self, link: ConvolutionLink, neurons: NeuronSlice, bits: int) -> SynapseBlock:
        per_source = channel_fan_out(link, neurons)
        words = axons = 0
        for channels, count in zip(*np.unique(per_source[per_source > 0], return_counts=True), strict=True):
            # Every group of channels has lists of its own.
            sources = link.weights.shape[1]
            each, lists = pool_shared_words(self.memory, link.window.area, sources, int(channels), bits)
            groups = int(count) // sources
            words, axons = words + groups * each, axons + groups * lists
        return SynapseBlock(link.name, SHARED, words, axons, words)

    def stored(self, link: Link, neurons: NeuronSlice, block: SynapseBlock, reached: Ints) -> Ints:
        """Return the stored synapses: a dense axon holds every neuron of the slice."""
        dense = isinstance(link, MatrixLink) and block.encoding == DENSE
        return np.where(reached > 0, neurons.size, 0) if dense else reached

    def usage(self, shares: Iterable[CoreShare], leaving: int = 0) -> dict[str, int]:
        """Return how much of every resource a core uses."""
        shares = list(shares)
        blocks = [block for share in shares for block in share.blocks]
        words = sum(block.words for block in blocks)
        axons = sum(block.axons for block in blocks)
        state = sum(share.neurons.size * self._neuron_words(share.neurons.layer) for share in shares)
        return {
            NEURONS: sum(share.neurons.size for share in shares),
            INPUT_AXONS: axons,
            SYNAPTIC_WORDS: words,
            AXON_MAP: leaving,
            MEMORY_WORDS: words + axons + state + leaving,
            NEURON_GROUPS: len({share.neurons.layer for share in shares}),
        }

    def _neuron_words(self, name: str) -> int:
        mixed = self.layers[name].mixed
        return (self.memory.mixed_neuron_words if mixed else self.memory.neuron_words).value

    def leaving(self, link: Link, neurons: int, reached: int, cores: int) -> int:
        """Return the words of the axon map: one per neuron, or one per core that a convolution reaches."""
        del reached
        return neurons if isinstance(link, MatrixLink) else cores
