"""Gates: bounds on a comparison, and baselines kept under version control."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field, ValidationError

from toolchain.errors import FidelityError, UnknownNameError, UsageError
from toolchain.fidelity.agreement import Agreement
from toolchain.fidelity.compare import Comparison
from toolchain.files.documents import OMITTED, Document, FileDocument, explain, read_document, write_document
from toolchain.intake import PathText, check_type, path_of, real_of
from toolchain.options import LARGEST_FACTOR

_TOLERANCE: Final = 1e-6

AT_MOST: Final = ("accuracy_drop", "error_rise", "rate_error", "membrane_error")
AT_LEAST: Final = ("spike_agreement", "spike_f1", "prediction_agreement")
GATES: Final = (*AT_MOST, *AT_LEAST)

UNITS: Final[Mapping[str, str]] = {
    "accuracy_drop": "points of accuracy",
    "error_rise": "% of the error of the real numbers",
    "rate_error": "of the mean number of spikes",
    "membrane_error": "thresholds, or standard deviations of what never fires",
    "spike_agreement": "of all entries",
    "spike_f1": "of 1",
    "prediction_agreement": "% of the samples",
}
"""What the figure of each gate counts."""

_NODE_GATES: Final[Mapping[str, Callable[[Agreement], float | None]]] = {
    "rate_error": lambda node: node.rate_error,
    "membrane_error": lambda node: node.membrane_error,
    "spike_agreement": lambda node: node.spike_agreement,
    "spike_f1": lambda node: node.spike_f1,
}


Share = Annotated[float, Field(ge=0, le=1)]
Error = Annotated[float, Field(ge=0, le=LARGEST_FACTOR)]
Percent = Annotated[float, Field(ge=0, le=100)]
Drop = Annotated[float, Field(ge=-100, le=100)]
Rise = Annotated[float, Field(ge=-100, le=LARGEST_FACTOR)]


class OutputFigures(Document):
    """What was measured at the output.

    Attributes:
        accuracy_drop: Points of accuracy lost; null without classes.
        prediction_agreement: Share of samples with equal predictions, in percent; null for real outputs.
        error_rise: How much larger the error of real outputs became, in percent.
    """

    accuracy_drop: Drop | None
    prediction_agreement: Percent | None
    error_rise: Annotated[Rise | None, OMITTED] = None


class LayerFigures(Document):
    """What was measured at a layer.

    Attributes:
        rate_error: Mean difference of spike counts over the mean count.
        membrane_error: Root mean square difference of potentials in thresholds; null if not recorded.
        spike_agreement: Share of equal entries.
        spike_f1: Spike F1.
    """

    rate_error: Error
    membrane_error: Error | None
    spike_agreement: Share
    spike_f1: Share


class Baseline(FileDocument):
    """Figures that must not get worse.

    Attributes:
        samples: Number of samples they were measured on.
        output: Figures of the output.
        layers: Figures per layer.
    """

    FORMAT: ClassVar[str] = "pumice-baseline"
    VERSION: ClassVar[int] = 2
    WHAT: ClassVar[str] = "baseline of a comparison"
    WRITTEN_BY: ClassVar[str] = "pumice compare"

    format: str = FORMAT
    version: int = VERSION
    samples: Annotated[int, Field(ge=1, lt=2**63)]
    output: OutputFigures
    layers: Annotated[dict[str, LayerFigures], Field(min_length=1)]


def parse_gates(texts: list[str]) -> dict[str, float]:
    """Return gates from `name=value` texts.

    Raises:
        UsageError: Not of that form, or not a finite number.
        UnknownNameError: Not a gate.
    """
    gates: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in GATES:
            raise UnknownNameError("gate", name, GATES)
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not abs(number) < float("inf"):
            raise UsageError(f"gate '{name}' expects a finite number, got '{value}'")
        gates[name] = number
    return gates


def measure(comparison: Comparison, gate: str) -> tuple[str, float | None]:
    """Return the worst layer for a gate and what was measured there; None if not measured."""
    match gate:
        case "accuracy_drop":
            return "output", comparison.accuracy_drop
        case "prediction_agreement":
            return "output", comparison.prediction_agreement
        case "error_rise":
            return "output", comparison.error_rise
        case _:
            read = _NODE_GATES[gate]
            values = {
                name: value for name, node in comparison.nodes.items() if (value := read(node)) is not None
            }
            if not values:
                return "output", None
            worst = (max if gate in AT_MOST else min)(values, key=lambda name: values[name])
            return worst, values[worst]


def check_gates(comparison: Comparison, gates: Mapping[str, float]) -> None:
    """Raise `FidelityError` for the first gate that is not met.

    Args:
        comparison: What was measured.
        gates: The bound of each gate, by its name: at most for drops and errors, at least for agreements.

    Raises:
        ArgumentError: The comparison is none, or the gates are no bounds by name.
        UnknownNameError: There is no such gate.
        UsageError: A gate needs labels or potentials that were not there.
    """
    check_type(comparison, "comparison", Comparison)
    check_type(gates, "gates", Mapping, "write them as {'accuracy_drop': 0.5}")
    for gate, bound in gates.items():
        if gate not in GATES:
            raise UnknownNameError("gate", str(gate), GATES)
        required = real_of(bound, gate)
        node, measured = measure(comparison, gate)
        if measured is None:
            raise UsageError(
                f"gate '{gate}' cannot be measured on this stimulus; it needs labels of its kind, or "
                "potentials"
            )
        met = measured <= required if gate in AT_MOST else measured >= required
        if not met:
            raise _unmet(gate, node, measured, required)


def _unmet(gate: str, node: str, measured: float, required: float) -> FidelityError:
    unit = f"{UNITS[gate]} at {'most' if gate in AT_MOST else 'least'}"
    return FidelityError(gate, node, measured=measured, required=required, unit=unit)


def write_baseline(path: PathText, comparison: Comparison) -> None:
    """Write what was measured as a small text to be reviewed and committed: figures per layer.

    Raises:
        ArgumentError: The comparison is none, or the path no path.
        UsageError: A figure is beyond all bounds.
    """
    path = path_of(path, "path")
    check_type(comparison, "comparison", Comparison)
    output = {gate: _rounded(measure(comparison, gate)[1]) for gate in OutputFigures.model_fields}
    layers = {
        name: {gate: _rounded(read(node)) for gate, read in _NODE_GATES.items()}
        for name, node in comparison.nodes.items()
    }
    try:
        document = Baseline.model_validate(
            {"samples": comparison.samples, "output": output, "layers": layers}
        )
    except ValidationError as error:
        key, reason = explain(error)
        raise UsageError(f"figure '{key}' would guard nothing: {reason}; mend the build first") from None
    write_document(path, document)


def read_baseline(path: Path) -> Baseline:
    """Return what a baseline holds.

    Raises:
        CorruptArtifactError: It is no baseline, or guards nothing that every comparison measures.
        FormatVersionError: It was written by another version of the format.
        MissingFileError: There is none.
    """
    return read_document(path, Baseline)


def check_baseline(path: PathText, comparison: Comparison) -> None:
    """Raise `FidelityError` if any figure of any layer is worse than in the baseline.

    Figures are rounded to six digits, as they are written.

    Raises:
        CorruptArtifactError: It is no baseline.
        FidelityError: Names the figure and the layer.
        ArgumentError: The comparison is none, or the path no path.
        UsageError: The stimulus or the network is another one.
    """
    path = path_of(path, "path")
    check_type(comparison, "comparison", Comparison)
    baseline = read_baseline(path)
    if baseline.samples != comparison.samples or set(baseline.layers) != set(comparison.nodes):
        raise UsageError(
            f"'{path}' is of {baseline.samples} samples and the layers {', '.join(sorted(baseline.layers))}; "
            f"this comparison has {comparison.samples} samples and {', '.join(sorted(comparison.nodes))}",
            "write it again with `write_baseline`",
        )
    for gate in OutputFigures.model_fields:
        _check(gate, "output", measure(comparison, gate)[1], getattr(baseline.output, gate))
    for name, figures in baseline.layers.items():
        for gate, read in _NODE_GATES.items():
            _check(gate, name, read(comparison.nodes[name]), getattr(figures, gate))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _check(gate: str, node: str, measured: float | None, required: float | None) -> None:
    if measured is None and required is None:
        return
    if measured is None or required is None:
        only = "the baseline" if measured is None else "this comparison"
        raise UsageError(
            f"figure '{gate}' of '{node}' was measured in {only} only",
            "write the baseline again with `write_baseline`",
        )
    met = measured <= required + _TOLERANCE if gate in AT_MOST else measured >= required - _TOLERANCE
    if not met:
        raise _unmet(gate, node, measured, required)
