"""Products with what enters: events and matrices give the same currents and gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.toolchain.models.loops.random_streams import streams
from toolchain.models.loops import products
from toolchain.models.loops.events import StreamEvents
from toolchain.models.loops.products import EventProduct, MatrixProduct, Product, product_of, row_length


def _as_events(x: Tensor, weight: Tensor, delay: int, target: int) -> EventProduct:
    listed = StreamEvents.of(x.numpy(), 1.0)
    assert listed is not None
    return EventProduct(listed, weight, delay, target)


def _results(product: Product, like: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Currents of all blocks of steps, and the gradient of the weights where currents have their own."""
    gradient, currents = product.no_gradient(), []
    for start in range(0, like.shape[1], block):
        a = like[:, start : start + block].clone()
        product.add_to(a, start)
        currents.append(a)
        product.learn(gradient, like[:, start : start + block].contiguous(), start)
    return torch.cat(currents, dim=1), product.gradient(gradient)


@settings(max_examples=40, deadline=None)
@given(stream=streams(), before=st.integers(0, 1), block=st.sampled_from((1, 3, 20)), seed=st.integers(0, 99))
def test_events_and_matrices_give_the_same_currents_and_gradients(
    stream: tuple[Tensor, Tensor, int], before: int, block: int, seed: int
) -> None:
    x, weight, delay = stream
    width = row_length(x.dtype)
    target, behind = before * width, -(-len(weight) // width) * width
    values = np.random.default_rng(seed).integers(-9, 10, (*x.shape[:2], target + behind + width))
    # What is no neuron has no gradient.
    values[:, :, target + len(weight) : target + behind] = 0
    like = torch.tensor(values, dtype=x.dtype)
    expected = _results(MatrixProduct(x, weight, delay, target), like, block)
    results = _results(_as_events(x, weight, delay, target), like, block)
    assert all(torch.equal(one, other) for one, other in zip(results, expected, strict=True))
    late = torch.nn.functional.pad(x, (0, 0, delay, 0))[:, : x.shape[1]]
    assert torch.equal(
        results[0][:, :, target : target + len(weight)],
        like[:, :, target:][:, :, : len(weight)] + late @ weight.T,
    )


def test_a_stream_without_channels_adds_nothing() -> None:
    x, weight = torch.zeros(2, 5, 0), torch.zeros(3, 0)
    like = torch.arange(2.0 * 5 * 16).reshape(2, 5, 16)
    for product in (_as_events(x, weight, 1, 0), MatrixProduct(x, weight, 1, 0)):
        currents, gradient = _results(product, like, 2)
        assert torch.equal(currents, like)
        assert gradient.shape == (3, 0)
    listed = StreamEvents.of(x.numpy(), 1.0)
    assert listed is not None
    assert (listed.first.tolist(), listed.places.size) == ([0] * 11, 0)


@pytest.mark.parametrize(("share", "kind"), [(0.4, EventProduct), (0.6, MatrixProduct), (1.0, MatrixProduct)])
def test_a_stream_that_is_seldom_zero_is_a_matrix(share: float, kind: type) -> None:
    x = torch.zeros(4, 10, 50)
    x.view(-1)[: int(share * x.numel())] = 1
    assert isinstance(product_of(x, torch.ones(3, 50), 0, 0), kind)
    assert isinstance(product_of(torch.zeros(0, 10, 50), torch.ones(3, 50), 0, 0), EventProduct)


def test_more_channels_than_16_bits_can_name_are_told_apart() -> None:
    x = torch.zeros(1, 2, 2**16 + 70)
    x[0, 0, [3, 2**16 + 3, 2**16 + 69]] = 1
    weight = torch.arange(x.shape[2], dtype=torch.float32)[None]
    like = torch.zeros(1, 2, row_length(x.dtype))
    like[0, 0, 0] = 2
    currents, gradient = _results(_as_events(x, weight, 0, 0), like, 2)
    assert currents[0, :, 0].tolist() == [2 + 3 + 2**16 + 3 + 2**16 + 69, 0]
    assert torch.equal(gradient[0].nonzero()[:, 0], x[0, 0].nonzero()[:, 0])
    assert gradient.max() == 2


def test_the_number_of_threads_changes_no_bit_of_a_product() -> None:
    rng, before, results = np.random.default_rng(0), torch.get_num_threads(), []
    x = torch.tensor(rng.random((20, 9, 140)) < 0.2, dtype=torch.float32)
    weight, like = torch.randn(70, 140), torch.randn(20, 9, 128)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(_results(products.product_of(x, weight, 1, 0), like, 4))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for each in results for a, b in zip(each, results[0], strict=True))
