"""Whether a build fits a chip, and what it would cost there."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import ClassVar, Final, final

from toolchain.errors import DoesNotFitError, TraceError
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity.neurobench import NeuroBench, neurobench
from toolchain.files.documents import Count, FileDocument
from toolchain.intake import PathText, count_of, path_of
from toolchain.ir import Graph
from toolchain.memory import enough_memory
from toolchain.options import MOST
from toolchain.summary import Summarised, Summary
from toolchain.target.chip_fit import Fit
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_chip, load_target
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.fit_document import FitHeader, fit_document

_WORD_BITS: Final = 64


@final
class ChipMetrics(NeuroBench):
    """The metrics of NeuroBench, and one that only a chip has.

    Attributes:
        footprint_target_bits: Bits of synaptic memory on the chip.
    """

    footprint_target_bits: Count


class _ResourcesHeader(FitHeader):
    FORMAT: ClassVar[str] = "pumice-resources"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "resources of a pumice build"
    WRITTEN_BY: ClassVar[str] = "pumice compile"

    format: str = FORMAT
    version: int = VERSION
    neurobench: ChipMetrics


ResourcesDocument: Final = fit_document(
    "ResourcesDocument",
    _ResourcesHeader,
    Fit,
    """A build on a chip: cores, traffic, time and energy.

    Attributes:
        fits: Whether there are enough chips.
        binding: The limit that is used most on the fullest core.
        utilization: Share of that limit that is used.
        neurobench: Metrics of NeuroBench.
    """,
)
"""What `resources.json` holds: the fields of a `Fit` beside those of the header."""


@final
@dataclass(frozen=True, repr=False)
class Resources(Summarised):
    """A build on a chip.

    Attributes:
        fit: Cores, traffic, time and energy.
        metrics: Metrics of NeuroBench.
    """

    fit: Fit
    metrics: NeuroBench

    def summary(self) -> Summary:
        """Return whether it fits, and what every layer takes."""
        fit = self.fit
        verdict = "fits" if fit.fits else f"does not fit, {fit.chips_needed} chips are needed"
        rows = [(layer.name, layer.neurons, layer.cores, f"{layer.utilization:.0%}") for layer in fit.layers]
        return Summary(
            f"Resources: {fit.title}: {verdict}; {len(fit.cores)} of {fit.chips * fit.cores_per_chip} cores",
            ("layer", "neurons", "cores", "fullest core"),
            rows,
        )

    def document(self) -> FileDocument:
        """Return what `resources.json` holds."""
        binding, share = self.fit.binding
        words = sum(layer.synaptic_words for layer in self.fit.layers)
        metrics = ChipMetrics(**dict(self.metrics), footprint_target_bits=words * _WORD_BITS)
        verdict = {"fits": self.fit.fits, "binding": binding, "utilization": share, "neurobench": metrics}
        return ResourcesDocument.model_validate(verdict | vars(self.fit))

    def require_fit(self) -> None:
        """Raise unless there are enough chips.

        Raises:
            DoesNotFitError: Says how many cores are needed, and what would make it fit.
        """
        if not self.fit.fits:
            room = self.fit.chips * self.fit.cores_per_chip
            remedy = "; ".join((*self.fit.advice, f"or take `chips={self.fit.chips_needed}`"))
            raise DoesNotFitError("", "cores", len(self.fit.cores), room, remedy)


@enough_memory("checking the build against the chip")
def check_build(
    build: Build,
    target: str | None = None,
    *,
    stimulus: Stimulus | None = None,
    trace: Trace | None = None,
    chips: int = 1,
    profile: PathText | None = None,
) -> Resources:
    """Spread a build over the cores of a chip and say what that takes.

    Args:
        build: The build whose integers are spread.
        target: Name of an installed target that knows a chip; by default the build's.
        stimulus: Samples that were run, or are to be run; by default the build's own.
        trace: A recorded run of the first samples of it; by default the emulator runs them all.
        chips: Largest number of chips.
        profile: File with the limits of another chip.

    Raises:
        TargetError: The target knows no chip.
        TraceError: The trace is of another network.
        DoesNotFitError: A part of the network is too large for any core.
    """
    place = target or check_is_build(build).target
    load_chip(place)
    chips = count_of(chips, "chips", least=1, most=MOST)
    profile = None if profile is None else path_of(profile, "profile")
    activity = observed_activity(build, stimulus, trace)
    return fit_activity(build.fixed_graph, activity, place, chips=chips, profile=profile)


def observed_activity(build: Build, stimulus: Stimulus | None, trace: Trace | None) -> Activity:
    """Return what the sources of a build sent in a recorded run; without one the emulator runs all samples.

    Args:
        build: The build.
        stimulus: Samples that were run, or are to be run; None for the build's own.
        trace: A recorded run of the first samples of it.

    Raises:
        TraceError: The trace is of another network.
    """
    graph, samples = build.fixed_graph, build.stimulus_for(stimulus)
    if trace is None:
        return observe_activity(graph, samples)
    return count_events(graph, samples.take(slice(0, _samples_of(trace))), trace)


def fit_activity(
    graph: Graph, activity: Activity, target: str, *, chips: int = 1, profile: Path | None = None
) -> Resources:
    """Spread a fixed graph over the cores of a chip; see `check_build`.

    Args:
        graph: Graph in integers.
        activity: Events that its sources sent in a run.
        target: Name of an installed target that knows a chip.
        chips: Largest number of chips.
        profile: File with the limits of another chip.
    """
    fit = load_chip(target).fit(graph, activity, chips=chips, profile=profile)
    return Resources(fit, neurobench(graph, activity))


def observe_activity(graph: Graph, stimulus: Stimulus) -> Activity:
    """Run a graph on the emulator, a part of the samples at a time, and return what its sources sent."""
    program = load_target(DEFAULT_EXECUTOR).build(graph)
    parts = in_parts(stimulus, recorded_bytes(graph, stimulus.steps, ("spikes",)), program)
    return reduce(Activity.merged, (count_events(graph, part, program.run(part)) for _, part in parts))


def _samples_of(trace: Trace) -> int:
    for spikes in trace.spikes.values():
        return len(spikes)
    raise TraceError("", "has no spikes: the trace holds none")
