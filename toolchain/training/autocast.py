"""Half precision for scores and losses, by PyTorch's autocast; what is trained stays as it is."""

from contextlib import AbstractContextManager, nullcontext
from enum import Enum

import torch
from torch import nn

from toolchain.errors import TrainingError
from toolchain.training.graph_network import GraphNetwork


class Autocast(Enum):
    """In which precision products and convolutions of a training are computed."""

    OFF = "off"
    """In that of the network."""
    BFLOAT16 = "bfloat16"
    """By `torch.autocast` with `torch.bfloat16`."""

    def context(self, device: torch.device) -> AbstractContextManager[object]:
        """Return what scores and losses are computed in.

        Args:
            device: Where the network is.
        """
        if self is Autocast.OFF:
            # An autocast of the caller's own stays what it is.
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)


def check_autocast(autocast: Autocast, network: nn.Module, device: torch.device) -> None:
    """Raise for a network or a device that cannot be trained so.

    Args:
        autocast: In which precision.
        network: The network.
        device: Where it is trained.

    Raises:
        TrainingError: The network computes with integers, or its numbers are not float32, or the device
            computes no bfloat16.
    """
    if autocast is Autocast.OFF:
        return
    remedy = "leave `autocast` 'off'"
    if isinstance(network, GraphNetwork):
        raise TrainingError("bfloat16 does not hold the integers that this network is trained with", remedy)
    kind = next(network.parameters()).dtype
    if kind is not torch.float32:
        name = str(kind).removeprefix("torch.")
        raise TrainingError(f"autocast is for networks of float32, and this one's numbers are {name}", remedy)
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise TrainingError(f"'{torch.cuda.get_device_name(device)}' computes no bfloat16", remedy)
