"""How far the network on the chip is the network that was trained."""

from toolchain.fidelity.baseline import GATES, check_baseline, check_gates, parse_gates, write_baseline
from toolchain.fidelity.compare import Agreement, Comparison, Mismatch, compare_traces, first_mismatch
from toolchain.fidelity.decode import accuracy, in_model_units, predictions, scores
from toolchain.fidelity.divergence import Divergence
from toolchain.fidelity.faults import Fault, check_integers, find_faults

__all__ = [
    "GATES",
    "Agreement",
    "Comparison",
    "Divergence",
    "Fault",
    "Mismatch",
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
    "scores",
    "write_baseline",
]
