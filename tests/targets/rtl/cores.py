"""Networks on simulated cores: equal in u, v and spikes, and in what goes out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from targets.rtl.program import CoreRun, CoreSimulation, RtlProgram
from targets.rtl.simulator import Simulator
from targets.rtl.size import CoreSize
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, print_graph

Stimuli = Mapping[str, NDArray[Any]]
STALLED = CoreSimulation(seed=1)
_MESSAGE, _POTENTIAL, _OVER = 0, 1, 2


def check_equal(graph: Graph, stimuli: Stimuli, simulation: CoreSimulation = STALLED) -> CoreRun:
    """u, v and spikes of every population at every step, and all that goes out, with `==`."""
    program = RtlProgram(graph, simulation)
    expected = reference.run(graph, stimuli)
    seen = program.observe(stimuli, record=QUANTITIES)
    mismatch = first_mismatch(expected, seen.trace)
    assert mismatch is None, f"{mismatch}\n{print_graph(graph)}"
    beats = seen.beats.copy()
    beats[beats[:, 0] == _OVER, 1:] = 0
    assert np.array_equal(beats, expected_beats(program, expected)), f"beats\n{print_graph(graph)}"
    return seen


def expected_beats(program: RtlProgram, trace: Trace) -> NDArray[np.int64]:
    """What must go out: group by group the spikes, and then the potentials where an output reads them."""
    graph, lanes = program.image.graph, program.image.size.lanes
    names = list(dict.fromkeys(output.inputs[0] for output in graph.outputs))
    in_turn = [node.name for node in graph.populations if node.name in names]
    shown = {each.inputs[0] for each in graph.outputs if each.reads_potential}
    beats: list[tuple[int, int, int, int]] = []
    samples, steps = next(iter(trace.spikes.values())).shape[:2]
    for sample in range(samples):
        for t in range(steps):
            for name in in_turn:
                sender, source = program.image.layout.senders[name], names.index(name)
                order = np.argsort(sender.places)
                spikes, v = (x[name][sample, t].ravel()[order] for x in (trace.spikes, trace.v))
                places, codes = sender.places[order], sender.codes[order]
                for group in range(sender.groups):
                    here = np.flatnonzero(places // lanes == group)
                    beats += [(_MESSAGE, source, int(codes[i]), int(spikes[i])) for i in here if spikes[i]]
                    if name in shown:
                        # Lanes without a neuron show a potential, too: zero.
                        full = np.zeros(lanes, np.int64)
                        full[places[here] % lanes] = v[here]
                        first = int(codes[here[0]] - places[here[0]] % lanes)
                        beats += [
                            (_POTENTIAL, source, first + lane, int(full[lane])) for lane in range(lanes)
                        ]
            beats.append((_OVER, 0, 0, 0))
    return np.array(beats, np.int64).reshape(-1, 4)


SMALL = CoreSize(1, 1, 256, 64, 64, 16, 16, 16, 0, 32, 25, rules=False, images=False)
"""A core that compiles in a moment."""


def require(simulator: Simulator) -> None:
    """Skip a test where a simulator is missing."""
    if simulator.missing:
        pytest.skip(f"no {', '.join(simulator.missing)} here: apt-get install {simulator.value}")
