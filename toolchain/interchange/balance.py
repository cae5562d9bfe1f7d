"""Thresholds that make mean rates what they should be, although spikes throw away what is above them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.ir import AnyNode, Graph, Lif
from toolchain.stimulus import Stimulus
from toolchain.target import load_target

_EMULATOR: Final = "emulator"
_SHOWN: Final = 128
"""Most samples that are shown."""
_LOWEST: Final = 0.25
"""Share of a threshold that is always left."""


def balanced(graph: Graph, frames: NDArray[Any], rates: Mapping[str, float], steps: int) -> Graph:
    """Return a network whose mean rates are as asked for: layer by layer, by the threshold.

    Args:
        graph: Made for those rates.
        frames: Samples, `[batch, *features]`.
        rates: Spikes per neuron and step, by population.
        steps: How long each sample is shown.
    """
    shown = Stimulus.of(np.repeat(frames[:_SHOWN, None].astype(np.float64), steps, axis=1))
    for name, wanted in rates.items():
        trace = load_target(_EMULATOR).build(graph).run(shown)
        share = float(trace.spikes[name].mean()) / wanted if wanted > 0 else 1.0
        lowered = min(max(share, _LOWEST), 1.0)
        graph = graph.map(lambda node, name=name, lowered=lowered: _lowered(node, name, lowered))
    return graph


def _lowered(node: AnyNode, name: str, share: float) -> AnyNode:
    if not isinstance(node, Lif) or node.name != name:
        return node
    return replace(node, vth=node.vth * share)
