"""Thousands of random NIR graphs against their equations: `python -m tests.parity.nir_sweep`.

Every graph is imported, held against `tests/oracles/nir_equations.py`, written for a reader and read again.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.oracles.nir_parity import Tally, check

_CHUNK = 50


def _chunk(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        check(seed, tally)
    return tally


def sweep(count: int, *, first: int = 0, processes: int = 2) -> Tally:
    """Try `count` graphs and return what became of them."""
    total = Tally()
    chunks = [
        range(start, min(start + _CHUNK, first + count)) for start in range(first, first + count, _CHUNK)
    ]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for chunk, tally in zip(chunks, pool.map(_chunk, chunks), strict=True):
            total.outcomes += tally.outcomes
            total.reasons += tally.reasons
            total.differences += tally.differences
            sys.stdout.write(f"{chunk.stop - first} graphs: {_summary(total)}\n")
            sys.stdout.flush()
    return total


def _summary(tally: Tally) -> str:
    found = ", ".join(f"{times} {outcome}" for outcome, times in sorted(tally.outcomes.items()))
    return f"{found}, {len(tally.differences)} different"


def main() -> None:
    """Sweep, print what was found, and fail if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tally = sweep(options.count, first=options.first, processes=options.processes)
    for reason, times in tally.reasons.most_common():
        sys.stdout.write(f"{times:6} {reason}\n")
    for seed, text in tally.differences:
        sys.stdout.write(f"seed {seed} differs: {text}\n")
    sys.stdout.write(f"{options.count} graphs: {_summary(tally)}\n")
    sys.exit(bool(tally.differences))


if __name__ == "__main__":
    main()
