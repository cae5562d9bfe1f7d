"""Feed-forward networks: neurons over all steps at once, gated norms, VGG and PreResNet."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.networks import images, small_preresnet, small_vgg
from toolchain.errors import ArgumentError, FrontendError, UnknownNameError
from toolchain.models import (
    POOL,
    ActivityMeter,
    Add,
    CubaLif,
    FeedForward,
    GatedNorm,
    NetworkBlock,
    NeuronShape,
    PreResNetShape,
    Spiking,
    Surrogate,
    VggShape,
    build_preresnet,
    build_vgg,
)
from toolchain.reset import Reset


@pytest.mark.parametrize("surrogate", Surrogate)
@pytest.mark.parametrize("tau", [None, 2.5])
@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize(
    ("reset", "amount"),
    [
        (Reset.ZERO, None),
        (Reset.SUBTRACT, None),
        (Reset.SUBTRACT, 0.4),
        (Reset.VALUE, -0.3),
        (Reset.NONE, None),
    ],
)
def test_all_steps_at_once_are_the_steps_one_by_one(
    surrogate: Surrogate, tau: float | None, still: bool, reset: Reset, amount: float | None
) -> None:
    dv = NeuronShape(tau=tau).layer().dv
    firing: dict[str, Any] = {"reset": reset, "reset_amount": amount}
    layer = Spiking(vth=0.7, dv=dv, surrogate=surrogate, **firing)
    single = CubaLif(12, dv=dv, vth=0.7, surrogate=surrogate, slope=layer.slope, **firing)
    x = torch.randn(1 if still else 5, 2, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weight = torch.randn(5, 2, 12, generator=torch.Generator().manual_seed(2))

    spikes, potential = layer(mine, 5)
    (spikes.flatten(2) * weight).sum().backward()

    state = single.dynamics.rest(torch.zeros(2, 12))
    rows = []
    for t in range(5):
        s, state = single.step(theirs[0 if still else t].flatten(1), state)
        rows.append(s)
        after = layer.after(potential[t], spikes[t].detach())
        torch.testing.assert_close(after.flatten(1), state.v.detach())
    (torch.stack(rows) * weight).sum().backward()
    assert torch.equal(spikes.flatten(2), torch.stack(rows))
    assert mine.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_gate_is_a_factor_on_the_output_and_its_gradient_too() -> None:
    gated, plain = GatedNorm(3), nn.BatchNorm2d(3)
    x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        gated.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
        gated.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
        plain.weight.copy_(gated.weight)
        plain.bias.copy_(gated.bias)
        gated.gate.copy_(torch.tensor([1.0, 0.0, 1.0]))
    gated.gate.requires_grad_()
    gate = torch.tensor([1.0, 0.0, 1.0], requires_grad=True)
    weight = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))

    mine, theirs = gated(x), plain(x) * gate[:, None, None]
    (mine * weight).sum().backward()
    (theirs * weight).sum().backward()

    torch.testing.assert_close(mine, theirs)
    assert gate.grad is not None
    assert gated.gate.grad is not None
    torch.testing.assert_close(gated.gate.grad, gate.grad, rtol=1e-4, atol=1e-4)
    assert gated.gate.grad[1] != 0, "a closed gate must still say what it would be worth"
    assert gated.weight.grad is not None
    assert gated.weight.grad[1] == 0


def test_the_meter_is_the_clipped_potential_before_the_reset() -> None:
    layer = Spiking(vth=1.0)
    layer.meter = ActivityMeter(2, 1.0)
    layer.train()
    # Channel 0 fires at once (H = 3 counts as 1); channel 1 sinks: |H| = 0.5, then 1.0.
    x = torch.tensor([[3.0, -0.5], [0.25, -0.5]])[:, None, :, None, None]
    layer(x, 2)
    assert layer.meter.potential.tolist() == [(1 + 0.25) / 2, (0.5 + 1.0) / 2]
    assert layer.meter.rate.tolist() == [0.5, 0.0]
    layer.eval()
    layer(x, 2)
    assert layer.meter.batches == 1, "evaluation must not be measured"


def test_vgg16_and_preresnet18_have_the_published_numbers_of_parameters() -> None:
    generator = torch.Generator().manual_seed(0)
    vgg, resnet = build_vgg(VggShape.named("vgg16"), generator), build_preresnet(PreResNetShape(), generator)
    assert sum(p.numel() for p in vgg.parameters()) == 15_250_378
    assert sum(p.numel() for p in resnet.parameters()) == 11_172_298


@pytest.mark.parametrize(("name", "layers"), [("vgg5", 5), ("vgg9", 9), ("vgg11", 11), ("vgg16", 16)])
def test_a_vgg_has_as_many_weight_layers_as_its_name_says(name: str, layers: int) -> None:
    network = build_vgg(VggShape.named(name, width=0.1, hidden=8), torch.Generator().manual_seed(0))
    assert sum(isinstance(part, nn.Conv2d | nn.Linear) for part in network.modules()) == layers


def test_poolings_that_follow_one_another_have_names_of_their_own() -> None:
    shape = VggShape(plan=(2, POOL, POOL, 3), image=(1, 8, 8), hidden=(), classes=3)
    network = build_vgg(shape, torch.Generator().manual_seed(0)).eval()
    names = [block.name for block in network.blocks]
    assert names.index("pool1_2") == names.index("pool1") + 1
    assert network(torch.rand(2, 1, 8, 8)).scores.shape == (2, 3)


@pytest.mark.parametrize("network", [small_vgg(), small_preresnet()], ids=["vgg", "preresnet"])
def test_a_still_image_is_the_same_as_its_frames(network: FeedForward) -> None:
    x = images(network)
    network.double()
    with torch.inference_mode():
        still, frames = network(x, record=True), network(x[:, None].expand(-1, 4, -1, -1, -1), record=True)
    torch.testing.assert_close(still.scores, frames.scores)
    assert all(torch.equal(still.spikes[name], frames.spikes[name]) for name in network.layers)


def test_images_of_another_size_are_refused_with_both_sizes() -> None:
    with pytest.raises(FrontendError, match=r"batch, 2x8x8.*got \[1, 2, 9, 9\]"):
        small_vgg()(torch.zeros(1, 2, 9, 9))
    with pytest.raises(FrontendError, match="at least 1 frame"):
        small_vgg()(torch.zeros(1, 0, 2, 8, 8))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda g: build_vgg(VggShape(plan=(4,), steps=0), g), "steps: expected a whole number, 1 .."),
        (lambda g: build_vgg(VggShape(plan=(4, POOL, POOL), image=(1, 3, 3)), g), "too small for 2 poolings"),
        (lambda g: build_preresnet(PreResNetShape(image=(3, 4, 4)), g), "too small for 4 stages"),
        (lambda g: build_preresnet(PreResNetShape(blocks=(1,)), g), "one number of blocks per stage"),
        (lambda _: NeuronShape(tau=0.5), "tau: expected a number at least 1"),
    ],
)
def test_impossible_shapes_are_named(build: Callable[[torch.Generator], object], message: str) -> None:
    with pytest.raises((ArgumentError, FrontendError), match=message):
        build(torch.Generator())


def test_an_unknown_vgg_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vgg16'"):
        VggShape.named("vgg61")


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({NetworkBlock("a", ("nowhere",)): nn.Linear(2, 2)}, "reads 'nowhere'"),
        ({NetworkBlock("a", ("input", "input")): nn.Linear(2, 2)}, "only Add may"),
        ({NetworkBlock("a", ("input",)): Add()}, "last block must be a Linear"),
        ({NetworkBlock("a", ()): nn.Linear(2, 2)}, "'a' reads nothing"),
        (
            {NetworkBlock("a", ("input",)): nn.Linear(2, 2), NetworkBlock("a", ("a",)): nn.Linear(2, 2)},
            "two blocks are called 'a'",
        ),
    ],
)
def test_blocks_that_do_not_fit_are_named(blocks: dict[NetworkBlock, nn.Module], message: str) -> None:
    with pytest.raises(FrontendError, match=message):
        FeedForward(blocks, shape=(1, 2, 2))


@pytest.mark.parametrize(
    "fields",
    [
        {"reset": "value"},
        {"reset_amount": 1.0},
        {"reset": "none", "reset_amount": 1.0},
        {"reset": "subtract", "reset_amount": -1.0},
    ],
)
def test_an_amount_that_a_reset_has_no_use_for_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="reset_amount"):
        Spiking(**fields)
