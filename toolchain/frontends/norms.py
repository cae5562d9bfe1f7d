"""PyTorch layers that disappear into connections: norms, convolutions of streams, and their parameters."""

from typing import cast

import numpy as np
from torch import Tensor, nn

from toolchain.arrays import Floats, Pair
from toolchain.errors import FrontendError
from toolchain.ir.convolved_currents import convolved
from toolchain.ir.currents import Current
from toolchain.models import GatedNorm


def normalised(name: str, module: GatedNorm | nn.BatchNorm1d | nn.BatchNorm2d, value: Current) -> Current:
    """Return a current after batch-norm in evaluation: every branch scaled, the constant shifted."""
    if isinstance(module, GatedNorm):
        factor, offset = (as_float64(part) for part in module.affine())
        return value.affine(factor, offset)
    if module.running_mean is None or module.running_var is None:
        raise FrontendError(f"norm '{name}' keeps no running statistics; they are what is folded")
    size = module.num_features
    weight = parameter_of(module, "weight", np.ones(size))
    bias = parameter_of(module, "bias", np.zeros(size))
    factor = weight / np.sqrt(as_float64(module.running_var) + module.eps)
    return value.affine(factor, bias - as_float64(module.running_mean) * factor)


def composed(name: str, value: Current, module: nn.Conv2d, bias: Floats) -> Current:
    """Return a 1 x 1 convolution of a stream as one convolution per branch.

    A stride of the second is a stride of the product; without padding nothing is lost at the edge.
    """
    kernel, padding = cast("Pair", module.kernel_size), zero_padding(name, module)
    if kernel != (1, 1) or padding != (0, 0) or module.groups != 1:
        raise FrontendError(
            f"convolution '{name}' reads currents: only an unpadded, ungrouped 1x1 convolution of a stream "
            "can be composed with its branches; put Spiking before it"
        )
    if any(branch.groups != 1 or branch.dense for branch in value.branches):
        raise FrontendError(f"convolution '{name}' cannot be composed with a grouped or dense branch")
    stream = convolved(name, value, as_float64(module.weight), stride=cast("Pair", module.stride))
    return stream.affine(np.ones(len(bias)), bias)


def zero_padding(name: str, module: nn.Conv2d) -> Pair:
    """Return the zeros on both sides, or raise for what the graph has no meaning for."""
    if module.padding_mode != "zeros":
        raise FrontendError(
            f"convolution '{name}' pads with '{module.padding_mode}'; only zeros exist on the chip"
        )
    if not isinstance(module.padding, str):
        return cast("Pair", module.padding)
    if module.padding == "valid":
        return (0, 0)
    total = [d * (k - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if any(extent % 2 for extent in total):
        raise FrontendError(
            f"convolution '{name}' has padding='same' with an even kernel, which pads one side more; "
            "use an odd kernel or state the padding"
        )
    return total[0] // 2, total[1] // 2


def as_float64(tensor: Tensor) -> Floats:
    """Return a tensor as float64, which changes no value."""
    return tensor.detach().cpu().double().numpy()


def parameter_of(module: nn.Module, name: str, otherwise: Floats) -> Floats:
    """Return a parameter that may be absent, such as the bias of `Linear(bias=False)`."""
    tensor = dict(module.named_parameters()).get(name)
    return otherwise if tensor is None else as_float64(tensor)
