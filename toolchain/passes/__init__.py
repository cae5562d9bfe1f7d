"""Passes: named, configured functions from one valid graph to another."""

from toolchain.passes.base import Pass, Pipeline
from toolchain.passes.explain_quantization import explain_quantization
from toolchain.passes.fold_delays import FoldDelays
from toolchain.passes.quantize_graph import QuantizeGraph
from toolchain.passes.ranges import Calibration
from toolchain.passes.remove_dead_neurons import RemoveDeadNeurons
from toolchain.passes.retime_delays import RetimeDelays, Schedule, find_schedule
from toolchain.passes.split_signs import SplitSigns

__all__ = [
    "Calibration",
    "FoldDelays",
    "Pass",
    "Pipeline",
    "QuantizeGraph",
    "RemoveDeadNeurons",
    "RetimeDelays",
    "Schedule",
    "SplitSigns",
    "explain_quantization",
    "find_schedule",
]
