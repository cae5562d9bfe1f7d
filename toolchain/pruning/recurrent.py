"""The recurrent pool of a PyTorch network: taken out, pruned, put back into a smaller network."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.errors import PruningError
from toolchain.intake import PathText
from toolchain.models.network import Network
from toolchain.models.neurons import MaskedSynapses
from toolchain.progress import Progress, no_progress
from toolchain.pruning.compact import compact
from toolchain.pruning.lnp import LnpOptions, LnpRecord, LnpResult, prune_pool
from toolchain.pruning.pool import RecurrentPool, Selection


def recurrent_layer(network: Network) -> str:
    """Return the name of the layer with a connection to itself.

    Raises:
        PruningError: There is none, or more than one.
    """
    names = dict.fromkeys(arrow.target for arrow in network.connections if arrow.source == arrow.target)
    if len(names) != 1:
        raise PruningError(
            f"expected one layer with a connection to itself, got {len(names)}{': ' if names else ''}"
            f"{', '.join(names)}"
        )
    return next(iter(names))


def prune_recurrent(
    network: Network,
    layer: str,
    options: LnpOptions,
    rng: np.random.Generator,
    *,
    cluster: NDArray[np.int64] | None = None,
    checkpoint: PathText | None = None,
    observe: Callable[[LnpRecord, Network], None] | None = None,
    progress: Progress = no_progress,
) -> tuple[Network, LnpResult]:
    """Prune the recurrent pool of a layer by LNP and compact the network around it.

    The noise is simulated with the reset of the neurons, and exponents count what a spike leaves of the
    potential; the linear rate model of Step I knows no spikes, so it holds for every reset. Refractory
    periods, adaptive thresholds and several spikes a step would be states and slopes that neither has: they
    are refused, and so are delays of single synapses other than 0.

    Args:
        network: The untrained network, not modified.
        layer: Name of a layer with exactly one connection to itself.
        options: Targets, rounds and steps.
        rng: Source of noise and draws.
        cluster: Number of each neuron's cluster; by default all form one.
        checkpoint: Folder to continue from; see `prune_pool`.
        observe: Callback with record and network after every round; it does not influence the pruning.
        progress: Callback after every round.

    Returns:
        The smaller network and the result of the pruning.

    Raises:
        PruningError: The layer has no recurrent connection, its neurons are others than the method knows, or
            the targets are impossible.
    """
    _check_neurons(network, layer)
    pool = pool_of(network, layer, cluster)

    def watch(record: LnpRecord, left: Selection) -> None:
        if observe is not None:
            observe(record, with_pool(network, layer, left.indices, left.pool))

    result = prune_pool(
        pool, options, rng, dt_ms=network.dt_ms, checkpoint=checkpoint, observe=watch, progress=progress
    )
    return with_pool(network, layer, result.indices, result.pool), result


def _check_neurons(network: Network, layer: str) -> None:
    """Raise for neurons or synapses whose noise response and exponents are not known."""
    population, synapses = network.layer(layer), _loop(network, layer)[1]
    unknown = {
        "a refractory period": population.refractory is not None,
        "an adaptive threshold": population.adaptation is not None,
        "several spikes a step": population.max_spikes > 1,
        "delays of its synapses": synapses.delays is not None and bool(synapses.delays.steps.any()),
    }
    for what, present in unknown.items():
        if present:
            raise PruningError(
                f"Lyapunov noise pruning does not know {what}, which layer '{layer}' has; prune it by "
                "magnitude, activity or at random"
            )


def pool_of(network: Network, layer: str, cluster: NDArray[np.int64] | None = None) -> RecurrentPool:
    """Return the neurons of a layer and the synapses among them.

    Their constant input is left out, since the mean of the noise stands for all input; so is a filter of
    their current.

    Raises:
        PruningError: The layer has not exactly one connection to itself, or that is no `MaskedSynapses`.
    """
    synapses = _loop(network, layer)[1]
    population = network.layer(layer)
    pool = RecurrentPool.of(
        synapses.effective.detach().cpu().double().numpy(),
        1 - population.dv.detach().cpu().double().numpy(),
        population.vth.detach().cpu().double().numpy(),
        cluster,
    )
    amount = population.effective_amount
    amounts = None if amount is None else amount.detach().cpu().double().numpy()
    return replace(pool, reset=population.reset, amount=amounts)


def with_pool(network: Network, layer: str, indices: NDArray[np.int64], pool: RecurrentPool) -> Network:
    """Return the network with only some neurons in a layer, and the synapses and leaks of a pool.

    Args:
        network: The network, not modified.
        layer: Name of the recurrent layer.
        indices: Ascending indices of the neurons that stay.
        pool: Synapses and leaks of those neurons.
    """
    name, synapses = _loop(network, layer)
    small = compact(network, {layer: indices})
    like = synapses.weight
    weights = torch.tensor(pool.weights.toarray(), dtype=like.dtype, device=like.device)
    pruned = MaskedSynapses(weights, weights != 0)
    pruned.delays = cast("MaskedSynapses", small.synapses[name]).delays
    small.synapses[name] = pruned
    population = small.layer(layer)
    if not np.allclose(1 - pool.beta, population.dv.detach().cpu().double().numpy(), rtol=1e-6):
        # Set, not written into: what is learnt starts anew from there.
        population.dv = torch.tensor(1 - pool.beta, dtype=like.dtype, device=like.device)
        population.vth = torch.tensor(pool.threshold, dtype=like.dtype, device=like.device)
        if population.reset_amount is not None:
            population.reset_amount = torch.tensor(pool.amount, dtype=like.dtype, device=like.device)
    return small


def _loop(network: Network, layer: str) -> tuple[str, MaskedSynapses]:
    loops = [arrow for arrow in network.connections if (arrow.source, arrow.target) == (layer, layer)]
    if len(loops) != 1:
        raise PruningError(f"layer '{layer}' has {len(loops)} connections to itself, expected one")
    synapses = network.synapses[loops[0].name]
    if not isinstance(synapses, MaskedSynapses):
        raise PruningError(f"connection '{loops[0].name}' is a {type(synapses).__name__}, expected Synapses")
    return loops[0].name, synapses
