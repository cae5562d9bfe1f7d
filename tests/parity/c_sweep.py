"""Random graphs as C against the reference: `python -m tests.parity.c_sweep KIND COUNT`.

The compiler takes every warning for an error. A graph is known by its kind and seed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from targets.c.source import NetworkCode
from tests.targets.c.emulated import MACHINES, check_equal_on
from tests.targets.c.strict import SANITIZERS, WARNINGS, check_equal, cppcheck, drawn
from toolchain.ir import Graph


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep; 1 if a graph differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["networks", "images"])
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--compiler", default="cc", help="gcc, clang or another one of the host")
    parser.add_argument("--sanitized", action="store_true", help="end at undefined behaviour")
    parser.add_argument("--cppcheck", action="store_true", help="only ask cppcheck, which must be silent")
    parser.add_argument("--on", choices=list(MACHINES), help="run them on an emulated processor")
    given = parser.parse_args(arguments)
    check = _check_of(given)
    different = 0
    for seed in range(given.first, given.first + given.count):
        try:
            check(*drawn(given.kind, seed))
        except Exception as error:  # noqa: BLE001 - whatever is raised is a bug to be shown with its seed
            different += 1
            sys.stdout.write(f"{given.kind} {seed}: {error!r}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{given.kind}: {given.count} graphs from {given.first}, {different} differ\n")
    return int(different > 0)


def _check_of(given: argparse.Namespace) -> Callable[[Graph, Any], None]:
    if given.cppcheck:
        return lambda graph, _: _check_silent(graph)
    if given.on:
        machine = MACHINES[given.on]
        if machine.missing:
            raise SystemExit(machine.missing)
        return lambda graph, stimuli: check_equal_on(machine, graph, stimuli)
    command = (given.compiler, *WARNINGS, *(SANITIZERS if given.sanitized else ()))
    return lambda graph, stimuli: check_equal(graph, stimuli, command)


def _check_silent(graph: Graph) -> None:
    said = cppcheck(NetworkCode(graph))
    assert not said, said


if __name__ == "__main__":
    sys.exit(main())
