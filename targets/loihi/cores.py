"""Cores and what they hold: whether they are legal, and which spikes go from one to another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from targets.loihi.entry_cores import EntryCores
from targets.loihi.memory import CoreShare, Memory, part_of
from targets.loihi.network import ChipLayer, ChipNetwork, Link
from targets.loihi.pieces import Piece, fan_out
from targets.loihi.pool_cores import PoolCores
from targets.loihi.profile import ChipProfile, EntryMemory
from toolchain.arrays import Floats

OUTSIDE: Final = -1
"""Stands for the host as the sender of a spike."""

Core = tuple[CoreShare, ...]
Caps = Mapping[str, int]


@final
@dataclass(frozen=True, eq=False)
class Chip:
    """A network beside the chip that is to hold it."""

    profile: ChipProfile
    network: ChipNetwork

    @cached_property
    def memory(self) -> Memory:
        """How its cores hold synapses."""
        layers = {layer.name: layer for layer in self.network.layers}
        if isinstance(self.profile.memory, EntryMemory):
            return EntryCores(self.profile, self.profile.memory, layers)
        return PoolCores(self.profile, self.profile.memory, layers)

    def part(self, piece: Piece) -> CoreShare:
        """Return a piece with its synapses."""
        return part_of(self.memory, self.network, piece)

    def excess(self, parts: Iterable[CoreShare], leaving: int | None = None) -> tuple[str, float]:
        """Return the limit that a core uses most, and the share.

        Args:
            parts: On the core.
            leaving: What its axons take; by default the least that they can, one core each.
        """
        held = list(parts)
        used = self.memory.usage(held, self._least_leaving(held) if leaving is None else leaving)
        limits = self.memory.limits
        shares = ((name, amount / limits[name].value) for name, amount in used.items())
        return max(shares, key=lambda pair: pair[1])

    def legal(self, parts: Sequence[CoreShare], caps: Caps | None = None) -> bool:
        """Return whether a core can hold these parts, however few cores they reach.

        Args:
            parts: On the core.
            caps: Most neurons of a layer on a core, by name.
        """
        return (not caps or within(parts, caps)) and self.excess(parts)[1] <= 1

    def legal_profiles(self, layer: ChipLayer) -> bool:
        """Return whether a core could hold the parameters of a whole layer."""
        memory = self.profile.memory
        if not isinstance(memory, EntryMemory):
            return True
        decays, thresholds = len(np.unique(layer.decays)), len(np.unique(layer.thresholds))
        return decays <= memory.decay_profiles.value and thresholds <= memory.threshold_profiles.value

    def _least_leaving(self, parts: Sequence[CoreShare]) -> int:
        return sum(
            self.memory.leaving(link, part.piece.size, part.piece.size, 1)
            for part in parts
            for link in self._outgoing[part.piece.layer]
        )

    @cached_property
    def _outgoing(self) -> dict[str, tuple[Link, ...]]:
        return {layer.name: self.network.outgoing(layer.name) for layer in self.network.layers}


def within(parts: Iterable[CoreShare], caps: Caps) -> bool:
    """Return whether no layer has more neurons on a core than it may."""
    neurons: dict[str, int] = {}
    for part in parts:
        neurons[part.piece.layer] = neurons.get(part.piece.layer, 0) + part.piece.size
    return all(count <= caps.get(name, count) for name, count in neurons.items())


@final
@dataclass(frozen=True, eq=False)
class CoreLayout:
    """A network spread over cores.

    Attributes:
        chip: Network and profile.
        cores: What each holds.
    """

    chip: Chip
    cores: tuple[Core, ...]

    @cached_property
    def holders(self) -> dict[str, list[tuple[int, CoreShare]]]:
        """Return per layer its parts, each with its core; a core may hold several of one layer."""
        found: dict[str, list[tuple[int, CoreShare]]] = {}
        for i, core in enumerate(self.cores):
            for part in core:
                found.setdefault(part.piece.layer, []).append((i, part))
        return found

    @cached_property
    def fan_outs(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Return per link the cores of its target's parts, and the synapses to each, `[parts, sources]`."""
        found: dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]] = {}
        for link in self.chip.network.links:
            parts = self.holders[link.target]
            counts = np.stack([fan_out(link, part.piece) for _, part in parts])
            found[link.name] = np.array([i for i, _ in parts]), counts
        return found

    @cached_property
    def leaving(self) -> tuple[int, ...]:
        """Return what the axons that leave each core take there."""
        memory, network = self.chip.memory, self.chip.network
        totals: list[int] = []
        for core in self.cores:
            total = 0
            for part in core:
                for link in network.outgoing(part.piece.layer):
                    reach = self.fan_outs[link.name][1][:, part.piece.neurons] > 0
                    neurons = int(reach.any(axis=0).sum())
                    total += memory.leaving(link, neurons, int(reach.sum()), int(reach.any(axis=1).sum()))
            totals.append(total)
        return tuple(totals)

    def usage(self) -> list[dict[str, int]]:
        """Return what every core uses, per resource."""
        memory = self.chip.memory
        return [memory.usage(core, leaving) for core, leaving in zip(self.cores, self.leaving, strict=True)]

    def overfull(self) -> dict[int, tuple[str, float]]:
        """Return the cores that break a limit: which, and by how much."""
        shares = (self.chip.excess(core, out) for core, out in zip(self.cores, self.leaving, strict=True))
        return {i: share for i, share in enumerate(shares) if share[1] > 1}

    def messages(self, rates: dict[str, Floats]) -> Floats:
        """Return spikes per step between cores, `[cores + 1, cores]`; the last row is the host.

        A neuron sends one message per link and core that it reaches, also to its own.

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
        return [(i, part.piece.neurons) for i, part in self.holders[link.source]]

    def operations(self, rates: dict[str, Floats]) -> dict[str, Floats]:
        """Return synaptic operations per step on every core, by the encoding of the synapses.

        Every synapse that is stored counts, also if its weight is zero: the chip reads it.
        """
        done: dict[str, Floats] = {}
        for link in self.chip.network.links:
            counts = self.fan_outs[link.name][1]
            for (core, part), reached in zip(self.holders[link.target], counts, strict=True):
                block = next(block for block in part.blocks if block.link == link.name)
                stored = self.chip.memory.stored(link, part.piece, block, reached)
                on_core = done.setdefault(block.encoding, np.zeros(len(self.cores)))
                on_core[core] += stored @ rates[link.source]
        return done
