"""The connections of a network that sparse training prunes: synapses, convolutions and dense layers."""

from collections.abc import Iterator, Sequence

from torch import nn

from toolchain.errors import PruningError, UnknownNameError
from toolchain.models import FeedForward, Network
from toolchain.models.masked_layer import MaskedLayer
from toolchain.models.neurons import MaskedSynapses
from toolchain.pruning.sparse.connection import SparseConnection


def connections_of(network: Network | FeedForward, names: Sequence[str]) -> tuple[SparseConnection, ...]:
    """Return the connections with these names, or all, in the order of the network; none without synapses.

    Of a `FeedForward`, they are its convolutions and dense layers, by the names of their blocks.

    Raises:
        PruningError: There is none.
        UnknownNameError: The network has no such connection.
    """
    every = _layers(network) if isinstance(network, FeedForward) else _synapses(network)
    known = {each.name: each for each in every}
    for name in names:
        if name not in known:
            raise UnknownNameError("connection", name, known)
    chosen = tuple(known[name] for name in names or known if known[name].count)
    if not chosen:
        raise PruningError("the network has no synapses that could be pruned")
    return chosen


def _synapses(network: Network) -> Iterator[SparseConnection]:
    for arrow in network.connections:
        module = network.synapses[arrow.name]
        if isinstance(module, MaskedSynapses):
            target = f"neurons of '{arrow.target}'"
            yield SparseConnection(arrow.name, module, target, loops=arrow.source == arrow.target)


def _layers(network: FeedForward) -> Iterator[SparseConnection]:
    for block in network.blocks:
        module = network.parts[block.name]
        if isinstance(module, nn.Conv2d | nn.Linear):
            target = "channels" if isinstance(module, nn.Conv2d) else "neurons"
            yield SparseConnection(block.name, MaskedLayer(module), target)
