"""What is read of samples of different lengths."""

import numpy as np
import pytest
import torch

from toolchain.models.over_steps import largest_over_steps, last_step, mean_over_steps, total_over_steps


@pytest.mark.parametrize("time", [0, 1])
def test_steps_after_the_end_are_not_read(time: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=(4, 6, 3))
    lengths = np.array([6, 1, 3, 5])
    parts = [values[i, :length] for i, length in enumerate(lengths)]
    given = torch.from_numpy(values if time else values.swapaxes(0, 1).copy())
    ends = torch.from_numpy(lengths)
    for function, expected in (
        (total_over_steps, [part.sum(axis=0) for part in parts]),
        (mean_over_steps, [part.mean(axis=0) for part in parts]),
        (largest_over_steps, [part.max(axis=0) for part in parts]),
        (last_step, [part[-1] for part in parts]),
    ):
        assert function(given, ends, time).numpy() == pytest.approx(np.stack(expected))
        everything = function(given, torch.full((4,), 6), time)
        assert function(given, None, time).numpy() == pytest.approx(everything.numpy())
