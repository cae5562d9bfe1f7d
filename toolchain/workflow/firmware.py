"""Whether a build fits a processor, and what a step would take there."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, final

from toolchain.errors import DoesNotFitError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.files.documents import FileDocument
from toolchain.intake import PathText
from toolchain.memory import enough_memory
from toolchain.summary import Summarised, Summary
from toolchain.target.processor_fit import ProcessorFit
from toolchain.target.registry import load_writer
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.check import observed_activity
from toolchain.workflow.fit_document import FitHeader, fit_document


class _FirmwareHeader(FitHeader):
    FORMAT: ClassVar[str] = "pumice-firmware"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "a pumice build on a processor"
    WRITTEN_BY: ClassVar[str] = "pumice check"

    format: str = FORMAT
    version: int = VERSION


FirmwareDocument: Final = fit_document(
    "FirmwareDocument",
    _FirmwareHeader,
    ProcessorFit,
    """A build on a processor: flash, RAM, and an estimate of a step.

    Attributes:
        fits: Whether flash and RAM hold the network.
        binding: The limit that is used most.
        utilization: Share of that limit that is used.
    """,
)
"""What `pumice check` says of a processor for machines: the fields of a `ProcessorFit`, and a header."""


@final
@dataclass(frozen=True, repr=False)
class Firmware(Summarised):
    """A build on a processor.

    Attributes:
        fit: Flash, RAM, and an estimate of a step.
    """

    fit: ProcessorFit

    def summary(self) -> Summary:
        """Return whether it fits, and what every layer takes."""
        fit = self.fit
        flash, ram = fit.used.values()
        rows = [
            (layer.name, layer.neurons, layer.table_bytes, layer.state_bytes, f"{layer.instructions:,.0f}")
            for layer in fit.layers
        ]
        return Summary(
            f"Firmware: {fit.title}: {'fits' if fit.fits else 'does not fit'}; {flash:,} bytes of flash, "
            f"{ram:,} of RAM",
            ("layer", "neurons", "bytes of tables", "bytes of state", "instructions a step, estimated"),
            rows,
        )

    def document(self) -> FileDocument:
        """Return it for machines."""
        binding, share = self.fit.binding
        verdict = {"fits": self.fit.fits, "binding": binding, "utilization": share}
        return FirmwareDocument.model_validate(verdict | vars(self.fit))

    def require_fit(self) -> None:
        """Raise unless flash and RAM hold the network.

        Raises:
            DoesNotFitError: Says how many bytes are needed, and what would make it fit.
        """
        if not self.fit.fits:
            name, _ = self.fit.binding
            needed, room = self.fit.used[name], self.fit.limits[name].value
            raise DoesNotFitError("", f"bytes of {name}", needed, room, "; ".join(self.fit.advice))


@enough_memory("checking the build against the processor")
def check_firmware(
    build: Build,
    processor: PathText | None = None,
    target: str | None = None,
    *,
    stimulus: Stimulus | None = None,
    trace: Trace | None = None,
) -> tuple[Firmware, ...]:
    """Say what a build takes on a processor, or on each that its target knows.

    Args:
        build: The build whose integers are written.
        processor: Name of a processor, or a TOML file of another one; by default all that the target knows.
        target: Name of an installed target that writes programs for processors; by default the build's.
        stimulus: Samples that were run, or are to be run; by default the build's own.
        trace: A recorded run of the first samples of it; by default the emulator runs them all.

    Raises:
        TargetError: The target writes no programs for processors, or a compiler fails.
        ProfileError: The profile lacks a value, or holds an impossible one.
        TraceError: The trace is of another network.
    """
    place = load_writer(target or check_is_build(build).target)
    activity = observed_activity(build, stimulus, trace)
    chosen = place.processors if processor is None else (processor,)
    return tuple(Firmware(place.fit_processor(build.fixed_graph, activity, _named(each))) for each in chosen)


def _named(processor: PathText) -> str | Path:
    return processor if isinstance(processor, str | Path) else Path(processor)
