"""Cores and their contents: whether they respect the limits, and which spikes go from one to another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from targets.loihi.entry_cores import EntryCores
from targets.loihi.memory import CoreShare, Memory, core_share
from targets.loihi.network import ChipLayer, ChipNetwork, Link
from targets.loihi.pool_cores import PoolCores
from targets.loihi.profile import ChipProfile, EntryMemory
from targets.loihi.slices import NeuronSlice, fan_out
from toolchain.arrays import Floats

OUTSIDE: Final = -1
"""Number of the host as the sender of a spike."""

Core = tuple[CoreShare, ...]
Caps = Mapping[str, int]


@final
@dataclass(frozen=True, eq=False)
class Chip:
    """A network and the chip that is to hold it.

    Attributes:
        profile: Limits of the chip.
        network: The network.
    """

    profile: ChipProfile
    network: ChipNetwork

    @cached_property
    def memory(self) -> Memory:
        """The way in which its cores hold synapses."""
        layers = {layer.name: layer for layer in self.network.layers}
        if isinstance(self.profile.memory, EntryMemory):
            return EntryCores(self.profile, self.profile.memory, layers)
        return PoolCores(self.profile, self.profile.memory, layers)

    def share(self, neurons: NeuronSlice) -> CoreShare:
        """Return neurons with the synapses that end in them."""
        return core_share(self.memory, self.network, neurons)

    def load(self, shares: Sequence[CoreShare], leaving: int | None = None) -> tuple[str, float]:
        """Return the limit that a core uses most, and how much of it; above 1 it is broken.

        Args:
            shares: Neurons and synapses on the core.
            leaving: Room that its axons take; by default the least, as if each reached one core.
        """
        used = self.memory.usage(shares, self._least_leaving(shares) if leaving is None else leaving)
        limits = self.memory.limits
        loads = ((name, amount / limits[name].value) for name, amount in used.items())
        return max(loads, key=lambda pair: pair[1])

    def legal(self, shares: Sequence[CoreShare], caps: Caps | None = None) -> bool:
        """Return whether a core can hold these neurons and synapses if each axon reaches one core.

        Args:
            shares: Neurons and synapses on the core.
            caps: Largest number of neurons of a layer on a core, by name.
        """
        return (not caps or respects_caps(shares, caps)) and self.load(shares)[1] <= 1

    def legal_profiles(self, layer: ChipLayer) -> bool:
        """Return whether a core could hold the parameters of a whole layer."""
        memory = self.profile.memory
        if not isinstance(memory, EntryMemory):
            return True
        decays, thresholds = len(np.unique(layer.decays)), len(np.unique(layer.thresholds))
        return decays <= memory.decay_profiles.value and thresholds <= memory.threshold_profiles.value

    def _least_leaving(self, shares: Sequence[CoreShare]) -> int:
        return sum(
            self.memory.leaving(link, share.neurons.size, share.neurons.size, 1)
            for share in shares
            for link in self._outgoing[share.neurons.layer]
        )

    @cached_property
    def _outgoing(self) -> dict[str, tuple[Link, ...]]:
        return {layer.name: self.network.outgoing(layer.name) for layer in self.network.layers}


def neurons_by_layer(shares: Iterable[CoreShare]) -> dict[str, int]:
    """Return how many neurons of each layer a core holds."""
    counts: dict[str, int] = {}
    for share in shares:
        counts[share.neurons.layer] = counts.get(share.neurons.layer, 0) + share.neurons.size
    return counts


def respects_caps(shares: Iterable[CoreShare], caps: Caps) -> bool:
    """Return whether no layer has more neurons on a core than it may."""
    return all(count <= caps.get(name, count) for name, count in neurons_by_layer(shares).items())


@final
@dataclass(frozen=True, eq=False)
class CoreLayout:
    """A network spread over cores.

    Attributes:
        chip: Network and chip.
        cores: Contents of each core.
    """

    chip: Chip
    cores: tuple[Core, ...]

    @cached_property
    def holders(self) -> dict[str, list[tuple[int, CoreShare]]]:
        """Shares of each layer with the number of their core, which may hold several of one layer."""
        holders: dict[str, list[tuple[int, CoreShare]]] = {}
        for i, core in enumerate(self.cores):
            for share in core:
                holders.setdefault(share.neurons.layer, []).append((i, share))
        return holders

    @cached_property
    def fan_outs(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Cores of the shares of each link's target, and the synapses to each, `[shares, sources]`."""
        fan_outs: dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]] = {}
        for link in self.chip.network.links:
            holders = self.holders[link.target]
            counts = np.stack([fan_out(link, share.neurons) for _, share in holders])
            fan_outs[link.name] = np.array([i for i, _ in holders]), counts
        return fan_outs

    @cached_property
    def leaving(self) -> tuple[int, ...]:
        """Slots or words that the axons that leave each core take there."""
        memory, network = self.chip.memory, self.chip.network
        totals: list[int] = []
        for core in self.cores:
            total = 0
            for share in core:
                for link in network.outgoing(share.neurons.layer):
                    reach = self.fan_outs[link.name][1][:, share.neurons.indices] > 0
                    neurons = int(reach.any(axis=0).sum())
                    total += memory.leaving(link, neurons, int(reach.sum()), int(reach.any(axis=1).sum()))
            totals.append(total)
        return tuple(totals)

    def usage(self) -> list[dict[str, int]]:
        """Return how much of every resource each core uses."""
        memory = self.chip.memory
        return [memory.usage(core, leaving) for core, leaving in zip(self.cores, self.leaving, strict=True)]

    def overfull(self) -> dict[int, tuple[str, float]]:
        """Return the cores that break a limit, with the limit and how much of it they use."""
        loads = (self.chip.load(core, out) for core, out in zip(self.cores, self.leaving, strict=True))
        return {i: load for i, load in enumerate(loads) if load[1] > 1}

    def messages(self, rates: dict[str, Floats]) -> Floats:
        """Return spikes per step between cores, `[cores + 1, cores]`; the last row is the host.

        A neuron sends one message per link and core that it reaches, its own core included.

        Args:
            rates: Events per step of every element of every source.
        """
        sent = np.zeros((len(self.cores) + 1, len(self.cores)))
        for link in self.chip.network.links:
            targets, counts = self.fan_outs[link.name]
            for source, neurons in self._senders(link):
                np.add.at(sent[source], targets, (counts[:, neurons] > 0) @ rates[link.source][neurons])
        return sent

    def _senders(self, link: Link) -> list[tuple[int, NDArray[np.int64]]]:
        if link.outside:
            return [(OUTSIDE, np.arange(self.fan_outs[link.name][1].shape[1]))]
        return [(i, share.neurons.indices) for i, share in self.holders[link.source]]

    def operations(self, rates: dict[str, Floats]) -> dict[str, Floats]:
        """Return synaptic operations per step on every core, by the encoding of the synapses.

        Every stored synapse counts, also if its weight is zero, because the chip reads it.
        """
        operations: dict[str, Floats] = {}
        for link in self.chip.network.links:
            counts = self.fan_outs[link.name][1]
            for (core, share), reached in zip(self.holders[link.target], counts, strict=True):
                block = next(block for block in share.blocks if block.link == link.name)
                stored = self.chip.memory.stored(link, share.neurons, block, reached)
                on_core = operations.setdefault(block.encoding, np.zeros(len(self.cores)))
                on_core[core] += stored @ rates[link.source]
        return operations
