"""What each rule of firing costs on the emulator: `python -m tests.benchmarks.firing`.

Networks of which about a tenth of the neurons spikes at every step, each with spikes that set zero, with
other resets, and with everything that a spike may do; by turns, on one thread, in its processor time.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from targets.emulator.target import EmulatorTarget
from tests.benchmarks.networks import NETWORKS, at_rate, measured_rate, stimulus
from toolchain import ir
from toolchain.arrays import Array
from toolchain.ir import EdgeKind, Graph
from toolchain.reset import Reset

_RATE: Final = 0.1
_CASES: Final = (
    ("recurrent 1024, 5 %", 1, 100),
    ("recurrent 1024, 5 %", 64, 24),
    ("conv 64-64, 32x32", 4, 8),
    ("VGG, 32x32", 2, 8),
)
"""Network, samples and steps."""
_ADAPTS: Final = {"refractory": 1, "adaptation": 2_000, "adaptation_decay": 200}

RULES: Final[Mapping[str, Callable[[Array], dict[str, Any]]]] = {
    "zero": lambda _: {},
    "value": lambda amount: {"reset": Reset.VALUE, "reset_amount": -amount // 8},
    "subtract": lambda amount: {"reset": Reset.SUBTRACT, "reset_amount": amount},
    "refractory, adaptive": lambda amount: {"reset": Reset.SUBTRACT, "reset_amount": amount, **_ADAPTS},
    "several, too": lambda amount: {
        "reset": Reset.SUBTRACT,
        "reset_amount": amount,
        "max_spikes": 15,
        **_ADAPTS,
    },
}
"""What a spike does, from thresholds in the units of the potential."""


def with_rule(graph: Graph, rule: Callable[[Array], dict[str, Any]]) -> Graph:
    """Return the graph with another rule for all neurons that are not read out."""
    read = {node.inputs[0] for node in graph.outputs if node.reads_potential}
    pooled = {graph.source(node.inputs[0])[0].name for node in graph.poolings}

    def change(node: ir.AnyNode) -> ir.AnyNode:
        source = graph.source(node.name)[0] if isinstance(node, ir.Delay) else node
        if not isinstance(source, ir.FixedLif) or source.name in read:
            return node
        fields = rule(source.vth << 6)
        if source.name in pooled:
            # There is no largest of several counts.
            fields.pop("max_spikes", None)
        if isinstance(node, ir.Delay):
            return replace(node, edge=EdgeKind.GRADED) if "max_spikes" in fields else node
        return replace(
            node,
            **{
                name: np.broadcast_to(value, source.vth.shape) if name in _ADAPTS else value
                for name, value in fields.items()
            },
        )

    return graph.map(change)


def measure(name: str, batch: int, steps: int, turns: int) -> dict[str, tuple[float, float, float]]:
    """Return per rule the least time in µs for a step of a sample, its ratio to `zero`, and the rate."""
    plain = at_rate(NETWORKS[name](), _RATE)
    graphs = {
        rule: at_rate(with_rule(plain, make), _RATE) if rule != "zero" else plain
        for rule, make in RULES.items()
    }
    x = stimulus(plain, batch, steps)
    programs = {rule: EmulatorTarget().build(graph) for rule, graph in graphs.items()}
    times: dict[str, list[float]] = {rule: [] for rule in programs}
    for program in programs.values():
        program.run(x)
    for _ in range(turns):
        for rule, program in programs.items():
            start = time.thread_time()
            program.run(x)
            times[rule].append((time.thread_time() - start) * 1e6 / batch / steps)
    ratios = {rule: float(np.median(np.divide(times[rule], times["zero"]))) for rule in programs}
    return {rule: (min(times[rule]), ratios[rule], measured_rate(graphs[rule])) for rule in programs}


def main() -> None:
    """Print one line per network and rule."""
    torch.set_num_threads(1)
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    for name, batch, steps in _CASES:
        for rule, (least, ratio, rate) in measure(name, batch, steps, turns).items():
            line = (
                f"{name}, batch {batch}: {rule:21} {least:8.2f} us, {ratio:.2f} times zero, rate {rate:.3f}"
            )
            sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
