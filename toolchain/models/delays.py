"""Delays of synapses that are learnt: places on the axis of time, read through a kernel that narrows."""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.intake import count_of

LONGEST_LEARNT: Final = 4095
"""The longest delay of a synapse: so many steps of the past are kept."""
_NARROWEST: Final = 0.25
"""Width in steps from which on a kernel holds one whole step."""
_WHOLE_FROM: Final = 0.8
"""Share of a training after which delays are whole steps and the weights learn around them."""


@final
class SynapticDelays(nn.Module):
    r"""The delays of a connection: one number for all its synapses, or one for each.

    While a network trains, a synapse of delay `d` reads the past through a normalised Gaussian,

    .. math:: a_i[t] = \sum_j W_{ij} \sum_{k=0}^{K} g_{ij,k}\, x_j[t - k], \qquad
        g_k \propto \exp\big(-(k - d)^2 / 2 \sigma^2\big)

    whose width :math:`\sigma` falls from `K / 2` to a quarter of a step in the first four fifths of the
    training: first every delay is heard, at the end one. The last fifth trains with whole steps, and the
    delays rest. Outside a training there are whole steps only: the delays that are deployed. It is the method
    of Hammouamri et al. 2024 (DCLS with Gaussian kernels, after Hassani et al. 2023), with a schedule of our
    own.

    Args:
        position: Delays in steps, `[1]` for the whole connection or `[targets, sources]`.
        longest: Longest delay `K` that is learnt; None if they are whole steps that stay.

    Raises:
        ArgumentError: A delay is negative, longer than `longest`, or not whole though it is not learnt.
    """

    def __init__(self, position: Tensor, longest: int | None = None) -> None:
        super().__init__()
        if longest is not None:
            count_of(longest, "longest_delay", least=1, most=LONGEST_LEARNT)
        if position.device.type != "meta":
            _check(position, longest)
        self.position = nn.Parameter(position, requires_grad=longest is not None)
        self.longest_learnt = longest
        self.width = 0.0
        """Width of the kernel in steps; 0 for whole steps, as everywhere but in a training."""

    @property
    def learnt(self) -> bool:
        """Whether training moves the delays."""
        return self.longest_learnt is not None

    @property
    def longest(self) -> int:
        """The longest delay that a synapse has or may get."""
        return int(self.position.max()) if self.longest_learnt is None else self.longest_learnt

    @property
    def is_shared(self) -> bool:
        """Whether one delay is that of all synapses."""
        return self.position.dim() == 1

    @property
    def steps(self) -> Tensor:
        """The delays in whole steps, int64 of the shape of `position`: those that are deployed."""
        return torch.round(self.position.detach()).clamp(0, self.longest).long()

    def narrow(self, part: float) -> None:
        """Set the width of the kernel for a place in the training, and bring delays back into their range.

        Args:
            part: Share of the training that is over, 0 .. 1.
        """
        if self.longest_learnt is None:
            return
        with torch.no_grad():
            inside = self.position.clamp(0, self.longest_learnt)
            # A change in place, even to the same numbers, makes the lists of synapses be made again.
            if not torch.equal(inside, self.position):
                self.position.copy_(inside)
        widest = max(self.longest_learnt / 2, _NARROWEST)
        self.width = 0.0
        if part < _WHOLE_FROM:
            self.width = widest * (_NARROWEST / widest) ** (part / _WHOLE_FROM)

    def kernel(self) -> Tensor:
        """Return the weight of every step of the past, adding up to 1 for every synapse.

        Returns:
            `[targets, sources, K + 1]`, or `[1, 1, K + 1]` for one delay of all synapses.
        """
        axis = torch.arange(self.longest + 1, device=self.position.device)
        shape = (1, 1, 1) if self.is_shared else (*self.position.shape, 1)
        if self.width and self.training:
            distance = axis - self.position.reshape(shape)
            return torch.softmax(-(distance**2) / (2 * self.width**2), dim=-1)
        return (axis == self.steps.reshape(shape)).to(self.position.dtype)

    def select(self, targets: Tensor | None, sources: Tensor | None) -> "SynapticDelays":
        """Return the delays of some rows and columns."""
        position = self.position.detach()
        if not self.is_shared:
            position = position if targets is None else position[targets]
            position = position if sources is None else position[:, sources]
        return SynapticDelays(position.clone(), self.longest_learnt)


def delays_of(value: Any, longest: int | None, weight: Tensor) -> SynapticDelays | None:  # noqa: ANN401 - a number or one per synapse
    """Return the delays of a connection with these weights; None if it has none.

    Raises:
        ArgumentError: They are of another shape, or no delays.
    """
    if value is None:
        if longest is not None:
            raise ArgumentError("longest_delay", "None, unless `delays` are given", str(longest))
        return None
    position = torch.as_tensor(value, dtype=weight.dtype, device=weight.device)
    if position.dim() == 0:
        position = position.reshape(1)
    elif position.shape not in {weight.shape, (1,)}:
        raise ArgumentError(
            "delays", f"one number, or one for each synapse {list(weight.shape)}", str(list(position.shape))
        )
    return SynapticDelays(position.clone(), longest)


def _check(position: Tensor, longest: int | None) -> None:
    most = LONGEST_LEARNT if longest is None else longest
    good = (position >= 0) & (position <= most)
    if longest is None:
        good &= position == position.round()
    if not bool(good.all()):
        whole = "whole steps" if longest is None else "steps"
        raise ArgumentError(
            "delays", f"delays of 0 .. {most} {whole}", f"{float(position[~good].flatten()[0]):g}"
        )


def recalled(past: Sequence[Tensor], t: int, steps: int) -> Tensor:
    """Return what a source sent at step `t` and before it, side by side, `[batch, steps * sources]`.

    Args:
        past: Values `[batch, sources]` of all steps so far.
        t: Step whose values stand first; what was sent before the first step is zero.
        steps: How many steps are read.
    """
    zero = torch.zeros_like(past[0])
    return torch.cat([past[t - k] if t >= k else zero for k in range(steps)], dim=1)


def convolved(x: Tensor, weights: Tensor) -> Tensor:
    """Return the currents of a whole sequence: a causal convolution in time.

    Args:
        x: Values `[batch, time, sources]`.
        weights: Weights per step of the past, `[targets, sources, K + 1]`.
    """
    longest = weights.shape[2] - 1
    before = nn.functional.pad(x.transpose(1, 2), (longest, 0))
    return nn.functional.conv1d(before, weights.flip(2)).transpose(1, 2)
