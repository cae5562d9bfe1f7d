"""Histograms of any values have bins."""

import numpy as np
import pytest

from toolchain.pages import bin_edges


@pytest.mark.parametrize(
    "values",
    [
        [0.3, 0.1 + 0.2],
        [1e16, 1e16 + 2],
        [-0.3, -0.3],
        [0.0],
        [1e-300, 0.0],
        [1e300, 1.0],
        [np.inf, 2.0],
        [],
        [-1.0, 3.0],
    ],
    ids=repr,
)
def test_every_finite_value_lies_in_a_bin_and_every_bin_has_a_width(values: list[float]) -> None:
    array = np.array(values)
    edges = bin_edges(array, 41)
    assert len(edges) == 42
    assert (np.diff(edges) > 0).all()
    assert np.histogram(array[np.isfinite(array)], edges)[0].sum() == np.isfinite(array).sum()


def test_values_that_differ_are_binned_from_the_least_to_the_largest() -> None:
    assert bin_edges(np.array([-1.0, 0.5, 3.0]), 4).tolist() == [-1, 0, 1, 2, 3]
