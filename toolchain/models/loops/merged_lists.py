"""Synapses as lists by source on a device, where no two of a neuron reach the same place."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[Any]


@final
@dataclass(frozen=True)
class MergedLists:
    """Lists of synapses; those of several connections that join the same two neurons are one.

    So the synapses of a neuron may all be served at the same time.

    Attributes:
        first: Where the synapses of each neuron begin, `[N + 1]`.
        places: Place that each reaches; see `passes`.
        index: Number among them of each synapse of the unmerged lists; None where none was merged.
        longest: Most synapses of a neuron.
    """

    first: Tensor
    places: Tensor
    index: Tensor | None
    longest: int

    @classmethod
    def of(cls, first: Numbers, places: Numbers, device: torch.device) -> "MergedLists":
        """Return the lists on a device.

        Args:
            first: Where the synapses of each neuron begin, `[N + 1]`.
            places: Place of each, ascending within a neuron.
            device: Where weights lie.
        """
        source = np.repeat(np.arange(len(first) - 1), np.diff(first))
        is_new = np.ones(len(places), bool)
        is_new[1:] = (places[1:] != places[:-1]) | (source[1:] != source[:-1])
        rank = np.concatenate(([0], np.cumsum(is_new)))
        merged, begins = places[is_new], rank[first]
        narrow = max(len(merged), int(merged.max(initial=0))) < np.iinfo(np.int32).max
        kind = np.int32 if narrow else np.int64
        return cls(
            torch.from_numpy(begins.astype(kind)).to(device),
            torch.from_numpy(merged.astype(kind)).to(device),
            None if is_new.all() else torch.from_numpy(rank[1:] - 1).to(device),
            int(np.diff(begins).max(initial=0)),
        )

    def merge(self, listed: Tensor) -> Tensor:
        """Return the weights of merged synapses: the sums of those of the synapses."""
        if self.index is None:
            return listed
        return listed.new_zeros(len(self.places)).index_add_(0, self.index, listed)

    def part(self, by_weights: Tensor) -> Tensor:
        """Return the gradients of the synapses from those of merged ones."""
        return by_weights if self.index is None else by_weights[self.index]
