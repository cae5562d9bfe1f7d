"""What a classifier does on samples."""

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.rate_coding.activation_network import ActivationNetwork, activations_of


def measure_activations(network: ActivationNetwork, frames: NDArray[np.float32]) -> dict[str, Floats]:
    """Return what every layer gives, `[batch, *shape]` by its name.

    Raises:
        FrontendError: Activations are not finite.
    """
    found = activations_of(network, frames)
    if not all(np.isfinite(values).all() for values in found.values()):
        raise FrontendError("the classifier has activations that are not finite; was the training stable?")
    return {layer.name: found[layer.name] for layer in network.layers}


def largest_activations(
    network: ActivationNetwork, activations: dict[str, Floats], percentile: float
) -> dict[str, float]:
    """Return about the largest activation of every layer; 1 where none was active."""
    peaks = {
        layer.name: float(np.percentile(activations[layer.name], percentile)) for layer in network.layers
    }
    return {name: peak if peak > 0 else 1.0 for name, peak in peaks.items()}
