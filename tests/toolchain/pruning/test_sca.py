"""Channel pruning with regrowth: the rule on numbers, the callback in a training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.networks import part, small_vgg
from toolchain.errors import PruningError, TrainingError
from toolchain.models import POOL, FeedForward, GatedNorm, NeuronShape, VggShape, build_vgg
from toolchain.pruning import (
    ChannelPruning,
    Masking,
    Ranking,
    Regrowth,
    ScaOptions,
    UntrainedChannelsWarning,
    choose_channels,
)
from toolchain.pruning.channel_choice import live_channels
from toolchain.reset import Reset
from toolchain.training import Callback, FitOptions, Optimizer, Position, fit

EPOCHS = 6
FIT = FitOptions(EPOCHS, batch_size=16, learning_rate=0.05, optimizer=Optimizer.SGD, device="cpu")


def _network(seed: int = 0) -> FeedForward:
    shape = VggShape(plan=(8, POOL, 12), image=(1, 6, 6), classes=3)
    return build_vgg(shape, torch.Generator().manual_seed(seed))


def _data(samples: int = 64) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Three sorts of bars, easy to tell apart."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, samples)
    x = rng.uniform(0, 0.3, (samples, 1, 6, 6)).astype(np.float32)
    for i, label in enumerate(labels):
        x[i, 0, 2 * label : 2 * label + 2] += 0.7
    return x, labels


def _train(options: ScaOptions, fit_options: FitOptions = FIT) -> tuple[FeedForward, ChannelPruning]:
    network = _network()
    pruning = ChannelPruning(network, options)
    fit(network, *_data(), fit_options, seed=0, callbacks=(pruning,))
    return network, pruning


# ---------------------------------------------------------------- the rule


def test_the_published_counts_follow_from_the_rule() -> None:
    assert sum(live_channels(4224, 0.1, 0.1)) == 3801
    assert live_channels(10, 0.7, 0.2) == (1, 2)


@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    sparsity=st.floats(0, 0.9),
    share=st.floats(0, 1),
    least=st.integers(0, 2),
)
def test_as_many_channels_live_as_the_rule_says(
    seed: int, sizes: list[int], sparsity: float, share: float, least: int
) -> None:
    rng = np.random.default_rng(seed)
    scores, gradients = ([rng.random(size) for size in sizes] for _ in range(2))
    regrowth = share * (1 - sparsity)
    masks, regrown = choose_channels(scores, gradients, sparsity=sparsity, regrowth=regrowth, least=least)
    first, second = live_channels(sum(sizes), sparsity, regrowth)
    needed = sum(min(least, size) for size in sizes)
    assert sum(int(mask.sum()) for mask in masks) == max(first + second, needed)
    assert regrown == min(second, sum(sizes) - first)
    assert all(mask.sum() >= min(least, len(mask)) for mask in masks)


@given(seed=st.integers(0, 10_000))
def test_the_highest_scores_live_and_the_largest_gradients_return(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, gradients = [rng.random(20)], [rng.random(20)]
    (mask,), _ = choose_channels(scores, gradients, sparsity=0.5, regrowth=0.2, least=0)
    first = np.sort(np.argsort(-scores[0])[:6])
    waiting = np.setdiff1d(np.arange(20), first)
    second = waiting[np.argsort(-gradients[0][waiting])[:4]]
    assert sorted(np.flatnonzero(mask)) == sorted([*first, *second])


def test_a_channel_without_gradient_does_not_return() -> None:
    (mask,), regrown = choose_channels(
        [np.arange(10, dtype=np.float64)], [np.zeros(10)], sparsity=0.5, regrowth=0.3, least=0
    )
    assert regrown == 0
    assert mask.sum() == 2


# ---------------------------------------------------------------- in a training


@pytest.mark.parametrize("masking", Masking)
@pytest.mark.parametrize("ranking", Ranking)
def test_the_trained_network_is_the_pruned_one(masking: Masking, ranking: Ranking) -> None:
    network, pruning = _train(ScaOptions(sparsity=0.5, masking=masking, ranking=ranking, gamma_l1=1e-4))
    small = pruning.compact(network)
    x = torch.from_numpy(_data()[0]).double()
    with torch.inference_mode():
        whole, less = network.double()(x).scores, small.double()(x).scores
    torch.testing.assert_close(whole, less)
    assert sum(int(mask.sum()) for mask in pruning.masks.values()) == 10
    assert not network.training


def test_the_bars_are_learnt_all_the_same() -> None:
    network, _ = _train(ScaOptions(sparsity=0.5), replace(FIT, epochs=20))
    x, labels = _data()
    with torch.inference_mode():
        classes = network(torch.from_numpy(x)).scores.argmax(1).numpy()
    assert np.mean(classes == labels) > 0.9


def test_a_faithful_mask_zeroes_filter_scale_and_shift() -> None:
    network, pruning = _train(ScaOptions.published(sparsity=0.5, regrowth=0.1))
    for layer in pruning.layers:
        dead = torch.from_numpy(~pruning.masks[layer.name])
        assert dead.any()
        assert layer.filters is not None
        for parameter in (layer.norm.weight, layer.norm.bias, layer.filters.weight):
            assert not parameter[dead].any()
            assert parameter[~dead].any()
    del network


@pytest.mark.parametrize("frozen", [0.5, 0.0])
@pytest.mark.parametrize("optimizer", [Optimizer.SGD, Optimizer.ADAMW])
@pytest.mark.parametrize(("decay", "penalty"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.01)])
def test_nothing_moves_a_strictly_pruned_channel(
    frozen: float, optimizer: Optimizer, decay: float, penalty: float
) -> None:
    network = _network()
    options = ScaOptions(
        sparsity=0.5, masking=Masking.STRICT, frozen=frozen, interval=3, l1=penalty, gamma_l1=penalty
    )
    pruning = ChannelPruning(network, options)
    watch = _DeadNumbers(pruning)
    fit_options = replace(FIT, optimizer=optimizer, weight_decay=decay)
    fit(network, *_data(), fit_options, seed=0, callbacks=(pruning, watch))
    assert len(watch.moved) == EPOCHS - 1
    assert not any(watch.moved)
    assert watch.there, "a gate closes; the filter keeps its values for a return"


class _DeadNumbers(Callback):
    """Compares filter, scale and shift of dead channels at both ends of every epoch."""

    def __init__(self, pruning: ChannelPruning) -> None:
        self.pruning = pruning
        self.before: list[torch.Tensor] = []
        self.last: list[torch.Tensor] = []
        self.moved: list[bool] = []
        self.there = True

    def _numbers(self) -> list[torch.Tensor]:
        masks = self.pruning.masks
        return [
            each.detach()[torch.from_numpy(~masks[layer.name])].clone()
            for layer in self.pruning.layers
            for each in layer.numbers
        ]

    def before_step(self, network: torch.nn.Module, at: Position) -> None:
        del network
        if at.step == 1:
            self.before = self._numbers()

    def after_step(self, network: torch.nn.Module) -> None:
        del network
        self.last = self._numbers()

    def after_epoch(self, network: torch.nn.Module, epoch: int) -> None:
        del network
        if epoch > 1:
            self.moved.append(not all(map(torch.equal, self.before, self.last)))
            self.there &= any(bool(each.any()) for each in self.last)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ScaOptions(sparsity=0.5), 2 + 3 + 4 + 5),
        (ScaOptions(sparsity=0.5, gradient_batches=2), 4 + 5),
        (ScaOptions(sparsity=0.5, gradient_batches=9), 1 + 2 + 3 + 4 + 5),
        (ScaOptions(sparsity=0.5, mean_gradient=True), 1 + 2 + 3 + 4 + 5),
        (ScaOptions.published(sparsity=0.5), 5),
    ],
)
def test_the_last_batches_of_an_epoch_decide_what_returns(
    options: ScaOptions, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network()
    pruning = ChannelPruning(network, replace(options, ranking=Ranking.WEIGHT_NORM))
    pruning.begin(network, torch.optim.SGD(network.parameters(), lr=0.1), EPOCHS)
    decided: list[NDArray[np.float64]] = []

    def choose(scores: Any, gradients: list[NDArray[np.float64]], **_: Any) -> Any:
        decided.extend(gradients)
        return [np.ones(len(score), bool) for score in scores], 0

    monkeypatch.setattr("toolchain.pruning.sca.choose_channels", choose)
    for step in range(1, 6):
        for layer in pruning.layers:
            layer.norm.weight.grad = torch.full((layer.channels,), float(step))
        pruning.before_step(network, Position(1, 5, step))
        pruning.after_backward(network)
    pruning.after_epoch(network, 1)
    assert len(decided) == len(pruning.layers)
    assert all((gradient == expected).all() for gradient in decided)


def test_channels_come_back_under_a_strict_mask() -> None:
    _, pruning = _train(
        ScaOptions(sparsity=0.5, regrowth=0.25, masking=Masking.STRICT), replace(FIT, epochs=12)
    )
    assert pruning.updates[0].regrown == 5
    assert sum(update.changed for update in pruning.updates[1:]) > 0


def test_regrowth_fades_and_the_tail_is_frozen() -> None:
    options = ScaOptions(regrowth=0.2, frozen=0.3)
    assert options.last_update(10) == 7
    assert [options.updates_after(epoch, 10) for epoch in range(1, 11)] == [True] * 7 + [False] * 3
    assert options.regrowth_after(1, 10) == pytest.approx(0.2)
    assert options.regrowth_after(7, 10) == 0.0


def test_warm_up_and_interval_say_when() -> None:
    options = ScaOptions(warm_up=2, interval=3, frozen=0.0)
    assert [epoch for epoch in range(1, 11) if options.updates_after(epoch, 10)] == [3, 6, 9, 10]


def test_the_published_schedule_is_constant_to_the_last_epoch() -> None:
    options = ScaOptions.published()
    assert all(options.updates_after(epoch, 5) for epoch in range(1, 6))
    assert {options.regrowth_after(epoch, 5) for epoch in range(1, 6)} == {0.2}
    assert options.l1 == 3e-5


@pytest.mark.parametrize("masking", Masking)
def test_an_interrupted_training_ends_with_the_same_network(tmp_path: Path, masking: Masking) -> None:
    options = ScaOptions(sparsity=0.5, masking=masking, criterion=Regrowth.RANDOM, regrowth=0.2)
    whole, expected = _train(options)

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        del total
        if done == 3:
            raise StopError

    network = _network()
    interrupted = ChannelPruning(network, options)
    with pytest.raises(StopError):
        fit(
            network,
            *_data(),
            FIT,
            seed=0,
            checkpoint=tmp_path,
            callbacks=(interrupted,),
            progress=stop,
        )
    assert all(layer.neurons.meter is None for layer in interrupted.layers)
    assert not any(layer.norm.gate.requires_grad for layer in interrupted.layers)
    network = _network()
    pruning = ChannelPruning(network, options)
    fit(network, *_data(), FIT, seed=0, checkpoint=tmp_path, callbacks=(pruning,))
    assert pruning.updates == expected.updates
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_checkpoint_of_other_options_or_without_state_is_refused(tmp_path: Path) -> None:
    network = _network()
    first = ChannelPruning(network, ScaOptions(sparsity=0.5))
    fit(network, *_data(), replace(FIT, epochs=1), seed=0, checkpoint=tmp_path, callbacks=(first,))
    other = ChannelPruning(network, ScaOptions(sparsity=0.6))
    with pytest.raises(TrainingError, match="other options"):
        fit(network, *_data(), replace(FIT, epochs=1), seed=0, checkpoint=tmp_path, callbacks=(other,))
    with pytest.raises(PruningError, match="lacks"):
        other.restore({})
    state = other.state() | {"mask.spikes1": torch.ones(3, dtype=torch.bool)}
    with pytest.raises(PruningError, match="does not fit layer 'spikes1'"):
        other.restore(state)


def test_constant_regrowth_under_a_strict_mask_is_warned_about() -> None:
    options = replace(ScaOptions.published(sparsity=0.5), masking=Masking.STRICT)
    with pytest.warns(UntrainedChannelsWarning, match="measured untrained"):
        _train(options)


def test_a_layer_about_to_lose_everything_is_named() -> None:
    # Half of the channels may go; the first layer has the smaller weights and would lose all of its own.
    network = _network()
    with torch.no_grad():
        part(network, "parts.norm1", GatedNorm).weight.fill_(1e-4)
    pruning = ChannelPruning(
        network, ScaOptions(sparsity=0.5, ranking=Ranking.SLIMMING, least=0, regrowth=0.0)
    )
    with pytest.raises(PruningError, match="'spikes1' is about to lose all its 8 channels"):
        fit(network, *_data(), replace(FIT, learning_rate=1e-6), seed=0, callbacks=(pruning,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sparsity": 1.0},
        {"sparsity": 0.9, "regrowth": 0.2},
        {"regrowth": -0.1},
        {"frozen": 1.0},
        {"interval": 0},
        {"warm_up": -1},
    ],
)
def test_impossible_options_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(PruningError, match="expected"):
        ScaOptions(**wrong)


@pytest.mark.parametrize("reset", [Reset.NONE, Reset.VALUE])
def test_polarisation_means_nothing_for_neurons_that_keep_or_set_their_potential(reset: Reset) -> None:
    network = small_vgg(neurons=NeuronShape(reset=Reset.SUBTRACT))
    ChannelPruning(network, ScaOptions(sparsity=0.5))
    for layer in network.layers.values():
        layer.reset = reset
        layer.reset_amount = 0.1 if reset.has_amount else None
    with pytest.raises(PruningError, match="rank channels by their rate"):
        ChannelPruning(network, ScaOptions(sparsity=0.5))
    ChannelPruning(network, ScaOptions(sparsity=0.5, ranking=Ranking.FIRING_RATE))


def test_more_sparsity_than_layers_allow_is_refused() -> None:
    with pytest.raises(PruningError, match="layers keep at least 3 each"):
        ChannelPruning(_network(), ScaOptions(sparsity=0.75, least=3))


def test_the_penalty_reaches_the_gradients_of_filters_only() -> None:
    network = _network()
    pruning = ChannelPruning(network, ScaOptions(l1=0.5))
    network.train()
    network(torch.from_numpy(_data()[0])).scores.sum().backward()
    before = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    pruning.after_backward(network)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        added = parameter.grad - before[name]
        expected = 0.5 * parameter.detach().sign() if parameter.dim() == 4 else torch.zeros_like(parameter)
        torch.testing.assert_close(added, expected, rtol=1e-3, atol=1e-5)
