"""Loops compute what autograd does, step by step: spikes are equal, gradients to the last digits."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain.models.loops.random_cases import Case, cases
from toolchain.models.loops import network as loops
from toolchain.models.loops import run
from toolchain.models.loops.tensor_passes import tensor_passes


def check_equal(case: Case, tolerance: float, *, each: bool, rounding: float = 0.0) -> None:
    """Compare with autograd.

    Args:
        case: A network and its loss.
        tolerance: Largest relative difference of gradients.
        each: Whether it is relative to the largest gradient of the same parameter, else of all parameters.
        rounding: What autograd itself may be off by, beside that.
    """
    assert case.network.obstacle() is not None or case.network.compiled
    expected, expected_gradients = case.results(compiled=False)
    results, gradients = case.results(compiled=True)
    assert case.network.obstacle() is None
    for name, values in expected.items():
        if name:
            assert torch.equal(results[name], values), name
        else:
            torch.testing.assert_close(results[name], values, rtol=tolerance, atol=tolerance)
    sizes = {name: 0.0 if g is None else float(g.abs().max()) for name, g in expected_gradients.items()}
    for name, gradient in expected_gradients.items():
        got = gradients[name]
        if gradient is None or got is None:
            # Autograd gives none where a loss cannot depend on a parameter, loops give zero.
            assert all(one is None or not one.any() for one in (gradient, got)), name
            continue
        scale = sizes[name] if each else max(sizes.values())
        assert float((got - gradient).abs().max()) <= tolerance * scale + rounding, name


def rounding_of_autograd(case: Case) -> float:
    """Return by how much autograd's gradients in float32 differ from its own in float64, at most.

    Where a spike differs they are gradients of something else, and say nothing of rounding: 0.
    """
    spikes, rough = case.results(compiled=False)
    exact = Case(
        copy.deepcopy(case.network).double(),
        {name: x.detach().double().requires_grad_(x.requires_grad) for name, x in case.x.items()},
        {name: onto.double() for name, onto in case.onto.items()},
    )
    same, fine = exact.results(compiled=False)
    if not all(torch.equal(same[name], values.double()) for name, values in spikes.items() if name):
        return 0.0
    pairs = [(rough[name], fine[name]) for name in rough]
    return max((float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None), default=0.0)


@settings(max_examples=40)
@given(case=cases(), small=st.booleans(), recompute=st.booleans())
def test_compiled_loops_equal_autograd_in_float64(case: Case, *, small: bool, recompute: bool) -> None:
    case.network.recompute = recompute
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(run, "_BLOCK", 1)
        check_equal(case, 1e-10, each=True)


@settings(max_examples=20)
@given(case=cases(torch.float32), small=st.booleans())
def test_compiled_loops_equal_autograd_in_float32(case: Case, *, small: bool) -> None:
    """A gradient that is what remains of large terms has their rounding: the scale is the largest of all.

    Where many spikes a step make gradients grow without end, autograd is further than that from its own
    numbers in float64, and two orders of summation from one another.
    """
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(run, "_BLOCK", 1)
        check_equal(case, 1e-5, each=False, rounding=2 * rounding_of_autograd(case))


@settings(max_examples=20)
@given(case=cases(largest=33), share=st.sampled_from([0.0, 0.1, 2.0]), recompute=st.booleans())
def test_operations_of_pytorch_equal_autograd_with_dense_and_sparse_matrices(
    case: Case, share: float, *, recompute: bool
) -> None:
    case.network.recompute = recompute

    def everywhere(_: torch.device) -> Any:
        return tensor_passes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "passes_on", everywhere)
        patch.setattr("toolchain.models.loops.matrices._DENSE_FROM", share)
        patch.setattr(run, "_BLOCK", 1)
        check_equal(case, 1e-10, each=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@settings(max_examples=60)
@given(case=cases(), small=st.booleans(), recompute=st.booleans())
def test_a_gpu_computes_what_autograd_does_there_and_sends_the_spikes_of_the_cpu(
    case: Case, *, small: bool, recompute: bool
) -> None:
    case.network.recompute = recompute
    expected, _ = case.results(compiled=True)
    there = case.on("cuda")
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(run, "_BLOCK_ELSEWHERE", 1)
        check_equal(there, 1e-10, each=True)
        results, _ = there.results(compiled=True)
    assert all(torch.equal(results[name].cpu(), values) for name, values in expected.items() if name)
