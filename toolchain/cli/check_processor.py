"""What `pumice check` prints of processors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.cli.console import answer, out, print_table

if TYPE_CHECKING:
    from toolchain.target.processor_fit import ProcessorFit
    from toolchain.workflow.firmware import Firmware


def answer_processors(checked: "Sequence[Firmware]", *, as_json: bool, chosen: bool) -> None:
    """Print what a build takes on one processor, or on all that a target knows; raise if it fits none.

    Args:
        checked: The build on every processor.
        as_json: Whether it is for machines: a document, or several under `processors`.
        chosen: Whether somebody asked for this one.
    """
    if as_json:
        documents = [each.document().model_dump(mode="json") for each in checked]
        answer(documents[0] if chosen else {"processors": documents})
    elif chosen:
        _print_processor(checked[0].fit)
    else:
        _print_processors([each.fit for each in checked])
    if not any(each.fit.fits for each in checked):
        checked[0].require_fit()


def _print_processors(fits: "Sequence[ProcessorFit]") -> None:
    print_table(
        "processors",
        ("name", "processor", "flash, bytes", "of it", "RAM, bytes", "of it", "a step, estimated", "verdict"),
        [
            (
                fit.processor,
                fit.title,
                *(
                    part
                    for name in fit.used
                    for part in (f"{fit.used[name]:,}", f"{fit.utilization[name]:.1%}")
                ),
                f"{1e6 * fit.seconds:,.0f} us",
                "fits" if fit.fits else "does not fit",
            )
            for fit in fits
        ],
    )
    out.tell("note: for one of them, with its layers and its sources: --profile NAME")
    for note in dict.fromkeys(fit.notes[0] for fit in fits):
        out.tell(f"note: {note}")


def _print_processor(fit: "ProcessorFit") -> None:
    out.print(f"{fit.title}: {'fits' if fit.fits else 'does not fit'}", style="bold")
    print_table(
        "layers",
        ("name", "neurons", "bytes of tables", "bytes of state", "instructions a step, estimated"),
        [
            (layer.name, layer.neurons, layer.table_bytes, layer.state_bytes, f"{layer.instructions:,.0f}")
            for layer in fit.layers
        ],
    )
    for name, used in fit.used.items():
        limit = fit.limits[name]
        out.print(
            f"{name}: {used:,} of {limit.value:,.0f} bytes, {fit.utilization[name]:.1%} ({limit.source}; "
            f"{limit.confidence_in_words})",
            markup=False,
        )
    code = "not counted" if fit.code_bytes is None else f"{fit.code_bytes:,} bytes"
    out.print(f"of the flash: tables {fit.table_bytes:,} bytes, code {code}")
    print_table(
        "counted per step", ("what", "mean"), [(name, f"{n:,.1f}") for name, n in fit.operations.items()]
    )
    out.print(fit.sentence())
    for line in (*(f"note: {note}" for note in fit.notes), *(f"to take less: {line}" for line in fit.advice)):
        out.tell(line)
