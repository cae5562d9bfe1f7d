"""Proof against the source: what a framework itself computed, against the network as it was read."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Array
from toolchain.errors import ToolchainError, UsageError
from toolchain.execution.stimulus import Stimulus, check_stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity.returned import ResultAgreement, ResultSearch, Returned
from toolchain.fidelity.source_difference import SourceDifference
from toolchain.fidelity.source_search import (
    SourceAgreement,
    SourceSearch,
    filled,
    sources_of,
)
from toolchain.ir import Graph, Stage
from toolchain.ir.imported import Imported
from toolchain.memory import enough_memory
from toolchain.passes import FoldDelays
from toolchain.summary import Summarised, Summary
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.build_facts import SourceFacts
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.framework_outputs import (
    FrameworkOutputs,
    Outputs,
    Records,
    framework_outputs,
    records_of,
)
from toolchain.workflow.other_readings import Reading

_TRIED: Final = 8
"""Samples that another reading must get right before all are run."""


@final
@dataclass(frozen=True, repr=False)
class ImportCheck(Summarised):
    """A network as it was read, beside what its framework computed.

    Attributes:
        samples: Number of samples.
        steps: Number of steps of each.
        populations: How far each population that was recorded is equal.
        unrecorded: Populations of which nothing was recorded.
        left_out: Neurons of a record that the network does not have, since they can never fire or nothing
            reads them.
        otherwise: Arguments with which the file is read so that everything is equal; empty if that was not
            tried or none was found.
        results: How far what a module returned is what each output gives; empty where none was returned.
    """

    samples: int
    steps: int
    populations: Mapping[str, SourceAgreement]
    unrecorded: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    otherwise: str = ""
    results: Mapping[str, ResultAgreement] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether all recorded spikes are equal, and all potentials and results within their tolerance."""
        return all(each.first is None for each in (*self.populations.values(), *self.results.values()))

    @property
    def first(self) -> tuple[str, SourceDifference] | None:
        """The population and the place of the earliest difference; None if there is none."""
        differing = [(name, each.first) for name, each in self.populations.items() if each.first is not None]
        # Of those of one step the first population in the order of execution is the one others follow from.
        return min(differing, key=lambda item: item[1].step, default=None)

    def sentences(self) -> tuple[str, ...]:
        """Return the result in sentences, the most useful one first."""
        extent = f"all {self.steps} steps of {_count(self.samples, 'sample')}"
        rest = [f"not compared, because nothing was recorded of them: {_names(self.unrecorded)}"]
        gone = [
            f"the record of '{name}' has {_count(count, 'neuron')} more than the network: neurons that can "
            "never fire, or that nothing reads, were removed"
            for name, count in self.left_out.items()
        ]
        said = [*(rest if self.unrecorded else []), *gone]
        if self.equal:
            return (f"equal to what the framework computed, at {extent}: {self._what()}", *said)
        if self.first is None:
            return (*self._result_sentences(), *said)
        name, first = self.first
        sentences = [
            f"not what the framework computed: '{name}' first differs at {first.where}: {first.what}"
        ]
        shift = self.populations[name].shifted
        if self.otherwise:
            sentences.insert(0, f"with {self.otherwise} {extent} are equal to what the framework computed")
        elif shift:
            order = "later" if shift > 0 else "earlier"
            sentences.append(
                f"all spikes that the framework recorded of '{name}' come one step {order}, and are equal "
                "otherwise: a layer sends there one step late, or was recorded so"
            )
        else:
            sentences.append(f"likely cause: {first.cause}")
        return (*sentences, *said)

    def _result_sentences(self) -> list[str]:
        """Return what differs where all neurons do the same, and only what is read of them does not."""
        differing = {name: each.first for name, each in self.results.items() if each.first is not None}
        name, first = next(iter(differing.items()))
        others = [f"so does '{other}': {each.sentence}" for other, each in differing.items() if other != name]
        rest = f"all neurons do what they did in the framework ({self._what()})"
        return [
            f"not what the module returned: '{name}' differs, {first.sentence}",
            *others,
            f"{rest}: only what is read of them differs",
            f"likely cause: {first.cause}",
        ]

    def _what(self) -> str:
        spiking = [name for name, each in self.populations.items() if each.spike_f1 is not None]
        measured = {name: each for name, each in self.populations.items() if each.largest_error is not None}
        parts = [f"every spike of {_names(spiking)}"] if spiking else []
        same = [name for name, each in self.results.items() if each.first is None]
        if measured:
            worst = max(measured.values(), key=lambda each: (each.largest_error or 0) / (each.tolerance or 1))
            parts.append(
                f"the potentials of {_names(measured)}, to {worst.largest_error:.2g} (tolerance "
                f"{worst.tolerance:.2g})"
            )
        if same:
            error = max(self.results[name].largest_error for name in same)
            parts.append(f"what was returned as {_names(same)}{f', to {error:.2g}' if error else ''}")
        return "; ".join(parts)

    def summary(self) -> Summary:
        """Return the verdict, and a row per population."""
        head = (
            "population",
            "equal spikes",
            "spike F1",
            "largest v error, units of the model",
            "first difference",
        )
        return Summary(f"ImportCheck: {self.sentences()[0]}", head, self.document().rows())

    def require_equal(self) -> None:
        """Raise if the network is not what the framework computed.

        Raises:
            SourceMismatchError: Says where it first differs, and what would be equal.
        """
        self.document().require_equal()

    def document(self) -> SourceFacts:
        """Return what a build keeps of it, and what machines are told."""
        return SourceFacts(
            equal=self.equal,
            samples=self.samples,
            steps=self.steps,
            populations=dict(self.populations),
            unrecorded=self.unrecorded,
            left_out=dict(self.left_out),
            otherwise=self.otherwise,
            sentences=self.sentences(),
            results=dict(self.results),
        )


