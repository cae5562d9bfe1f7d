"""What was measured of a build: float against integers, targets that must be exact, what its chip says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Self, final

from pydantic import ConfigDict

from toolchain.errors import SimulationError
from toolchain.execution.clipping import ClippedInput
from toolchain.execution.trace import Trace
from toolchain.fidelity import Comparison, Mismatch
from toolchain.fidelity.agreement import Agreement
from toolchain.fidelity.attribution import LossAttribution
from toolchain.fidelity.continuation import Continuation, ForecastFigures
from toolchain.fidelity.cost import Cost
from toolchain.fidelity.outputs import OutputErrors
from toolchain.fidelity.report import ReportContent, write_report
from toolchain.files.documents import OMITTED, Count, FileDocument, write_document
from toolchain.summary import Summarised, Summary
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import Resources
from toolchain.workflow.shards import Computed


@final
@dataclass(frozen=True)
class Exactness:
    """Whether a target's integers are the integers, bit for bit.

    Attributes:
        samples: Number of samples that were run, all quantities at every step.
        against: The execution it differs from; empty if it differs from none.
        mismatch: The earliest difference, or None.
    """

    samples: int
    against: str = ""
    mismatch: Mismatch | None = None

    @property
    def equal(self) -> bool:
        """Whether `u`, `v` and spikes equal the integer reference and the emulator at every step."""
        return self.mismatch is None

    def sentence(self, target: str) -> str:
        """Return the result in words."""
        if self.equal:
            return (
                f"{target}: u, v and spikes of {self.samples} samples equal reference and emulator at "
                "every step."
            )
        return f"{target} differs from {self.against}: {self.mismatch}. They must be equal: this is a bug."


@final
@dataclass(frozen=True, repr=False)
class Judgement(Summarised):
    """A build compared: the metrics, and what a report needs.

    Attributes:
        comparison: Float against fixed over the whole stimulus.
        costs: Cost of the float graph and of the fixed graph.
        shown: Traces of the samples that a report shows, with potentials, float and fixed.
        shown_samples: Indices of these: the first samples, and those in which populations first differ.
        exact: Per further target, whether its integers are equal.
        attribution: The loss split by cause; None if it was not asked for.
        resources: What the build's chip says of it; None if its target knows no chip, or it does not fit.
        misfit: Reason why it does not fit; empty otherwise.
        clipped: The graded inputs of which the integers were given less than the real numbers.
        continuation: How the network continues a series by itself; None for what is no forecast.
        computed: Where it was computed, if that was on workers. It makes no difference.
    """

    comparison: Comparison
    costs: tuple[Cost, Cost]
    shown: tuple[Trace, Trace]
    shown_samples: tuple[int, ...]
    exact: Mapping[str, Exactness]
    attribution: LossAttribution | None = None
    resources: Resources | None = None
    misfit: str = ""
    clipped: tuple[ClippedInput, ...] = ()
    continuation: Continuation | None = None
    computed: Computed | None = field(default=None, compare=False)

    def document(self) -> "FidelityDocument":
        """Return what `fidelity.json` holds."""
        return FidelityDocument.of(self)

    def summary(self) -> Summary:
        """Return the comparison, and which targets are exact."""
        line, head, rows = self.comparison.summary()
        exact = [f"; {name} {'is equal' if item.equal else 'DIFFERS'}" for name, item in self.exact.items()]
        return Summary(f"Judgement: {line}{''.join(exact)}", head, rows)

    def sentences(self, *, outcome: bool = True) -> list[str]:
        """Return the results: clipped inputs, exact targets or the loss, causes of the loss, and misfit.

        Args:
            outcome: Whether the loss is said where no target had to be exact.
        """
        causes = [] if self.attribution is None else [self.attribution.sentence()]
        misfit = [f"It does not fit its chip: {self.misfit}."] if self.misfit else []
        clipped = [f"{each}." for each in self.clipped]
        exact = [result.sentence(name) for name, result in self.exact.items()]
        computed = [] if self.computed is None else [self.computed.sentence()]
        own = [self._outcome()] if outcome and not exact else []
        return [*clipped, *own, *exact, *causes, *misfit, *computed]

    def _outcome(self) -> str:
        """Return what the integers cost, where no target says that they are equal to themselves."""
        line = self.comparison.summary().line
        how = "'pumice compare' does that for those that `exact` names, such as lava"
        return f"{line}. No target was compared with the integers step by step; {how}."

    def require_exact(self) -> None:
        """Raise for the first target whose integers are not equal.

        Raises:
            SimulationError: Names population and step.
        """
        for name, result in self.exact.items():
            if result.mismatch is not None:
                node = result.mismatch.record.rpartition(".")[0]
                raise SimulationError(result.sentence(name), process=node, step=result.mismatch.step)

    def write(self, build: Build, folder: Path) -> None:
        """Write the figures and the report of a build: `Build.save` calls this.

        Args:
            build: The build that was judged.
            folder: Folder that gets `fidelity.json`, `report.html`, and `resources.json` for a chip that
                the build fits.
        """
        write_document(folder / "fidelity.json", self.document())
        write_report(folder / "report.html", report_of(build, self))
        if self.resources is not None:
            write_document(folder / "resources.json", self.resources.document())


@final
class FidelityDocument(FileDocument):
    """How faithful the integers of a build are to its real numbers.

    Attributes:
        samples: Number of samples.
        nodes: Agreement per population.
        spike_f1: Spike F1 over the spikes of all populations that fire.
        prediction_agreement: Share of samples with equal predictions, in percent; null for real outputs.
        float_accuracy: Accuracy in real numbers, in percent; null without classes.
        fixed_accuracy: Accuracy in integers, in percent; null without classes.
        accuracy_drop: Points lost from float to fixed; null without classes.
        exact: Per further target, whether its integers equal those of reference and emulator.
        attribution: The loss split by cause; null if it was not asked for.
        clipped: The graded inputs of which the integers were given less than the real numbers.
        outputs: Errors of real outputs.
        forecast: Errors of forecasts that go on by their own predictions.
        computed: Where it was computed, if that was on the workers of a cluster.
    """

    FORMAT: ClassVar[str] = "pumice-fidelity"
    VERSION: ClassVar[int] = 2
    WHAT: ClassVar[str] = "figures of a comparison"
    WRITTEN_BY: ClassVar[str] = "pumice compile"

    # What a dataclass holds is checked too, so that no NaN gets into the file.
    model_config = ConfigDict(revalidate_instances="always")

    format: str = FORMAT
    version: int = VERSION
    samples: Count
    nodes: dict[str, Agreement]
    spike_f1: float
    prediction_agreement: float | None
    float_accuracy: float | None
    fixed_accuracy: float | None
    accuracy_drop: float | None
    exact: dict[str, bool]
    attribution: LossAttribution | None
    clipped: tuple[ClippedInput, ...]
    outputs: Annotated[OutputErrors | None, OMITTED] = None
    forecast: Annotated[ForecastFigures | None, OMITTED] = None
    computed: Annotated[Computed | None, OMITTED] = None

    @classmethod
    def of(cls, judgement: Judgement) -> Self:
        """Return the figures of a judgement."""
        comparison = judgement.comparison
        return cls(
            samples=comparison.samples,
            nodes=dict(comparison.nodes),
            spike_f1=comparison.spike_f1,
            prediction_agreement=comparison.prediction_agreement,
            float_accuracy=comparison.float_accuracy,
            fixed_accuracy=comparison.fixed_accuracy,
            accuracy_drop=comparison.accuracy_drop,
            exact={name: result.equal for name, result in judgement.exact.items()},
            attribution=judgement.attribution,
            clipped=judgement.clipped,
            outputs=comparison.outputs,
            forecast=None if judgement.continuation is None else judgement.continuation.figures,
            computed=judgement.computed,
        )


def report_of(build: Build, judgement: Judgement) -> ReportContent:
    """Return what the report of a judged build shows."""
    facts, resources = build.facts, judgement.resources
    agreement = () if facts.float_agreement is None else (facts.float_agreement,)
    calibrated = build.quantization.calibration_sentence
    return ReportContent(
        title=f"Fidelity of {build.fixed_graph.name} for {build.target}",
        graphs=(build.float_graph, build.fixed_graph),
        traces=judgement.shown,
        samples=judgement.shown_samples,
        comparison=judgement.comparison,
        costs=judgement.costs,
        quantization=build.quantization,
        sizes=() if facts.sizes is None else facts.sizes.rows(),
        checks=(
            *agreement,
            *(() if calibrated is None else (f"{calibrated}.",)),
            *build.notes,
            *judgement.sentences(),
        ),
        attribution=judgement.attribution,
        resources=None if resources is None else (resources.fit, resources.metrics),
        continuation=judgement.continuation,
    )
