"""A pruned network made really smaller: without the rows, columns and neurons that went."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import PruningError
from toolchain.models.network import Network
from toolchain.models.neurons import CubaLif, MaskedSynapses


def compact(network: Network, neurons: Mapping[str, NDArray[np.int64]]) -> Network:
    """Return a network that holds only some neurons of the named layers.

    The neurons that stay compute exactly what they computed in the full network with the other
    neurons silenced.

    Args:
        network: The full network, not modified.
        neurons: Ascending indices of the neurons that stay, by layer. Layers not named stay whole.

    Raises:
        PruningError: A layer is unknown, or would be empty.
    """
    for name, index in neurons.items():
        if name not in network.layers:
            raise PruningError(f"layer '{name}' does not exist; known: {', '.join(network.layers)}")
        if len(index) == 0:
            raise PruningError(f"layer '{name}' would lose all its neurons")
    indices = {name: torch.as_tensor(index) for name, index in neurons.items()}
    return network.with_parts(
        {name: _keep_neurons(network.layer(name), indices.get(name)) for name in network.layers},
        {
            arrow: _keep_synapses(
                _synapses(network, arrow.name), indices.get(arrow.target), indices.get(arrow.source)
            )
            for arrow in network.connections
        },
    )


def _synapses(network: Network, name: str) -> MaskedSynapses:
    module = network.synapses[name]
    if not isinstance(module, MaskedSynapses):
        raise PruningError(f"connection '{name}' is a {type(module).__name__}; expected Synapses")
    return module


def _keep_neurons(layer: CubaLif, index: Tensor | None) -> CubaLif:
    return layer.select(torch.arange(layer.size) if index is None else index)


def _keep_synapses(
    synapses: MaskedSynapses, targets: Tensor | None, sources: Tensor | None
) -> MaskedSynapses:
    weight = _select(synapses.effective.detach(), targets, sources)
    mask = None if synapses.mask is None else _select(synapses.mask, targets, sources)
    small = MaskedSynapses(weight, None if mask is None or bool(mask.all()) else mask)
    if synapses.delays is not None:
        small.delays = synapses.delays.select(targets, sources)
    return small


def _select(matrix: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    matrix = matrix if rows is None else matrix[rows]
    return (matrix if columns is None else matrix[:, columns]).clone()
