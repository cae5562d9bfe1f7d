"""The target of `examples/plugin-target` keeps the contract; a process where it is installed runs this.

Brian's warnings would be errors in the tests, and the target would be found by all of them.
"""

import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from tests.capable_graphs import random_within
from tests.graphs import fixed_dense, fixed_lif
from tests.targets import conformance
from toolchain import ir
from toolchain.errors import TargetError
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Stage
from toolchain.target.protocol import Target
from toolchain.target.registry import load_target

NAME = "brian2-loihi"
GRAPHS = 6


def check_alone(target: Target) -> None:
    """A sample that runs alone gives what it gives beside others."""
    graph, stimuli = random_within(target.capabilities, Stage.FIXED, 3)
    program = target.build(graph)
    together = program.run(stimuli, record=QUANTITIES).by_key()
    alone = program.run({name: values[1:] for name, values in stimuli.items()}, record=QUANTITIES)
    for key, values in alone.by_key().items():
        assert np.array_equal(values[0], together[key][1])


def check_largest_weight(target: Target) -> None:
    """The one weight that brian2-loihi clips, and the chip holds, is refused and not run wrongly."""
    for weight, exponent, runs in ((-256, 6, True), (-254, 7, True), (-256, 7, False)):
        graph = ir.Graph(
            (
                ir.Input(name="x", shape=(1,)),
                fixed_dense("w", "x", [[weight], [254]], exponent=exponent),
                fixed_lif("p", ("w",), 2),
                ir.Output(name="o", inputs=("p",), decode=ir.Decode.SPIKE_COUNT),
            )
        )
        program, x = target.build(graph), np.ones((1, 2, 1), bool)
        with nullcontext() if runs else pytest.raises(TargetError, match="changes weights of 'w'"):
            assert first_mismatch(reference.run(graph, x), program.run(x, record=QUANTITIES)) is None


def main() -> None:
    """Check everything, and say so."""
    target = load_target(NAME)
    target.check()
    conformance.check_equal_to_the_reference(target)
    conformance.check_limits(target)
    conformance.check_random_graphs(target, GRAPHS)
    check_alone(target)
    check_largest_weight(target)
    with tempfile.TemporaryDirectory() as folder:
        conformance.check_save(target, Path(folder) / "saved")
        programs = Path(folder) / "programs"
        programs.mkdir()
        conformance.check_programs(target, programs)
    print(f"{NAME}: equal, at rest, within its limits")  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
