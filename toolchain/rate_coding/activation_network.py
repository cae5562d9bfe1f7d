r"""A network without spikes: what an ONNX classifier means before its activations become rates.

It is a list of steps that each give one array. A rectified layer takes a sum of connections and a constant,

.. math:: a = \max(0, \sum_b W_b x_b + c)

and a window sum adds over windows. The scores of the classes are one more sum, without rectification. Every
number is real and the meaning exact, so that a file is translated, and held against the file, without a word
on spikes; how activations become rates is the business of `rate_coding`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.ir import Window
from toolchain.ir.convolved_currents import correlated
from toolchain.ir.currents import Branch, Current, Sent
from toolchain.ir.types import size_of

INPUT: Final = "input"
"""What connections that read the input name as their source."""


@final
@dataclass(frozen=True)
class Rectified:
    """A layer whose activations are the positive part of a current.

    Attributes:
        name: Name under which connections read it.
        current: Current that enters, in the units of the activations that it reads.
    """

    name: str
    current: Current

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its activations."""
        return self.current.shape


@final
@dataclass(frozen=True)
class WindowSum:
    """Sums of feature maps over windows, padded by zeros; readers carry the factor of an average.

    Attributes:
        name: Name under which connections read it.
        source: Feature maps that it sums, `[C, H, W]`; their factor is not applied.
        window: Window over which it sums.
    """

    name: str
    source: Sent
    window: Window

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the sums."""
        channels, rows, columns = self.source.shape
        return (channels, *self.window.positions((rows, columns)))


@final
@dataclass(frozen=True)
class ActivationNetwork:
    """Steps in an order in which they can run, and the scores.

    Attributes:
        shape: Shape of the input.
        steps: Layers and sums, each of which reads the input or steps before it.
        scores: One value per class, from the input and the steps.
        notes: Sentences for the user on what was left out or rewritten.
    """

    shape: tuple[int, ...]
    steps: tuple[Rectified | WindowSum, ...]
    scores: Current
    notes: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[Rectified, ...]:
        """The steps that rectify."""
        return tuple(step for step in self.steps if isinstance(step, Rectified))


def activations_of(network: ActivationNetwork, frames: NDArray[Any]) -> dict[str, Floats]:
    """Return what every step gives, by name, the input included.

    Args:
        network: The network.
        frames: Samples `[batch, *features]`.
    """
    values = {INPUT: np.asarray(frames, np.float64).reshape(len(frames), *network.shape)}
    for step in network.steps:
        match step:
            case Rectified(name, current):
                values[name] = np.maximum(evaluate(current, values), 0.0)
            case WindowSum(name, source, window):
                values[name] = np.add.reduce(window.patches(values[source.node]))
    return values


def measure_activations(network: ActivationNetwork, frames: NDArray[np.float32]) -> dict[str, Floats]:
    """Return what every layer gives, `[batch, *shape]` by its name.

    Raises:
        FrontendError: Activations are not finite.
    """
    activations = activations_of(network, frames)
    if not all(np.isfinite(values).all() for values in activations.values()):
        raise FrontendError("the classifier has activations that are not finite; was the training stable?")
    return {layer.name: activations[layer.name] for layer in network.layers}


def largest_activations(
    network: ActivationNetwork, activations: dict[str, Floats], percentile: float
) -> dict[str, float]:
    """Return about the largest activation of every layer; 1 where none was active."""
    peaks = {
        layer.name: float(np.percentile(activations[layer.name], percentile)) for layer in network.layers
    }
    return {name: peak if peak > 0 else 1.0 for name, peak in peaks.items()}


def evaluate(current: Current, values: Mapping[str, Floats]) -> Floats:
    """Return a current, `[batch, *shape]`, from what its sources give."""
    samples = len(next(iter(values.values())))
    total = np.array(np.broadcast_to(current.offsets, (samples, *current.shape)))
    for branch in current.branches:
        total += _connected(branch, values[branch.source.node]).reshape(total.shape)
    return total


def _connected(branch: Branch, values: Floats) -> Floats:
    source = branch.source
    scaled = values * source.elements().reshape(source.shape)
    if branch.dense:
        flat = scaled.reshape(len(scaled), size_of(source.shape))
        return np.asarray((branch.weights @ flat.T).T)
    kernels = cast("Floats", branch.weights)
    window = Window((kernels.shape[2], kernels.shape[3]), branch.stride, branch.padding, branch.dilation)
    return correlated(scaled, kernels, window, branch.groups)
