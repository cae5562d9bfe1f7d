"""The synapses of a layer as one matrix, for products of PyTorch."""

import warnings
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[Any]
_DENSE_FROM: Final = 0.1
"""Share of synapses from which on a matrix is stored with its zeros: dense products are that much faster."""
_SPARSE_ON: Final = frozenset(("cpu", "cuda"))
"""Devices on which PyTorch has products of sparse matrices."""
_GATHERED: Final = 2**24
"""Most numbers that are gathered at once."""


@final
@dataclass(frozen=True)
class LayerPattern:
    """Which synapses a layer has; several connections may join the same two neurons.

    Attributes:
        at: Place in the lists; see `SynapseLists`.
        neurons: Number of neurons of the layer.
        reached: Places that they reach, ascending, int64 `[P]`.
        is_dense: Whether the matrix `[P, neurons]` is stored with its zeros.
        index: Position of each synapse in the flat matrix, or among the numbers that a sparse one stores.
        rows: Begins of the rows of the sparse matrix, and their columns, int32.
        columns: The same of its transpose.
        turned: Position in the sparse matrix of what its transpose stores.
    """

    at: slice
    neurons: int
    reached: Tensor
    is_dense: bool
    index: Tensor
    rows: tuple[Tensor, Tensor]
    columns: tuple[Tensor, Tensor]
    turned: Tensor

    @classmethod
    def of(cls, first: Numbers, places: Numbers, device: torch.device) -> "LayerPattern":
        """Return the pattern of a layer on a device.

        Args:
            first: Where the synapses of each of its neurons begin, `[neurons + 1]`.
            places: Places of the synapses of all layers.
            device: Where weights lie.
        """
        at, neurons = slice(int(first[0]), int(first[-1])), len(first) - 1
        reached, row = np.unique(places[at], return_inverse=True)
        flat = row * neurons + np.repeat(np.arange(neurons), np.diff(first))
        cells, index = np.unique(flat, return_inverse=True)
        row, column = np.divmod(cells, neurons)
        turned = np.argsort(column, kind="stable")
        is_dense = device.type not in _SPARSE_ON or len(cells) >= _DENSE_FROM * len(reached) * neurons

        def on(values: Numbers, kind: type[np.generic] = np.int32) -> Tensor:
            return torch.from_numpy(values.astype(kind)).to(device)

        def begins(ascending: Numbers, count: int) -> Numbers:
            return np.searchsorted(ascending, np.arange(count + 1))

        return cls(
            at=at,
            neurons=neurons,
            reached=on(reached, np.int64),
            is_dense=is_dense,
            index=on(flat if is_dense else index, np.int64),
            rows=(on(begins(row, len(reached))), on(column)),
            columns=(on(begins(column[turned], neurons)), on(row[turned])),
            turned=on(turned, np.int64),
        )


@final
class LayerMatrix:
    """The synapses of a layer with their weights.

    Args:
        pattern: The synapses.
        weights: Weights of the synapses of all layers, in the order of the lists.
    """

    def __init__(self, pattern: LayerPattern, weights: Tensor) -> None:
        self._pattern = pattern
        own, shape = weights[pattern.at], (len(pattern.reached), pattern.neurons)
        if pattern.is_dense:
            self._matrix = own.new_zeros(shape)
            self._matrix.view(-1).index_add_(0, pattern.index, own)
            self._transpose = self._matrix.T
        else:
            values = own.new_zeros(len(pattern.turned)).index_add_(0, pattern.index, own)
            self._matrix = _sparse(*pattern.rows, values, shape)
            self._transpose = _sparse(*pattern.columns, values[pattern.turned], shape[::-1])

    def bring(self, spikes: Tensor, currents: Tensor) -> None:
        """Add what spikes `[B, neurons]` bring to currents `[B, places]`, counted from their own step."""
        currents.index_add_(1, self._pattern.reached, (self._matrix @ spikes.T).T)

    def fetch(self, by_currents: Tensor) -> Tensor:
        """Return gradients with respect to spikes, `[B, neurons]`; `bring` backwards."""
        return (self._transpose @ by_currents[:, self._pattern.reached].T).T

    def no_gradient(self) -> Tensor:
        """Return a place for the gradient of the weights, zero."""
        if self._pattern.is_dense:
            return torch.zeros_like(self._matrix)
        values = torch.zeros_like(self._matrix.values())
        return _sparse(*self._pattern.rows, values, tuple(self._matrix.shape))

    def learn(self, gradient: Tensor, spikes: Tensor, by_currents: Tensor, neurons: int) -> Tensor:
        """Return a gradient of the weights with what a block of steps adds to it.

        Args:
            gradient: The gradient so far; may be changed.
            spikes: Spikes `[B, T, neurons]`.
            by_currents: Gradients with respect to currents, `[B, places]`, from the first step on.
            neurons: Places of a step.
        """
        reached = self._pattern.reached
        batch, steps, _ = spikes.shape
        for part in torch.arange(steps, device=reached.device).split(
            max(_GATHERED // max(batch * len(reached), 1), 1)
        ):
            places = (part[:, None] * neurons + reached).flatten()
            gathered = by_currents[:, places].view(batch * len(part), len(reached))
            sent = spikes[:, part].flatten(0, 1)
            if self._pattern.is_dense:
                gradient.addmm_(gathered.T, sent)
            else:
                gradient = torch.sparse.sampled_addmm(gradient, gathered.T.contiguous(), sent)
        return gradient

    def store(self, gradient: Tensor, by_weights: Tensor) -> None:
        """Write a gradient to where the synapses stand in `by_weights`."""
        values = gradient.view(-1) if self._pattern.is_dense else gradient.values()
        by_weights[self._pattern.at] = values[self._pattern.index]


def _sparse(begins: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a sparse matrix."""
    with warnings.catch_warnings():
        # PyTorch says once that such matrices are new, and that it does not check them.
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)", category=UserWarning)
        return torch.sparse_csr_tensor(begins, columns, values, shape)
