"""Objects that watch and steer a training, which need not know why."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.models import NetworkRecord
from toolchain.training.divergence import Position

ScoreModel = Callable[..., NetworkRecord]
"""Something that computes scores of a batch, among others a network; it takes `lengths` as that does."""


class Callback:
    """Called by `fit` at fixed places; every method does nothing unless overridden.

    A callback that remembers something says so in `state`, so that a training continued from its
    checkpoint ends with the same numbers as one that was never interrupted.
    """

    def settings(self) -> dict[str, Any]:
        """Return its settings as JSON holds them; a checkpoint of other settings is refused."""
        return {}

    def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        """Called before the first epoch, with the network on its device."""

    def before_step(self, network: nn.Module, at: Position) -> None:
        """Called before a batch is computed, `at.step` being its number."""

    def stand_in(self, network: ScoreModel, at: Position) -> ScoreModel:
        """Return what computes the scores of the next batch: the network, or something equal that costs less.

        Gradients must reach the parameters of the network. It is not asked where a `Network` is trained.

        Args:
            network: The network, or what a callback before this one returned.
            at: The batch.
        """
        del at
        return network

    def listens(self, at: Position) -> bool:
        """Return whether it has to know what the layers send in the next batch, which costs memory.

        Such a batch is computed by the whole network, whatever stands in for it in others.

        Args:
            at: The batch.
        """
        del at
        return False

    def after_forward(
        self, network: nn.Module, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Called with what was sent in a batch, if it listens to it; return what the loss has in addition.

        Args:
            network: The network.
            entering: What entered, by the name of the input; `[batch, time, ...]`, or still images.
            spikes: Spikes `[batch, time, ...]` by layer, with their gradients.

        Returns:
            A term of the loss; None for none. The loss that is recorded is the one without it.
        """

    def after_backward(self, network: nn.Module) -> None:
        """Called with fresh gradients, before they are clipped and used."""

    def after_step(self, network: nn.Module) -> None:
        """Called when the optimizer has moved the parameters."""

    def after_epoch(self, network: nn.Module, epoch: int) -> None:
        """Called after epoch `epoch`, counted from 1, before its checkpoint is written."""

    def end(self, network: nn.Module) -> None:
        """Called when the training is over, finished or not."""

    def state(self) -> dict[str, Tensor]:
        """Return what has to be remembered to continue."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned; called after `begin`."""
