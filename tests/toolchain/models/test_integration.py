"""Neurons in compiled loops against the same in PyTorch: spikes equal, gradients up to rounding."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.networks import images, small_vgg
from toolchain.models import ActivityMeter, Spiking, Surrogate
from toolchain.models.integration import (
    LayerRule,
    LoopIntegration,
    TensorIntegration,
    integrate_steps,
)
from toolchain.reset import Reset

RESETS: list[dict[str, Any]] = [
    {"reset": Reset.ZERO},
    {"reset": Reset.SUBTRACT},
    {"reset": Reset.SUBTRACT, "reset_amount": 0.4},
    {"reset": Reset.VALUE, "reset_amount": -0.3},
    {"reset": Reset.NONE},
]
# In units of the last place of the largest gradient.
CLOSE = {torch.float32: 1e-6, torch.float64: 1e-12}

rules = st.builds(
    lambda vth, dv, surrogate, slope, firing: (
        Spiking(vth=vth, dv=dv, surrogate=surrogate, slope=slope, **firing).rule
    ),
    vth=st.sampled_from([0.1, 0.7, 1.0, 30.0]),
    dv=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    surrogate=st.sampled_from(Surrogate),
    slope=st.sampled_from([0.5, 4.0, 25.0]),
    firing=st.sampled_from(RESETS),
)
shapes = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 1500)),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 40)),
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
)


def _laid(x: Tensor, layout: str) -> Tensor:
    """Give a tensor a layout in memory; its numbers stay."""
    if layout == "channels last" and x.dim() == 5:
        folded = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return folded.unflatten(0, x.shape[:2])
    if layout == "samples last":
        return x.movedim(1, -1).contiguous().movedim(-1, 1)
    if layout == "every second":
        return torch.stack([x, x], dim=-1).flatten(-2)[..., ::2]
    return x.contiguous()


def _run(
    function: Any, x: Tensor, weight: Tensor, rule: LayerRule, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return spikes, potentials, the gradient of the input, and the sums of the channels."""
    mine = x.detach().requires_grad_()
    sums = torch.zeros(2, x.shape[2], dtype=torch.float64)
    spikes, potential = function.apply(mine, rule, steps, sums)
    spikes.backward(weight)
    assert mine.grad is not None
    return spikes.detach(), potential, mine.grad, sums


@given(
    rule=rules,
    shape=shapes,
    steps=st.integers(1, 6),
    still=st.booleans(),
    double=st.booleans(),
    layouts=st.tuples(*[st.sampled_from(["plain", "channels last", "samples last", "every second"])] * 2),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None)
def test_compiled_loops_are_the_operations_of_pytorch(
    rule: LayerRule,
    shape: tuple[int, ...],
    steps: int,
    still: bool,
    double: bool,
    layouts: tuple[str, str],
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    kind = torch.float64 if double else torch.float32
    x = rule.vth * torch.randn((1 if still else steps, *shape), generator=generator, dtype=kind)
    x = _laid(x, layouts[0])
    weight = _laid(torch.randn((steps, *shape), generator=generator, dtype=kind), layouts[1])
    theirs, mine = (_run(each, x, weight, rule, steps) for each in (TensorIntegration, LoopIntegration))
    assert torch.equal(mine[0], theirs[0])
    assert torch.equal(mine[1], theirs[1])
    assert mine[0].stride() == theirs[0].stride()
    largest = float(theirs[2].abs().max())
    torch.testing.assert_close(mine[2], theirs[2], rtol=CLOSE[kind], atol=CLOSE[kind] * largest)
    torch.testing.assert_close(mine[3], theirs[3], rtol=CLOSE[kind] * steps, atol=0.0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("surrogate", Surrogate)
def test_derivatives_far_from_the_threshold_are_those_of_pytorch(
    kind: torch.dtype, surrogate: Surrogate
) -> None:
    rule = Spiking(vth=1.0, dv=1.0, surrogate=surrogate).rule
    x = torch.linspace(-400, 400, 4001, dtype=kind)[None, None]
    theirs, mine = (
        _run(each, x, torch.ones_like(x), rule, 1)[2] for each in (TensorIntegration, LoopIntegration)
    )
    # The exponential function stops where its results would be subnormal.
    torch.testing.assert_close(mine, theirs, rtol=200 * CLOSE[kind], atol=8 * torch.finfo(kind).tiny)


@pytest.mark.parametrize("threads", [2, 3])
def test_numbers_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    x = torch.randn(3, 8, 48, 16, 16, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(3, 8, 48, 16, 16, generator=torch.Generator().manual_seed(1))
    rule = Spiking(dv=0.25).rule
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = _run(LoopIntegration, x, weight, rule, 3)
        torch.set_num_threads(threads)
        together = _run(LoopIntegration, x, weight, rule, 3)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_other_types_of_numbers_take_the_operations_of_pytorch(kind: torch.dtype) -> None:
    x = torch.tensor([0.5, 1.0, 2.0], dtype=kind)[None, None].requires_grad_()
    spikes, _ = integrate_steps(x, Spiking().rule, 2, None)
    spikes.sum().backward()
    assert spikes.tolist() == [[[0.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]]
    assert x.grad is not None
    assert x.grad.dtype is kind


def test_a_measured_layer_gives_the_meter_what_it_sends() -> None:
    layer = Spiking(vth=0.5).train()
    layer.meter = ActivityMeter(6, 0.5)
    x = torch.randn(5, 4, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    spikes, potential = layer(x, 5)
    after = layer.after(potential, spikes)
    expected = (after.abs() + 0.5 * spikes).double().mean(dim=(0, 1, 3, 4))
    torch.testing.assert_close(layer.meter.potential, expected, rtol=1e-6, atol=0)
    rate = spikes.double().mean(dim=(0, 1, 3, 4))
    torch.testing.assert_close(layer.meter.rate, rate, rtol=1e-12, atol=0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("still", [False, True])
def test_channels_are_last_in_memory_from_the_image_to_the_classifier(channels: int, still: bool) -> None:
    network = small_vgg(image=(channels, 8, 8)).train()
    strides: dict[str, int] = {}

    def watch(name: str) -> Any:
        def after(module: torch.nn.Module, given: Any, result: Any) -> None:
            tensor = result[0] if isinstance(result, tuple) else result
            if tensor.dim() < 4:
                return
            strides[name] = tensor.stride(-3)
            # Numbers behind the flattening have no channels.
            if name != "pool3":
                tensor.register_hook(lambda g: strides.update({f"gradient of {name}": g.stride(-3)}))

        return after

    for name, module in network.parts.items():
        module.register_forward_hook(watch(name))
    x = images(network, 5).float()
    network(x if still else x[:, None].expand(-1, 4, -1, -1, -1)).scores.sum().backward()
    assert len(strides) > 15
    assert set(strides.values()) == {1}
