"""Real values of a convolutional network: its graph sums over the steps what its PyTorch network averages."""

from copy import copy

from toolchain.execution.stimulus import Stimulus
from toolchain.models import FeedForward, Network


def with_real_readout(network: Network | FeedForward, stimulus: Stimulus | None) -> Network | FeedForward:
    """Return a network whose graph says the real values that the network says.

    The graph of a `FeedForward` adds up what the classifier makes at every step, which leaves the largest
    score the largest. A real value is the mean over the valid steps of a sample, however many these are.

    Args:
        network: A trained network; it stays as it is.
        stimulus: Samples as the graph takes them; their labels say whether outputs are real.
    """
    if not isinstance(network, FeedForward) or stimulus is None or not stimulus.real:
        return network
    # Only how it is read differs: all weights are shared.
    network = copy(network)
    network.averaged = True
    return network
