"""Synaptic matrices `[targets, sources]`, dense or CSR: one set of functions for both.

The functions also take the weights `[out, in, height, width]` of a convolution; their rows are the output
channels.
"""

from typing import Annotated, Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from toolchain.ir.types import frozen

Matrix = NDArray[Any] | csr_array
"""A dense or a sparse matrix."""
RealMatrix = Annotated[Matrix, np.float64]
"""Weights in real numbers."""
WeightMatrix = Annotated[Matrix, np.int32]
"""Weights in integers."""
StepMatrix = Annotated[Matrix, np.int64]
"""Delays in steps."""
_MATRIX: Final = 2


def frozen_matrix(values: object, dtype: type[np.generic]) -> Matrix:
    """Return a read-only dense array, or a canonical CSR whose parts are read-only.

    Zeros that a CSR stores stay: they are synapses that carry nothing, and the quantizer reports them.
    """
    if not issparse(values):
        array = frozen(values, dtype)
        if array.ndim != _MATRIX:
            raise ValueError(f"expected a matrix [targets, sources], got {array.ndim} dimensions")
        return array
    matrix = csr_array(values, dtype=dtype, copy=True)
    matrix.sum_duplicates()
    matrix.indptr = frozen(matrix.indptr, np.int64)
    matrix.indices = frozen(matrix.indices, np.int64)
    matrix.data = frozen(matrix.data, dtype)
    return matrix


def values_of(matrix: Matrix) -> NDArray[Any]:
    """Return the stored values of a dense or CSR matrix as one flat array."""
    return matrix.data if isinstance(matrix, csr_array) else matrix.ravel()


def with_values(matrix: Matrix, values: NDArray[Any]) -> Matrix:
    """Return a matrix of the same sparsity that holds `values` (in the order of `values_of`)."""
    if isinstance(matrix, csr_array):
        return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
    return values.reshape(matrix.shape)


def rows_of(matrix: Matrix) -> NDArray[np.int64]:
    """Return the row (target neuron) of every stored value, in the order of `values_of`."""
    rows = targets_of(matrix)
    if isinstance(matrix, csr_array):
        return np.repeat(np.arange(rows), np.diff(matrix.indptr))
    return np.repeat(np.arange(rows), matrix.size // max(rows, 1))


def columns_of(matrix: Matrix) -> NDArray[np.int64]:
    """Return the column (source neuron) of every stored value, in the order of `values_of`."""
    rows, columns = cast("tuple[int, int]", matrix.shape)
    if isinstance(matrix, csr_array):
        return np.asarray(matrix.indices, dtype=np.int64)
    return np.tile(np.arange(columns), rows)


def select_synapses(matrix: Matrix, pattern: Matrix, mask: NDArray[np.bool_]) -> csr_array:
    """Return some of the values of a matrix as CSR.

    Args:
        matrix: The matrix of the values, stored like `pattern`.
        pattern: The matrix that says where they stand.
        mask: Whether a value is taken, in the order of `values_of`.
    """
    parts = (values_of(matrix)[mask], (rows_of(pattern)[mask], columns_of(pattern)[mask]))
    return csr_array(parts, shape=(targets_of(pattern), sources_of(pattern)))


def submatrix(matrix: Matrix, rows: NDArray[Any] | slice, columns: NDArray[Any] | slice) -> Matrix:
    """Return some rows and columns of a matrix, given by masks, indices or slices."""
    if isinstance(matrix, csr_array):
        return csr_array(matrix[rows][:, columns])
    return np.ascontiguousarray(matrix[rows][:, columns])


def targets_of(matrix: Matrix) -> int:
    """Return the number of target neurons, or of output channels."""
    return cast("tuple[int, ...]", matrix.shape)[0]


def sources_of(matrix: Matrix) -> int:
    """Return the number of source neurons."""
    return cast("tuple[int, int]", matrix.shape)[1]


def delay_slots(weights: Matrix, delays: Matrix | None) -> list[tuple[int, Matrix]]:
    """Return the delays that occur, each with the matrix of the synapses that have it."""
    if delays is None:
        return [(0, weights)]
    steps = values_of(delays)
    if not isinstance(weights, csr_array):
        return [(int(d), np.where(delays_array(delays) == d, weights, 0)) for d in np.unique(steps)]
    rows, columns, values = rows_of(weights), columns_of(weights), values_of(weights)
    slots: list[tuple[int, Matrix]] = []
    for d in np.unique(steps):
        mask = steps == d
        parts = (values[mask], (rows[mask], columns[mask]))
        slots.append((int(d), csr_array(parts, shape=weights.shape)))
    return slots


def delays_array(delays: Matrix) -> NDArray[Any]:
    """Return delays as a dense array."""
    return delays.toarray() if isinstance(delays, csr_array) else delays
