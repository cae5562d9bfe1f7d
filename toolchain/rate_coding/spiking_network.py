r"""From a classifier with ReLU to a spiking network whose rates stand for its activations.

An activation `a` becomes the rate `rho a / lambda` of an integrate-and-fire neuron, where `lambda` is about
the largest activation of its layer on samples: data-based threshold balancing (Diehl et al. 2015, with the
percentile of Rueckauer et al. 2017). Here the threshold is `theta = lambda / rho` and the weights that read a
neuron are multiplied by its `theta`.

A reset to zero loses what is above the threshold at a spike, so that rates are too small. Ours are four
remedies: the largest rate `rho`, which for a constant drive bounds the loss; a current filter where spikes
enter, so that the drive is nearly constant, spikes that come together are not lost together, and those of a
neuron whose input is negative on average are few; thresholds that are lowered, layer by layer, until the mean
rates on samples are those of the activations; and connections that read a neuron, or a feature map, not by
`theta` but by what a spike of it stands for on the samples (`fitted_units`); where those connections hold
quantized weights, by one such number for the whole layer, so that their whole numbers stay what they are.

A reset that subtracts loses nothing (Rueckauer et al. 2017), and with up to `m` spikes a step `theta` is
`lambda / m`. Neurons begin half a spike below their first one: they fire above `theta / 2` and lose `theta`.
A neuron without leak that is driven by `a` in each of `T` steps has then sent, for as long as no step asks
for more than `m` spikes,

.. math:: \sum_t n_t = \max\big(0, \operatorname{round}(T a / \theta)\big)

spikes, ties rounded down: a ReLU that is rounded to `T m + 1` levels from 0 to `lambda` (Bu et al. 2022 begin
at `theta / 2` for the same reason). So `m` times fewer steps give the same levels. What neither cures is a
spike sent before a negative input arrives; a finer spike makes it small.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import UsageError
from toolchain.ir import AnyNode, Decode, Graph, Origin, verify
from toolchain.ir.currents import Branch, Current
from toolchain.ir.imported import Imported
from toolchain.ir.matrix import rows_of, targets_of, values_of
from toolchain.ir.types import size_of
from toolchain.passes.quantization.weight_grids import grid_steps
from toolchain.rate_coding.activation_network import (
    INPUT,
    ActivationNetwork,
    Rectified,
    WindowSum,
    largest_activations,
    measure_activations,
)
from toolchain.rate_coding.graded_input import graded_input, range_notes
from toolchain.rate_coding.rectified_layers import graph_name
from toolchain.rate_coding.threshold_balancing import MOST_FRAMES, StillFrames, fitted_units, lowered_share
from toolchain.reset import MOST_SPIKES, Reset

_STEPS: Final = 32
"""For how many steps samples of a single step are shown while thresholds are lowered."""
_LEAST_DECAY: Final = 0.25
_DELAY_SHARE: Final = 8
"""All current filters together may delay by one part in so many of the time that samples are shown."""


@final
@dataclass(frozen=True, kw_only=True)
class RateCode:
    """How activations become rates.

    Attributes:
        largest_rate: Spikes per step of the largest activation. By default 0.5 where a spike resets to zero,
            and `max_spikes` where it subtracts.
        percentile: Percentile of a layer's activations that counts as its largest.
        current_decay: Share of its current that a population which reads spikes loses per step; 1 for no
            filter, as is the default where a spike subtracts. Otherwise a quarter, or more if all filters
            together would delay by more than an eighth of the time that samples are shown.
        balance: Whether thresholds are lowered until the mean rates on the samples are those asked for, and
            what a spike stands for is measured there.
        max_spikes: Most spikes that a hidden neuron sends in one step, 1 .. 255, each of which subtracts what
            it stands for; None for one spike that resets to zero.
    """

    largest_rate: float | None = None
    percentile: float = 99.9
    current_decay: float | None = None
    balance: bool = True
    max_spikes: int | None = None

    @property
    def rate(self) -> float:
        """Spikes per step of the largest activation."""
        usual = 0.5 if self.max_spikes is None else float(self.max_spikes)
        return usual if self.largest_rate is None else self.largest_rate

    def __post_init__(self) -> None:
        most = 1 if self.max_spikes is None else self.max_spikes
        if not 1 <= most <= MOST_SPIKES:
            raise UsageError(f"expected `max_spikes` of 1 to {MOST_SPIKES} spikes a step, got {most}")
        decay = 1.0 if self.current_decay is None else self.current_decay
        if not (0 < self.rate <= most and 0 < self.percentile <= 100 and 0 < decay <= 1):
            raise UsageError(
                f"expected a largest rate in 0 .. {most}, a percentile in 0 .. 100 and a current decay in "
                f"0 .. 1, none of them 0, got {self.rate}, {self.percentile} and {decay}"
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
        network: Network of activations.
        frames: Samples on which activations are measured, `[batch, *features]`.
        name: Name of the graph.
        steps: Steps for which a sample is shown while thresholds are lowered; 32 if there is one step.
        classes: Names of the classes.
        code: How activations become rates.

    Raises:
        FrontendError: Activations are not finite.
    """
    activations = measure_activations(network, frames)
    peaks = largest_activations(network, activations, code.percentile)
    shown = StillFrames(frames[:MOST_FRAMES], steps if steps > 1 else _STEPS)
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
    shown: StillFrames
    code: RateCode
    notes: list[str] = field(default_factory=list)
    nodes: list[AnyNode] = field(default_factory=list)
    units: dict[str, float | Floats] = field(default_factory=dict)

    def graph(self, name: str, frames: NDArray[np.float32], classes: Sequence[str]) -> Graph:
        """Return the network; the last layer integrates what it gets."""
        # A register holds the potential of as many spikes as a step sends.
        most = self.code.max_spikes or 1
        reaches = {layer: peak * most / self.code.rate for layer, peak in self.peaks.items()}
        self.nodes.append(graded_input(self.network, frames, reaches))
        self.notes += range_notes(frames)
        self.units[INPUT] = 1.0
        for step in self.network.steps:
            match step:
                case Rectified():
                    self._layer(step)
                case WindowSum():
                    self._pool(step)
        self._population("readout", self.network.scores, np.inf, 1.0)
        self.nodes.append(
            ir.Output(name="output", inputs=("readout",), decode=Decode.LAST_V, classes=tuple(classes))
        )
        graph = Graph(tuple(self.nodes), name=name)
        verify(graph)
        if self.code.balance:
            self.notes.append("thresholds were lowered until mean rates on the samples were those asked for")
        self.notes.append(
            f"activations became rates of at most {self.code.rate:g} spikes per step; show a "
            "still input at every step, and more steps if classes differ from those of the classifier"
        )
        return graph

    def _layer(self, layer: Rectified) -> None:
        name, largest, rate = layer.name, self.peaks[layer.name], self.code.rate
        threshold = largest / rate
        self.units[name] = threshold
        self._population(name, layer.current, threshold, self.decay if _reads_spikes(layer) else 1.0)
        if self.code.balance:
            self._balance(self.activations[name][: len(self.shown.frames)], threshold)
        self.notes.append(f"'{name}': activations up to {largest:.4g} become rates up to {rate:g}")

    @cached_property
    def taken(self) -> set[str]:
        """Names that no connection may have: those of the steps, which may contain points, too."""
        return {step.name for step in self.network.steps}

    @cached_property
    def decay(self) -> float:
        """Share of its current that a population which reads spikes loses per step."""
        if self.code.current_decay is not None:
            return self.code.current_decay
        if self.code.max_spikes is not None:
            return 1.0
        # A filter delays by 1 / d - 1 steps.
        filters = sum(map(_reads_spikes, self.network.layers))
        return max(_LEAST_DECAY, filters / (filters + self.shown.steps / _DELAY_SHARE))

    @cached_property
    def quantized(self) -> set[str]:
        """The layers that quantized weights read: one unit for all neurons keeps those weights."""
        currents = [*(layer.current for layer in self.network.layers), self.network.scores]
        read = {
            branch.source.node for current in currents for branch in current.branches if _on_a_grid(branch)
        }
        pools = {step.name: step.source.node for step in self.network.steps if isinstance(step, WindowSum)}
        return {pools.get(name, name) for name in read}

    def _balance(self, activations: Floats, threshold: float) -> None:
        """Lower the threshold of the last population until its mean rate is that of the activations."""
        population = self.nodes[-1]
        share = lowered_share(self.shown.rates(tuple(self.nodes)), activations / threshold)
        if isinstance(population, ir.Lif):
            self.nodes[-1] = replace(population, **self._firing(population.vth.shape, threshold * share))
        rates = self.shown.rates(tuple(self.nodes))
        shared = population.name in self.quantized
        self.units[population.name] = fitted_units(activations, rates, threshold, shared=shared)

    def _pool(self, step: WindowSum) -> None:
        self.units[step.name] = self.units[step.source.node]
        window = step.window
        self.nodes.append(
            ir.SumPool2d(
                name=step.name,
                inputs=(step.source.node,),
                kernel=window.kernel,
                stride=window.stride,
                padding=window.padding,
            )
        )

    def _population(self, name: str, current: Current, threshold: float, decay: float) -> None:
        inputs: list[str] = []
        for i, branch in enumerate(current.branches):
            unique = f"{name}.{i}.{graph_name(branch.name)}"
            while unique in self.taken:
                unique += "_"
            self.nodes.append(self._rated(branch, decay).node(unique))
            inputs.append(unique)
        shape = current.shape
        self.nodes.append(
            ir.Lif(
                name=name,
                inputs=tuple(inputs),
                du=np.full(shape, decay),
                dv=np.zeros(shape),
                bias=current.offsets,
                origin=Origin.whole(name, size_of(shape)),
                **self._firing(shape, threshold),
            )
        )

    def _firing(self, shape: tuple[int, ...], threshold: float) -> dict[str, Any]:
        """Return the fields of a population of which a spike stands for so much; a read-out never fires."""
        most = self.code.max_spikes
        if most is None or not np.isfinite(threshold):
            return {"vth": np.full(shape, threshold)}
        amount = np.full(shape, threshold)
        return {"vth": amount / 2, "reset": Reset.SUBTRACT, "reset_amount": amount, "max_spikes": most}

    def _rated(self, branch: Branch, decay: float) -> Branch:
        """Return a connection that reads rates instead of activations, into a current with a filter."""
        source = branch.source
        return replace(branch, source=replace(source, factor=source.factor * self.units[source.node] * decay))


def _on_a_grid(branch: Branch) -> bool:
    rows, values = rows_of(branch.weights), values_of(branch.weights).ravel()
    return grid_steps(rows, values, targets_of(branch.weights)) is not None


def _reads_spikes(layer: Rectified) -> bool:
    return any(branch.source.node != INPUT for branch in layer.current.branches)
