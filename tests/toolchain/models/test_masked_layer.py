"""A layer of few weights computes, and learns, what PyTorch computes with weights of zero."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from toolchain.models.masked_layer import MaskedLayer


def _thinned(module: nn.Conv2d | nn.Linear, share: float, seed: int) -> MaskedLayer:
    """The layer with a share of its weights, at least one."""
    chance = torch.Generator().manual_seed(seed)
    mask = torch.zeros(module.weight.shape, dtype=torch.bool)
    places = torch.randperm(mask.numel(), generator=chance)[: max(1, int(share * mask.numel()))]
    mask.view(-1)[places] = True
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=chance))
        module.weight.mul_(mask)
    layer = MaskedLayer(module)
    assert layer.mask is not None
    assert torch.equal(layer.mask, mask)
    return layer


def _learnt(forward: Any, x: Tensor, module: nn.Module) -> list[Tensor]:
    """What comes out, and the gradients of what enters and of all parameters."""
    x = x.detach().requires_grad_()
    module.zero_grad()
    made = forward(x)
    factors = torch.randn(made.shape, generator=torch.Generator().manual_seed(1), dtype=made.dtype)
    (made * factors).sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    assert x.grad is not None
    return [made.detach(), x.grad, *(each.clone() for each in gradients if each is not None)]


@settings(max_examples=25)
@given(data=st.data())
def test_a_sparse_convolution_is_that_of_pytorch(data: st.DataObject) -> None:
    whole = data.draw(st.tuples(*[st.integers(1, 4)] * 3, st.integers(1, 3), st.integers(1, 3)))
    samples, sources, targets, rows, columns = whole
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    dilation = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    module = nn.Conv2d(
        8 * sources,
        targets,
        (rows, columns),
        padding=padding,
        dilation=dilation,
        bias=data.draw(st.booleans()),
    ).double()
    layer = _thinned(module, 0.2, data.draw(st.integers(0, 1000)))
    height, width = (data.draw(st.integers(5, 8)) for _ in range(2))
    x = torch.randn(samples, 8 * sources, height, width, dtype=torch.float64)
    if data.draw(st.booleans()):
        x = x.contiguous(memory_format=torch.channels_last)
    ours, theirs = _learnt(layer, x, module), _learnt(module, x, module)
    assert layer.mask is not None
    theirs[2] *= layer.mask
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-10)
    assert not ours[2][~layer.mask].any()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_sparse_dense_layer_is_that_of_pytorch(kind: torch.dtype) -> None:
    module = nn.Linear(300, 20).to(kind)
    layer = _thinned(module, 0.05, 3)
    x = torch.randn(70, 300, dtype=kind)
    ours, theirs = _learnt(layer, x, module), _learnt(module, x, module)
    assert layer.mask is not None
    theirs[2] *= layer.mask
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)
    assert not torch.equal(ours[0], theirs[0]), "no sums in another order: lists were not used"


def test_numbers_do_not_depend_on_threads() -> None:
    module = nn.Conv2d(16, 8, 3, padding=1)
    layer = _thinned(module, 0.1, 5)
    x, before = torch.randn(33, 16, 6, 7), torch.get_num_threads()
    results: list[list[Tensor]] = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(_learnt(layer, x, module))
    torch.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("changes", "share"),
    [({"stride": 2}, 0.1), ({"groups": 2}, 0.1), ({"padding_mode": "circular"}, 0.1), ({}, 0.6)],
)
def test_what_the_loops_do_not_know_or_do_not_make_faster_is_left_to_pytorch(
    changes: dict[str, Any], share: float
) -> None:
    given: dict[str, Any] = {"padding": 1} | changes
    module = nn.Conv2d(8, 8, 3, **given)
    layer = _thinned(module, share, 7)
    x = torch.randn(3, 8, 6, 6)
    assert torch.equal(layer(x), module(x))


def test_lists_follow_the_mask() -> None:
    module = nn.Linear(64, 8).double()
    layer = _thinned(module, 0.05, 9)
    x = torch.randn(5, 64, dtype=torch.float64)
    layer(x)
    mask = layer.mask
    assert mask is not None
    with torch.no_grad():
        mask[3, 7] = True
        module.weight[3, 7] = 2.5
    torch.testing.assert_close(layer(x), module(x))


def test_half_precision_is_left_to_pytorch() -> None:
    module = nn.Linear(64, 8)
    layer = _thinned(module, 0.05, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(5, 64)).dtype == torch.bfloat16
