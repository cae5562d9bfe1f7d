"""Compares one population with what its framework computed, a part of the samples at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Array
from toolchain.execution.rise import rises
from toolchain.execution.trace import Trace
from toolchain.fidelity.divergence import different_inputs
from toolchain.fidelity.metrics import SpikeCounts, first_difference, flattened
from toolchain.fidelity.neuron_names import neuron_name
from toolchain.fidelity.source_difference import SourceDifference
from toolchain.ir import Graph, Pooling, Population, Synapses

PRECISIONS: Final = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 1e-5}
"""Tolerance of potentials, as a share of the largest one, for numbers of these types."""
_DOUBLE: Final = 1e-9
"""The same for double precision."""


class Expected(NamedTuple):
    """What a framework recorded of one population, `[batch, time, neurons]`; None if it did not."""

    spikes: NDArray[Any] | None
    v: NDArray[Any] | None


@final
@dataclass(frozen=True)
class SourceAgreement:
    """How far a population is what its framework computed.

    Attributes:
        spike_agreement: Share of equal entries of the spikes; None if they were not recorded.
        spike_f1: Harmonic mean of precision and recall of the spikes.
        spikes: Number of spikes in the framework.
        largest_error: Largest difference of potentials where neither fires, in the network's units; None if
            potentials were not recorded. Where a neuron fires, some frameworks give the potential before the
            reset and some after it, so that only the next step is compared.
        tolerance: The largest difference that counts as equal.
        shifted: Steps by which the framework's spikes come later, everything else being equal; 0 if they do
            not.
        first: The earliest difference; None if there is none.
    """

    spike_agreement: float | None
    spike_f1: float | None
    spikes: int
    largest_error: float | None
    tolerance: float | None
    shifted: int
    first: SourceDifference | None


@final
class SourceSearch:
    """Looks for the first difference of one population.

    Args:
        graph: The network, in real numbers.
        name: Name of the population.
        expected: All that was recorded of it.
        rest: Potential of the framework that is zero here, for every neuron.
    """

    def __init__(self, graph: Graph, name: str, expected: Expected, rest: Array | float = 0.0) -> None:
        node = graph[name]
        if not isinstance(node, ir.Lif):
            raise TypeError(f"'{name}' is no population of real numbers")
        self._graph, self._node, self._rest = graph, node, np.ravel(rest)
        self._tolerance = None if expected.v is None else tolerance_of(expected.v, node.vth)
        self._answering = [
            each.name
            for each in map(graph.__getitem__, _populations_read(graph, name))
            if isinstance(each, ir.Lif) and each.origin.path == each.name and (each.origin.elements < 0).all()
        ]
        self._counts = SpikeCounts()
        self._has_spikes = False
        self._spikes = self._samples = 0
        self._error = 0.0
        self._shifts = {1, -1}
        self.first: SourceDifference | None = None

    def add(self, expected: Expected, ours: Trace, theirs: Trace) -> None:
        """Compare the next samples.

        Args:
            expected: What the framework recorded of them.
            ours: All records of the network on them.
            theirs: Spikes of every population, the framework's where it recorded them.
        """
        name = self._node.name
        spikes = flattened(ours.spikes[name])
        different = np.zeros(spikes.shape, bool)
        silent = spikes == 0
        if expected.spikes is not None:
            there = expected.spikes
            self._has_spikes = True
            self._counts += SpikeCounts.of(there > 0, spikes > 0)
            self._spikes += int(there.sum())
            different |= there != spikes
            silent &= there == 0
            self._shifts = {shift for shift in self._shifts if _is_shifted(there, spikes, shift)}
        for answering in self._answering:
            # Where neurons that were added answer in the next step, the potential is none of the framework's.
            silent[:, 1:] &= flattened(ours.spikes[answering])[:, :-1] == 0
        if expected.v is not None and self._tolerance is not None:
            v = np.asarray(expected.v, np.float64) - self._rest
            errors = np.where(silent, np.abs(v - flattened(ours.v[name])), 0.0)
            self._error = max(self._error, float(errors.max(initial=0.0)))
            different |= errors > self._tolerance
        where = first_difference(different, np.zeros_like(different))
        if where is not None and (self.first is None or where[1] < self.first.step):
            self.first = self._difference(where, expected, ours, theirs)
        self._samples += len(spikes)

    def result(self) -> SourceAgreement:
        """Return the agreement over all samples that were added."""
        shares = self._counts.shares if self._has_spikes else None
        shifted = self._shifts if self.first is not None and self._has_spikes and self._spikes else set()
        return SourceAgreement(
            spike_agreement=None if shares is None else shares.agreement,
            spike_f1=None if shares is None else shares.f1,
            spikes=self._spikes,
            largest_error=None if self._tolerance is None else self._error,
            tolerance=self._tolerance,
            shifted=shifted.pop() if len(shifted) == 1 else 0,
            first=self.first,
        )

    def _difference(
        self, where: tuple[int, int, int], expected: Expected, ours: Trace, theirs: Trace
    ) -> SourceDifference:
        sample, step, neuron = where
        name, node = self._node.name, self._node
        fired = flattened(ours.spikes[name])[sample, :step, neuron]
        potential, threshold = _moment(node, ours, where)
        there = None if expected.spikes is None else int(expected.spikes[where])
        rest = np.broadcast_to(self._rest, node.vth.size)[neuron]
        v = None if expected.v is None else float(expected.v[where] - rest)
        return SourceDifference(
            sample=self._samples + sample,
            step=step,
            neuron=neuron,
            place=neuron_name(node.vth.shape, neuron),
            element=int(node.origin.elements[neuron]),
            sent=None if there is None else (there, int(flattened(ours.spikes[name])[where])),
            expected=v,
            got=potential,
            threshold=threshold,
            last_spike=int(np.flatnonzero(fired)[-1]) if fired.any() else None,
            inputs=different_inputs(self._graph, (theirs, ours), name, where),
        )


def tolerance_of(v: NDArray[Any], thresholds: Array) -> float:
    """Return the difference of potentials that counts as equal.

    It is a share of the largest potential or threshold: a hundred-thousandth for numbers of single precision,
    also where they were stored in a wider type, and a billionth for double precision.
    """
    finite = thresholds[np.isfinite(thresholds)]
    scale = max(float(np.abs(v).max(initial=0)), float(finite.max(initial=0)))
    return share_of(v) * scale


def share_of(values: NDArray[Any]) -> float:
    """Return the share of the largest value by which numbers may differ that were computed in some precision.

    Numbers of double precision that single precision holds as well were computed in that.
    """
    share = PRECISIONS.get(values.dtype, _DOUBLE)
    if values.dtype == np.float64:
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if np.array_equal(narrow, values):
            share = PRECISIONS[np.dtype(np.float32)]
    return share


def sources_of(graph: Graph, name: str) -> list[str]:
    """Return the populations of the framework that a population reads, through delays and poolings."""
    nodes = {node.name: node for node in graph.populations}
    return [each for each in _populations_read(graph, name) if (nodes[each].origin.elements >= 0).all()]


def _populations_read(graph: Graph, name: str) -> list[str]:
    names: list[str] = []
    for connection in graph[name].inputs:
        operand = graph[connection]
        while isinstance(operand, ir.Delay | Pooling | Synapses):
            operand = graph[operand.inputs[0]]
        if isinstance(operand, Population):
            names.append(operand.name)
    return list(dict.fromkeys(names))


def filled(ours: Trace, spikes: Mapping[str, NDArray[Any]]) -> Trace:
    """Return a trace with the framework's spikes, and ours where it recorded none."""
    return Trace(
        {
            name: spikes[name].reshape(values.shape) if name in spikes else values
            for name, values in ours.spikes.items()
        }
    )


