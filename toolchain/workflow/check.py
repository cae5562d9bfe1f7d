"""Whether a build fits a chip, and what it would cost there."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final, final

from toolchain.errors import DoesNotFitError, TraceError
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity.neurobench import NeuroBench, neurobench
from toolchain.intake import PathText, check_type, count_of, path_of
from toolchain.ir import Graph
from toolchain.memory import enough_memory
from toolchain.options import MOST
from toolchain.target.chip_fit import Fit
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import load_chip, load_target
from toolchain.workflow.build_folder import Build

_EMULATOR: Final = "emulator"
_WORD_BITS: Final = 64


@final
@dataclass(frozen=True)
class Resources:
    """A build on a chip.

    Attributes:
        fit: Cores, traffic, time and energy.
        metrics: Those of NeuroBench.
    """

    fit: Fit
    metrics: NeuroBench

    def to_json(self) -> dict[str, Any]:
        """Return the document stored as `resources.json`."""
        words = sum(layer.synaptic_words for layer in self.fit.layers)
        encoded = {"footprint_target_bits": words * _WORD_BITS}
        return self.fit.to_json() | {"neurobench": self.metrics.to_json() | encoded}

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
        build: Whose integers are meant.
        target: Name of an installed target that knows a chip; by default the build's.
        stimulus: What was, or is to be, run; by default the build's own.
        trace: A recorded run of the first samples of it; by default the emulator runs them all.
        chips: How many there may be.
        profile: File with the limits of another chip.

    Raises:
        TargetError: The target knows no chip.
        TraceError: The trace is of another network.
        DoesNotFitError: A part of the network is too large for any core.
    """
    place = target or check_type(build, "build", Build).target
    load_chip(place)
    chips = count_of(chips, "chips", least=1, most=MOST)
    profile = None if profile is None else path_of(profile, "profile")
    graph, given = build.fixed_graph, build.stimulus_for(stimulus)
    if trace is None:
        activity = observe_activity(graph, given)
    else:
        activity = count_events(graph, given.take(slice(0, _samples_of(trace))), trace)
    return fit_activity(graph, activity, place, chips=chips, profile=profile)


def fit_activity(
    graph: Graph, activity: Activity, target: str, *, chips: int = 1, profile: Path | None = None
) -> Resources:
    """Spread a fixed graph over the cores of a chip; see `check_build`.

    Args:
        graph: Fixed.
        activity: What its sources sent in a run.
        target: Name of an installed target that knows a chip.
        chips: How many there may be.
        profile: File with the limits of another chip.
    """
    fit = load_chip(target).fit(graph, activity, chips=chips, profile=profile)
    return Resources(fit, neurobench(graph, activity))


def observe_activity(graph: Graph, stimulus: Stimulus) -> Activity:
    """Run a graph on the emulator, a part of the samples at a time, and return what its sources sent."""
    program = load_target(_EMULATOR).build(graph)
    parts = in_parts(stimulus, recorded_bytes(graph, stimulus.steps, ("spikes",)), program)
    return reduce(Activity.merged, (count_events(graph, part, program.run(part)) for _, part in parts))


def _samples_of(trace: Trace) -> int:
    for spikes in trace.spikes.values():
        return len(spikes)
    raise TraceError("", "has no spikes: the trace holds none")
