"""LNP applied to a PyTorch network: which layer, which connection, and the smaller network."""

import numpy as np
import torch

from toolchain.errors import PruningError
from toolchain.models.network import Network
from toolchain.models.neurons import Synapses
from toolchain.progress import Progress, no_progress
from toolchain.pruning.compact import compact
from toolchain.pruning.lnp import LnpOptions, LnpResult, RecurrentPool, prune_pool


def prune_recurrent(
    network: Network,
    layer: str,
    options: LnpOptions,
    rng: np.random.Generator,
    *,
    progress: Progress = no_progress,
) -> tuple[Network, LnpResult]:
    """Prune the recurrent pool of a layer by LNP and compact the network around it.

    Args:
        network: Untrained; not modified. No data enters.
        layer: Name of a layer with exactly one connection to itself.
        options: Targets and rounds.
        rng: Source of noise and draws.
        progress: Told after every round.

    Returns:
        The smaller network, and how it came about.

    Raises:
        PruningError: The layer has no recurrent connection, or the targets are impossible.
    """
    loops = [arrow for arrow in network.connections if (arrow.source, arrow.target) == (layer, layer)]
    if len(loops) != 1:
        raise PruningError(f"layer '{layer}' has {len(loops)} connections to itself, expected one")
    population = network.layer(layer)
    synapses = network.synapses[loops[0].name]
    if not isinstance(synapses, Synapses):
        raise PruningError(f"connection '{loops[0].name}' is a {type(synapses).__name__}, expected Synapses")
    pool = RecurrentPool(
        synapses.effective.detach().cpu().double().numpy(),
        1 - population.dv.cpu().double().numpy(),
        population.vth.cpu().double().numpy(),
    )
    result = prune_pool(pool, options, rng, dt_ms=network.dt_ms, progress=progress)
    small = compact(network, {layer: result.kept})
    weights = torch.tensor(result.pool.weights, dtype=synapses.weight.dtype, device=synapses.weight.device)
    small.synapses[loops[0].name] = Synapses(weights, weights != 0)
    return small, result
