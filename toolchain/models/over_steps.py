"""What is read over the steps of samples that may be of different lengths: later steps are padding."""

import torch
from torch import Tensor


def total_over_steps(values: Tensor, lengths: Tensor | None = None, time: int = 1) -> Tensor:
    """Return the sum over the valid steps.

    Args:
        values: Values with samples and steps in the first two axes, in either order.
        lengths: Number of valid steps of each sample, int64 `[batch]`; None if all are valid.
        time: Axis of the steps, 0 or 1.
    """
    if lengths is None:
        return values.sum(dim=time)
    return values.masked_fill(~_valid(values, lengths, time), 0).sum(dim=time)


def mean_over_steps(values: Tensor, lengths: Tensor | None = None, time: int = 1) -> Tensor:
    """Return the mean over the valid steps; arguments as those of `total_over_steps`."""
    if lengths is None:
        return values.mean(dim=time)
    total = total_over_steps(values, lengths, time)
    return total / lengths.to(total.dtype).reshape(-1, *[1] * (total.dim() - 1))


def largest_over_steps(values: Tensor, lengths: Tensor | None = None, time: int = 1) -> Tensor:
    """Return the largest of the valid steps; arguments as those of `total_over_steps`."""
    if lengths is None:
        return values.amax(dim=time)
    return values.masked_fill(~_valid(values, lengths, time), -torch.inf).amax(dim=time)


def last_step(values: Tensor, lengths: Tensor | None = None, time: int = 1) -> Tensor:
    """Return the last valid step; arguments as those of `total_over_steps`."""
    if lengths is None:
        return values.select(time, -1)
    samples = torch.arange(len(lengths), device=values.device)
    return values.transpose(0, time)[lengths - 1, samples] if time else values[lengths - 1, samples]


def _valid(values: Tensor, lengths: Tensor, time: int) -> Tensor:
    """Return which steps are valid, in a shape that goes with the values."""
    steps = torch.arange(values.shape[time], device=values.device)
    valid = steps[None] < lengths[:, None] if time else steps[:, None] < lengths
    return valid.reshape(*valid.shape, *[1] * (values.dim() - 2))
