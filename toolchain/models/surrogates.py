"""Spike functions: a step forward, a smooth derivative backward."""

from enum import Enum
from typing import Any, assert_never

import torch
from torch import Tensor


class Surrogate(Enum):
    """Shape of the derivative that replaces the delta function of the step; 1 at the threshold."""

    FAST_SIGMOID = "fast_sigmoid"
    r"""`1 / (1 + c |x|)^2` (Zenke & Ganguli 2018)."""
    ARCTAN = "arctan"
    r"""`1 / (1 + (pi c x / 2)^2)` (Fang et al. 2021), up to a constant."""
    SIGMOID = "sigmoid"
    r"""`4 sig(c x) (1 - sig(c x))`: the derivative of a logistic function; with c = 4 exactly that of
    `sig(4 x)`, which SpikingJelly uses unless told otherwise."""


def derivative(x: Tensor, surrogate: Surrogate, slope: float) -> Tensor:
    """Return the surrogate's derivative.

    Args:
        x: Distance to the threshold, in units of the threshold.
        surrogate: Shape of the derivative.
        slope: Sharpness `c` of the derivative.
    """
    match surrogate:
        case Surrogate.FAST_SIGMOID:
            return x.abs().mul_(slope).add_(1).square_().reciprocal_()
        case Surrogate.ARCTAN:
            return x.mul(torch.pi / 2 * slope).square_().add_(1).reciprocal_()
        case Surrogate.SIGMOID:
            smooth = x.abs().mul_(-slope).sigmoid_()
            return smooth.mul_(1 - smooth).mul_(4)
        case _:
            assert_never(surrogate)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate, slope: float) -> Tensor:  # noqa: ANN401 - torch's
        ctx.save_for_backward(x)
        ctx.surrogate, ctx.slope = surrogate, slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        return gradients[0] * derivative(x, ctx.surrogate, ctx.slope), None, None


def spike(x: Tensor, surrogate: Surrogate, slope: float) -> Tensor:
    """Return 1 where `x > 0`, else 0, with the surrogate's derivative.

    Args:
        x: Distance to the threshold, in units of the threshold.
        surrogate: Shape of the derivative.
        slope: Sharpness of the derivative; 10 is a good start.
    """
    result: Any = _Spike.apply(x, surrogate, slope)
    return result
