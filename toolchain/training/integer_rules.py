"""The integer rules as operations that autograd passes straight through."""

from enum import StrEnum
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain import fixedpoint


class Rule(StrEnum):
    """What makes a fixed graph differ from the float graph it came from; each can be on alone."""

    WEIGHTS = "weights"
    """Weights are rounded and clipped to what the chip can hold."""
    THRESHOLDS = "thresholds"
    """Thresholds, what a spike adds to them, and what it does to the potential are whole numbers."""
    DECAYS = "decays"
    """Decays are multiples of 1/4096, and a current that should never leak loses 1/4096 a step."""
    BIAS = "bias"
    INPUT = "input"
    """A graded input is rounded and clipped to its bits."""
    TRUNCATION = "truncation"
    """Decays round toward zero, negative exponents round down."""
    SATURATION = "saturation"
    """`v` and what adaptation adds to thresholds saturate; `u` and sums of convolutions wrap."""


ALL_RULES: Final = frozenset(Rule)


def straight_through(real: Tensor, integers: NDArray[Any]) -> Tensor:
    """Return `integers`, exactly, with the gradient of `real`."""
    fixed = torch.from_numpy(np.asarray(integers, dtype=np.float64)).to(real.device, real.dtype)
    return replaced(real, fixed)


def floor_through(x: Tensor) -> Tensor:
    """Return `x` rounded down with the gradient of `x`."""
    return replaced(x, torch.floor(x.detach()))


def wrap_sum(x: Tensor, half: float = fixedpoint.STATE_LIMIT) -> Tensor:
    """Return a sum modulo `2 half`, signed, with the gradient of `x`; as Lava's convolution sends it."""
    return replaced(x, torch.remainder(x.detach() + half, 2 * half) - half)


def replaced(x: Tensor, value: Tensor) -> Tensor:
    """Return `value` with the gradient of `x`: what is added is exactly zero."""
    return value + (x - x.detach())
