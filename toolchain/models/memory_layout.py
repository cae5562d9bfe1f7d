"""How the numbers of feature maps lie in memory: convolutions on a CPU want the channels last."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """Return `[N, C, H, W]` with the channels last in memory, and said to be so where there is only one.

    The strides of a single channel can be read either way; PyTorch would take it for a tensor whose channels
    come first, and so would be every tensor that is computed from it.
    """
    dense = x.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = x.shape
    return dense.as_strided(x.shape, (height * width * channels, 1, width * channels, channels))
