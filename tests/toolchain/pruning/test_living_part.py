"""Training the living channels alone against training all of them behind their masks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.networks import images, small_preresnet, small_vgg
from toolchain.models import FeedForward
from toolchain.pruning import ChannelPruning, Masking, Ranking, Regrowth, ScaOptions, channel_layers
from toolchain.pruning.channels import set_gates
from toolchain.pruning.living_part import LivingPart
from toolchain.training import Callback, EpochRecord, FitOptions, Optimizer, Position, fit

EPOCHS, BATCHES = 6, 3
FIT = FitOptions(
    EPOCHS,
    batch_size=8,
    learning_rate=0.05,
    gradient_clip=float("inf"),
    optimizer=Optimizer.SGD,
    device="cpu",
)
STRICT = ScaOptions(sparsity=0.5, masking=Masking.STRICT, gradient_batches=1)


def _network(build: Any = small_vgg, momentum: float = 0.9999) -> FeedForward:
    """A network in double precision whose statistics forget soon, so that a short training is enough."""
    network = build(3).double()
    for layer in channel_layers(network):
        layer.norm.momentum = momentum
    return network


def _data(network: FeedForward) -> tuple[np.ndarray, np.ndarray]:
    x = images(network, 8 * BATCHES, seed=2).numpy()
    labels = np.random.default_rng(0).integers(0, 3, len(x))
    x[labels == 1] *= 0.5
    x[labels == 2, 0] *= 0.2
    return x, labels


class Counter(Callback):
    """Remembers which batches the whole network computed."""

    def __init__(self) -> None:
        self.whole: list[tuple[int, int]] = []

    def stand_in(self, network: Any, at: Position) -> Any:
        if isinstance(network, FeedForward):
            self.whole.append((at.epoch, at.step))
        return network


def _train(
    options: ScaOptions,
    fit_options: FitOptions = FIT,
    *,
    compute_pruned: bool = False,
    network: FeedForward | None = None,
    callbacks: tuple[Callback, ...] = (),
) -> tuple[FeedForward, ChannelPruning, Counter, tuple[EpochRecord, ...]]:
    network = _network() if network is None else network
    pruning, counter = ChannelPruning(network, options, compute_pruned=compute_pruned), Counter()
    callbacks = (pruning, *callbacks, counter)
    records = fit(network, *_data(network), fit_options, seed=0, callbacks=callbacks)
    return network, pruning, counter, records


def _equal(mine: FeedForward, theirs: FeedForward, masks: dict[str, np.ndarray]) -> None:
    """Numbers are equal up to rounding; nobody needs the statistics of what is pruned."""
    silent = {
        f"{name}.{statistic}": torch.from_numpy(~masks[layer.name])
        for layer in channel_layers(theirs)
        for name, module in theirs.named_modules()
        if module is layer.norm
        for statistic in ("running_mean", "running_var")
    }
    for (name, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
        living = ~silent[name] if name in silent else slice(None)
        # AdamW divides gradients that are nothing but rounding by their own size, and 1e-8.
        torch.testing.assert_close(a[living], b[living], rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize(
    ("options", "fit_options"),
    [
        (STRICT, FIT),
        (STRICT, replace(FIT, optimizer=Optimizer.ADAMW, learning_rate=0.01, weight_decay=0.1)),
        (STRICT, replace(FIT, weight_decay=0.01, gradient_clip=0.5)),
        (replace(STRICT, sparsity=0.6, regrowth=0.3, interval=2, warm_up=1), FIT),
        (replace(STRICT, ranking=Ranking.WEIGHT_NORM, l1=1e-3), FIT),
        (replace(STRICT, ranking=Ranking.SLIMMING, gamma_l1=1e-3), FIT),
        (replace(STRICT, ranking=Ranking.FIRING_RATE, criterion=Regrowth.RANDOM), FIT),
        (replace(STRICT, mean_gradient=True, interval=2), FIT),
        (replace(STRICT, gradient_batches=2), FIT),
        (replace(STRICT, frozen=0.0), FIT),
        (replace(STRICT, masking=Masking.FAITHFUL), FIT),
        (replace(ScaOptions.published(sparsity=0.5, regrowth=0.1), frozen=0.5), FIT),
    ],
)
def test_numbers_are_those_of_a_training_behind_masks(options: ScaOptions, fit_options: FitOptions) -> None:
    _compare(options, fit_options, small_vgg)


def test_so_they_are_where_pruned_layers_read_a_stream() -> None:
    _compare(
        STRICT, replace(FIT, optimizer=Optimizer.ADAMW, learning_rate=0.01, weight_decay=0.1), small_preresnet
    )


def _compare(options: ScaOptions, fit_options: FitOptions, build: Any) -> None:
    mine, pruning, counter, records = _train(options, fit_options, network=_network(build))
    theirs, masked, all_batches, others = _train(
        options, fit_options, network=_network(build), compute_pruned=True
    )
    assert pruning.updates == masked.updates
    assert all(np.array_equal(pruning.masks[name], masked.masks[name]) for name in masked.masks)
    _equal(mine, theirs, masked.masks)
    for a, b in zip(records, others, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-10)
        assert a.accuracy == b.accuracy
    assert len(all_batches.whole) == EPOCHS * BATCHES
    assert len(counter.whole) < EPOCHS * BATCHES


@given(seed=st.integers(0, 1000), share=st.floats(0.1, 0.9), residual=st.booleans(), frames=st.booleans())
@settings(max_examples=15, deadline=None)
def test_gradients_are_those_behind_closed_gates(
    seed: int, share: float, residual: bool, frames: bool
) -> None:
    network = _network(small_preresnet if residual else small_vgg).train()
    layers = channel_layers(network)
    rng = np.random.default_rng(seed)
    masks = {layer.name: rng.random(layer.channels) < share for layer in layers}
    for mask in masks.values():
        mask[rng.integers(len(mask))] = True
    set_gates(layers, masks)
    x = images(network, 4, seed)
    x = x[:, None].expand(-1, 3, -1, -1, -1) if frames else x
    results = []
    for model in (network, LivingPart(network, masks)):
        network.zero_grad()
        scores = model(x).scores
        scores.square().sum().backward()
        gradients = {name: p.grad for name, p in network.named_parameters()}
        results.append((scores.detach(), gradients))
    (whole, expected), (living, gradients) = results
    torch.testing.assert_close(living, whole, rtol=1e-10, atol=1e-12)
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-9, atol=1e-11, msg=name)
        assert gradients[name] is not None


@pytest.mark.parametrize("ranking", [1, 2])
def test_the_whole_network_is_computed_only_where_gradients_rank(ranking: int) -> None:
    options = replace(STRICT, regrowth=0.2, frozen=0.5, gradient_batches=ranking)
    _, _, counter, _ = _train(options)
    # Before the first update, then in the last batches of an epoch, until nothing comes back any more.
    first = [(1, batch) for batch in range(1, BATCHES + 1)]
    assert counter.whole == [*first, *((2, batch) for batch in range(BATCHES - ranking + 1, BATCHES + 1))]


def test_a_faithful_mask_is_computed_alone_once_it_is_frozen() -> None:
    _, _, counter, _ = _train(replace(STRICT, masking=Masking.FAITHFUL, frozen=0.5))
    assert counter.whole == [(epoch, batch) for epoch in (1, 2, 3) for batch in range(1, BATCHES + 1)]


def test_statistics_that_would_not_forget_are_computed() -> None:
    network = _network(momentum=0.1)
    _, _, counter, _ = _train(replace(STRICT, frozen=0.3), network=network)
    assert {epoch for epoch, _ in counter.whole} == {1, 2, 3, 4}


def test_a_callback_sees_the_gradients_of_all_parameters() -> None:
    class Listener(Callback):
        def after_backward(self, network: nn.Module) -> None:
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.shape == parameter.shape

    _train(STRICT, callbacks=(Listener(),))


@pytest.mark.parametrize("done", [2, 3, 5])
def test_a_training_that_was_interrupted_ends_with_the_same_bits(tmp_path: Path, done: int) -> None:
    whole, expected, _, _ = _train(STRICT)

    class StopError(Exception):
        pass

    def stop(epoch: int, total: int) -> None:
        if epoch == done:
            raise StopError

    network = _network()
    pruning = ChannelPruning(network, STRICT)
    with pytest.raises(StopError):
        fit(
            network,
            *_data(network),
            FIT,
            seed=0,
            checkpoint=tmp_path,
            callbacks=(pruning,),
            progress=stop,
        )
    network = _network()
    pruning = ChannelPruning(network, STRICT)
    fit(network, *_data(network), FIT, seed=0, checkpoint=tmp_path, callbacks=(pruning,))
    assert pruning.updates == expected.updates
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_network_that_cannot_shrink_is_trained_behind_masks() -> None:
    network = _network()
    activation = nn.Identity()
    name = next(iter(network.parts))
    network.parts[name] = nn.Sequential(network.parts[name], activation)
    _, _, counter, records = _train(STRICT, network=network)
    assert len(counter.whole) == EPOCHS * BATCHES
    assert records[-1].loss < records[0].loss
