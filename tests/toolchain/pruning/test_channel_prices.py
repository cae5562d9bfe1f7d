"""What channels cost: the operations of later layers, channel by channel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.networks import images, small_preresnet, small_vgg
from toolchain.errors import PruningError
from toolchain.models import INPUT, FeedForward, VggShape, build_vgg
from toolchain.pruning import ChannelPrice, ChannelPruning, Masking, ScaOptions, channel_layers
from toolchain.pruning.channel_prices import ChannelPrices, channel_operations
from toolchain.training import FitOptions, Optimizer, fit
from toolchain.training.operations import operations


@pytest.mark.parametrize("network", [small_vgg(), small_preresnet()])
def test_the_operations_of_channels_are_those_of_the_network_without_them(network: FeedForward) -> None:
    x = images(network).float()
    spikes = network(x, record=True).spikes
    entering = {INPUT: x}
    costs = channel_operations(network, entering, spikes)
    total = sum(float(each.detach()) for each in operations(network, entering, spikes).values())
    for name, cost in costs.items():
        for channel in range(len(cost)):
            silent = {each: sent.detach().clone() for each, sent in spikes.items()}
            silent[name][:, :, channel] = 0
            left = sum(float(each) for each in operations(network, entering, silent).values())
            assert cost[channel] == pytest.approx(total - left, rel=1e-4, abs=1e-2)
    assert any(cost.any() for cost in costs.values())


def test_a_pruned_channel_has_the_price_of_when_it_lived() -> None:
    network = small_vgg()
    layers = channel_layers(network)
    prices = ChannelPrices(layers)
    assert (prices.of("spikes1") == 1).all()
    x = images(network).float()
    spikes = network(x, record=True).spikes
    masks = {layer.name: np.ones(layer.channels, bool) for layer in layers}
    prices.measure(network, {INPUT: x}, spikes, masks)
    before = prices.operations["spikes1"].copy()
    masks["spikes1"][:3] = False
    prices.measure(network, {INPUT: x}, {name: 0 * each for name, each in spikes.items()}, masks)
    assert (prices.operations["spikes1"][:3] == before[:3]).all()
    assert (prices.operations["spikes1"][3:] == 0).all()
    again = ChannelPrices(layers)
    again.restore(prices.state())
    assert (again.of("spikes1") == prices.of("spikes1")).all()
    with pytest.raises(PruningError, match="lacks the prices of layer 'spikes1'"):
        again.restore({})


def _train(options: ScaOptions, **more: object) -> tuple[FeedForward, ChannelPruning]:
    network = build_vgg(VggShape(plan=(8, 12), image=(1, 6, 6), classes=3), torch.Generator().manual_seed(0))
    x = np.random.default_rng(1).random((64, 1, 6, 6)).astype(np.float32)
    pruning = ChannelPruning(network, options)
    given = FitOptions(5, batch_size=32, learning_rate=0.05, optimizer=Optimizer.SGD)
    fit(network, x, np.arange(64) % 3, given, seed=0, callbacks=[pruning], **more)  # pyright: ignore[reportArgumentType]
    return network, pruning


@pytest.mark.parametrize("masking", Masking)
def test_pruning_by_operations_leaves_as_many_channels_and_continues_exactly(
    masking: Masking, tmp_path: Path
) -> None:
    options = ScaOptions(sparsity=0.5, masking=masking, price=ChannelPrice.OPERATIONS)
    whole, pruning = _train(options)
    assert sum(int(mask.sum()) for mask in pruning.masks.values()) == 10
    _, other = _train(ScaOptions(sparsity=0.5, masking=masking))
    assert any((pruning.masks[name] != mask).any() for name, mask in other.masks.items())

    def stop(done: int, total: int) -> None:
        del total
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(options, checkpoint=tmp_path, progress=stop)
    again, continued = _train(options, checkpoint=tmp_path)
    assert continued.updates == pruning.updates
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_the_first_layer_of_equal_rates_costs_more_where_more_reads_it() -> None:
    network = small_vgg()
    x = images(network).float()
    spikes = {name: torch.ones_like(each) for name, each in network(x, record=True).spikes.items()}
    costs = channel_operations(network, {INPUT: x}, spikes)
    conv = network.parts["conv2"]
    assert isinstance(conv, nn.Conv2d)
    # All channels send equally much, and every one has as many weights behind it.
    assert np.ptp(costs["spikes1"]) == pytest.approx(0)
    assert costs["spikes1"][0] > costs["spikes2"][0]
