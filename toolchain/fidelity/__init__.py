"""How far the network on the chip is the network that was trained."""

from toolchain.fidelity.agreement import Agreement
from toolchain.fidelity.baseline import (
    GATES,
    check_baseline,
    check_gates,
    parse_gates,
    read_baseline,
    write_baseline,
)
from toolchain.fidelity.compare import Comparer, Comparison, compare_traces
from toolchain.fidelity.decode import accuracy, in_model_units, predictions, scores
from toolchain.fidelity.divergence import Divergence
from toolchain.fidelity.faults import Fault, check_integers, find_faults
from toolchain.fidelity.mismatch import Mismatch, MismatchSearch, first_mismatch

__all__ = [
    "GATES",
    "Agreement",
    "Comparer",
    "Comparison",
    "Divergence",
    "Fault",
    "Mismatch",
    "MismatchSearch",
    "accuracy",
    "check_baseline",
    "check_gates",
    "check_integers",
    "compare_traces",
    "find_faults",
    "first_mismatch",
    "in_model_units",
    "parse_gates",
    "predictions",
    "read_baseline",
    "scores",
    "write_baseline",
]
