"""A network is judged by samples that it does not learn from, and is not changed by them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.small_training import OPTIONS, interrupt_after, small_network, small_task
from toolchain.errors import ArgumentError
from toolchain.models import FeedForward, Network, Spiking, VggShape, build_vgg
from toolchain.training import FitOptions, Optimizer, fit


class _Pairs:
    """A data set that gives a sample and its label by index."""

    def __init__(self, x: np.ndarray, labels: np.ndarray) -> None:
        self._pairs = list(zip(x, labels, strict=True))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Any:
        return self._pairs[index]


def _parameters(network: nn.Module) -> list[Tensor]:
    return [each.clone() for each in network.state_dict().values()]


def _convolutions() -> FeedForward:
    return build_vgg(VggShape(plan=(4,), image=(1, 6, 6), classes=3), torch.Generator().manual_seed(0))


def test_validation_changes_no_number_of_a_training(rng: np.random.Generator) -> None:
    task, other = small_task(rng), small_task(rng)
    alone, judged = small_network(), small_network()
    plain = fit(alone, *task, OPTIONS, seed=0)
    records = fit(judged, *task, OPTIONS, seed=0, validation=other)
    assert [(each.loss, each.accuracy) for each in records] == [(e.loss, e.accuracy) for e in plain]
    assert all(torch.equal(a, b) for a, b in zip(_parameters(alone), _parameters(judged), strict=True))
    assert all(each.validation_loss is None and each.validation_accuracy is None for each in plain)


def test_the_figures_of_the_last_epoch_are_those_of_the_trained_network(rng: np.random.Generator) -> None:
    network, (x, labels) = small_network(), small_task(rng)
    for size in (7, 96, 500):
        options = FitOptions(epochs=2, batch_size=size, learning_rate=0.01, label_smoothing=0.3)
        records = fit(network, *small_task(rng), options, seed=0, validation=(x, labels))
        with torch.no_grad():
            scores = network.scores(torch.from_numpy(x.astype(np.float32)))
        expected = nn.functional.cross_entropy(scores, torch.from_numpy(labels))
        assert records[-1].validation_loss == pytest.approx(float(expected), rel=1e-5)
        right = (scores.argmax(1).numpy() == labels).mean()
        assert records[-1].validation_accuracy == pytest.approx(100 * right)


def test_running_statistics_do_not_see_what_is_validated(rng: np.random.Generator) -> None:
    x, labels = rng.random((12, 1, 6, 6), np.float32), rng.integers(0, 3, 12)
    options = FitOptions(2, 4, 0.05, optimizer=Optimizer.SGD)
    alone, judged = _convolutions(), _convolutions()
    fit(alone, x, labels, options, seed=0)
    (first, last) = fit(judged, x, labels, options, seed=0, validation=(100 * x, labels))
    assert all(torch.equal(a, b) for a, b in zip(_parameters(alone), _parameters(judged), strict=True))
    assert first.validation_loss is not None
    with torch.inference_mode():
        scores = judged(torch.from_numpy(100 * x)).scores
    expected = nn.functional.cross_entropy(scores, torch.from_numpy(labels))
    assert last.validation_loss == pytest.approx(float(expected), rel=1e-5)


def test_values_that_are_learnt_have_a_loss_and_no_accuracy(rng: np.random.Generator) -> None:
    network, (x, labels) = small_network(), small_task(rng)
    values = np.eye(2, dtype=np.float32)[labels]
    (record,) = fit(network, x, values, FitOptions(1, 16, 0.01), seed=0, validation=(x, values))
    with torch.no_grad():
        scores = network.scores(torch.from_numpy(x.astype(np.float32)))
    squared = (scores - torch.from_numpy(values)).square().mean()
    assert record.validation_loss == pytest.approx(float(squared), rel=1e-5)
    assert record.validation_accuracy is None


def test_pairs_are_validated_too_and_a_continued_training_keeps_the_figures(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    task, other = small_task(rng), small_task(rng)
    expected = fit(small_network(), *task, OPTIONS, seed=0, validation=other)
    pairs = (_Pairs(*other), None)
    with pytest.raises(KeyboardInterrupt):
        fit(
            small_network(),
            *task,
            OPTIONS,
            seed=0,
            validation=pairs,
            checkpoint=tmp_path,
            progress=interrupt_after(2),
        )
    continued = fit(small_network(), *task, OPTIONS, seed=0, validation=pairs, checkpoint=tmp_path)
    assert continued == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((4, 10, 6)), "a pair: inputs and labels, got ndarray"),
        ((np.zeros((4, 10, 6)),), "a pair: inputs and labels, got a tuple of 1"),
        ((np.zeros((4, 10, 5)), np.zeros(4, int)), "validation"),
        ((np.zeros((0, 10, 6)), np.zeros(0, int)), "at least one sample"),
        ((np.zeros((4, 10, 6)), np.full(4, 2)), "^validation labels: expected classes 0 .. 1, got 2"),
        ((np.zeros((4, 10, 6)), np.zeros(3, int)), "^validation labels: expected as many as samples, 4"),
        ((np.zeros((4, 10, 6)), None), "^validation labels: expected labels, one per sample, got None"),
        (
            ([np.zeros((10, 6))], None),
            r"^validation labels: expected labels, or pairs \(sample, label\) as val",
        ),
    ],
)
def test_what_does_not_fit_is_named_before_anything_is_learnt(
    given: Any, said: str, rng: np.random.Generator
) -> None:
    network = small_network()
    before = _parameters(network)
    with pytest.raises(ArgumentError, match=said):
        fit(network, *small_task(rng), OPTIONS, seed=0, validation=given)
    assert all(torch.equal(a, b) for a, b in zip(before, _parameters(network), strict=True))


def test_a_network_that_was_in_use_stays_in_use(rng: np.random.Generator) -> None:
    network: Network = small_network()
    fit(network, *small_task(rng), FitOptions(1, 16, 0.01), seed=0, validation=small_task(rng))
    assert not network.training
    assert not any(isinstance(each, Spiking) and each.training for each in network.modules())
