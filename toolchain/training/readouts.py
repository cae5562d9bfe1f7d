"""Supervised read-outs on a pool that is not trained by gradients, on the host or as a layer."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from toolchain.arrays import Floats
from toolchain.errors import TrainingError
from toolchain.intake import (
    MAX_SEED,
    array_of,
    check_finite,
    check_shape,
    count_of,
    labels_of,
    real_of,
    samples_of,
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
            spikes = network(samples.read(batch, network.layer(layer).vth)).spikes[layer].double().numpy()
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
    beta = float(1 - network.layer(network.output).dv[0])
    features = filtered_spikes(network, layer, inputs, beta)
    scale = float(features.std())
    if scale == 0:
        raise TrainingError(f"layer '{layer}' does not tell samples apart: its spikes are the same for all")
    model: Any = LogisticRegression(C=1 / strength, fit_intercept=False, max_iter=2000)
    model.fit(features / scale, labels)
    module: Any = network.synapses[arrows[0].name]
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(model.coef_ / scale))


@final
@dataclass(frozen=True)
class HostDecoder:
    """A small network on the host: states → hidden units → outputs.

    Attributes:
        neurons: Indices of the neurons whose states it reads.
        mean: Mean of those states, `[n]`.
        deviation: Standard deviation of those states, `[n]`.
        model: The fitted scikit-learn model.
    """

    neurons: NDArray[np.int64]
    mean: Floats
    deviation: Floats
    model: Any

    def __call__(self, states: Floats) -> Floats:
        """Return class scores or predicted values `[samples, outputs]` of states `[samples, N]`."""
        scaled = (states[:, self.neurons] - self.mean) / self.deviation
        scores: Any = (
            self.model.predict_proba if isinstance(self.model, MLPClassifier) else self.model.predict
        )
        return np.asarray(scores(scaled)).reshape(len(states), -1)


def fit_host_decoder(
    states: Floats,
    targets: NDArray[Any],
    neurons: NDArray[np.int64],
    *,
    hidden: int = 20,
    seed: int = 0,
) -> HostDecoder:
    """Fit a decoder with one hidden layer, the paper's 20 units, by gradient descent.

    Args:
        states: Filtered spikes, `[samples, N]`.
        targets: Integer labels `[samples]`, or values `[samples, outputs]`.
        neurons: Indices of the neurons that it reads; the paper takes the most central tenth.
        hidden: Number of units in the hidden layer.
        seed: Seed of the initial weights.

    Raises:
        ArgumentError: States, targets or neurons do not fit each other or are not finite: names which.
    """
    states = samples_of(states, "states", ("samples", "neurons"))
    neurons = labels_of(neurons, "neurons", classes=states.shape[1])
    targets = array_of(targets, "targets")
    check_shape(targets.shape, "targets", (len(states),), (len(states), "outputs"))
    check_finite(targets, "targets")
    hidden, seed = count_of(hidden, "hidden", least=1), count_of(seed, "seed", most=MAX_SEED)
    read = states[:, neurons]
    mean, deviation = read.mean(axis=0), read.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    sort = MLPClassifier if np.issubdtype(targets.dtype, np.integer) else MLPRegressor
    model: Any = sort(hidden_layer_sizes=(hidden,), alpha=1e-3, max_iter=2000, random_state=seed)
    model.fit((read - mean) / deviation, targets[:, 0] if targets.shape[1:] == (1,) else targets)
    return HostDecoder(neurons, mean, deviation, model)
