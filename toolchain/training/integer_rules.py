"""The integer rules as operations that autograd passes straight through."""

from enum import StrEnum
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain import fixedpoint
from toolchain.models.surrogates import Surrogate, derivative


class Rule(StrEnum):
    """What makes a fixed graph differ from the float graph it came from; each can be on alone."""

    WEIGHTS = "weights"
    """Weights are rounded and clipped to what the chip can hold."""
    THRESHOLDS = "thresholds"
    DECAYS = "decays"
    """Decays are multiples of 1/4096, and a current that should never leak loses 1/4096 a step."""
    BIAS = "bias"
    INPUT = "input"
    """A graded input is rounded and clipped to its bits."""
    TRUNCATION = "truncation"
    """Decays round toward zero, negative exponents round down."""
    SATURATION = "saturation"
    """`v` saturates; `u` and sums of convolutions wrap."""


ALL_RULES: Final = frozenset(Rule)


def straight_through(real: Tensor, integers: NDArray[Any]) -> Tensor:
    """Return `integers`, exactly, with the gradient of `real`."""
    fixed = torch.from_numpy(np.asarray(integers, dtype=np.float64)).to(real.device, real.dtype)
    return _replaced(real, fixed)


def floor_through(x: Tensor) -> Tensor:
    """Return `x` rounded down with the gradient of `x`."""
    return _replaced(x, torch.floor(x.detach()))


def wrap_sum(x: Tensor, half: int = fixedpoint.STATE_LIMIT) -> Tensor:
    """Return a sum modulo `2 half`, signed, with the gradient of `x`; as Lava's convolution sends it."""
    return _replaced(x, torch.remainder(x.detach() + half, 2 * half) - half)


def _replaced(x: Tensor, value: Tensor) -> Tensor:
    """Return `value` with the gradient of `x`: what is added is exactly zero."""
    return value + (x - x.detach())


@final
class NeuronUpdate:
    r"""The update of a population, in integers or in real numbers in the same units.

    .. math::
        u' = wrap(tz(k_u u) + c\, a), \quad v' = saturate(tz(k_v v) + u' + b), \quad
        s = [v' > \theta], \quad v' \leftarrow 0 \text{ where } s

    with `tz` and the limits of the register only where their rule is on. The derivative of a spike is
    the surrogate's; everything else passes straight through; the reset is not differentiated through.

    Attributes:
        keep_u: Share of the current that stays, of the population's shape.
        keep_v: Share of the potential that stays.
        threshold: Threshold of each neuron; infinite for a read-out.
        unit: Factor `c` of the input: 64 in integers, 1 in real numbers.
        truncates: Whether decays round toward zero.
        saturates: Whether u wraps and v saturates.
        wide: Whether input can be so large that 32 bits overflow, as they then do in Lava.
    """

    def __init__(
        self,
        keep_u: Tensor,
        keep_v: Tensor,
        threshold: Tensor,
        *,
        unit: float,
        truncates: bool,
        saturates: bool,
        wide: bool,
        surrogate: Surrogate,
        slope: float,
    ) -> None:
        self.keep_u, self.keep_v, self.threshold = keep_u, keep_v, threshold
        self.unit = unit
        self.truncates = truncates
        self.saturates = saturates
        self.wide = wide
        self.surrogate = surrogate
        self.slope = slope
        self.forgets = bool((keep_u == 0).all())

    def step(self, a: Tensor, u: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return spikes, current and potential after the reset, each `[batch, *features]`."""
        result: Any = _Step.apply(a, u, v, bias, self)
        return result

    def decay(self, x: Tensor, keep: Tensor) -> Tensor:
        """Return what stays of a state. In float64 the product of 24 and 12 bits is exact."""
        product = x * keep
        return product.trunc_() if self.truncates else product

    def smooth(self, potential: Tensor) -> Tensor:
        """Return the surrogate derivative of the spikes."""
        reach = self.threshold.clamp_min(torch.finfo(potential.dtype).tiny)
        return derivative(potential / reach - 1, self.surrogate, self.slope).div_(reach)


def _overflowed(x: Tensor) -> Tensor:
    """Return integers as 32 bits hold them."""
    return torch.remainder(x + 2.0**31, 2.0**32) - 2.0**31


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        a: Tensor,
        u: Tensor,
        v: Tensor,
        bias: Tensor,
        neurons: NeuronUpdate,
    ) -> tuple[Tensor, Tensor, Tensor]:
        limit = fixedpoint.STATE_LIMIT
        current = a * neurons.unit
        if not neurons.forgets:
            current += neurons.decay(u, neurons.keep_u)
        if neurons.wide:
            current = _overflowed(current)
        if neurons.saturates:
            current = torch.where(current > limit, current - 2 * limit, current)
            current = torch.where(current <= -limit, current + 2 * limit, current)
        potential = neurons.decay(v, neurons.keep_v).add_(current).add_(bias)
        if neurons.wide:
            potential = _overflowed(potential)
        if neurons.saturates:
            potential.clamp_(-(limit - 1), limit - 1)
        fired = potential > neurons.threshold
        ctx.save_for_backward(potential, fired)
        ctx.neurons, ctx.bias_shape = neurons, bias.shape
        return fired.to(potential.dtype), current, potential.masked_fill(fired, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        potential, fired = ctx.saved_tensors
        neurons: NeuronUpdate = ctx.neurons
        of_spikes, of_u, of_v = gradients
        at_potential = neurons.smooth(potential).mul_(of_spikes).add_(of_v.masked_fill(fired, 0.0))
        at_current = at_potential + of_u
        return (
            at_current * neurons.unit,
            at_current * neurons.keep_u,
            at_potential * neurons.keep_v,
            at_potential.sum_to_size(ctx.bias_shape),
            None,
        )
