"""The connections between layers as lists by source, with the place that each synapse reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import OutOfMemoryError
from toolchain.models.loops.matrices import LayerPattern
from toolchain.models.loops.merged_lists import MergedLists
from toolchain.models.loops.vectors import WIDE

Numbers = NDArray[Any]
_MOST_PLACES: Final = 2**32
"""Places that 32 bits can name."""
_WIDE_FROM: Final = 0.2
"""Share of possible synapses from which on a connection is wide."""


@final
@dataclass(frozen=True)
class ConnectedPart:
    """The synapses of a connection on their way into the lists.

    Attributes:
        between: First neuron of the source and its size, first neuron of the target and its size.
        sources: Neuron from which each synapse comes, int64 `[S]`, like the next three.
        targets: Neuron that it reaches.
        delays: Steps that it takes.
        stored: Position of its weight among those of the connection, flat.
    """

    between: tuple[int, int, int, int]
    sources: Numbers
    targets: Numbers
    delays: Numbers
    stored: Numbers

    @classmethod
    def of_mask(cls, source: int, target: int, mask: NDArray[np.bool_], delays: Numbers) -> "ConnectedPart":
        """Return the synapses of a matrix.

        Args:
            source: First neuron of the source.
            target: First neuron of the target.
            mask: Existing synapses, `[targets, sources]`.
            delays: Steps that each takes, int64, one number or `[targets, sources]`.
        """
        index = np.flatnonzero(mask)
        row, column = np.divmod(index, mask.shape[1])
        steps = np.broadcast_to(delays, mask.shape).reshape(-1)[index]
        between = (source, mask.shape[1], target, mask.shape[0])
        return cls(between, source + column, target + row, steps, index)

    def within(self, steps: int) -> "ConnectedPart":
        """Return the synapses that bring something in a run of so many steps."""
        early = self.delays < steps
        if early.all():
            return self
        return ConnectedPart(
            self.between,
            self.sources[early],
            self.targets[early],
            self.delays[early],
            self.stored[early],
        )

    @property
    def is_wide(self) -> bool:
        """Whether whole rows of weights are added faster than the weights of the synapses alone."""
        _, sources, target, targets = self.between
        if len(self.delays) <= _WIDE_FROM * sources * targets:
            return False
        # The sums of each delay may be formed in a place of their own.
        there = (self.targets >= target) & (self.targets < target + targets)
        return bool((there & (self.delays == self.delays[0])).all())


class Synapses(NamedTuple):
    """The synapses of all neurons with their weights, as compiled loops take them.

    Attributes:
        first: Where the listed synapses of each neuron begin, int64 `[N + 1]`.
        places: `delay * N + target` of each, uint32.
        weights: Weight of each.
        wide: Connections with so many synapses that they are not listed, but matrices: their first neuron,
            the neuron behind the last, the place that the first weight of a row reaches, the length of a
            row, and where the rows begin in `rows`; int64 `[connections, 5]`.
        rows: Weights of those, a row for each source, zero where there is no synapse; flat, and a multiple
            of `WIDE` of rows for each connection.
    """

    first: Numbers
    places: Numbers
    weights: Numbers
    wide: Numbers
    rows: Numbers


class Weights(NamedTuple):
    """Weights of synapses as tensors: `weights` and `rows` of `Synapses`."""

    listed: Tensor
    rows: Tensor


@final
@dataclass(frozen=True)
class StoredWeights:
    """Where the weights of a connection stand.

    Attributes:
        index: Positions of the weights of its synapses among its own, flat.
        positions: Their positions in the lists; of a wide connection, in `rows`.
        is_wide: Whether it is a wide one.
    """

    index: Tensor
    positions: Tensor
    is_wide: bool


@final
@dataclass(frozen=True, eq=False)
class SynapseLists:
    """Where the weights of connections stand in lists by source, in the order of the places they reach.

    Attributes:
        first: As in `Synapses`, like the next two.
        places: See there.
        wide: See there.
        size: Length of `rows`.
        longest: Longest delay.
        is_cut: Whether there are synapses that take longer than the runs that these lists are for.
        layers: First neuron and number of neurons of each layer.
        stored: Where the weights of each connection stand.
        device: Where weights lie.
    """

    first: Numbers
    places: Numbers
    wide: Numbers
    size: int
    longest: int
    is_cut: bool
    layers: tuple[tuple[int, int], ...]
    stored: tuple[StoredWeights, ...]
    device: torch.device

    @classmethod
    def of(
        cls,
        parts: Sequence[ConnectedPart],
        layers: Sequence[tuple[int, int]],
        neurons: int,
        steps: int,
        device: torch.device,
        *,
        wide: bool,
    ) -> "SynapseLists":
        """Return the lists of all connections between neurons, for runs of some length.

        Args:
            parts: The connections.
            layers: First neuron and number of neurons of each layer.
            neurons: Number of neurons.
            steps: Length of a run: a synapse that takes as long brings nothing, and is left out.
            device: Where weights lie.
            wide: Whether connections with many synapses are matrices instead of being listed.

        Raises:
            OutOfMemoryError: Delays are longer than places can be numbered.
        """
        cut = [part.within(steps) for part in parts]
        is_cut = any(len(part.stored) != len(each.stored) for part, each in zip(parts, cut, strict=True))
        longest = max((int(part.delays.max(initial=0)) for part in cut), default=0)
        if (longest + 1) * neurons > _MOST_PLACES:
            raise OutOfMemoryError(f"delays of {longest} steps", f"{neurons} neurons", "give shorter delays")
        listed = [part for part in cut if not (wide and part.is_wide)]
        nothing = np.empty(0, np.int64)
        source = np.concatenate([nothing, *(part.sources for part in listed)])
        place = np.concatenate([nothing, *(part.delays * neurons + part.targets for part in listed)])
        order = np.lexsort((place, source))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        begin, size = 0, 0
        stored: list[StoredWeights] = []
        wides: list[tuple[int, ...]] = []
        for part in cut:
            count, index = len(part.stored), _on(part.stored, device)
            if not (wide and part.is_wide):
                stored.append(StoredWeights(index, _on(rank[begin : begin + count], device), is_wide=False))
                begin += count
                continue
            first, sources, target, targets = part.between
            positions = size + (part.sources - first) * targets + part.targets - target
            stored.append(StoredWeights(index, _on(positions, device), is_wide=True))
            wides.append((first, first + sources, int(part.delays[0]) * neurons + target, targets, size))
            size += targets * (sources + -sources % WIDE)
        return cls(
            first=np.searchsorted(source[order], np.arange(neurons + 1)),
            places=place[order].astype(np.uint32),
            wide=np.array(wides, np.int64).reshape(-1, 5),
            size=size,
            longest=longest,
            is_cut=is_cut,
            layers=tuple(layers),
            stored=tuple(stored),
            device=device,
        )

    @cached_property
    def patterns(self) -> list[LayerPattern]:
        """The synapses of each layer as a matrix; there are no wide connections then."""
        return [
            LayerPattern.of(self.first[start : start + size + 1], self.places, self.device)
            for start, size in self.layers
        ]

    @cached_property
    def merged(self) -> MergedLists:
        """The synapses on the device, none of a neuron twice; there are no wide connections then."""
        return MergedLists.of(self.first, self.places, self.device)

    def with_weights(self, weights: Weights) -> Synapses:
        """Return the synapses with their weights, as compiled loops take them."""
        return Synapses(self.first, self.places, weights.listed.numpy(), self.wide, weights.rows.numpy())

    def blank(self, like: Tensor) -> Weights:
        """Return weights of zero."""
        return Weights(like.new_zeros(len(self.places)), like.new_zeros(self.size))

    def gather(self, matrices: Sequence[Tensor], like: Tensor) -> Weights:
        """Return the weights of all synapses, from the matrices of the connections."""
        weights = self.blank(like)
        for place, matrix in zip(self.stored, matrices, strict=True):
            values = weights.rows if place.is_wide else weights.listed
            values[place.positions] = matrix.detach().reshape(-1)[place.index]
        return weights

    def scatter(self, gradients: Sequence[Weights], connection: int, shape: tuple[int, ...]) -> Tensor:
        """Return the gradient of a connection as its matrix, zero where there is no synapse.

        Args:
            gradients: Gradients, which are added up.
            connection: Number of the connection.
            shape: Shape of its matrix.
        """
        place = self.stored[connection]
        matrix = gradients[0].listed.new_zeros(shape)
        parts = [(each.rows if place.is_wide else each.listed)[place.positions] for each in gradients]
        matrix.view(-1)[place.index] = torch.stack(parts).sum(0)
        return matrix


def _on(index: Numbers, device: torch.device) -> Tensor:
    return torch.from_numpy(index).to(device)
