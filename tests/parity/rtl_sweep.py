"""Random graphs on the simulated core against the reference: `python -m tests.parity.rtl_sweep KIND COUNT`.

A graph is known by its kind and seed; the streams of the core stall at random, by the same seed.
"""

import argparse
import sys
from collections.abc import Sequence

from targets.rtl.image import LANES
from targets.rtl.program import CoreSimulation
from targets.rtl.simulator import Simulator
from tests.targets.c.strict import drawn
from tests.targets.rtl.cores import check_equal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep; 1 if a graph differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["networks", "images"])
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--lanes", type=int, choices=LANES, default=1, help="neurons side by side")
    parser.add_argument("--simulator", choices=[each.value for each in Simulator], default="verilator")
    parser.add_argument("--exact", action="store_true", help="a core as small as each network: compiles each")
    parser.add_argument("--calm", action="store_true", help="no stream stalls")
    given = parser.parse_args(arguments)
    different = 0
    for seed in range(given.first, given.first + given.count):
        simulation = CoreSimulation(
            given.lanes, Simulator(given.simulator), given.exact, 0 if given.calm else seed + 1
        )
        try:
            check_equal(*drawn(given.kind, seed), simulation)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a bug to be shown with its seed
            different += 1
            sys.stdout.write(f"{given.kind} {seed}: {error!r}\n")
            sys.stdout.flush()
    where = f"{given.lanes} lanes, {given.simulator}{', exact' if given.exact else ''}"
    sys.stdout.write(f"{given.kind}, {where}: {given.count} graphs from {given.first}, {different} differ\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
