"""Running the float graph on samples to learn what quantization must know."""

from functools import reduce
from typing import Final

import numpy as np

from toolchain.errors import UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.ir import Graph
from toolchain.passes import Calibration
from toolchain.passes.quantization.population import QuantizeOptions
from toolchain.passes.quantization.settling import has_settled
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target

_RECORDED_VALUES: Final = 2**24
"""Values per quantity that are held at once: 128 MiB of float64."""
_OBSERVED_VALUES: Final = 2**22
"""The same while ranges are observed: 32 MiB, memory that is used again for the next samples."""
_FIRST_SAMPLES: Final = 16
"""Samples after which calibration looks for the first time at what it has."""


def observe_ranges(graph: Graph, samples: Stimulus, options: QuantizeOptions | None = None) -> Calibration:
    """Run the float graph on the emulator and return the ranges of every population.

    Samples are drawn in an order that is random and always the same, twice as many each time, until
    `has_settled` says that half of them would have been enough. A few run at once, since records of large
    networks do not fit the memory for all of them.

    Args:
        graph: The float graph.
        samples: The samples that may be run.
        options: How real numbers become integers.
    """
    if not samples.samples:
        raise UsageError("the calibration holds no samples")
    options = options or QuantizeOptions(steps=samples.steps)
    program, rng = load_target(DEFAULT_EXECUTOR).build(graph), np.random.default_rng(0)
    order = rng.permutation(samples.samples)
    size = max(1, _OBSERVED_VALUES // _values(graph, samples.steps))

    def observe(start: int, stop: int) -> Calibration:
        parts = (order[first : min(first + size, stop)] for first in range(start, stop, size))
        taken = (samples.take(np.sort(part)) for part in parts)
        each = (Calibration.observe(graph, x, program.run(x, record=QUANTITIES), rng) for x in taken)
        return reduce(Calibration.merged, each)

    taken = min(_FIRST_SAMPLES, samples.samples)
    observed = observe(0, taken)
    while taken < samples.samples:
        before, stop = observed, min(2 * taken, samples.samples)
        observed = before.merged(observe(taken, stop))
        taken = stop
        if has_settled(options, graph, before, observed):
            break
    return observed


def recording_batch(graph: Graph, steps: int) -> int:
    """Return how many samples are recorded at once."""
    return max(1, _RECORDED_VALUES // _values(graph, steps))


def _values(graph: Graph, steps: int) -> int:
    """Return how many values of one quantity a sample has."""
    return sum(node.vth.size for node in graph.populations) * max(steps, 1)


def given_unless_all(samples: Stimulus, observed: Calibration) -> int | None:
    """Return how many samples calibration was given; None if it took all of them."""
    return None if observed.samples == samples.samples else samples.samples
