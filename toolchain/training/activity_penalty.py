"""A penalty on what a network does: on the rates of its neurons, and on its synaptic operations."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from toolchain.errors import TrainingError
from toolchain.intake import real_of
from toolchain.models import FeedForward, Network
from toolchain.training.callback import Callback
from toolchain.training.divergence import Position
from toolchain.training.operations import operations


@final
class ActivityPenalty(Callback):
    r"""Adds to the loss what spikes cost; give it to `fit` as a callback, beside others that prune or not.

    .. math:: \lambda_r \bar r + \lambda_o \sum_{connections} \sum_{sources} messages \cdot fan\text{-}out

    The mean rate is that of all neurons that send something, in spikes per step. Operations are those of a
    sample, as `toolchain.fidelity` counts them: a spike costs as many as it has synapses to go through at
    that moment, so that a pruned network pays less for it.

    Args:
        rate: Weight of the mean rate.
        operation: Weight of a synaptic operation per sample, such as 1e-6: 20,000 operations then weigh 0.02.
    """

    def __init__(self, *, rate: float = 0.0, operation: float = 0.0) -> None:
        self.rate = real_of(rate, "rate", least=0)
        self.operation = real_of(operation, "operation", least=0)

    def settings(self) -> dict[str, Any]:
        """Return the two weights."""
        return {"rate_penalty": self.rate, "operation_penalty": self.operation}

    @property
    def is_any(self) -> bool:
        """Whether there is a penalty at all."""
        return bool(self.rate or self.operation)

    def listens(self, at: Position) -> bool:
        """Return whether there is a penalty at all."""
        del at
        return self.is_any

    def after_forward(
        self, network: nn.Module, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Return the penalty of a batch."""
        if not isinstance(network, Network | FeedForward):
            raise TrainingError("a penalty on activity knows networks that Pumice builds only")
        loss: Tensor | None = None
        if self.rate:
            firing = [each for name, each in spikes.items() if _fires(network, name)]
            count = sum(each.shape[2:].numel() for each in firing)
            rates = [each.mean((0, 1)).sum() for each in firing]
            loss = self.rate * torch.stack(rates).sum() / count if rates else None
        if self.operation:
            term = self.operation * torch.stack(list(operations(network, entering, spikes).values())).sum()
            loss = term if loss is None else loss + term
        return loss


def _fires(network: Network | FeedForward, layer: str) -> bool:
    """Return whether neurons of a layer ever send a spike: those that are only read do not."""
    return not isinstance(network, Network) or bool(network.layer(layer).fires)
