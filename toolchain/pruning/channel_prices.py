"""What a channel costs: the synaptic operations that its spikes make later layers do."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import PruningError
from toolchain.models import FeedForward
from toolchain.pruning.channels import ChannelLayer, Mask
from toolchain.training.operations import operations

_STORED: Final = 0.1
"""What a channel costs beside its operations, as a share of what one costs in the mean."""


@final
class ChannelPrices:
    """Prices of the channels of all layers; a pruned one, which is silent, has that of when it lived.

    Args:
        layers: Layers whose channels are pruned.
    """

    def __init__(self, layers: Sequence[ChannelLayer]) -> None:
        self.operations = {layer.name: np.zeros(layer.channels) for layer in layers}
        """Operations per sample that the messages of each channel make later layers do."""

    def measure(
        self,
        network: FeedForward,
        entering: Mapping[str, Tensor],
        spikes: Mapping[str, Tensor],
        masks: Mapping[str, Mask],
    ) -> None:
        """Take the operations of a batch.

        A synapse to a pruned channel is none. Where a window is pooled, its message counts for the channel
        once, however many spikes it was made of.
        """
        for name, cost in channel_operations(network, entering, spikes).items():
            if name in masks:
                self.operations[name] = np.where(masks[name], cost, self.operations[name])

    def of(self, name: str) -> NDArray[np.float64]:
        """Return the prices of a layer, in units of the mean over all channels, plus a tenth."""
        mean = float(np.concatenate(list(self.operations.values())).mean())
        if mean <= 0:
            return np.ones_like(self.operations[name])
        return self.operations[name] / mean + _STORED

    def state(self) -> dict[str, Tensor]:
        """Return what was measured."""
        return {f"price.{name}": torch.from_numpy(cost.copy()) for name, cost in self.operations.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        for name, before in self.operations.items():
            cost = state.get(f"price.{name}")
            if cost is None or cost.shape != before.shape:
                raise PruningError(f"the state of the pruning lacks the prices of layer '{name}'")
            self.operations[name] = cost.double().numpy().copy()


def channel_operations(
    network: FeedForward, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
) -> dict[str, NDArray[np.float64]]:
    """Return how many operations per sample the spikes of every channel make others do, `[C]` by layer.

    Operations are linear in messages, so each spike's share is what the sum of all would lose without it.

    Args:
        network: The network that ran the batch.
        entering: What entered.
        spikes: Spikes of all its layers, `[batch, time, C, ...]`.
    """
    sent = {name: each.detach().clone().requires_grad_() for name, each in spikes.items()}
    with torch.enable_grad():
        total = torch.stack(list(operations(network, entering, sent).values())).sum()
    shares = torch.autograd.grad(total, list(sent.values()), allow_unused=True, materialize_grads=True)
    return {
        name: (each.detach() * share).double().transpose(0, 2).flatten(1).sum(1).cpu().numpy()
        for (name, each), share in zip(sent.items(), shares, strict=True)
    }