def _is_shifted(there: NDArray[Any], here: NDArray[Any], shift: int) -> bool:
    """Return whether the framework's spikes are those of here, one step later (1) or earlier (-1)."""
    late, early = (there, here) if shift > 0 else (here, there)
    return not late[:, 0].any() and np.array_equal(late[:, 1:], early[:, :-1])


def _moment(node: ir.Lif, trace: Trace, where: tuple[int, int, int]) -> tuple[float, float | None]:
    """Return the potential of a neuron before a reset, and its threshold, at one step."""
    sample, step, neuron = where
    spikes, v, u = (
        flattened(each[node.name])[sample, :, neuron] for each in (trace.spikes, trace.v, trace.u)
    )
    at = {name: values.flat[neuron] for name, values in node.per_neuron.items()}
    before = float(v[step - 1]) if step else 0.0
    potential = (1 - at["dv"]) * before + float(u[step]) + at["bias"]
    fired = np.flatnonzero(spikes[:step])
    if len(fired) and step - fired[-1] <= at.get("refractory", 0):
        potential = before
    raised = rises(node, trace.spikes[node.name][sample : sample + 1])
    rise = 0.0 if raised is None else float(flattened(raised)[0, step, neuron])
    threshold = float(at["vth"]) + rise
    return float(potential), None if threshold == np.inf else threshold
