"""What flows along an edge, and the small values that nodes are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Matrix = NDArray[Any] | csr_array


class EdgeKind(Enum):
    """What an edge carries."""

    SPIKE = "spike"
    """0 or 1."""
    GRADED = "graded"
    """A real value in the float graph, an integer message in the fixed graph."""
    CURRENT = "current"
    """Synaptic input, summed where several edges meet."""


class Decode(Enum):
    """How the host reads an output population over the steps of a sample."""

    SPIKE_COUNT = "spike_count"
    LAST_V = "last_v"
    MEAN_V = "mean_v"
    MAX_V = "max_v"
    NONE = "none"


@final
@dataclass(frozen=True, slots=True)
class ValueType:
    """Shape of one step of one sample, and the kind of edge."""

    shape: tuple[int, ...]
    kind: EdgeKind

    def __str__(self) -> str:
        return f"{self.kind.value}[{'x'.join(map(str, self.shape))}]"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where the neurons of a population come from: the user's module and element indices.

    Attributes:
        path: Module path in the user's model.
        elements: Index of each neuron in that module, `[N]`; -1 for neurons we added.
    """

    path: str
    elements: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", frozen(self.elements, np.int64))

    @classmethod
    def whole(cls, path: str, size: int) -> "Origin":
        """Return the origin of an unpruned population of `size` neurons."""
        return cls(path, np.arange(size))

    def keep(self, kept: NDArray[Any]) -> "Origin":
        """Return the origin of the neurons selected by a mask or index."""
        return Origin(self.path, self.elements[kept])


def frozen(values: object, dtype: type[np.generic]) -> NDArray[Any]:
    """Return a read-only array of `dtype`, copied unless it is one already."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def frozen_matrix(values: object, dtype: type[np.generic]) -> Matrix:
    """Return a read-only dense array, or a canonical CSR whose parts are read-only.

    Explicit zeros of a CSR stay: they are synapses that carry nothing, which the
    quantizer reports.
    """
    if isinstance(values, np.ndarray):
        return frozen(values, dtype)
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
    rows, columns = cast("tuple[int, int]", matrix.shape)
    if isinstance(matrix, csr_array):
        return np.repeat(np.arange(rows), np.diff(matrix.indptr))
    return np.repeat(np.arange(rows), columns)


def columns_of(matrix: Matrix) -> NDArray[np.int64]:
    """Return the column (source neuron) of every stored value, in the order of `values_of`."""
    rows, columns = cast("tuple[int, int]", matrix.shape)
    if isinstance(matrix, csr_array):
        return np.asarray(matrix.indices, dtype=np.int64)
    return np.tile(np.arange(columns), rows)


def submatrix(matrix: Matrix, rows: NDArray[Any] | slice, columns: NDArray[Any] | slice) -> Matrix:
    """Return the rows and columns selected by masks, indices or slices."""
    if isinstance(matrix, csr_array):
        return csr_array(matrix[rows][:, columns])
    return np.ascontiguousarray(matrix[rows][:, columns])


def size_of(shape: Sequence[int]) -> int:
    """Return the number of elements of a shape."""
    return int(np.prod(shape, dtype=np.int64))
