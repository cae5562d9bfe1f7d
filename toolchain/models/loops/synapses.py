"""The connections between layers as lists by source, with the place that each synapse reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from toolchain.models.loops.vectors import WIDE

Numbers = NDArray[Any]
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
            mask: Which synapses exist, `[targets, sources]`.
            delays: Steps that each takes, int64, one number or `[targets, sources]`.
        """
        index = np.flatnonzero(mask)
        row, column = np.divmod(index, mask.shape[1])
        steps = np.broadcast_to(delays, mask.shape).reshape(-1)[index]
        between = (source, mask.shape[1], target, mask.shape[0])
        return cls(between, source + column, target + row, steps, index)

    @property
    def is_wide(self) -> bool:
        """Whether whole rows of weights are added faster than the weights of the synapses alone."""
        _, sources, _, targets = self.between
        together = len(self.delays) > 0 and bool((self.delays == self.delays[0]).all())
        return together and len(self.delays) > _WIDE_FROM * sources * targets


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


@final
@dataclass(frozen=True)
class StoredWeights:
    """Where the weights of a connection stand.

    Attributes:
        index: Positions of the weights of its synapses among its own, flat.
        positions: Their positions in the lists; of a wide connection, in `rows`.
        is_wide: Which of the two.
    """

    index: Numbers
    positions: Numbers
    is_wide: bool


@final
@dataclass(frozen=True)
class SynapseLists:
    """Where the weights of connections stand in lists by source, in the order of the places they reach.

    Attributes:
        first: As in `Synapses`, like the next two.
        places: See there.
        wide: See there.
        size: Length of `rows`.
        longest: Longest delay.
        stored: Where the weights of each connection stand.
    """

    first: Numbers
    places: Numbers
    wide: Numbers
    size: int
    longest: int
    stored: tuple[StoredWeights, ...]

    @classmethod
    def of(cls, parts: Sequence[ConnectedPart], neurons: int) -> "SynapseLists":
        """Return the lists of all connections between `neurons` neurons."""
        listed = [part for part in parts if not part.is_wide]
        nothing = np.empty(0, np.int64)
        source = np.concatenate([nothing, *(part.sources for part in listed)])
        place = np.concatenate([nothing, *(part.delays * neurons + part.targets for part in listed)])
        order = np.lexsort((place, source))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        begin, size = 0, 0
        stored: list[StoredWeights] = []
        wide: list[tuple[int, ...]] = []
        for part in parts:
            count = len(part.stored)
            if not part.is_wide:
                stored.append(StoredWeights(part.stored, rank[begin : begin + count], is_wide=False))
                begin += count
                continue
            first, sources, target, targets = part.between
            positions = size + (part.sources - first) * targets + part.targets - target
            stored.append(StoredWeights(part.stored, positions, is_wide=True))
            reached = int(part.delays[0]) * neurons + target
            wide.append((first, first + sources, reached, targets, size))
            size += targets * (sources + -sources % WIDE)
        return cls(
            first=np.searchsorted(source[order], np.arange(neurons + 1)),
            places=place[order].astype(np.uint32),
            wide=np.array(wide, np.int64).reshape(-1, 5),
            size=size,
            longest=max((int(part.delays.max(initial=0)) for part in parts), default=0),
            stored=tuple(stored),
        )

    def blank(self, dtype: np.dtype[Any]) -> Synapses:
        """Return the synapses with weights of zero."""
        weights, rows = np.zeros(len(self.places), dtype), np.zeros(self.size, dtype)
        return Synapses(self.first, self.places, weights, self.wide, rows)

    def gather(self, matrices: Sequence[Numbers], dtype: np.dtype[Any]) -> Synapses:
        """Return the synapses with their weights, from the matrices of the connections."""
        synapses = self.blank(dtype)
        for place, matrix in zip(self.stored, matrices, strict=True):
            values = synapses.rows if place.is_wide else synapses.weights
            values[place.positions] = matrix.reshape(-1)[place.index]
        return synapses

    def scatter(self, gradients: Sequence[Synapses], connection: int, shape: tuple[int, ...]) -> Numbers:
        """Return the gradient of a connection as its matrix, zero where there is no synapse.

        Args:
            gradients: Gradients, which are added up.
            connection: Number of the connection.
            shape: Shape of its matrix.
        """
        place = self.stored[connection]
        matrix = np.zeros(shape, gradients[0].weights.dtype)
        parts = [(each.rows if place.is_wide else each.weights)[place.positions] for each in gradients]
        matrix.reshape(-1)[place.index] = np.sum(parts, axis=0)
        return matrix
