"""Windows of NIR: padding by name is read where every framework reads the same, else refused."""

from typing import Any

import nir
import numpy as np
import pytest

from toolchain.errors import FrontendError
from toolchain.interchange.nir.parameters import window_of


def _line(kernel: int, stride: int, dilation: int) -> nir.Conv1d:
    return nir.Conv1d(None, np.ones((1, 1, kernel)), stride, "same", dilation, 1, np.zeros(1))


def _image(kernel: int, stride: Any, dilation: int) -> nir.Conv2d:
    return nir.Conv2d(None, np.ones((1, 1, kernel, kernel)), stride, "same", dilation, 1, np.zeros(1))


@pytest.mark.parametrize(("kernel", "dilation", "padding"), [(1, 1, 0), (3, 1, 1), (5, 2, 4), (2, 2, 1)])
def test_same_padding_puts_the_same_zeros_on_both_sides(kernel: int, dilation: int, padding: int) -> None:
    assert window_of("conv", _line(kernel, 1, dilation)).padding == (0, padding)
    assert window_of("conv", _image(kernel, 1, dilation)).padding == (padding, padding)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(2, 1, 1), (4, 1, 3), (3, 2, 1), (1, 3, 1)])
def test_same_padding_of_an_even_window_or_behind_a_stride_is_refused(
    kernel: int, stride: int, dilation: int
) -> None:
    # How a framework would split the zeros, and how many there are with a stride, is its own.
    for node in (_line(kernel, stride, dilation), _image(kernel, stride, dilation)):
        with pytest.raises(FrontendError, match=r"convolution 'conv' has padding 'same'.*state the zeros"):
            window_of("conv", node)


def test_a_stride_in_one_direction_is_refused_too() -> None:
    with pytest.raises(FrontendError, match=r"convolution 'conv' has padding 'same'.*state the zeros"):
        window_of("conv", _image(3, (1, 2), 1))
