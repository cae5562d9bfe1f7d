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

    @property
    def is_wide(self) -> bool:
        """Whether whole rows of weights are added faster than the weights of the synapses alone."""
        return self.delays.ndim == 0 and bool(self.mask.mean() > _WIDE_FROM)


class Synapses(NamedTuple):
    """The synapses of all neurons with their weights, as compiled loops take them.

    Attributes:
        first: Where the synapses of each neuron begin, int64 `[N + 1]`.
        middle: Where those begin that stand in `rows` as well, int64 `[N]`; they come last.
        places: `delay * N + target` of each synapse, uint32.
        weights: Weight of each synapse.
        wide: Connections with so many synapses that whole rows of weights are added: their first neuron,
            the neuron behind the last, the place that the first weight of a row reaches, the length of a
            row, and where the rows begin in `rows`; int64 `[connections, 5]`.
        rows: Weights of those connections, a row for each source, zero where there is no synapse; flat, and
            a multiple of `WIDE` of rows for each connection.
    """

    first: Numbers
    middle: Numbers
    places: Numbers
    weights: Numbers
    wide: Numbers
    rows: Numbers


@final
@dataclass(frozen=True)
class SynapseLists:
    """Where the weights of connections stand in lists by source, in the order of the places they reach.

    Attributes:
        first: As in `Synapses`, like the next three.
        middle: See there.
        places: See there.
        wide: See there.
        longest: Longest delay.
        stored: For each connection the position of its synapses in its own matrix, flat, and in the lists.
        in_rows: For each connection the positions of its synapses in `rows`; None if it is not wide.
    """

    first: Numbers
    middle: Numbers
    places: Numbers
    wide: Numbers
    longest: int
    stored: tuple[tuple[Numbers, Numbers], ...]
    in_rows: tuple[Numbers | None, ...]

    @classmethod
    def of(cls, parts: Sequence[ConnectedPart], neurons: int) -> "SynapseLists":
        """Return the lists of all connections between `neurons` neurons."""
        nothing = np.empty(0, np.int64)
        sources, places, wides, own = [nothing], [nothing], [nothing.astype(bool)], []
        wide: list[tuple[int, ...]] = []
        in_rows: list[Numbers | None] = []
        size = 0
        for part in parts:
            index = np.flatnonzero(part.mask)
            target, source = np.divmod(index, part.mask.shape[1])
            delay = np.broadcast_to(part.delays, part.mask.shape).reshape(-1)[index]
            sources.append(part.source + source)
            places.append(delay * neurons + part.target + target)
            wides.append(np.full(len(index), part.is_wide))
            own.append(index)
            in_rows.append(size + source * part.mask.shape[0] + target if part.is_wide else None)
            if part.is_wide:
                targets, count = part.mask.shape
                reached = int(part.delays) * neurons + part.target
                wide.append((part.source, part.source + count, reached, targets, size))
                size += targets * (count + -count % WIDE)
        source, place, late = (np.concatenate(each) for each in (sources, places, wides))
        order = np.lexsort((place, late, source))
        positions = np.empty_like(order)
        positions[order] = np.arange(len(order))
        ends = np.cumsum([len(index) for index in own]).tolist()
        first = np.searchsorted(source[order], np.arange(neurons + 1))
        return cls(
            first=first,
            middle=first[1:] - np.bincount(source[late], minlength=neurons),
            places=place[order].astype(np.uint32),
            wide=np.array(wide, np.int64).reshape(-1, 5),
            longest=int(place.max(initial=0)) // neurons,
            stored=tuple(
                (index, positions[end - len(index) : end]) for index, end in zip(own, ends, strict=True)
            ),
            in_rows=tuple(in_rows),
        )

    def gather(self, matrices: Sequence[Numbers], dtype: np.dtype[Any]) -> Synapses:
        """Return the synapses with their weights, from the matrices of the connections."""
        weights, rows = np.empty(len(self.places), dtype), np.zeros(self._row_size, dtype)
        for (index, positions), wide, matrix in zip(self.stored, self.in_rows, matrices, strict=True):
            weights[positions] = matrix.reshape(-1)[index]
            if wide is not None:
                rows[wide] = weights[positions]
        return Synapses(self.first, self.middle, self.places, weights, self.wide, rows)

    def no_gradient(self, synapses: Synapses, count: int) -> list[Synapses]:
        """Return places for `count` gradients of the weights, all zero."""
        blank = synapses._replace(weights=np.zeros_like(synapses.weights), rows=np.zeros_like(synapses.rows))
        return [blank._replace(weights=blank.weights.copy(), rows=blank.rows.copy()) for _ in range(count)]

    def scatter(self, gradients: Sequence[Synapses], connection: int, shape: tuple[int, ...]) -> Numbers:
        """Return the gradient of a connection as its matrix, zero where there is no synapse.

        Args:
            gradients: Gradients, which are added up.
            connection: Number of the connection.
            shape: Shape of its matrix.
        """
        (index, positions), wide = self.stored[connection], self.in_rows[connection]
        matrix = np.zeros(shape, gradients[0].weights.dtype)
        values = [each.weights[positions] if wide is None else each.rows[wide] for each in gradients]
        matrix.reshape(-1)[index] = np.sum(values, axis=0)
        return matrix

    @property
    def _row_size(self) -> int:
        ends = [
            begin + (stop - start + (start - stop) % WIDE) * length
            for start, stop, _, length, begin in self.wide.tolist()
        ]
        return max(ends, default=0)
