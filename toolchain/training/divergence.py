"""What a training says, and goes back to, when its numbers are no longer finite."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from toolchain.errors import TrainingError


@final
@dataclass
class Position:
    """Where a training is.

    Attributes:
        epoch: Number of the epoch, from 1.
        steps: Steps of an epoch.
        step: Number of the step, from 1; 0 before the first.
        done: Steps of the epoch after which the parameters have moved.
    """

    epoch: int
    steps: int
    step: int = 0
    done: int = 0

    def __str__(self) -> str:
        return f"step {self.step} of {self.steps} of epoch {self.epoch}"

    @property
    def is_last(self) -> bool:
        """Whether the epoch ends with this step."""
        return self.step == self.steps

    @property
    def is_first(self) -> bool:
        """Whether nothing has been learnt yet."""
        return self.epoch == 1 and self.step == 1


@final
class LastGood:
    """The numbers that a network had when its epoch began, to which it returns from others.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def put_back(self) -> None:
        """Give the network these numbers again."""
        self._network.load_state_dict(self._state)


def check_loss(loss: float, network: nn.Module, position: Position, remedy: str) -> None:
    """Raise for a loss that is not finite.

    Args:
        loss: The loss.
        network: The network, which may hold the reason.
        position: Where the training is.
        remedy: What to change of a training that diverges.

    Raises:
        TrainingError: It is not finite.
    """
    if math.isfinite(loss):
        return
    if not position.is_first:
        raise _diverged("the loss", loss, position, remedy)
    for name, values in network.named_parameters():
        value = _odd_one(values)
        if value is not None:
            raise TrainingError(f"'{name}' is {value} before anything was learnt", "build the network again")
    raise TrainingError(
        f"the loss is {loss} before anything was learnt", "give the network smaller weights or inputs"
    )


def check_gradients(network: nn.Module, position: Position, remedy: str) -> None:
    """Raise for a gradient that is not finite.

    Args:
        network: The network with fresh gradients.
        position: Where the training is.
        remedy: What to change of a training that diverges.

    Raises:
        TrainingError: One is not finite: names its parameter.
    """
    for name, values in network.named_parameters():
        value = None if values.grad is None else _odd_one(values.grad)
        if value is not None:
            raise _diverged(f"the gradient of '{name}'", value, position, remedy)


def check_parameters(
    network: nn.Module, optimizer: torch.optim.Optimizer, position: Position, remedy: str
) -> None:
    """Raise unless a network, and what its optimizer remembers of it, can be kept.

    Args:
        network: The network after its last step.
        optimizer: Its optimizer.
        position: Where the training is.
        remedy: What to change of a training that diverges.

    Raises:
        TrainingError: A number is not finite: names its parameter.
    """
    for name, values in network.named_parameters():
        value = _odd_one(values)
        if value is not None:
            raise _diverged(f"'{name}'", value, position, remedy)
        for moment in optimizer.state.get(values, {}).values():
            value = _odd_one(moment) if isinstance(moment, Tensor) else None
            if value is not None:
                raise _diverged(f"what the optimizer remembers of '{name}'", value, position, remedy)


def _odd_one(values: Tensor) -> float | None:
    """Return a value that is not finite; None if there is none."""
    odd = values.detach()[~torch.isfinite(values.detach())]
    return float(odd[0]) if len(odd) else None


def _diverged(what: str, value: float, position: Position, remedy: str) -> TrainingError:
    last = f"after epoch {position.epoch - 1}" if position.epoch > 1 else "before it was trained"
    return TrainingError(f"{what} became {value} in {position}; the network is as it was {last}", remedy)