@enough_memory("comparing the network with its framework")
def check_import(build: Build, outputs: Outputs, stimulus: Stimulus | None = None) -> ImportCheck:
    """Compare the network of a build, as it was read, with what its own framework computed.

    Spikes must be equal at every step. Potentials may differ by a hundred-thousandth of the largest one if
    they are of single precision, and by a billionth in double precision; they are compared where neither
    side fires. `compile_file` also tries other readings of the file if they are not equal.

    Args:
        build: A compiled network that was not trained on.
        outputs: Records of the framework, `[batch, time, *features]`: a `.npz`, arrays by key, or the array
            of the last population. A key is `"<population>.spikes"` or `"<population>.v"`; the path of a
            module may stand for the population, and `output` for the last one.
        stimulus: Samples on which they were recorded; by default those of the build.

    Raises:
        UsageError: There is no stimulus, or the build was trained on with its integers.
        UnknownNameError: A key names no population.
        ArgumentError: A record has another shape, holds NaN, or that of the last population is missing.
    """
    network = graph_as_read(check_is_build(build))
    imported = build.facts.imported
    rests = {} if imported is None else {name: np.array(each) for name, each in imported.rests.items()}
    return check_graph(network, outputs, build.stimulus_for(stimulus), rests, reduced=True)


def graph_as_read(build: Build) -> Graph:
    """Return the network of a build before anything was added to it that runs differently or not as one.

    Raises:
        UsageError: It was trained on, or its integers came from a file.
    """
    if build.facts.repair is not None:
        raise UsageError(
            "the network was trained on with its integers, and is no longer the one that was read",
            "compile it without training, or compile with `expect`, which compares before it trains",
        )
    graphs = {each.name: each.graph for each in build.passes}
    read = graphs.get(FoldDelays.name)
    if read is None or read.stage is not Stage.FLOAT:
        raise UsageError(
            "the build does not hold its network in real numbers as it was read: its integers came from a "
            "file, or an older version wrote it",
            "compare integers with `compare`, or compile the network again",
        )
    return read


