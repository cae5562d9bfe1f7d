"""Random streams and weights: whole numbers, of which every sum is exact in any order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

TYPES = (torch.float32, torch.float64)


@st.composite
def streams(draw: Callable[[Any], Any]) -> tuple[Tensor, Tensor, int]:
    """A stream of small whole numbers, weights of such, and a delay: every sum of them is exact."""
    dtype = draw(st.sampled_from(TYPES))
    batch, steps = draw(st.sampled_from((1, 2, 9, 20))), draw(st.sampled_from((1, 2, 7, 20)))
    channels = draw(st.sampled_from((1, 5, 63, 64, 65, 128, 129, 300)))
    targets = draw(st.sampled_from((1, 31, 32, 33, 64, 65, 130)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from((0.0, 0.02, 0.2, 0.5)))
    kinds = np.ones(1) if draw(st.booleans()) else np.array([-2.0, -1.0, 1.0, 3.0])
    x = (rng.random((batch, steps, channels)) < share) * rng.choice(kinds, (batch, steps, channels))
    weight = rng.integers(-9, 10, (targets, channels))
    return torch.tensor(x, dtype=dtype), torch.tensor(weight, dtype=dtype), draw(st.integers(0, 8))
