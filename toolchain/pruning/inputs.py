"""Synapses from the input of a recurrent layer leave, too: after pruning most operations are theirs."""

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.errors import PruningError
from toolchain.models.network import Network
from toolchain.models.neurons import MaskedSynapses
from toolchain.pruning.compact import compact


def thin_inputs(
    network: Network, layer: str, share: float, rng: np.random.Generator, *, strongest: bool = False
) -> Network:
    """Return the network with a share of the synapses that enter a layer from others.

    Every neuron keeps the same share of its own, rounded, and at least one. Those that stay grow, so that the
    sum of squares of each connection stays as it is (ours).

    Args:
        network: The network, not modified.
        layer: Name of the recurrent layer.
        share: Share of the synapses that stays, above 0 and at most 1.
        rng: Source of the draws.
        strongest: Whether the strongest stay instead of synapses drawn at random.

    Raises:
        PruningError: The share is none, or nothing enters the layer through synapses.
    """
    if not 0 < share <= 1:
        raise PruningError(f"expected a share of the input synapses above 0 and at most 1, got {share}")
    entering = [each for each in network.connections if each.target == layer and each.source != layer]
    thin = compact(network, {})
    modules = [thin.synapses[each.name] for each in entering]
    if not modules or not all(isinstance(module, MaskedSynapses) for module in modules):
        raise PruningError(f"layer '{layer}' has no input through Synapses whose share could be chosen")
    for module in modules:
        if isinstance(module, MaskedSynapses):
            _thin(module, share, rng, strongest=strongest)
    return thin


def _thin(module: MaskedSynapses, share: float, rng: np.random.Generator, *, strongest: bool) -> None:
    weights = module.effective.detach().cpu().double().numpy()
    stays = _drawn(weights, share, rng, strongest=strongest)
    grown = np.sqrt(np.square(weights).sum() / max(float(np.square(weights[stays]).sum()), 1e-300))
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.where(stays, weights * grown, 0.0)))
    module.mask = torch.from_numpy(stays).to(module.weight.device)


def _drawn(
    weights: NDArray[np.float64], share: float, rng: np.random.Generator, *, strongest: bool
) -> NDArray[np.bool_]:
    """Return which synapses stay, `[targets, sources]`."""
    present = weights != 0
    score = np.abs(weights) if strongest else rng.random(weights.shape)
    rank = np.argsort(np.argsort(-np.where(present, score, -1.0), axis=1, kind="stable"), axis=1)
    counts = np.maximum(np.round(share * present.sum(axis=1)), 1)
    return present & (rank < counts[:, None])
