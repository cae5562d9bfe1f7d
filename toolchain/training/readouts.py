"""A supervised read-out of a pool that is not trained by gradients."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import TrainingError
from toolchain.intake import (
    labels_of,
    real_of,
)
from toolchain.models.network import Network, Readout
from toolchain.training.samples import SampleReader, Samples

_BATCH = 256


def filtered_spikes(network: Network, layer: str, inputs: Samples, beta: Floats | float) -> Floats:
    """Return `sum_t beta^(T - t) s_t` of a layer for every sample: what a read-out neuron adds up.

    Args:
        network: Network, which is run from rest.
        layer: Name of the layer whose spikes are filtered.
        inputs: Samples `[samples, time, channels]`, as `fit` takes them.
        beta: Leak of the filter per step.

    Returns:
        `[samples, N]`.
    """
    filtered: list[Floats] = []
    samples = SampleReader(network, inputs)
    with torch.inference_mode():
        for start in range(0, len(samples), _BATCH):
            batch = np.arange(start, min(start + _BATCH, len(samples)))
            spikes = network(samples.read(batch, network.layer(layer).bias)).spikes[layer].double().numpy()
            weight = np.power(beta, np.arange(spikes.shape[1])[::-1])
            filtered.append(np.einsum("btn,t->bn", spikes, weight))
    return np.concatenate(filtered)


def fit_linear_layer(
    network: Network, layer: str, inputs: Samples, labels: NDArray[np.int64], strength: float = 1.0
) -> None:
    """Fit the connection from a layer to the output layer by logistic regression, in place.

    The read-out stays a population of leaky neurons that compares potentials at the last step, so it
    deploys like any other.

    Args:
        network: Network with read-out `last_v` and one connection between the two layers.
        layer: Name of the layer whose spikes are read.
        inputs: Samples `[samples, time, channels]`, as `fit` takes them.
        labels: Classes `[samples]`.
        strength: Strength of the regularisation.

    Raises:
        ArgumentError: Inputs or labels do not fit the network: names which.
        TrainingError: The network is read in another way, or the layer does not spike.
    """
    strength = real_of(strength, "strength", above=0)
    arrows = [
        arrow for arrow in network.connections if (arrow.source, arrow.target) == (layer, network.output)
    ]
    if network.readout is not Readout.LAST_V or len(arrows) != 1 or arrows[0].delay:
        raise TrainingError(
            f"expected read-out last_v and one connection without delay from '{layer}' to '{network.output}'"
        )
    classes = network.layer(network.output).size
    labels = labels_of(labels, "labels", samples=len(SampleReader(network, inputs)), classes=classes)
    if len(np.unique(labels)) != classes:
        raise TrainingError(
            f"expected a sample of every one of {classes} classes, got classes {np.unique(labels).tolist()}"
        )
    beta = float(1 - network.layer(network.output).dv.detach()[0])
    features = filtered_spikes(network, layer, inputs, beta)
    scale = float(features.std())
    if scale == 0:
        raise TrainingError(f"layer '{layer}' does not tell samples apart: its spikes are the same for all")
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes long to load

    model: Any = LogisticRegression(C=1 / strength, fit_intercept=False, max_iter=2000)
    model.fit(features / scale, labels)
    module: Any = network.synapses[arrows[0].name]
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(model.coef_ / scale))
