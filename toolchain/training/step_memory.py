"""What a step of a training takes at least, looked at before: systems may end who asks for too much."""

from collections.abc import Sequence
from math import prod
from typing import Final

import torch

from toolchain.errors import OutOfMemoryError
from toolchain.memory import machine_memory, readable_size
from toolchain.models import FeedForward, Network
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.own_module import OwnModule

_PER_NEURON: Final = 1
"""Numbers that every path of training keeps of a neuron at every step: what comes in, or what it became."""


def check_step_memory(
    network: Network | FeedForward | GraphNetwork | OwnModule, sample: Sequence[int], batch: int
) -> None:
    """Raise for a batch that cannot fit into the memory.

    Args:
        network: The network, on the device where it is trained; a GPU says itself what is too much.
        sample: Shape of one sample.
        batch: Samples of a step.

    Raises:
        OutOfMemoryError: A step of so many samples needs more than there is: says how many may fit.
    """
    weight = next(network.parameters())
    if weight.device.type != "cpu":
        return
    one = _numbers(network, sample) * torch.empty((), dtype=weight.dtype).element_size()
    there = machine_memory()
    if one * batch <= there:
        return
    fit = there // one
    raise OutOfMemoryError(
        f"a training step of {batch} samples",
        f"it needs at least {readable_size(one * batch)}, there are {readable_size(there)}",
        f"lower `batch_size`: at most {fit} samples can fit"
        if fit
        else "not one sample fits: shorten the samples, or use a machine with more memory",
    )


def _numbers(network: Network | FeedForward | GraphNetwork | OwnModule, sample: Sequence[int]) -> int:
    """Return how many numbers a sample takes at least: its inputs, and something of every neuron."""
    match network:
        case Network():
            neurons = sum(network.layer(name).size for name in network.layers)
        case GraphNetwork():
            neurons = sum(node.vth.size for node in network.graph.populations)
        case FeedForward() | OwnModule():
            # What its neurons are only a run would tell; what enters is less.
            return prod(sample)
    return prod(sample) + _PER_NEURON * sample[0] * neurons
