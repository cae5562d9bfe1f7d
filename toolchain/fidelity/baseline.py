"""Gates: bounds on a comparison, and baselines kept under version control."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from toolchain.documents import read_json, write_json
from toolchain.errors import (
    CorruptArtifactError,
    FidelityError,
    FormatVersionError,
    UnknownNameError,
    UsageError,
)
from toolchain.fidelity.agreement import Agreement
from toolchain.fidelity.compare import Comparison

FORMAT_VERSION: Final = 2
_TOLERANCE: Final = 1e-6

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
    """Write what was measured as a small text to be reviewed and committed: figures per layer."""
    figures = {gate: measure(comparison, gate)[1] for gate in ("accuracy_drop", "prediction_agreement")}
    nodes = {
        name: {gate: _rounded(read(node)) for gate, read in _NODE_GATES.items()}
        for name, node in comparison.nodes.items()
    }
    write_json(
        path,
        {
            "format": "pumice-baseline",
            "version": FORMAT_VERSION,
            "samples": comparison.samples,
            "output": {gate: _rounded(value) for gate, value in figures.items()},
            "layers": nodes,
        },
    )


def read_baseline(path: Path) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the samples, the figures of the output and those of the layers that a baseline holds.

    Raises:
        CorruptArtifactError: It is no baseline.
        FormatVersionError: It was written by another version of the format.
        MissingFileError: There is none.
        UnknownNameError: It names a figure that does not exist.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != "pumice-baseline":
        raise CorruptArtifactError(path, "is not a baseline")
    if document.get("version") != FORMAT_VERSION:
        found = document.get("version")
        raise FormatVersionError(f"'{path}'", found, FORMAT_VERSION, "pumice compare --update")
    try:
        output, layers = dict(document["output"]), {n: dict(f) for n, f in document["layers"].items()}
        samples = int(document["samples"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CorruptArtifactError(path, "holds no samples, output or layers") from None
    for gate in (name for figures in (output, *layers.values()) for name in figures):
        if gate not in GATES:
            raise UnknownNameError("gate", gate, GATES)
    return samples, output, layers


def check_baseline(path: Path, comparison: Comparison) -> None:
    """Raise `FidelityError` if any figure of any layer is worse than in the baseline.

    Figures are rounded to six digits, as they are written.

    Raises:
        FidelityError: Names the figure and the layer.
        UsageError: The stimulus or the network is another one.
    """
    samples, output, layers = read_baseline(path)
    if samples != comparison.samples or set(layers) != set(comparison.nodes):
        raise UsageError(
            f"'{path}' is of {samples} samples and the layers {', '.join(sorted(layers))}; this "
            f"comparison has {comparison.samples} samples and {', '.join(sorted(comparison.nodes))}: "
            "write it with --update"
        )
    for gate, value in output.items():
        _check(gate, "output", measure(comparison, gate)[1], value)
    for name, figures in layers.items():
        for gate, value in figures.items():
            read = _NODE_GATES.get(gate)
            _check(gate, name, None if read is None else read(comparison.nodes[name]), value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _check(gate: str, node: str, measured: float | None, required: Any) -> None:  # noqa: ANN401 - from a file
    if required is None:
        return
    if not isinstance(required, int | float) or measured is None:
        raise UsageError(
            f"figure '{gate}' of '{node}' in the baseline cannot be compared; write it with --update"
        )
    met = measured <= required + _TOLERANCE if gate in AT_MOST else measured >= required - _TOLERANCE
    if not met:
        raise FidelityError(gate, node, measured=measured, required=float(required))
