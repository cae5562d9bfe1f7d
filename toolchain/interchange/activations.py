"""What a classifier does on samples."""

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.errors import FrontendError, StimulusError, UsageError
from toolchain.interchange.activation_network import ActivationNetwork, activations_of
from toolchain.interchange.relu_network import entering
from toolchain.stimulus import Stimulus

Floats = NDArray[np.float64]


def frames_of(model: onnx.ModelProto, samples: Stimulus) -> NDArray[np.float32]:
    """Return what enters as still frames, `[batch, *features]`.

    Raises:
        StimulusError: The samples do not fit the classifier.
        UsageError: There are several inputs.
    """
    inputs = entering(model)
    if len(inputs) != 1 or len(samples.values) != 1:
        raise UsageError(f"expected a classifier of one input and samples for it, got {len(inputs)} inputs")
    values = next(iter(samples.values.values()))
    frames = values.astype(np.float64).mean(axis=1).astype(np.float32)
    asked = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
    fits = len(asked) == frames.ndim and all(
        want in {0, have} for want, have in zip(asked[1:], frames.shape[1:], strict=True)
    )
    if not fits:
        raise StimulusError(
            f"the samples have frames of {list(frames.shape[1:])}, but '{inputs[0].name}' takes {asked[1:]}"
        )
    return frames


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
