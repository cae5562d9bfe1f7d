"""What to do about a layer that has no meaning in a graph of spikes."""

from collections.abc import Sequence
from typing import Final

from torch import nn

from toolchain.errors import UnsupportedModuleError

ACTIVATIONS: Final = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Hardtanh,
    nn.Hardswish,
)
"""Layers that make real numbers where this toolchain has spikes."""
_IMAGES: Final = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.Flatten)


def unsupported(path: str, module: nn.Module, supported: Sequence[str]) -> UnsupportedModuleError:
    """Return the error that says which layer is not known, and what a user can do about it."""
    remedy = ""
    if isinstance(module, ACTIVATIONS):
        remedy = (
            "activations are real numbers, but only spikes travel on a chip: put Spiking in its place "
            "(behind a Linear also CubaLif) and train the network with spikes, or export the trained model "
            "with torch.onnx.export and compile that file, whose activations become spike rates"
        )
    elif isinstance(module, _IMAGES):
        remedy = "a network of images needs Spiking neurons, not CubaLif, and ends in a Linear"
    return UnsupportedModuleError(path, type(module).__name__, supported, remedy)
