"""What to do about a layer that has no meaning in a graph of spikes."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Final

from torch import nn

from toolchain.errors import ArgumentError, UnsupportedModuleError

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


_RECORDED: Final = ("snntorch", "norse", "sinabs", "spikingjelly")
"""Frameworks whose modules are compiled by running them."""
_FRAMEWORKS: Final = ("rockpool", "lava")
_MODEL: Final = "(model)"
"""Path of a model that is no Sequential."""


def unsupported(path: str, module: nn.Module, supported: Sequence[str]) -> UnsupportedModuleError:
    """Return the error that says which layer is not known, and what a user can do about it."""
    return UnsupportedModuleError(path, type(module).__name__, supported, _remedy(path, module))


def _remedy(path: str, module: nn.Module) -> str:
    framework = type(module).__module__.partition(".")[0]
    if isinstance(module, ACTIVATIONS):
        return (
            "activations are real numbers, but only spikes travel on a chip: put Spiking in its place "
            "(behind a Linear also CubaLif) and train the network with spikes, or export the trained model "
            "with torch.onnx.export and compile that file, whose activations become spike rates"
        )
    if isinstance(module, _IMAGES):
        return "a network of images needs Spiking neurons, not CubaLif, and ends in a Linear"
    if isinstance(module, nn.RNNBase):
        return "spiking recurrence is a Connection of a Network, from a layer to itself with a delay of 1"
    if framework in _RECORDED:
        return (
            "`compile` takes the whole module as it is, with an example: its own forward is run and followed"
        )
    if framework in _FRAMEWORKS:
        return f"export the network with the NIR exporter of {framework}, and compile that file"
    if isinstance(module, nn.Linear) and path == _MODEL:
        return "put it into an nn.Sequential with the neurons that it drives, a CubaLif"
    if path == _MODEL:
        return (
            "give it neurons: any module is compiled as it is if they are CubaLif, or of snnTorch, "
            "SpikingJelly, sinabs or Norse; or arrange its layers as an nn.Sequential, or as a Network of "
            "named layers and connections; if it is of another framework, export it to a .nir file and "
            "compile that"
        )
    return "replace it by Linear and CubaLif, or leave it out if it has no part in running the network"


def check_module(module: object) -> None:
    """Raise unless a model is a PyTorch module.

    Raises:
        ArgumentError: It is something else, such as a path, a class or its weights alone.
    """
    if isinstance(module, nn.Module):
        return
    remedy = "load the weights into their network first" if isinstance(module, Mapping) else ""
    if isinstance(module, str | PathLike):
        remedy = "`compile_file` compiles a file of a network, and `compile_run` a run folder"
    elif isinstance(module, type):
        remedy = "make a network of that class first"
    raise ArgumentError("module", "a PyTorch network (torch.nn.Module)", type(module).__name__, remedy)
