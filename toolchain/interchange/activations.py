"""What a classifier does on samples."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import FrontendError
from toolchain.interchange.activation_network import ActivationNetwork, activations_of


@final
@dataclass(frozen=True)
class Activation:
    """What a ReLU gave on samples: about the largest value, and the mean of all."""

    largest: float
    mean: float


def measure_activations(
    network: ActivationNetwork, frames: NDArray[np.float32], percentile: float
) -> dict[str, Activation]:
    """Return what every layer gave, by its name; the largest is 1 where none was active.

    Raises:
        FrontendError: Activations are not finite.
    """
    found = activations_of(network, frames)
    if not all(np.isfinite(values).all() for values in found.values()):
        raise FrontendError("the classifier has activations that are not finite; was the training stable?")
    peaks = {layer.name: float(np.percentile(found[layer.name], percentile)) for layer in network.layers}
    return {
        name: Activation(peak if peak > 0 else 1.0, float(np.mean(found[name])))
        for name, peak in peaks.items()
    }
