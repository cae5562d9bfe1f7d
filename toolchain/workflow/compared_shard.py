"""Comparing a range of the samples of a build: what is found can be added to that of other ranges."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Final, final

from toolchain.execution.activity import Activity, count_events
from toolchain.execution.clipping import ClippingTally
from toolchain.execution.reference import run as run_reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import Comparer, MismatchSearch
from toolchain.fidelity.shown import ShownSamples
from toolchain.progress import Progress, StageProgress, part_progress, stage_progress
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.shards import SampleSource

_COMPARED: Final = ("spikes", "v")
_PART_BYTES: Final = 40 * 2**20
"""What float and fixed may record of a part: memory of this size is used again for the next one."""
_EXECUTIONS: Final = 3
"""The target that must be exact, the integer reference and the emulator."""
_EXACT_BYTES: Final = 512 * 2**20
"""What the records of these may take."""


@final
@dataclass
class ComparedShard:
    """What was compared of some samples.

    Attributes:
        comparer: Float against fixed.
        shown: Samples that a report shows.
        clipping: Values of graded inputs that were clipped.
        activities: Events of the sources of the float graph and of the fixed graph.
    """

    comparer: Comparer
    shown: ShownSamples
    clipping: ClippingTally
    activities: tuple[Activity, Activity]

    def include(self, other: "ComparedShard") -> None:
        """Add what was compared of other samples; the order makes no difference."""
        self.comparer.include(other.comparer)
        self.shown.include(other.shown, self.comparer.firsts())
        self.clipping.include(other.clipping)
        self.activities = _both_merged(self.activities, other.activities)


def compare_shard(
    source: SampleSource, shard: range, centres: dict[str, float], *, progress: StageProgress
) -> ComparedShard:
    """Run float and fixed a part of the samples at a time, and compare them.

    The float program says where parts may be cut; integers are the same wherever they are.

    Args:
        source: Build and samples.
        shard: Range of the samples.
        centres: Centres of potentials where the shard does not begin with the first sample.
        progress: Callback with the stage and how far it is.
    """
    build, stimulus = source.open()
    graphs = build.float_graph, build.fixed_graph
    comparer = Comparer(graphs, build.facts.outputs, start=shard.start, centres=centres)
    shown, clipping = ShownSamples(), ClippingTally.of(build.fixed_graph)
    emulator = load_target(DEFAULT_EXECUTOR)
    programs = tuple(emulator.build(graph) for graph in graphs)
    per_sample = sum(recorded_bytes(graph, stimulus.steps, _COMPARED) for graph in graphs)

    def run(start: int, part: Stimulus) -> tuple[Trace, Trace]:
        traces: list[Trace] = []
        clipping.add(part.values)
        for program, label in zip(programs, ("float", "fixed"), strict=True):
            report = _in_shard(progress, f"emulate {label}", shard, start, part)
            traces.append(program.run(part, record=_COMPARED, progress=report))
        return traces[0], traces[1]

    def tally(start: int, part: Stimulus, traces: tuple[Trace, Trace]) -> tuple[Activity, Activity]:
        comparer.add(
            traces, labels=part.labels, lengths=part.lengths, present=part.present, entered=part.values
        )
        shown.keep(start, traces, comparer.firsts())
        return count_events(graphs[0], part, traces[0]), count_events(graphs[1], part, traces[1])

    counted: list[Future[tuple[Activity, Activity]]] = []
    # While one part is compared, the next one runs; there are never more than two.
    with ThreadPoolExecutor(1) as behind:
        for start, part in in_parts(stimulus, per_sample, programs[0], _PART_BYTES, of=shard):
            traces = run(start, part)
            if counted:
                counted[-1].result()
            counted.append(behind.submit(tally, start, part, traces))
    return ComparedShard(comparer, shown, clipping, reduce(_both_merged, (each.result() for each in counted)))


def check_exact_shard(
    source: SampleSource, name: str, shard: range, *, progress: StageProgress
) -> dict[str, MismatchSearch]:
    """Compare a target with the integer reference and the emulator, a part of the samples at a time.

    Parts are as large as the memory allows, since some targets take seconds to start.

    Args:
        source: Build and samples.
        name: Name of the target.
        shard: Range of the samples.
        progress: Callback with the stage and how far it is.
    """
    build, stimulus = source.open()
    graph, stage = build.fixed_graph, f"run on {name}"
    progress(stage, 0, len(shard))
    program, emulator = (load_target(each).build(graph) for each in (name, DEFAULT_EXECUTOR))
    searches = {each: MismatchSearch(shard.start) for each in ("the integer reference", "the emulator")}
    per_sample = _EXECUTIONS * recorded_bytes(graph, stimulus.steps, QUANTITIES)
    for start, part in in_parts(stimulus, per_sample, room=_EXACT_BYTES, of=shard):
        trace = program.run(part, record=QUANTITIES, progress=_in_shard(progress, stage, shard, start, part))
        searches["the integer reference"].add(run_reference(graph, part), trace)
        searches["the emulator"].add(emulator.run(part, record=QUANTITIES), trace)
    return searches


def _both_merged(
    one: tuple[Activity, Activity], other: tuple[Activity, Activity]
) -> tuple[Activity, Activity]:
    return one[0].merged(other[0]), one[1].merged(other[1])


def _in_shard(progress: StageProgress, stage: str, shard: range, start: int, part: Stimulus) -> Progress:
    """Return a callback that reports a part in samples of the shard."""
    return part_progress(stage_progress(progress, stage), start - shard.start, part.samples, len(shard))
