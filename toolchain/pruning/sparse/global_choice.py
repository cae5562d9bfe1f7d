"""One threshold for the synapses of all connections, and what each keeps whatever its scores are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from toolchain.errors import PruningError

_LEAST: Final = 0.1
"""Least density of a connection, as a share of the density of all together."""
_ROUNDING: Final = 1e-9
"""Part of a synapse that is none."""


def lamp(weight: Tensor, mask: Tensor) -> Tensor:
    """Return the LAMP score of every synapse (Lee et al., ICLR 2021), which compares between connections.

    `w_i^2 / sum of w_j^2 over the present j with |w_j| >= |w_i|`, itself included; of equal ones each counts
    those that stand after it. What is absent has none, 0.

    Args:
        weight: Weights of a connection.
        mask: Whether each is present.
    """
    squares = torch.where(mask, weight.double().square(), 0.0).reshape(-1)
    order = torch.sort(torch.where(mask.reshape(-1), squares, -1.0), stable=True).indices
    ascending = squares[order]
    above = ascending.flip(0).cumsum(0).flip(0)
    scores = torch.zeros_like(squares)
    scores[order] = torch.where(above > 0, ascending / above.clamp(min=torch.finfo(above.dtype).tiny), 0.0)
    return scores.reshape(weight.shape)


@final
@dataclass(frozen=True)
class Rivals:
    """The synapses of a connection in a choice over several.

    Attributes:
        scores: Score of every place, not negative.
        mask: Whether each is present; no others are chosen.
        least: How many stay whatever their scores are, if there are as many.
        guarded: Whether every target keeps its best synapse, as those of the layer that is read; they count
            among the least.
    """

    scores: Tensor
    mask: Tensor
    least: int
    guarded: bool

    @property
    def best(self) -> Tensor:
        """Flat places of the best synapse of every target that has one, where targets are guarded."""
        if not self.guarded:
            return torch.zeros(0, dtype=torch.int64, device=self.mask.device)
        rows, mask = self._flat.reshape(len(self.mask), -1), self.mask.reshape(len(self.mask), -1)
        places = torch.arange(len(rows), device=rows.device) * rows.shape[1] + rows.argmax(1)
        return places[mask.any(1)]

    def order(self) -> Tensor:
        """Return flat places from the best to the worst, guarded ones first and absent ones last."""
        flat = self._flat.clone()
        flat[self.best] = torch.inf
        return torch.sort(flat, descending=True, stable=True).indices

    @property
    def _flat(self) -> Tensor:
        return torch.where(self.mask, self.scores.double(), -1.0).reshape(-1)


def least_of(synapses: Sequence[int], targets: Sequence[int], total: int) -> tuple[int, ...]:
    """Return how many synapses each connection keeps at least: a tenth of the density of all together.

    Args:
        synapses: Synapses that each has before anything is pruned.
        targets: Neurons of each one's target that keep an input; 0 where the layer is not read.
        total: Synapses that stay in all of them.

    Raises:
        PruningError: That is fewer than what all keep.
    """
    share = total / max(1, sum(synapses))
    least = tuple(
        min(count, max(1, guarded, math.ceil(_LEAST * share * count - _ROUNDING)))
        for count, guarded in zip(synapses, targets, strict=True)
    )
    if sum(least) > total:
        raise PruningError(
            f"{total} synapses are fewer than the {sum(least)} that connections keep at least: one for every "
            "neuron that is read, and one for every other connection; raise `fraction`"
        )
    return least


def chosen(rivals: Sequence[Rivals], total: int) -> list[Tensor]:
    """Return the flat places that stay in each connection, ascending: those of highest score of all.

    Of equal ones, those of the first connection that stand first.

    Args:
        rivals: The connections.
        total: Synapses that stay in all of them; no fewer than what they keep at least.
    """
    least = [min(int(each.mask.sum()), max(each.least, len(each.best))) for each in rivals]
    ranked = [each.order() for each in rivals]
    flat = [each.scores.double().reshape(-1) for each in rivals]
    open_to = [
        places[count : int(each.mask.sum())]
        for each, places, count in zip(rivals, ranked, least, strict=True)
    ]
    scores = torch.cat([values[places] for values, places in zip(flat, open_to, strict=True)])
    owner = torch.cat([torch.full_like(places, i) for i, places in enumerate(open_to)])
    taken = torch.sort(scores, descending=True, stable=True).indices[: total - sum(least)]
    counts = torch.bincount(owner[taken], minlength=len(rivals)).tolist()
    # Within a connection the order is the same, so a number of them says which.
    return [
        torch.sort(places[: count + more]).values
        for places, count, more in zip(ranked, least, counts, strict=True)
    ]
