"""The paper's read-out: the most central tenth of the pool → 20 neurons → outputs, as spiking layers."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.errors import PruningError
from toolchain.models.network import Connection, Network
from toolchain.models.neurons import CubaLif, MaskedSynapses
from toolchain.pruning.lnp.centrality import betweenness, most_central
from toolchain.pruning.recurrent import pool_of

SHARE: Final = 0.1
INNER: Final = 20


def central_neurons(
    network: Network, layer: str, rng: np.random.Generator, share: float = SHARE
) -> NDArray[np.int64]:
    """Return the indices of the most central neurons of a recurrent layer, at least one, ascending.

    Args:
        network: Pruned or not.
        layer: Name of the recurrent layer.
        rng: Breaks ties.
        share: Of its neurons.

    Raises:
        PruningError: The share is not in 0 .. 1.
    """
    if not 0 < share <= 1:
        raise PruningError(f"expected a share of central neurons in 0 .. 1, got {share}")
    pool = pool_of(network, layer)
    return most_central(betweenness(pool.weights), max(1, round(share * pool.size)), rng)


def with_central_readout(
    network: Network,
    layer: str,
    rng: np.random.Generator,
    *,
    share: float = SHARE,
    inner: int = INNER,
    inner_dv: float = 0.1,
    name: str = "inner",
) -> Network:
    """Return the network with its output layer fed by central neurons through a small spiking layer.

    Args:
        network: With one connection from the layer to the output; not modified.
        layer: Name of the recurrent layer.
        rng: Source of weights and ties.
        share: Of the neurons that are read.
        inner: Neurons of the layer between.
        inner_dv: Their leak per step.
        name: Of that layer.

    Raises:
        PruningError: There is not exactly one such connection, or the name is taken.
    """
    arrows = [
        arrow for arrow in network.connections if (arrow.source, arrow.target) == (layer, network.output)
    ]
    if len(arrows) != 1 or name in network.layers:
        raise PruningError(
            f"expected one connection from '{layer}' to '{network.output}' and no layer '{name}' yet"
        )
    chosen = central_neurons(network, layer, rng, share)
    population = network.layer(layer)
    mask = torch.zeros(inner, population.size, dtype=torch.bool)
    mask[:, torch.from_numpy(chosen)] = True
    like = population.vth
    first = torch.tensor(rng.normal(0, 1 / np.sqrt(len(chosen)), mask.shape), dtype=like.dtype)
    outputs = network.layer(network.output).size
    second = torch.tensor(rng.normal(0, 1 / np.sqrt(inner), (outputs, inner)), dtype=like.dtype)
    between = CubaLif(
        inner, du=1.0, dv=inner_dv, vth=1.0, surrogate=population.surrogate, slope=population.slope
    ).to(like.dtype)
    layers = {key: network.layer(key) for key in network.layers if key != network.output}
    kept = {arrow: network.synapses[arrow.name] for arrow in network.connections if arrow != arrows[0]}
    added = {
        Connection("to_inner", layer, name): MaskedSynapses(first, mask),
        Connection(arrows[0].name, name, network.output): MaskedSynapses(second),
    }
    return network.with_parts(
        {**layers, name: between, network.output: network.layer(network.output)}, {**kept, **added}
    )
