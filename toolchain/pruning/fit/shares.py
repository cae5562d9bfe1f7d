"""How many synapses each connection gets: by what the loss says of them, and by what the place charges."""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from toolchain.pruning.fit.budget import Saliency
from toolchain.pruning.fit.weighted_parts import WeightedPart

_CHEAPEST: Final = 0.05
"""Least price of a synapse, in prices of the dearest: what costs nothing now may cost something later."""


@final
class PricedChoice:
    """The order in which the synapses of several connections leave.

    Within a connection the weakest leave first; between connections those of least saliency for their price.

    Args:
        parts: The connections.
        saliency: What the loss says of a synapse.
        gradients: Gradients of their weights, where the saliency needs some.
    """

    def __init__(
        self,
        parts: Sequence[WeightedPart],
        saliency: Saliency = Saliency.LAMP,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.names = tuple(part.name for part in parts)
        self.before = tuple(part.count for part in parts)
        self.least = tuple(part.least for part in parts)
        self.scores = [_scores(part, saliency, gradients or {}) for part in parts]
        """Saliencies of the synapses of each connection, those of the strongest first."""

    @property
    def leanest(self) -> dict[str, int]:
        """Fewest synapses of each connection that leave an input to every neuron."""
        return dict(zip(self.names, self.least, strict=True))

    @property
    def whole(self) -> dict[str, int]:
        """All synapses of each connection."""
        return dict(zip(self.names, self.before, strict=True))

    def counts(self, total: int, prices: Mapping[str, float] | None = None) -> dict[str, int]:
        """Return how many synapses each connection gets of a total; at least those of `leanest`.

        Args:
            total: Synapses of all together.
            prices: What a synapse costs in each connection; by default the same in all.
        """
        if not self.names:
            return {}
        prices = prices or dict.fromkeys(self.names, 1.0)
        spare = [
            scores[least:] / prices[name]
            for name, scores, least in zip(self.names, self.scores, self.least, strict=True)
        ]
        owner = torch.cat([torch.full((len(each),), i) for i, each in enumerate(spare)])
        wanted = min(max(0, total - sum(self.least)), len(owner))
        order = torch.sort(torch.cat(spare), descending=True, stable=True).indices[:wanted]
        more = torch.bincount(owner[order], minlength=len(spare)).tolist()
        return {name: least + extra for name, least, extra in zip(self.names, self.least, more, strict=True)}


def _scores(part: WeightedPart, saliency: Saliency, gradients: Mapping[str, Tensor]) -> Tensor:
    """Return the saliencies of the present synapses, those of the strongest first."""
    mask = part.mask
    weights = part.weight[mask].double()
    order = torch.sort(weights.abs(), descending=True, stable=True).indices
    squares = weights[order].square()
    match saliency:
        case Saliency.LAMP:
            return squares / squares.cumsum(0).clamp(min=torch.finfo(squares.dtype).tiny)
        case Saliency.MAGNITUDE:
            return squares / squares.mean().clamp(min=torch.finfo(squares.dtype).tiny)
        case Saliency.GRADIENT:
            # Sorted by themselves: they say how many stay, and magnitudes which.
            products = (weights * gradients[part.name][mask].double()).abs()
            return torch.sort(products, descending=True).values


def prices_of(charges: Mapping[str, float]) -> dict[str, float]:
    """Return prices of the synapses of connections, in prices of the dearest; equal ones if none charges.

    Args:
        charges: What a synapse was charged in each connection; what is not known is NaN.
    """
    known = [charge for charge in charges.values() if charge > 0]
    if not known:
        return dict.fromkeys(charges, 1.0)
    dearest = max(known)
    return {
        name: 1.0 if charge != charge else max(charge / dearest, _CHEAPEST)  # noqa: PLR0124 - NaN
        for name, charge in charges.items()
    }
