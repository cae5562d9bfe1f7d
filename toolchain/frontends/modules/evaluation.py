"""What operations make of numbers: what stands in the first steps, before anything was sent."""

import numpy as np
import torch
from torch.nn import functional

from toolchain.arrays import Floats
from toolchain.frontends.modules.ledger import Made, Untyped
from toolchain.frontends.modules.neuron_kinds import as_array
from toolchain.frontends.modules.operations import Kernel


def evaluated(made: Made, parts: list[Floats]) -> Floats | None:
    """Return what an operation makes of numbers, flat; None for one that makes no numbers."""
    with torch.no_grad():
        match made.kind:
            case "linear":
                weight, bias = made.what
                return as_array(weight) @ parts[0].ravel() + (0.0 if bias is None else as_array(bias))
            case "matrix":
                x = torch.from_numpy(parts[0].reshape(1, *made.what.shape))
                return made.what.apply(x).numpy().ravel()
            case "convolution" | "sum_pool" | "max_pool":
                return _windowed(made, parts[0])
            case "affine":
                factor, offset = made.what
                maps = parts[0].reshape(len(factor), -1)
                return (maps * factor[:, None] + offset[:, None]).ravel()
            case "scale":
                return parts[0].ravel() * made.what
            case "sum":
                return np.sum(
                    [factor * part.ravel() for factor, part in zip(made.what, parts, strict=True)], axis=0
                )
            case _:
                return None


def _windowed(made: Made, values: Floats) -> Floats:
    kernel, shape = made.what
    maps = torch.from_numpy(values.reshape(1, shape[0], *([1] if len(shape) == 2 else []), *shape[1:]))
    geometry: Kernel = kernel
    if made.kind == "sum_pool":
        return functional.avg_pool2d(maps, geometry.kernel, geometry.stride, geometry.padding).numpy().ravel()
    if made.kind == "max_pool":
        return functional.max_pool2d(maps, geometry.kernel, geometry.stride, geometry.padding).numpy().ravel()
    weights: Untyped = geometry.weights
    kernels = weights.detach().double().reshape(len(weights), -1, *geometry.kernel)
    bias = None if geometry.bias is None else geometry.bias.detach().double()
    made_maps = functional.conv2d(
        maps, kernels, bias, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    )
    return made_maps.numpy().ravel()
