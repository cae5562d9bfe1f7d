"""Making a channel-pruned network really smaller."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.networks import images, small_preresnet, small_vgg
from toolchain.errors import PruningError
from toolchain.models import (
    FeedForward,
    GatedNorm,
    NetworkBlock,
    PreResNetShape,
    Spiking,
    VggShape,
    build_preresnet,
    build_vgg,
)
from toolchain.pruning import channel_layers, compact_channels
from toolchain.pruning.channels import set_gates, silence

Masks = dict[str, np.ndarray]


def _random_masks(network: FeedForward, seed: int, share: float) -> Masks:
    rng = np.random.default_rng(seed)
    masks = {layer.name: rng.random(layer.channels) < share for layer in channel_layers(network)}
    for mask in masks.values():
        mask[rng.integers(len(mask))] = True
    return masks


def _spikes(network: FeedForward) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        return dict(network.double()(images(network), record=True).spikes)


@given(seed=st.integers(0, 1000), share=st.floats(0.1, 0.9), residual=st.booleans(), gated=st.booleans())
@settings(max_examples=15)
def test_the_compact_network_spikes_as_the_masked_one(
    seed: int, share: float, residual: bool, gated: bool
) -> None:
    network = small_preresnet(seed) if residual else small_vgg(seed)
    masks = _random_masks(network, seed, share)
    if gated:
        set_gates(channel_layers(network), masks)
    else:
        silence(channel_layers(network), masks)
    whole = _spikes(network)
    small = _spikes(compact_channels(network, masks))
    for name, spikes in whole.items():
        living = spikes[:, :, torch.from_numpy(masks[name])] if name in masks else spikes
        assert torch.equal(small[name], living), name
        if name in masks:
            assert not spikes[:, :, torch.from_numpy(~masks[name])].any()


@pytest.mark.parametrize("build", [small_vgg, small_preresnet])
def test_a_compact_network_can_be_pruned_again(build: Callable[[int], FeedForward]) -> None:
    once = compact_channels(build(1), _random_masks(build(1), 1, 0.7))
    masks = _random_masks(once, 2, 0.6)
    silence(channel_layers(once), masks)
    whole, small = _spikes(once), _spikes(compact_channels(once, masks))
    for name, spikes in whole.items():
        living = spikes[:, :, torch.from_numpy(masks[name])] if name in masks else spikes
        assert torch.equal(small[name], living), name


def test_neurons_that_read_the_input_are_left_alone() -> None:
    blocks = {
        NetworkBlock("first", ("input",)): Spiking(),
        NetworkBlock("conv", ("first",)): nn.Conv2d(1, 3, 2, bias=False),
        NetworkBlock("norm", ("conv",)): GatedNorm(3),
        NetworkBlock("spikes", ("norm",)): Spiking(),
        NetworkBlock("flatten", ("spikes",)): nn.Flatten(),
        NetworkBlock("classifier", ("flatten",)): nn.Linear(3, 2),
    }
    network = FeedForward(blocks, shape=(1, 2, 2))
    assert [layer.name for layer in channel_layers(network)] == ["spikes"]


def _prefixes(counts: list[int], network: FeedForward) -> Masks:
    layers = channel_layers(network)
    return {
        layer.name: np.arange(layer.channels) < count for layer, count in zip(layers, counts, strict=True)
    }


def test_the_published_vgg16_has_its_published_size() -> None:
    network = build_vgg(VggShape.named("vgg16"), torch.Generator().manual_seed(0))
    counts = [64, 64, 128, 128, 256, 256, 252, 462, 401, 450, 419, 409, 512]
    small = compact_channels(network, _prefixes(counts, network))
    assert sum(counts) == 3801
    assert sum(p.numel() for p in small.parameters()) / 15_250_378 == pytest.approx(0.769, abs=5e-4)


@pytest.mark.parametrize(
    ("counts", "millions"),
    [
        ([64, 64, 62, 52, 59, 84, 105, 81, 105, 111, 170, 124, 97, 22, 139, 1, 260], 1.588),
        ([64, 61, 54, 49, 53, 73, 101, 68, 92, 84, 104, 62, 60, 15, 50, 3, 223], 1.119),
    ],
)
def test_published_preresnet18_configurations_have_their_published_sizes(
    counts: list[int], millions: float
) -> None:
    # The 1 x 1 shortcuts of those networks read the stream, so that they keep all their inputs.
    shape = PreResNetShape(spiking_shortcut=False)
    network = build_preresnet(shape, torch.Generator().manual_seed(0))
    small = compact_channels(network, _prefixes(counts, network))
    # There the norms that read the stream keep all channels, and the selection follows them.
    streams = [layer for layer in channel_layers(network) if layer.filters is None]
    uncut = sum(2 * layer.channels for layer in streams) - sum(2 * count for count in counts[::2])
    parameters = sum(p.numel() for p in small.parameters()) + uncut
    assert parameters / 1e6 == pytest.approx(millions, abs=5e-4)


def test_preresnet18_has_the_published_number_of_channels() -> None:
    network = build_preresnet(PreResNetShape(), torch.Generator().manual_seed(0))
    assert sum(layer.channels for layer in channel_layers(network)) == 3904


def test_a_layer_without_channels_is_refused_by_name() -> None:
    network = small_vgg()
    masks = _random_masks(network, 0, 0.5)
    masks["spikes2"][:] = False
    with pytest.raises(PruningError, match="'spikes2' would lose all its 8 channels"):
        compact_channels(network, masks)


def test_masks_that_do_not_fit_are_refused() -> None:
    network = small_vgg()
    masks = _random_masks(network, 0, 0.5)
    with pytest.raises(PruningError, match="'spikes1' has 6 channels"):
        compact_channels(network, masks | {"spikes1": np.ones(5, bool)})
    with pytest.raises(PruningError, match="one mask per layer"):
        compact_channels(network, {"spikes1": np.ones(6, bool)})


def test_a_network_without_channels_cannot_be_pruned() -> None:
    blocks = {
        NetworkBlock("flatten", ("input",)): nn.Flatten(),
        NetworkBlock("first", ("flatten",)): nn.Linear(4, 3),
        NetworkBlock("spikes", ("first",)): Spiking(),
        NetworkBlock("classifier", ("spikes",)): nn.Linear(3, 2),
    }
    with pytest.raises(PruningError, match="no layer of convolution"):
        channel_layers(FeedForward(blocks, shape=(1, 2, 2)))


def test_a_grouped_convolution_is_not_cut_in_silence() -> None:
    blocks = {
        NetworkBlock("conv1", ("input",)): nn.Conv2d(2, 4, 3, groups=2, bias=False),
        NetworkBlock("norm1", ("conv1",)): GatedNorm(4),
        NetworkBlock("spikes1", ("norm1",)): Spiking(),
        NetworkBlock("flatten", ("spikes1",)): nn.Flatten(),
        NetworkBlock("classifier", ("flatten",)): nn.Linear(16, 2),
    }
    network = FeedForward(blocks, shape=(2, 4, 4))
    with pytest.raises(PruningError, match="2 groups"):
        compact_channels(network, {"spikes1": np.array([True, True, False, True])})
