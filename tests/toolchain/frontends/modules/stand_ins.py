"""A neuron that is called and known as snnTorch's Leaky, so that loops are tested without a framework."""

from typing import Any

import torch
from torch import Tensor, nn


class Leaky(nn.Module):
    """Leaky neurons for one step, whose states are handed in and out, or kept.

    Args:
        beta: Share of the potential that stays.
        threshold: Threshold.
        reset_mechanism: What a spike does: `subtract`, `zero` or `none`.
        reset_delay: Whether it does so one step later.
        init_hidden: Whether potentials are kept here.
    """

    def __init__(
        self,
        beta: float = 0.75,
        threshold: float = 0.5,
        *,
        reset_mechanism: str = "subtract",
        reset_delay: bool = True,
        init_hidden: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("beta", torch.tensor(beta, dtype=torch.float64))
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float64))
        self.register_buffer("graded_spikes_factor", torch.tensor(1.0))
        self.reset_mechanism, self.reset_delay, self.init_hidden = reset_mechanism, reset_delay, init_hidden
        self.inhibition = self.state_quant = False
        self.mem = torch.zeros(0)

    def reset_mem(self) -> Tensor:
        self.mem = torch.zeros_like(self.mem)
        return self.mem

    def forward(self, x: Tensor, mem: Tensor | None = None) -> Any:
        before = self.mem if mem is None else mem
        if before.shape != x.shape:
            before = torch.zeros_like(x)
        beta, threshold = self.get_buffer("beta"), self.get_buffer("threshold")
        reset = (before > threshold).to(x.dtype)
        if self.reset_mechanism == "zero":
            before = before * (1 - reset)
        after = beta * before + x
        if self.reset_mechanism == "subtract":
            after = after - reset * threshold
        self.mem = after
        spikes = (after > threshold).to(x.dtype)
        if not self.reset_delay and self.reset_mechanism == "zero":
            self.mem = after * (1 - spikes)
        return spikes if self.init_hidden else (spikes, self.mem)


Leaky.__module__ = "snntorch._neurons.leaky"
