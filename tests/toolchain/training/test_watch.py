"""Who watches a training sees every epoch and may end it, and changes none of its numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_training import OPTIONS, small_network, small_task
from toolchain.training import EpochRecord, fit


class _EnoughError(Exception):
    """Ends a training."""


def test_a_watch_sees_all_epochs_and_ends_a_training_that_goes_on_later(tmp_path: Path) -> None:
    inputs, labels = small_task(np.random.default_rng(0))
    whole, ended = small_network(), small_network()
    counts: list[int] = []
    records = fit(
        whole,
        inputs,
        labels,
        OPTIONS,
        seed=1,
        validation=(inputs, labels),
        watch=lambda done: counts.append(len(done)),
    )
    assert counts == [1, 2, 3, 4, 5, 6]

    def enough(done: Sequence[EpochRecord]) -> None:
        assert done[-1].validation_accuracy is not None
        if len(done) == 2:
            raise _EnoughError

    with pytest.raises(_EnoughError):
        fit(
            ended,
            inputs,
            labels,
            OPTIONS,
            seed=1,
            validation=(inputs, labels),
            checkpoint=tmp_path / "state",
            watch=enough,
        )
    # Nobody watches any more, which the checkpoint does not mind.
    again = small_network()
    assert (
        fit(
            again, inputs, labels, OPTIONS, seed=1, validation=(inputs, labels), checkpoint=tmp_path / "state"
        )
        == records
    )
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
