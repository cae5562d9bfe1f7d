"""Small steps from what a module computes to branches of a current."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from toolchain.arrays import Floats
from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.operations import Linear
from toolchain.ir.currents import Branch, Current, Sent, check_size
from toolchain.ir.matrix import Matrix, targets_of
from toolchain.ir.types import size_of

Value = Sent | Current
Shape = tuple[int, ...]
"""Shape of neurons, or of what is sent in one step."""
_LINE = 2


def placed(branch: Branch, channels: slice, total: int) -> Branch:
    """Return a convolution whose channels are some of more; the others get nothing."""
    kernels = np.asarray(branch.weights)
    inputs = kernels.shape[1] * branch.groups
    whole = np.zeros((total, inputs, *kernels.shape[2:]))
    share, width = len(kernels) // branch.groups, kernels.shape[1]
    for group in range(branch.groups):
        rows = slice(channels.start + group * share, channels.start + (group + 1) * share)
        whole[rows, group * width : (group + 1) * width] = kernels[group * share : (group + 1) * share]
    return replace(branch, weights=whole, groups=1)


def targets(branch: Branch) -> int:
    """Return how many targets a branch has, or channels."""
    return targets_of(branch.weights)


def product(chosen: csr_array, weights: Matrix) -> Matrix:
    """Return some rows of weights."""
    result: Untyped = chosen @ weights
    if isinstance(result, csr_array):
        result.sort_indices()
    return result


def as_maps(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return a line of samples per channel as feature maps of one row."""
    if len(shape) == _LINE:
        return shape[0], 1, shape[1]
    return shape[0], shape[1], shape[2]


def as_shape(value: Value, shape: Shape) -> Value:
    """Return a value for who reads it in a shape; feature maps may be read flat."""
    if len(shape) == 1 or value.shape == shape:
        return replace(value, flat=len(shape) == 1 and len(value.shape) > 1)
    return replace(value, flat=True)


def matrix_of(place: str, function: Linear) -> tuple[csr_array, Floats]:
    """Return a linear function as a matrix and what it adds."""
    size = size_of(function.shape)
    check_size(place, size, size)
    with torch.no_grad():
        offset = function.apply(torch.zeros(1, *function.shape, dtype=torch.float64)).reshape(-1)
        unit = torch.eye(size, dtype=torch.float64).reshape(size, *function.shape)
        columns: Tensor = function.apply(unit).reshape(size, -1) - offset
    return csr_array(columns.T.numpy()), offset.numpy()
