"""Neuron populations as PyTorch modules whose float semantics are the graph's."""

import math
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.intake import choice_of, count_of, real_of
from toolchain.models.surrogates import Surrogate, spike
from toolchain.options import LARGEST_FACTOR, MOST, SMALLEST_FACTOR, flag

Values = Any
"""A number, or one number per neuron."""
_LIMITS: Final = {
    "du": (0.0, 1.0),
    "dv": (0.0, 1.0),
    "vth": (0.0, math.inf),
    "bias": (-LARGEST_FACTOR, LARGEST_FACTOR),
}


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
        bias: What is added to the potential every step.
        train_bias: Whether the bias is a parameter.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative, with the distance to threshold measured in thresholds.

    Raises:
        ArgumentError: A value is not a number within its limits.
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
        size = count_of(size, "size", least=1, most=MOST)
        for name, value in (("du", du), ("dv", dv), ("vth", vth)):
            self.register_buffer(name, _per_neuron(name, value, size))
        self.bias = nn.Parameter(
            _per_neuron("bias", bias, size), requires_grad=flag(train_bias, "train_bias")
        )
        self.surrogate = choice_of(surrogate, "surrogate", Surrogate)
        self.slope = real_of(slope, "slope", least=SMALLEST_FACTOR, most=LARGEST_FACTOR)
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
class MaskedSynapses(nn.Module):
    r"""A connection `a = W x`; pruned synapses are masked out.

    Args:
        weight: Weights `[targets, sources]`.
        mask: Bool of the same shape, False where there is no synapse; or None.
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


def _per_neuron(name: str, value: Values, size: int) -> Tensor:
    tensor = torch.as_tensor(value, dtype=torch.get_default_dtype())
    if tensor.shape not in {(), (1,), (size,)}:
        raise ArgumentError(name, f"one number, or one for each of {size} neurons", str(list(tensor.shape)))
    if tensor.device.type != "meta":
        least, most = _LIMITS[name]
        good = (tensor >= least) & (tensor <= most) & ((tensor != 0) if name == "vth" else True)
        if not bool(good.all()):
            limits = "above 0" if name == "vth" else f"{least:g} .. {most:g}"
            raise ArgumentError(name, f"numbers {limits}", str(tensor[~good].flatten()[0].item()))
    return tensor.expand(size).clone()
