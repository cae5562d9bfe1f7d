"""The connections between layers as lists by source, with the place that each synapse reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
MOST_PLACES: Final = 2**32


@final
@dataclass(frozen=True)
class ConnectedPart:
    """A connection on its way into the lists.

    Attributes:
        source: First neuron of its source.
        target: First neuron of its target.
        mask: Which synapses exist, bool `[targets, sources]`.
        delays: Steps that each takes, int64, one number or `[targets, sources]`.
    """

    source: int
    target: int
    mask: NDArray[np.bool_]
    delays: Numbers


@final
@dataclass(frozen=True)
class SynapseLists:
    """Synapses in the order of their sources, and of the places they reach.

    Attributes:
        first: Where the synapses of each neuron begin, int64 `[N + 1]`.
        places: `delay * N + target` of each synapse, uint32.
        longest: Longest delay.
        stored: For each connection the position of its synapses in its own matrix, flat, and in the lists.
    """

    first: Numbers
    places: Numbers
    longest: int
    stored: tuple[tuple[Numbers, Numbers], ...]

    @classmethod
    def of(cls, parts: Sequence[ConnectedPart], neurons: int) -> "SynapseLists":
        """Return the lists of all connections between `neurons` neurons."""
        sources, places, own = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
        for part in parts:
            index = np.flatnonzero(part.mask)
            target, source = np.divmod(index, part.mask.shape[1])
            delay = np.broadcast_to(part.delays, part.mask.shape).reshape(-1)[index]
            sources.append(part.source + source)
            places.append(delay * neurons + part.target + target)
            own.append(index)
        source, place = np.concatenate(sources), np.concatenate(places)
        order = np.lexsort((place, source))
        positions = np.empty_like(order)
        positions[order] = np.arange(len(order))
        ends = np.cumsum([len(index) for index in own]).tolist()
        return cls(
            first=np.searchsorted(source[order], np.arange(neurons + 1)),
            places=place[order].astype(np.uint32),
            longest=int(place.max(initial=0)) // neurons,
            stored=tuple(
                (index, positions[end - len(index) : end]) for index, end in zip(own, ends, strict=True)
            ),
        )

    def gather(self, weights: Sequence[Numbers], dtype: np.dtype[Any]) -> Numbers:
        """Return the weights of all synapses, in order, from the matrices of the connections."""
        values = np.empty(len(self.places), dtype)
        for (index, positions), matrix in zip(self.stored, weights, strict=True):
            values[positions] = matrix.reshape(-1)[index]
        return values

    def scatter(self, values: Numbers, connection: int, shape: tuple[int, ...]) -> Numbers:
        """Return what belongs to the synapses of a connection as its matrix, zero where there is none."""
        index, positions = self.stored[connection]
        matrix = np.zeros(shape, values.dtype)
        matrix.reshape(-1)[index] = values[positions]
        return matrix
