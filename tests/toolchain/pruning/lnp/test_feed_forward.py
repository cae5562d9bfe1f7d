"""Noise pruning of untrained convolutional networks."""

import numpy as np
import pytest
import torch

from toolchain.errors import PruningError
from toolchain.models import POOL, FeedForward, PreResNetShape, VggShape, build_preresnet, build_vgg
from toolchain.pruning.lnp import (
    FeedForwardLnpOptions,
    HoldPruned,
    Importance,
    KeepRule,
    prune_feed_forward,
)
from toolchain.training import FitOptions, fit


def _vgg(seed: int = 0) -> FeedForward:
    shape = VggShape(plan=(12, POOL, 16, POOL), image=(1, 8, 8), classes=3)
    return build_vgg(shape, torch.Generator().manual_seed(seed))


def test_as_much_is_kept_as_was_asked_for() -> None:
    options = FeedForwardLnpOptions(synapses=0.4, channels=0.5, rounds=4)
    selection = prune_feed_forward(_vgg(), options, np.random.default_rng(0))
    assert selection.synapses == pytest.approx(0.4, abs=0.05)
    assert sum(int(mask.sum()) for mask in selection.masks.values()) == 14
    widths = [p.shape[0] for p in selection.network.parameters() if p.dim() == 4]
    assert widths == [int(mask.sum()) for mask in selection.masks.values()]


def test_the_same_seed_prunes_the_same_and_the_network_stays() -> None:
    network = _vgg()
    before = [p.clone() for p in network.parameters()]
    first, second = (
        prune_feed_forward(network, FeedForwardLnpOptions(rounds=2), np.random.default_rng(5))
        for _ in range(2)
    )
    for left, right in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(left, right)
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


@pytest.mark.slow
def test_without_a_cap_the_expectation_of_a_weight_is_the_weight() -> None:
    rule = KeepRule(rescale_cap=np.inf, least=0.3)
    options = FeedForwardLnpOptions(synapses=0.6, channels=1.0, rounds=1, rule=rule, samples=8)
    network = _vgg()
    original = next(p for p in network.parameters() if p.dim() == 4).detach()
    total = torch.zeros_like(original)
    draws = 300
    for seed in range(draws):
        selection = prune_feed_forward(network, options, np.random.default_rng(seed))
        total += next(p for p in selection.network.parameters() if p.dim() == 4).detach()
    scale = float(original.abs().mean())
    assert float((total / draws - original).abs().max()) < 0.6 * scale
    assert float((total / draws - original).abs().mean()) < 0.08 * scale


def test_pruned_synapses_stay_away_in_training() -> None:
    selection = prune_feed_forward(_vgg(), FeedForwardLnpOptions(rounds=2), np.random.default_rng(0))
    network = selection.network
    absent = [p.detach() == 0 for p in network.parameters() if p.dim() == 4]
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 1, 8, 8)).astype(np.float32), rng.integers(0, 3, 32)
    fit(network, x, y, FitOptions(2, 8, 0.01, device="cpu"), seed=0, callbacks=(HoldPruned(),))
    for mask, parameter in zip(absent, (p for p in network.parameters() if p.dim() == 4), strict=True):
        assert mask.any()
        assert torch.equal(parameter.detach() == 0, mask)


def test_residual_networks_are_pruned_too() -> None:
    shape = PreResNetShape(widths=(6, 8), blocks=(2, 1), image=(3, 8, 8))
    network = build_preresnet(shape, torch.Generator().manual_seed(0))
    selection = prune_feed_forward(network, FeedForwardLnpOptions(rounds=2), np.random.default_rng(0))
    assert selection.network(torch.rand(2, 3, 8, 8)).scores.shape == (2, 10)


def test_what_needs_recurrence_or_is_impossible_is_refused() -> None:
    with pytest.raises(PruningError, match="needs recurrence"):
        FeedForwardLnpOptions(rule=KeepRule(importance=Importance.LYAPUNOV))
    with pytest.raises(PruningError, match="expected shares"):
        FeedForwardLnpOptions(synapses=0.0)


def test_a_network_that_does_not_answer_is_named() -> None:
    network = _vgg()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    with pytest.raises(PruningError, match="does not answer to noise"):
        prune_feed_forward(network, FeedForwardLnpOptions(), np.random.default_rng(0))
