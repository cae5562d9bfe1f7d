"""The connections of a network as weights that are present or absent, whatever kind of network it is."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar, final

import torch
from torch import Tensor, nn

from toolchain.errors import PruningError, UnknownNameError
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

    def thin(self, count: int, guarded: Tensor | None = None) -> None:
        """Leave the strongest alone, of equal ones the last.

        Args:
            count: How many.
            guarded: Synapses that stay in any case, before the others.
        """
        sizes = torch.where(self.mask, self.weight.abs(), -1.0)
        sizes = (sizes if guarded is None else torch.where(guarded, torch.inf, sizes)).reshape(-1)
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
        UnknownNameError: The network has no such connection.
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
    known = {part.name for part in every}
    for name in names:
        if name not in known:
            raise UnknownNameError("connection", name, known)
    chosen = tuple(part for part in every if (not names or part.name in names) and part.count)
    if not chosen:
        raise PruningError("the network has no synapses that could be pruned")
    return chosen


def thinned(network: AnyNetwork, counts: Mapping[str, int], *, alive: bool = False) -> AnyNetwork:
    """Return a copy of a network with so many of the strongest weights of each named connection.

    Args:
        network: The network.
        counts: How many; of other connections all.
        alive: Whether every neuron keeps an input and an output that it has, even if these are more.
    """
    copy = deepcopy(network)
    guards = _guards(copy) if alive else {}
    for part in parts_of(copy):
        if part.name in counts:
            guarded = guards.get(part.name)
            least = 0 if guarded is None else int(guarded.sum())
            part.thin(max(counts[part.name], least), guarded)
    return copy


def _guards(network: Network | FeedForward) -> dict[str, Tensor]:
    """Return the strongest input that excites each neuron, and the strongest output of each; by connection.

    They are those of connections between layers; a loop has none.
    """
    guards = dict[str, Tensor]()
    for part in parts_of(network):
        guards[part.name] = guarded = torch.zeros_like(part.mask)
        if not part.source or part.source == part.target:
            continue
        weights = torch.where(part.mask, part.weight, -torch.inf)
        sizes = (part.weight * part.mask).abs()
        for axis, strongest in ((1, weights.argmax(1)), (0, sizes.argmax(0))):
            if axis == 1 or part.source in network.layers:
                places = torch.arange(len(strongest))
                guarded[(places, strongest) if axis == 1 else (strongest, places)] = True
        guarded &= part.mask
    return guards


def is_dead(network: Network | FeedForward) -> bool:
    """Return whether no synapses lead from an input to what is read; never of a convolutional network."""
    if not isinstance(network, Network):
        return False
    reached: dict[str, Tensor] = {name: torch.ones(size) for name, size in network.inputs.items()}
    for _ in network.layers:
        for arrow in network.connections:
            if arrow.source in reached:
                target = network.layer(arrow.target).size
                joined = _joined(network.synapses[arrow.name], target, len(reached[arrow.source]))
                arrives = (joined @ reached[arrow.source] > 0).float()
                reached[arrow.target] = torch.maximum(reached.get(arrow.target, arrives), arrives)
    return not bool(reached.get(network.output, torch.zeros(1)).any())


def _joined(module: nn.Module, targets: int, sources: int) -> Tensor:
    """Return 1 where a connection joins a source with a target; of a module that is not known, everywhere."""
    if isinstance(module, MaskedSynapses | nn.Linear):
        weight = module.weight.detach()
        mask = module.mask if isinstance(module, MaskedSynapses) else None
        return ((weight != 0) if mask is None else mask & (weight != 0)).float()
    return torch.ones(targets, sources)
