"""SynFlow: synapses chosen without data, by how much flows through them (Tanaka et al., NeurIPS 2020).

The score of a synapse is `|w| dR/d|w|`, where R is what leaves a linear network of the absolute weights into
which ones enter. From the paper: absolute weights, ones, the product with the derivative, one threshold for
all, and many rounds of which the k-th of n leaves the share `f^(k/n)`. The paper has feed-forward networks
of one pass. Ours, for spiking and recurrent ones: neurons are the identity (no threshold, no leak, no reset,
no bias), the network runs for four steps with ones entering at every one of them, a connection with a delay
takes one step however long it is, delays of single synapses take none, and R is the sum of what the layer
that is read receives in all steps.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from toolchain.errors import PruningError
from toolchain.models import Network
from toolchain.models.neurons import MaskedSynapses

UNROLLED: Final = 4
"""Steps of the linear network."""


def flow_scores(network: Network, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the score of every synapse of some connections, float64; 0 of an absent one.

    Args:
        network: The network; connections without a mask take part whole.
        masks: Whether each synapse is present, by connection.

    Raises:
        PruningError: A connection is of a kind whose weights are not known.
    """
    weights = {arrow.name: _size(network.synapses[arrow.name]) for arrow in network.connections}
    for name, mask in masks.items():
        weights[name] = (weights[name] * mask).requires_grad_()
    with torch.enable_grad():
        flow = _flow(network, weights)
    wanted = [weights[name] for name in masks]
    gradients = torch.autograd.grad(flow, wanted, allow_unused=True, materialize_grads=True)
    return {
        name: (weight * gradient).detach()
        for name, weight, gradient in zip(masks, wanted, gradients, strict=True)
    }


def _flow(network: Network, weights: Mapping[str, Tensor]) -> Tensor:
    like = next(iter(weights.values()))
    ones = {name: like.new_ones(size) for name, size in network.inputs.items()}
    rest = {name: like.new_zeros(network.layer(name).size) for name in network.layers}
    past, flow = rest, like.new_zeros(())
    for _ in range(UNROLLED):
        now = dict(ones)
        # A connection without delay reads a layer that stands before its target.
        for name in network.layers:
            value = rest[name]
            for arrow in network.connections:
                if arrow.target == name:
                    source = now if arrow.delay == 0 else {**ones, **past}
                    value = value + weights[arrow.name] @ source[arrow.source]
            now[name] = value
        past, flow = {name: now[name] for name in rest}, flow + now[network.output].sum()
    return flow


def _size(module: nn.Module) -> Tensor:
    if isinstance(module, MaskedSynapses):
        return module.effective.detach().double().abs()
    if isinstance(module, nn.Linear):
        return module.weight.detach().double().abs()
    raise PruningError(f"SynFlow does not know the weights of a {type(module).__name__}")
