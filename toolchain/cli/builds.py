"""What commands say of a build: how it came to be, and what quantization did to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolchain.cli.compare import print_outcome
from toolchain.cli.console import err, out, print_table

if TYPE_CHECKING:
    from toolchain.passes.quantization.report import QuantizationReport
    from toolchain.workflow.build_facts import SourceFacts
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.compare import Judgement

_SIGNS: Final = {"mixed": "+-", "excitatory": "+", "inhibitory": "-"}


def build_document(build: "Build", output: Path) -> dict[str, object]:
    """Return what machines are told of a build."""
    document: dict[str, object] = {
        "build": str(output),
        "target": build.target,
        "quantization": build.quantization.model_dump(mode="json"),
    }
    if build.facts.source is not None:
        document["source"] = build.facts.source.model_dump(mode="json")
    return document | ({"notes": list(build.notes)} if build.notes else {})


def print_build(build: "Build", judgement: "Judgement | None", output: Path) -> None:
    """Print what compiling did, how it was judged, and where the report is."""
    source = build.facts.source
    loud = () if build.facts.imported is None else build.facts.imported.warnings
    for warning in loud:
        err.tell(f"warning: {warning}")
    for note in build.notes:
        if (source is None or note not in source.sentences) and note not in loud:
            out.tell(f"note: {note}")
    if source is not None:
        print_source(source)
    repair = build.facts.repair
    if repair is not None:
        epochs = "1 epoch" if repair.epochs == 1 else f"{repair.epochs} epochs"
        loss = "" if repair.loss is None else f", loss {repair.loss:.4f}"
        out.print(f"trained {epochs} with the integers{loss}")
    print_quantization(build.quantization)
    if judgement is None:
        out.tell("not judged: give samples as `stimulus`")
        return
    _print_judgement(judgement, output)
    out.tell(f"report: {output / 'report.html'}")


def _print_judgement(judgement: "Judgement", output: Path) -> None:
    for item in judgement.clipped:
        out.tell(f"warning: {item}")
    if judgement.resources is not None:
        fit = judgement.resources.fit
        verdict = "fits" if fit.fits else f"does not fit, {fit.chips_needed} chips are needed"
        cores = f"{len(fit.cores)} of {fit.chips * fit.cores_per_chip} cores"
        out.tell(f"{fit.title}: {verdict}; {cores}; 'pumice check {output}' says more")
    elif judgement.misfit:
        out.tell(f"warning: it does not fit its chip: {judgement.misfit}")
    print_outcome(judgement.comparison)
    if judgement.attribution is not None:
        out.print(judgement.attribution.sentence())


def print_source(source: "SourceFacts") -> None:
    """Print how far the network is what its framework computed; what is not equal, an error will say."""
    print_table(
        f"what the framework computed, {source.samples} samples of {source.steps} steps",
        ("population", "equal spikes", "spike F1", "largest v error, units of the model", "first difference"),
        source.rows(),
    )
    for sentence in source.sentences if source.equal else ():
        out.tell(sentence)


def print_quantization(report: "QuantizationReport") -> None:
    """Print what quantization did to every graded input, connection and population."""
    if report.calibration_sentence is not None:
        out.tell(report.calibration_sentence)
    for name, node in report.inputs.items():
        out.tell(
            f"input '{name}': values from {-node.range:.4g} to {node.range:.4g} become integers of "
            f"{node.bits} bits and a sign; what lies beyond is clipped"
        )
    print_table(
        "connections",
        ("name", "signs", "synapses", "bits", "exp", "clipped", "zeroed", "RMS error of weights"),
        [
            (
                name,
                _SIGNS[link.sign_mode.value],
                *(link.synapses, link.weight_bits, link.exponent, link.clipped, link.rounded_to_zero),
                f"{100 * link.relative_rms_error:.2f} %",
            )
            for name, link in report.connections.items()
        ],
    )
    print_table(
        "populations",
        ("name", "neurons", "threshold error", "tau error", "range", "never fire"),
        [
            (
                name,
                row.neurons,
                f"{100 * row.largest_threshold_error:.3f} %",
                f"{100 * row.largest_tau_error:.2f} %",
                row.range,
                row.never_fire,
            )
            for name, row in report.populations.items()
        ],
    )
    for item in report.warnings:
        out.tell(f"warning: '{item.node}': {item.text}")
