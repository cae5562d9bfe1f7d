"""The reference on images: by hand, and against torch's own convolution."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from toolchain import ir
from toolchain.execution.reference import _convolve, _image
from toolchain.ir import Window


def test_a_kernel_is_not_flipped() -> None:
    x = np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0]]])
    kernel = np.array([[[[1, 2], [3, 4]]]])
    assert _convolve(x, kernel, Window((2, 2)), 1).tolist() == [[[4, 3], [2, 1]]]


def test_pooling_counts_or_joins_and_pads_with_silence() -> None:
    x = np.array([[[1, 0, 1], [1, 1, 0], [0, 0, 0]]], dtype=bool)
    options = {"name": "pool", "inputs": ("x",), "kernel": (2, 2), "stride": (2, 2), "padding": (1, 0)}
    summed = _image(ir.SumPool2d(**options), x)
    joined = _image(ir.MaxPool2d(**options), x)
    assert summed.tolist() == [[[1], [2]]]
    assert joined.tolist() == [[[True], [True]]]


@given(
    seed=st.integers(0, 10_000),
    groups=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_a_convolution_is_torchs_convolution(
    seed: int,
    groups: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (2 * groups, 6, 7))
    weights = rng.integers(-99, 100, (3 * groups, 2, *kernel))
    mine = _convolve(x, weights, Window(kernel, stride, padding, dilation), groups)
    image, kernels = (torch.from_numpy(each).double() for each in (x[None], weights))
    theirs = functional.conv2d(image, kernels, None, stride, padding, dilation, groups)
    np.testing.assert_array_equal(mine, theirs[0].numpy())
