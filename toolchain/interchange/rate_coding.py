r"""From a classifier with ReLU to a spiking network whose rates stand for its activations.

An activation `a` becomes the rate `rho a / lambda` of an integrate-and-fire neuron, where `lambda` is about
the largest activation of its layer on samples: data-based threshold balancing (Diehl et al. 2015, with the
percentile of Rueckauer et al. 2017). Here the threshold is `theta = lambda / rho` and the weights that read a
neuron are multiplied by its `theta`.

Chips reset to zero, so what is above the threshold at a spike is lost and rates are too small. Ours are three
remedies: the largest rate `rho`, which for a constant drive bounds the loss; thresholds that are lowered,
layer by layer, until the mean rates on samples are those of the activations; and connections that read a
neuron, or a feature map, not by `theta` but by what a spike of it stands for on the samples (`fitted_units`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.currents import Branch, Current
from toolchain.errors import UsageError
from toolchain.interchange.activation_network import INPUT, ActivationNetwork, Rectified, WindowSum
from toolchain.interchange.activations import largest_activations, measure_activations
from toolchain.interchange.balance import SHOWN, Shown, fitted_units, lowered_share
from toolchain.interchange.graded_input import graded_input
from toolchain.interchange.imported import Imported
from toolchain.ir import AnyNode, Decode, Graph, Lif, Origin, Output, SumPool2d, verify
from toolchain.ir.types import size_of

Floats = NDArray[np.float64]

_STEPS: Final = 32
"""Least steps for which samples are shown while thresholds are lowered."""


@final
@dataclass(frozen=True, kw_only=True)
class RateCode:
    """How activations become rates.

    Attributes:
        largest_rate: Spikes per step of the largest activation.
        percentile: Which activation of a layer counts as the largest, in percent.
        balance: Whether thresholds are lowered until the mean rates on the samples are those asked for, and
            what a spike stands for is measured there.
    """

    largest_rate: float = 0.5
    percentile: float = 99.9
    balance: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.largest_rate <= 1 and 0 < self.percentile <= 100):
            raise UsageError(
                "expected a largest rate in 0 .. 1 and a percentile in 0 .. 100, got "
                f"{self.largest_rate} and "
                f"{self.percentile}"
            )


def rate_coded(
    network: ActivationNetwork,
    frames: NDArray[np.float32],
    *,
    name: str,
    steps: int,
    classes: Sequence[str],
    code: RateCode,
) -> Imported:
    """Convert a network of activations to one of spikes.

    Args:
        network: What it computes.
        frames: What activations are measured on, `[batch, *features]`.
        name: Of the graph.
        steps: How long a sample is shown, at least, while thresholds are lowered.
        classes: Names of the classes.
        code: How activations become rates.

    Raises:
        FrontendError: Activations are not finite.
    """
    activations = measure_activations(network, frames)
    peaks = largest_activations(network, activations, code.percentile)
    shown = Shown(frames[:SHOWN], max(steps, _STEPS))
    conversion = _Conversion(network, activations, peaks, shown, code)
    graph = conversion.graph(name, frames, classes)
    return Imported(graph, (*network.notes, *conversion.notes))


@final
@dataclass
class _Conversion:
    """Follows the layers; each becomes a population whose rate stands for its activation.

    A source sends `activation / unit` spikes per step, so that connections that read it are multiplied by its
    unit: a number for all, or one per neuron or feature map.
    """

    network: ActivationNetwork
    activations: dict[str, Floats]
    peaks: dict[str, float]
    shown: Shown
    code: RateCode
    notes: list[str] = field(default_factory=list)
    nodes: list[AnyNode] = field(default_factory=list)
    units: dict[str, float | Floats] = field(default_factory=dict)

    def graph(self, name: str, frames: NDArray[np.float32], classes: Sequence[str]) -> Graph:
        """Return the network; the last layer integrates what it gets."""
        thresholds = {layer: peak / self.code.largest_rate for layer, peak in self.peaks.items()}
        self.nodes.append(graded_input(self.network, frames, thresholds))
        self.units[INPUT] = 1.0
        for step in self.network.steps:
            match step:
                case Rectified():
                    self._layer(step)
                case WindowSum():
                    self._pool(step)
        self._population("readout", self.network.scores, np.inf)
        self.nodes.append(
            Output(name="output", inputs=("readout",), decode=Decode.LAST_V, classes=tuple(classes))
        )
        graph = Graph(tuple(self.nodes), name=name)
        verify(graph)
        if self.code.balance:
            self.notes.append("thresholds were lowered until mean rates on the samples were those asked for")
        self.notes.append(
            f"activations became rates of at most {self.code.largest_rate:g} spikes per step; show a "
            "still input at every step, and more steps if classes differ from those of the classifier"
        )
        return graph

    def _layer(self, layer: Rectified) -> None:
        name, largest, rate = layer.name, self.peaks[layer.name], self.code.largest_rate
        threshold = largest / rate
        self.units[name] = threshold
        self._population(name, layer.current, threshold)
        if self.code.balance:
            self._balance(self.activations[name][: len(self.shown.frames)], threshold)
        self.notes.append(f"'{name}': activations up to {largest:.4g} become rates up to {rate:g}")

    def _balance(self, activations: Floats, threshold: float) -> None:
        """Lower the threshold of the last population until its mean rate is that of the activations."""
        population = self.nodes[-1]
        share = lowered_share(self.shown.rates(tuple(self.nodes)), activations / threshold)
        if isinstance(population, Lif):
            self.nodes[-1] = replace(population, vth=population.vth * share)
        rates = self.shown.rates(tuple(self.nodes))
        self.units[population.name] = fitted_units(activations, rates, threshold)

    def _pool(self, step: WindowSum) -> None:
        self.units[step.name] = self.units[step.source.node]
        window = step.window
        self.nodes.append(
            SumPool2d(
                name=step.name,
                inputs=(step.source.node,),
                kernel=window.kernel,
                stride=window.stride,
                padding=window.padding,
            )
        )

    def _population(self, name: str, current: Current, threshold: float) -> None:
        inputs: list[str] = []
        for i, branch in enumerate(current.branches):
            unique = f"{name}.{i}.{branch.name}"[-180:].lstrip(".-")
            self.nodes.append(self._rated(branch).node(unique))
            inputs.append(unique)
        shape = current.shape
        self.nodes.append(
            Lif(
                name=name,
                inputs=tuple(inputs),
                du=np.ones(shape),
                dv=np.zeros(shape),
                vth=np.full(shape, threshold),
                bias=current.offsets,
                origin=Origin.whole(name, size_of(shape)),
            )
        )

    def _rated(self, branch: Branch) -> Branch:
        """Return a connection that reads rates instead of activations."""
        source = branch.source
        return replace(branch, source=replace(source, factor=source.factor * self.units[source.node]))
