"""Spike functions: a step forward, a smooth derivative backward."""

from enum import Enum
from typing import Any, assert_never

import torch
from torch import Tensor


class Surrogate(Enum):
    """Shape of the derivative that replaces the delta function of the step."""

    FAST_SIGMOID = "fast_sigmoid"
    r"""`1 / (1 + c |x|)^2` (Zenke & Ganguli 2018)."""
    ARCTAN = "arctan"
    r"""`1 / (1 + (pi c x / 2)^2)` (Fang et al. 2021), up to a constant."""


class _FastSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:  # noqa: ANN401 - torch's context
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        return gradients[0] / x.abs().mul(ctx.slope).add(1).square(), None


class _Arctan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        return gradients[0] / x.mul(torch.pi / 2 * ctx.slope).square().add(1), None


def spike(x: Tensor, surrogate: Surrogate, slope: float) -> Tensor:
    """Return 1 where `x > 0`, else 0, with the surrogate's derivative.

    Args:
        x: Distance to the threshold, in units of the threshold.
        surrogate: Shape of the derivative.
        slope: Its sharpness; 10 is a good start.
    """
    match surrogate:
        case Surrogate.FAST_SIGMOID:
            result = _FastSigmoid.apply(x, slope)
        case Surrogate.ARCTAN:
            result = _Arctan.apply(x, slope)
        case _:
            assert_never(surrogate)
    return result
