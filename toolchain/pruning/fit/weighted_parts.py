"""The connections of a network as weights that are present or absent, whatever kind of network it is."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar, final

import torch
from torch import Tensor, nn

from toolchain.errors import PruningError
from toolchain.models import FeedForward, Network
from toolchain.models.neurons import MaskedSynapses

AnyNetwork = TypeVar("AnyNetwork", bound=Network | FeedForward)


@final
@dataclass(frozen=True)
class WeightedPart:
    """A connection: what has weights of which some are present.

    Attributes:
        name: Name of the connection, or of the block.
        module: What has the weights; of a recurrent network with a mask, otherwise what is zero is absent.
        source: Name of the layer, or input, that it reads; empty where it is not known.
        target: Name of the layer that it feeds; empty where it is not known.
    """

    name: str
    module: MaskedSynapses | nn.Conv2d | nn.Linear
    source: str = ""
    target: str = ""

    @property
    def weight(self) -> Tensor:
        """The weights, targets first."""
        return self.module.weight.detach()

    @property
    def mask(self) -> Tensor:
        """Which are present."""
        if not isinstance(self.module, MaskedSynapses):
            return self.weight != 0
        mask = self.module.mask
        return torch.ones_like(self.weight, dtype=torch.bool) if mask is None else mask

    @property
    def count(self) -> int:
        """How many are present."""
        return int(self.mask.sum())

    @property
    def least(self) -> int:
        """Fewest weights that leave an input to each of its targets; of a loop one."""
        wanted = 1 if self.source and self.source == self.target else len(self.weight)
        return min(self.count, wanted)

    def thin(self, count: int) -> None:
        """Leave the strongest alone, of equal ones the last.

        Args:
            count: How many.
        """
        sizes = torch.where(self.mask, self.weight.abs(), -1.0).reshape(-1)
        places = torch.sort(sizes, stable=True).indices[sizes.numel() - count :]
        mask = torch.zeros(sizes.numel(), dtype=torch.bool)
        mask[places] = True
        mask = mask.view(self.weight.shape) & self.mask
        if isinstance(self.module, MaskedSynapses):
            self.module.mask = mask
        self.weight.mul_(mask)


def parts_of(network: Network | FeedForward, names: tuple[str, ...] = ()) -> tuple[WeightedPart, ...]:
    """Return the connections of a network that have weights to prune.

    Args:
        network: The network.
        names: Names of those that may be pruned; empty for all.

    Raises:
        PruningError: No weight of them is there: the network is dead already.
    """
    if isinstance(network, Network):
        every = [
            WeightedPart(arrow.name, module, arrow.source, arrow.target)
            for arrow in network.connections
            if isinstance(module := network.synapses[arrow.name], MaskedSynapses)
        ]
    else:
        every = [
            WeightedPart(block.name, module)
            for block in network.blocks
            if isinstance(module := network.parts[block.name], nn.Conv2d | nn.Linear)
        ]
    chosen = tuple(part for part in every if (not names or part.name in names) and part.count)
    if not chosen:
        raise PruningError("the network has no synapses that could be pruned")
    return chosen


def thinned(network: AnyNetwork, counts: Mapping[str, int]) -> AnyNetwork:
    """Return a copy of a network with so many of the strongest weights of each named connection."""
    copy = deepcopy(network)
    for part in parts_of(copy):
        if part.name in counts:
            part.thin(counts[part.name])
    return copy


def is_dead(network: Network | FeedForward) -> bool:
    """Return whether no synapses lead from an input to what is read; never of a convolutional network."""
    if not isinstance(network, Network):
        return False
    reached: dict[str, Tensor] = {name: torch.ones(size) for name, size in network.inputs.items()}
    parts = parts_of(network)
    for _ in network.layers:
        for part in parts:
            if part.source in reached:
                arrives = (part.mask & (part.weight != 0)).float() @ reached[part.source] > 0
                before = reached.get(part.target, torch.zeros(len(arrives)))
                reached[part.target] = torch.maximum(before, arrives.float())
    return not bool(reached.get(network.output, torch.zeros(1)).any())
