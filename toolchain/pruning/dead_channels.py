"""Numbers of pruned channels that wait for a return: nothing that moves parameters moves them."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from toolchain.pruning.channels import ChannelLayer, Mask


@final
class DeadChannels:
    """Filter, scale and shift of the channels that are pruned, as they are now.

    Behind a closed gate their gradients are zero, but weight decay, penalties and what an optimizer remembers
    would move them all the same.

    Args:
        layers: Layers that can be pruned.
        masks: Mask per layer, True for the channels that live.
    """

    def __init__(self, layers: Sequence[ChannelLayer], masks: Mapping[str, Mask]) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for layer in layers:
            for parameter in layer.numbers:
                dead = torch.from_numpy(~masks[layer.name]).to(parameter.device)
                self._parts.append((parameter, dead, parameter.detach()[dead]))

    def stop(self) -> None:
        """Set their gradients to zero, so that they take no part in clipping."""
        for parameter, dead, _ in self._parts:
            if parameter.grad is not None:
                parameter.grad[dead] = 0

    def put_back(self) -> None:
        """Give them the values that they had."""
        with torch.no_grad():
            for parameter, dead, values in self._parts:
                parameter[dead] = values
