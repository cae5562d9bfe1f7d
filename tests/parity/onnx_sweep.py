"""Thousands of random ONNX classifiers against onnxruntime: `python -m tests.parity.onnx_sweep COUNT`.

Every model must give what onnxruntime gives, sample by sample, or be refused by the name of an operator.
Models are known by their seeds.
"""

import argparse
import re
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.toolchain.interchange.onnx_parity import verdict


def _judged(seed: int) -> tuple[int, str, str]:
    try:
        return seed, *verdict(seed)
    except Exception as error:  # noqa: BLE001 - whatever is raised is a bug to be shown with its seed
        return seed, "different", repr(error)


def sweep(count: int, *, first: int = 0, processes: int = 2) -> tuple[Counter[str], Counter[str]]:
    """Return how many models were equal, refused and different, and by which operators they were refused."""
    outcomes, reasons = Counter[str](), Counter[str]()
    with ProcessPoolExecutor(processes) as pool:
        for seed, outcome, why in pool.map(_judged, range(first, first + count), chunksize=20):
            outcomes[outcome] += 1
            if outcome == "refused":
                found = re.search(r"is a (\w+):", why)
                reasons[found[1] if found else re.sub(r"'[^']*'", "...", why)] += 1
            elif outcome == "different":
                sys.stdout.write(f"seed {seed}: {why}\n")
    return outcomes, reasons


def main() -> int:
    """Run the sweep; 1 if a model differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    outcomes, reasons = sweep(given.count, first=given.first, processes=given.processes)
    sys.stdout.write(f"{dict(outcomes)}\nrefused by: {dict(reasons.most_common())}\n")
    return int(outcomes["different"] > 0)


if __name__ == "__main__":
    sys.exit(main())
