"""How far two executions of one population agree, added up part by part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.execution.rise import before_reset, rises
from toolchain.execution.trace import Trace
from toolchain.fidelity.decode import in_model_units, units_of
from toolchain.fidelity.divergence import Divergence, different_inputs
from toolchain.fidelity.membrane import MembraneError, centre_of
from toolchain.fidelity.metrics import RateError, SpikeCounts, TrainCounts, flattened
from toolchain.fidelity.neuron_names import neuron_name
from toolchain.fidelity.spike_distances import SpikeDistances
from toolchain.ir import Graph, Population


@final
@dataclass(frozen=True)
class Agreement:
    """Agreement of one population.

    Attributes:
        spike_agreement: Share of equal entries, an entry being one neuron at one step of one sample.
        precision: Share of the second execution's spikes that the first has too; of several in an entry, as
            many as both have.
        recall: Share of the first execution's spikes that the second has too.
        spike_f1: Harmonic mean of the two; 1 if neither execution spikes.
        rate_error: Mean |difference of spike counts| per neuron and sample, over the mean count.
        membrane_error: Root mean square difference of potentials in thresholds (for a read-out:
            in standard deviations of the first); None if not recorded.
        van_rossum: Mean distance of spike trains, 0 if equal; see `spike_distances.van_rossum`.
        victor_purpura: Mean cost of turning one train into the other.
        diverged: Share of samples with at least one different spike.
        first: The earliest difference, or None.
    """

    spike_agreement: float
    precision: float
    recall: float
    spike_f1: float
    rate_error: float
    membrane_error: float | None
    van_rossum: float
    victor_purpura: float
    diverged: float
    first: Divergence | None


@final
class PopulationTally:
    """The counts of one population from which its agreement follows.

    Args:
        graphs: Float graph and fixed graph.
        name: Name of the population.
        start: Index of the first sample that is added, in the stimulus.
        centre: Centre of its potentials where that is not of the first sample that is added.
    """

    def __init__(
        self, graphs: tuple[Graph, Graph], name: str, start: int = 0, centre: float | None = None
    ) -> None:
        self._graphs = graphs
        self._node = next(node for node in graphs[0].populations if node.name == name)
        self._rates = RateError()
        self._distances = SpikeDistances()
        self._membrane = MembraneError(thresholds(self._node), centre)
        self._has_potentials = True
        self._start, self._samples, self._diverged = start, 0, 0
        self.counts = SpikeCounts()
        self.first: Divergence | None = None

    def add(self, traces: tuple[Trace, Trace], entered: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Add the next samples.

        Args:
            traces: Traces of both executions.
            entered: Values that entered, per input, so that clipped ones can be blamed.
        """
        name = self._node.name
        expected, got = (np.asarray(trace.spikes[name]) for trace in traces)
        trains = TrainCounts.of(expected, got)
        self.counts += SpikeCounts.of_trains(trains, expected.shape[1])
        self._rates.add(trains)
        self._distances.add(expected, got, trains)
        self._add_potentials(traces)
        self._find_first(traces, trains.first_difference(expected, got), entered)
        self._diverged += int(trains.different.any(axis=1).sum())
        self._samples += len(expected)

    def _add_potentials(self, traces: tuple[Trace, Trace]) -> None:
        name = self._node.name
        self._has_potentials &= all(name in trace.v for trace in traces)
        if self._has_potentials:
            expected = in_model_units(self._graphs[0], name, traces[0].v[name])
            self._membrane.add(expected, traces[1].v[name], units_of(self._graphs[1], name))

    def _find_first(
        self,
        traces: tuple[Trace, Trace],
        where: tuple[int, int, int] | None,
        entered: Mapping[str, NDArray[Any]] | None,
    ) -> None:
        """Keep the earliest difference: of the least step, and there of the first sample."""
        if where is None or (self.first is not None and where[1] >= self.first.step):
            return
        sample, step, neuron = where
        values, spikes = (None, None), traces[0].spikes[self._node.name]
        counts = tuple(int(flattened(trace.spikes[self._node.name])[where]) for trace in traces)
        risen = rises(self._node, spikes[sample : sample + 1, : step + 1])
        if self._has_potentials:
            values = tuple(self._potential(*pair, where) for pair in zip(self._graphs, traces, strict=True))
        self.first = Divergence(
            sample=self._start + self._samples + sample,
            step=step,
            neuron=neuron,
            place=neuron_name(self._node.vth.shape, neuron),
            element=int(self._node.origin.elements[neuron]),
            expected=values[0],
            got=values[1],
            threshold=float(thresholds(self._node).flat[neuron]),
            inputs=different_inputs(self._graphs[0], traces, self._node.name, where, entered),
            fired=counts[0] > 0,
            rise=None
            if risen is None
            else float(in_model_units(self._graphs[0], self._node.name, risen[0, step]).flat[neuron]),
            counts=None if self._node.max_spikes == 1 else (counts[0], counts[1]),
        )

    def _potential(self, graph: Graph, trace: Trace, where: tuple[int, int, int]) -> float:
        sample, step, neuron = where
        name = self._node.name
        node = next(node for node in graph.populations if node.name == name)
        compared = before_reset(node, trace.v[name][sample, step], trace.spikes[name][sample, step])
        return float(in_model_units(graph, name, compared).flat[neuron])

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to another process: counts that can be included there, and no graphs."""
        return {name: value for name, value in vars(self).items() if name not in {"_graphs", "_node"}}

    def include(self, other: "PopulationTally") -> None:
        """Add what was counted of other samples of the same stimulus, whatever stands first there."""
        self.counts += other.counts
        self._rates.include(other._rates)
        self._distances.include(other._distances)
        self._membrane.include(other._membrane)
        self._has_potentials &= other._has_potentials
        self._samples += other._samples
        self._diverged += other._diverged
        firsts = [each for each in (self.first, other.first) if each is not None]
        self.first = min(firsts, key=lambda each: (each.step, each.sample), default=None)

    def result(self) -> Agreement:
        """Return the agreement over all samples that were added."""
        shares = self.counts.shares
        return Agreement(
            spike_agreement=shares.agreement,
            precision=shares.precision,
            recall=shares.recall,
            spike_f1=shares.f1,
            rate_error=self._rates.value,
            membrane_error=self._membrane.value if self._has_potentials else None,
            van_rossum=self._distances.van_rossum,
            victor_purpura=self._distances.victor_purpura,
            diverged=self._diverged / self._samples,
            first=self.first,
        )


def centres_of(graph: Graph, trace: Trace) -> dict[str, float]:
    """Return the centre of the potentials of every population with neurons that never fire.

    Args:
        graph: The float graph.
        trace: Its trace of the first samples of a stimulus, with potentials.
    """
    return {
        node.name: centre_of(in_model_units(graph, node.name, trace.v[node.name]))
        for node in graph.populations
        if np.isinf(thresholds(node)).any()
    }


def thresholds(node: Population) -> NDArray[np.float64]:
    """Return the thresholds in model units, infinite for a read-out, in the population's shape."""
    if isinstance(node, ir.FixedLif):
        never = node.vth >= fixedpoint.THRESHOLD_MAX
        return np.where(never, np.inf, node.vth / node.scale)
    return node.vth