def check_graph(
    graph: Graph,
    outputs: Outputs,
    stimulus: Stimulus,
    rests: Mapping[str, Array] | None = None,
    readings: Iterable[Reading] = (),
    *,
    reduced: bool = False,
    partly: bool = False,
    results: Mapping[str, Returned] | None = None,
) -> ImportCheck:
    """Compare a network with what its framework computed.

    Args:
        graph: The network, in real numbers.
        outputs: Records of the framework; see `check_import`.
        stimulus: Samples on which they were recorded.
        rests: Potentials that are zero in the network, by population, where they are others in the framework.
        readings: Other readings of its file, to be tried if it is not equal; see `find_reading`.
        reduced: Whether neurons may have been removed from the network, so that a record holds more.
        partly: Whether the population that the network ends in may be missing from the records.
        results: What the module itself returned, by the output that reads it.
    """
    given = check_stimulus(graph, stimulus)
    records = records_of(outputs)
    expected = framework_outputs(graph, records, given, reduced=reduced, partly=partly)
    populations, returned = _compare(Imported(graph, (), rests=rests or {}), expected, given, results or {})
    names = [node.name for node in graph.populations if (node.origin.elements >= 0).all()]
    compared = {*populations, *(graph[name].inputs[0] for name in returned)}
    check = ImportCheck(
        given.samples,
        given.steps,
        populations,
        tuple(name for name in names if name not in compared),
        expected.left_out,
        results=returned,
    )
    if check.first is None or check.first[1].is_rounding:
        return check
    return replace(check, otherwise=find_reading(records, given, readings, check.first[1].sample))


def find_reading(outputs: Outputs, stimulus: Stimulus, readings: Iterable[Reading], sample: int = 0) -> str:
    """Return the arguments with which a file is read as what its framework computed; empty for none.

    Args:
        outputs: Records of the framework; see `check_import`.
        stimulus: Samples on which they were recorded.
        readings: The readings to try, the likeliest first; those that raise are none of such a network.
        sample: A sample that a wrong reading is likely to fail.
    """
    records = records_of(outputs)
    few = np.unique([*range(min(_TRIED, stimulus.samples)), sample])
    for arguments, read in readings:
        with suppress(ToolchainError):
            if _is_equal(read(), records, stimulus, few):
                return arguments
    return ""


def _is_equal(other: Imported, records: Records, stimulus: Stimulus, few: NDArray[np.int64]) -> bool:
    """Return whether a network is what a framework computed: on a few samples, and if so on all."""
    given = check_stimulus(other.graph, stimulus)
    expected = framework_outputs(other.graph, records, given)
    return all(
        all(each.first is None for each in _compare(other, expected.take(some), given.take(some))[0].values())
        for some in (few, slice(None))
    )


def _compare(
    network: Imported,
    expected: FrameworkOutputs,
    stimulus: Stimulus,
    returned: Mapping[str, Returned] = MappingProxyType({}),
) -> tuple[dict[str, SourceAgreement], dict[str, ResultAgreement]]:
    """Return how far every recorded population is equal, in the order of execution, and every result."""
    graph = network.graph
    searches = {
        node.name: SourceSearch(graph, node.name, expected.of(node.name), network.rests.get(node.name, 0.0))
        for node in graph.populations
        if node.name in expected.populations
    }
    results = {
        output.name: ResultSearch(graph, output, returned[output.name])
        for output in graph.outputs
        if output.name in returned
    }
    program = load_target(DEFAULT_EXECUTOR).build(graph)
    per_sample = recorded_bytes(graph, stimulus.steps, QUANTITIES)
    for start, part in in_parts(stimulus, per_sample, program):
        given = expected.take(slice(start, start + part.samples))
        ours = program.run(fit_stimulus(graph, part), record=QUANTITIES)
        theirs = filled(ours, given.spikes)
        for name, search in searches.items():
            search.add(given.of(name), ours, theirs)
        for result in results.values():
            result.add(ours)
    agreements = {name: _result(graph, name, search, expected) for name, search in searches.items()}
    return agreements, {name: search.result() for name, search in results.items()}


def _result(graph: Graph, name: str, search: SourceSearch, expected: FrameworkOutputs) -> SourceAgreement:
    agreement = search.result()
    if agreement.first is None:
        return agreement
    unrecorded = tuple(each for each in sources_of(graph, name) if each not in expected.spikes)
    return replace(agreement, first=replace(agreement.first, unrecorded=unrecorded))


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
