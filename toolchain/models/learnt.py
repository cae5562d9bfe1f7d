r"""Parameters of neurons that are learnt: what was given, times or plus a function of a trained offset.

Every offset starts at 0, where the function returns exactly what was given; so an initial distribution, such
as the gamma-distributed time constants of the HRSNN, is the one training starts from, and weight decay pulls
towards it. The functions are parametrizations in the sense of `torch.nn.utils.parametrize`: whoever reads
`layer.dv` gets the value, and whoever sets it starts anew from there.
"""

import math
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LEARNABLE: Final = ("du", "dv", "vth", "reset_amount", "adaptation", "adaptation_decay")
"""Parameters of a `CubaLif` that can be learnt, beside its bias."""
DECAYS: Final = ("du", "dv", "adaptation_decay")
"""Those that are time constants."""
_FARTHEST: Final = 30.0
"""Beyond this offset a logistic function is at its limit, in any precision."""


class Learnt(nn.Module):
    """A value per neuron as a function of a trained offset.

    Args:
        start: Values at offset 0, `[N]`.
    """

    start: Tensor

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.register_buffer("start", start.detach().clone())

    def right_inverse(self, value: Tensor) -> Tensor:
        """Start anew from a value; returns the offset 0."""
        with torch.no_grad():
            self.start.copy_(value)
        return torch.zeros_like(self.start)


@final
class LearntDecay(Learnt):
    r"""A decay between two limits: a logistic function of its offset.

    .. math:: d(x) = d_- + (d_+ - d_-)\, \sigma(x + \sigma^{-1}(p)), \qquad p = (d_0 - d_-) / (d_+ - d_-)

    For slow neurons a step of `x` multiplies the time constant, since :math:`\log d \approx -\log \tau`, so
    that fast and slow ones learn at the same relative speed; and unlike a logarithm it cannot leave the
    limits, so that nothing is cut off whose gradient would be lost.

    Args:
        start: Decays per step at offset 0, within the limits.
        limits: Smallest and largest decay.
    """

    def __init__(self, start: Tensor, limits: tuple[float, float]) -> None:
        super().__init__(start)
        self.limits = limits

    def forward(self, offset: Tensor) -> Tensor:
        """Return the decays; written so that offset 0 is exactly `start`."""
        low, high = self.limits
        grown = torch.expm1(offset.clamp(-_FARTHEST, _FARTHEST))
        place = (self.start - low) / (high - low)
        moved = self.start + place * (high - self.start) * grown / (1 + place * grown)
        return moved.clamp(low, high)


@final
class LearntScale(Learnt):
    """A positive value, such as a threshold: its start times `exp(offset)`; a start of 0 stays."""

    def forward(self, offset: Tensor) -> Tensor:
        """Return the values."""
        return self.start * torch.exp(offset)


@final
class LearntShift(Learnt):
    """A value of either sign: its start plus the offset."""

    def forward(self, offset: Tensor) -> Tensor:
        """Return the values."""
        return self.start + offset


@final
class HeldRheobase(Learnt):
    r"""A threshold that follows the decay of the potential: :math:`\theta(x) = \theta_0 e^x d_{v,0} / d_v`.

    The rheobase :math:`\theta d_v`, the constant input that holds a neuron at its threshold, changes with the
    offset only, so that a neuron that becomes slower does not also become easier to excite.

    Args:
        start: Thresholds at offset 0.
        leak: Learnt decays of the potential.
    """

    def __init__(self, start: Tensor, leak: parametrize.ParametrizationList) -> None:
        super().__init__(start)
        # In a tuple, because it is a part of the layer already.
        self._leak = (leak,)

    def forward(self, offset: Tensor) -> Tensor:
        """Return the thresholds."""
        first = cast("LearntDecay", self._leak[0][0]).start
        return self.start * torch.exp(offset) * (first / self._leak[0]())


def decay_limits(tau_limits: tuple[float, float]) -> tuple[float, float]:
    """Return smallest and largest decay `1 - exp(-1 / tau)` of the shortest and longest time constant."""
    shortest, longest = tau_limits
    return -math.expm1(-1 / longest), -math.expm1(-1 / shortest)


def learn(layer: nn.Module, name: str, rule: Learnt, *, trained: bool = True) -> None:
    """Replace a buffer of a layer by a function of an offset.

    Args:
        layer: Layer that holds the buffer.
        name: Name of the buffer, under which its values can be read as before.
        rule: The function.
        trained: Whether the offset is a parameter; else it is a buffer that stays 0.
    """
    values = getattr(layer, name)
    delattr(layer, name)
    if trained:
        layer.register_parameter(name, nn.Parameter(values))
    else:
        layer.register_buffer(name, values)
    parametrize.register_parametrization(layer, name, rule)


def offset_of(layer: nn.Module, name: str) -> nn.Parameter | None:
    """Return the trained offset of a value of a layer; None if the value is not learnt."""
    lists: Any = getattr(layer, "parametrizations", {})
    original = lists[name].original if name in lists else None
    return original if isinstance(original, nn.Parameter) else None


def start_of(layer: nn.Module, name: str) -> Tensor:
    """Return what a learnt value of a layer was before its training."""
    lists: Any = layer.parametrizations
    return lists[name][0].start
