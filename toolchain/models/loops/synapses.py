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
    """The synapses of a connection on their way into the lists, each array `[S]`, int64.

    Attributes:
        sources: Neuron from which each comes.
        targets: Neuron that it reaches.
        delays: Steps that it takes.
        stored: Position of its weight among those of the connection, flat.
    """

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
        to, by = np.divmod(index, mask.shape[1])
        steps = np.broadcast_to(delays, mask.shape).reshape(-1)[index]
        return cls(source + by, target + to, steps, index)


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
        nothing = np.empty(0, np.int64)
        source = np.concatenate([nothing, *(part.sources for part in parts)])
        place = np.concatenate([nothing, *(part.delays * neurons + part.targets for part in parts)])
        order = np.lexsort((place, source))
        positions = np.empty_like(order)
        positions[order] = np.arange(len(order))
        ends = np.cumsum([len(part.stored) for part in parts]).tolist()
        return cls(
            first=np.searchsorted(source[order], np.arange(neurons + 1)),
            places=place[order].astype(np.uint32),
            longest=int(place.max(initial=0)) // neurons,
            stored=tuple(
                (part.stored, positions[end - len(part.stored) : end])
                for part, end in zip(parts, ends, strict=True)
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
