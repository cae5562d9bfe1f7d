"""The connections between layers as lists by source, with the place that each synapse reaches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import OutOfMemoryError
from toolchain.models.loops.matrices import LayerPattern
from toolchain.models.loops.vectors import WIDE

Numbers = NDArray[Any]
_MOST_PLACES: Final = 2**32
"""Places that 32 bits can name."""
_WIDE_FROM: Final = 0.2
"""Share of possible synapses from which on a connection is wide."""


@final
@dataclass(frozen=True)
class ConnectedPart:
    """A connection on its way into the lists.

    Attributes:
        source: First neuron of its source.
        target: First neuron of its target.
        mask: Existing synapses, bool `[targets, sources]`.
        delays: Steps that each takes, int64, one number or `[targets, sources]`.
    """

    source: int
    target: int
    mask: NDArray[np.bool_]
    delays: Numbers

    @property
    def reach(self) -> Numbers:
        """The delays of its synapses."""
        return np.broadcast_to(self.delays, self.mask.shape)[self.mask]

    @property
    def is_wide(self) -> bool:
        """Whether whole rows of weights are added faster than the weights of the synapses alone."""
        return self.delays.ndim == 0 and bool(self.mask.mean() > _WIDE_FROM)


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
        index: Positions of its synapses in its own matrix, flat.
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
        cut = [replace(part, mask=part.mask & (part.delays < steps)) for part in parts]
        is_cut = any(part.mask.sum() != each.mask.sum() for part, each in zip(parts, cut, strict=True))
        longest = max((int(part.reach.max(initial=0)) for part in cut), default=0)
        if (longest + 1) * neurons > _MOST_PLACES:
            raise OutOfMemoryError(f"delays of {longest} steps", f"{neurons} neurons", "give shorter delays")
        own = [np.flatnonzero(part.mask) for part in cut]
        listed = [k for k, part in enumerate(cut) if not (wide and part.is_wide)]
        nothing = np.empty(0, np.int64)
        source = np.concatenate([nothing] + [cut[k].source + own[k] % cut[k].mask.shape[1] for k in listed])
        place = np.concatenate([nothing] + [_places(cut[k], own[k], neurons) for k in listed])
        order = np.lexsort((place, source))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        begin, size = 0, 0
        stored: list[StoredWeights] = []
        wides: list[tuple[int, ...]] = []
        for k, (part, index) in enumerate(zip(cut, own, strict=True)):
            if k in listed:
                positions = rank[begin : begin + len(index)]
                stored.append(StoredWeights(_on(index, device), _on(positions, device), is_wide=False))
                begin += len(index)
                continue
            targets, count = part.mask.shape
            target, row = np.divmod(index, count)
            positions = size + row * targets + target
            stored.append(StoredWeights(_on(index, device), _on(positions, device), is_wide=True))
            reached = int(part.delays) * neurons + part.target
            wides.append((part.source, part.source + count, reached, targets, size))
            size += targets * (count + -count % WIDE)
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


def _places(part: ConnectedPart, index: Numbers, neurons: int) -> Numbers:
    """Return the place that each synapse of a connection reaches."""
    delays = np.broadcast_to(part.delays, part.mask.shape).reshape(-1)[index]
    return delays * neurons + part.target + index // part.mask.shape[1]


def _on(index: Numbers, device: torch.device) -> Tensor:
    return torch.from_numpy(index).to(device)
