"""Batch normalisation whose channels can be switched off."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolchain.intake import count_of, real_of


@final
class GatedNorm(nn.Module):
    r"""Batch normalisation over samples, steps and positions, times a gate per channel.

    .. math:: y_c = m_c \Big( \gamma_c \frac{x_c - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c \Big)

    A closed gate (m = 0) silences its channel and stops the gradients of its filter, scale and
    shift, but not its own: `dL/dm` says how much the channel would matter if it were open. The gate
    multiplies scale and shift instead of the output, which is the same and costs nothing.

    Args:
        channels: Number of channels `C`.
        gamma: Initial scale of every channel.
        momentum: Weight of a new batch in the running statistics.
        eps: What is added to the variance.
    """

    gate: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, *, gamma: float = 1.0, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        channels = count_of(channels, "channels", least=1)
        self.momentum = real_of(momentum, "momentum", least=0, most=1)
        self.eps = real_of(eps, "eps", least=0, most=1)
        self.weight = nn.Parameter(torch.full((channels,), gamma))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("gate", torch.ones(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.weight.numel())

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised batch `[N, C, ...]`; steps are part of `N`."""
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight * self.gate,
            self.bias * self.gate,
            self.training,
            self.momentum,
            self.eps,
        )

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return factor and offset per channel of its evaluation, `y = factor x + offset`, in float64."""
        gate, weight, bias = self.gate.double(), self.weight.double(), self.bias.double()
        factor = gate * weight / torch.sqrt(self.running_var.double() + self.eps)
        return factor, gate * bias - self.running_mean.double() * factor
