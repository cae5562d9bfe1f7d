"""Gates: bounds on a comparison, and baselines kept under version control."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from toolchain.atomic import read_json, write_json
from toolchain.errors import (
    CorruptArtifactError,
    FidelityError,
    FormatVersionError,
    UnknownNameError,
    UsageError,
)
from toolchain.fidelity.compare import Comparison
from toolchain.fidelity.metrics import Agreement

FORMAT_VERSION: Final = 1

AT_MOST: Final = ("accuracy_drop", "rate_error", "membrane_error")
AT_LEAST: Final = ("spike_agreement", "spike_f1", "prediction_agreement")
GATES: Final = (*AT_MOST, *AT_LEAST)

_NODE_GATES: Final[Mapping[str, Callable[[Agreement], float | None]]] = {
    "rate_error": lambda node: node.rate_error,
    "membrane_error": lambda node: node.membrane_error,
    "spike_agreement": lambda node: node.spike_agreement,
    "spike_f1": lambda node: node.spike_f1,
}


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

    Raises:
        UsageError: A gate needs labels or potentials that were not there.
    """
    for gate, required in gates.items():
        node, measured = measure(comparison, gate)
        if measured is None:
            raise UsageError(
                f"gate '{gate}' cannot be measured on this stimulus; it needs labels or potentials"
            )
        met = measured <= required if gate in AT_MOST else measured >= required
        if not met:
            raise FidelityError(gate, node, measured=measured, required=required)


def write_baseline(path: Path, comparison: Comparison) -> None:
    """Write what was measured as a small text file to be reviewed and committed."""
    figures = {gate: measure(comparison, gate)[1] for gate in GATES}
    rounded = {gate: None if value is None else round(value, 6) for gate, value in figures.items()}
    write_json(
        path,
        {
            "format": "pumice-baseline",
            "version": FORMAT_VERSION,
            "samples": comparison.samples,
            "figures": rounded,
        },
    )


def check_baseline(path: Path, comparison: Comparison) -> None:
    """Raise `FidelityError` if any figure is worse than in the baseline.

    Figures are rounded to six digits, as they are written.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != "pumice-baseline":
        raise CorruptArtifactError(path, "is not a baseline")
    if document.get("version") != FORMAT_VERSION:
        raise FormatVersionError(f"'{path}'", document.get("version"), FORMAT_VERSION)
    figures: dict[str, Any] = document.get("figures", {})
    parse_gates([f"{name}={value}" for name, value in figures.items() if value is not None])
    tolerance = 1e-6
    slack = {
        gate: value + tolerance if gate in AT_MOST else value - tolerance
        for gate, value in figures.items()
        if value is not None
    }
    check_gates(comparison, slack)
