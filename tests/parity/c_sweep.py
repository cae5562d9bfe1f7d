"""Random graphs as C against the reference: `python -m tests.parity.c_sweep KIND COUNT [--sanitized]`.

The compiler takes every warning for an error. A graph is known by its kind and seed.
"""

import argparse
import sys

from tests.targets.c.strict import SANITIZED, STRICT, check_equal, drawn


def main() -> int:
    """Run the sweep; 1 if a graph differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["networks", "images"])
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--sanitized", action="store_true", help="end at undefined behaviour")
    given = parser.parse_args()
    different = 0
    for seed in range(given.first, given.first + given.count):
        try:
            check_equal(*drawn(given.kind, seed), SANITIZED if given.sanitized else STRICT)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a bug to be shown with its seed
            different += 1
            sys.stdout.write(f"{given.kind} {seed}: {error!r}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{given.kind}: {given.count} graphs from {given.first}, {different} differ\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
