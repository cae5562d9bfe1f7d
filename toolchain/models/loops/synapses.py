"""The connections between layers as lists by source, with the place that each synapse reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import OutOfMemoryError
from toolchain.models.loops.matrices import LayerPattern

Numbers = NDArray[Any]
_MOST_PLACES: Final = 2**32
"""Places that 32 bits can name."""


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
@dataclass(frozen=True, eq=False)
class SynapseLists:
    """Synapses in the order of their sources, and of the places they reach.

    Attributes:
        first: Where the synapses of each neuron begin, int64 `[N + 1]`.
        places: `delay * N + target` of each synapse, uint32.
        longest: Longest delay.
        is_cut: Whether there are synapses that take longer than the runs that these lists are for.
        layers: First neuron and number of neurons of each layer.
        stored: For each connection the position of its synapses in its own matrix, flat, and in the lists.
        device: Where weights lie.
    """

    first: Numbers
    places: Numbers
    longest: int
    is_cut: bool
    layers: tuple[tuple[int, int], ...]
    stored: tuple[tuple[Tensor, Tensor], ...]
    device: torch.device

    @classmethod
    def of(
        cls,
        parts: Sequence[ConnectedPart],
        layers: Sequence[tuple[int, int]],
        neurons: int,
        steps: int,
        device: torch.device,
    ) -> "SynapseLists":
        """Return the lists of all connections between neurons, for runs of some length.

        Args:
            parts: The connections.
            layers: First neuron and number of neurons of each layer.
            neurons: Number of neurons.
            steps: Length of a run: a synapse that takes as long brings nothing, and is left out.
            device: Where weights lie.

        Raises:
            OutOfMemoryError: Delays are longer than places can be numbered.
        """
        sources, places, own = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
        is_cut = False
        for part in parts:
            in_time = part.mask & (part.delays < steps)
            index = np.flatnonzero(in_time)
            is_cut |= bool(len(index) < np.count_nonzero(part.mask))
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
        longest = int(place.max(initial=0)) // neurons
        if (longest + 1) * neurons > _MOST_PLACES:
            raise OutOfMemoryError(f"delays of {longest} steps", f"{neurons} neurons", "give shorter delays")
        return cls(
            first=np.searchsorted(source[order], np.arange(neurons + 1)),
            places=place[order].astype(np.uint32),
            longest=longest,
            is_cut=is_cut,
            layers=tuple(layers),
            stored=tuple(
                (_on(index, device), _on(positions[end - len(index) : end], device))
                for index, end in zip(own, ends, strict=True)
            ),
            device=device,
        )

    @cached_property
    def patterns(self) -> list[LayerPattern]:
        """The synapses of each layer as a matrix."""
        return [
            LayerPattern.of(self.first[start : start + size + 1], self.places, self.device)
            for start, size in self.layers
        ]

    def gather(self, weights: Sequence[Tensor], like: Tensor) -> Tensor:
        """Return the weights of all synapses, in order, from the matrices of the connections."""
        values = like.new_empty(len(self.places))
        for (index, positions), matrix in zip(self.stored, weights, strict=True):
            values[positions] = matrix.detach().reshape(-1)[index]
        return values

    def scatter(self, values: Tensor, connection: int, shape: tuple[int, ...]) -> Tensor:
        """Return what belongs to the synapses of a connection as its matrix, zero where there is none."""
        index, positions = self.stored[connection]
        matrix = values.new_zeros(shape)
        matrix.view(-1)[index] = values[positions]
        return matrix


def _on(index: Numbers, device: torch.device) -> Tensor:
    return torch.from_numpy(index).to(device)
