"""Passes: named, configured functions from one valid graph to another."""

from toolchain.passes.base import Pass, Pipeline
from toolchain.passes.cluster_decays import ClusterDecays
from toolchain.passes.delay_loops import DelayLoops, LoopDelay, find_loop_delays
from toolchain.passes.dequantize_graph import DequantizeGraph
from toolchain.passes.fold_delays import FoldDelays
from toolchain.passes.join_signs import JoinSigns
from toolchain.passes.quantization.calibration import Calibration
from toolchain.passes.quantization.explain import explain_quantization
from toolchain.passes.quantization.population import OTHERS
from toolchain.passes.quantization.rounding import Rounding
from toolchain.passes.quantize_graph import QuantizeGraph
from toolchain.passes.remove_dead_neurons import RemoveDeadNeurons
from toolchain.passes.replace_resets import ReplaceResets
from toolchain.passes.retime_delays import ClockSchedule, RetimeDelays, find_schedule
from toolchain.passes.split_halves import SplitHalves
from toolchain.passes.split_signs import SplitSigns

__all__ = [
    "OTHERS",
    "Calibration",
    "ClockSchedule",
    "ClusterDecays",
    "DelayLoops",
    "DequantizeGraph",
    "FoldDelays",
    "JoinSigns",
    "LoopDelay",
    "Pass",
    "Pipeline",
    "QuantizeGraph",
    "RemoveDeadNeurons",
    "ReplaceResets",
    "RetimeDelays",
    "Rounding",
    "SplitHalves",
    "SplitSigns",
    "explain_quantization",
    "find_loop_delays",
    "find_schedule",
]
