"""Real values of a convolutional network: its graph sums over the steps what its PyTorch network averages."""

from copy import deepcopy
from typing import cast

import torch
from torch import nn

from toolchain.execution.stimulus import Stimulus
from toolchain.models import FeedForward, Network


def with_real_readout(network: Network | FeedForward, stimulus: Stimulus | None) -> Network | FeedForward:
    """Return a network whose graph says the real values that the network says.

    The graph of a `FeedForward` adds up what the classifier makes at every step, which leaves the largest
    score the largest. A real value is the mean, so the classifier is divided by the number of steps.

    Args:
        network: A trained network; it stays as it is.
        stimulus: Samples as the graph takes them; their labels say whether outputs are real.
    """
    if not isinstance(network, FeedForward) or stimulus is None or not stimulus.real or stimulus.steps == 1:
        return network
    network = deepcopy(network)
    classifier = cast("nn.Linear", network.parts[network.blocks[-1].name])
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.div_(stimulus.steps)
    return network
