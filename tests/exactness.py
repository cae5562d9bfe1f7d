"""Integer executions that must be equal, and a graph to look at where they are not."""

from targets.emulator.target import EmulatorTarget
from targets.lava.target import LavaTarget
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, print_graph
from toolchain.trace import QUANTITIES, Trace


def check_equal(graph: Graph, expected: Trace, target: EmulatorTarget | LavaTarget, stimulus: object) -> None:
    """u, v and spikes of every population at every step."""
    got = target.build(graph).run(stimulus, record=QUANTITIES)  # type: ignore[arg-type]
    mismatch = first_mismatch(expected, got)
    assert mismatch is None, f"{target.name}: {mismatch}\n{print_graph(graph)}"
