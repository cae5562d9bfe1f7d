"""Neuron populations as PyTorch modules whose float semantics are the graph's."""

from typing import Any, final

import torch
from torch import Tensor, nn

from toolchain.models.surrogates import Surrogate, spike

Values = Any
"""A number, or one number per neuron."""


@final
class CubaLif(nn.Module):
    r"""Current-based leaky integrate-and-fire population.

    .. math::
        u_t = (1 - d_u) u_{t-1} + a_t, \quad v_t = (1 - d_v) v_{t-1} + u_t + b, \quad
        s_t = [v_t > \theta], \quad v_t \leftarrow 0 \text{ where } s_t

    The order of operations is exactly that of `toolchain.ir.Lif`, so that importing a model
    is exact. The reset is not differentiated through.

    Args:
        size: Number of neurons `N`.
        du: Current decay per step; 1 means no current filter.
        dv: Potential decay per step; 0 means integrate-and-fire.
        vth: Threshold; infinite for a read-out population.
        bias: Added to the potential every step.
        train_bias: Whether the bias is a parameter.
        surrogate: Shape of the spike derivative.
        slope: Its sharpness, with the distance to threshold measured in thresholds.
    """

    du: Tensor
    dv: Tensor
    vth: Tensor
    elements: Tensor

    def __init__(
        self,
        size: int,
        *,
        du: Values = 1.0,
        dv: Values = 0.1,
        vth: Values = 1.0,
        bias: Values = 0.0,
        train_bias: bool = False,
        surrogate: Surrogate = Surrogate.FAST_SIGMOID,
        slope: float = 10.0,
    ) -> None:
        super().__init__()
        for name, value in (("du", du), ("dv", dv), ("vth", vth)):
            self.register_buffer(name, _per_neuron(value, size))
        self.bias = nn.Parameter(_per_neuron(bias, size), requires_grad=train_bias)
        self.surrogate = surrogate
        self.slope = slope
        self.register_buffer("elements", torch.arange(size))

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.vth.numel())

    @property
    def fires(self) -> bool:
        """Whether any neuron can fire: a read-out population has infinite thresholds."""
        return bool(torch.isfinite(self.vth).any())

    def step(self, a: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Advance one step.

        Args:
            a: Synaptic input `[batch, N]`.
            u: Current before the step.
            v: Potential before the step.

        Returns:
            Spikes, current and potential after the reset, each `[batch, N]`.
        """
        u = (1 - self.du) * u + a
        v = (1 - self.dv) * v + u + self.bias
        fired = v > self.vth
        # v / vth - 1 is the distance to threshold in thresholds; for an infinite one it is -1 and
        # passes no gradient. The comparison decides, the surrogate lends its derivative only.
        smooth = spike(v / self.vth - 1, self.surrogate, self.slope)
        spikes = fired.to(v.dtype) + smooth - smooth.detach()
        return spikes, u, torch.where(fired, torch.zeros_like(v), v)


@final
class Synapses(nn.Module):
    r"""A connection `a = W x`; pruned synapses are masked out.

    Args:
        weight: `[targets, sources]`.
        mask: Optional bool of the same shape; False means there is no synapse.
    """

    mask: Tensor | None

    def __init__(self, weight: Tensor, mask: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight if mask is None else weight * mask)
        self.register_buffer("mask", mask)

    @property
    def effective(self) -> Tensor:
        """The weights that act, `[targets, sources]`."""
        return self.weight if self.mask is None else self.weight * self.mask

    @property
    def count(self) -> int:
        """Number of synapses."""
        return int(self.weight.numel() if self.mask is None else self.mask.sum())

    def forward(self, x: Tensor) -> Tensor:
        """Return the current `[..., targets]` that `x` `[..., sources]` makes."""
        return nn.functional.linear(x, self.effective)


def _per_neuron(value: Values, size: int) -> Tensor:
    tensor = torch.as_tensor(value, dtype=torch.get_default_dtype())
    return tensor.expand(size).clone()
