"""Room for what a run records."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import (
    TargetError,
)
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.ir import Graph, Stage
from toolchain.memory import machine_memory

if TYPE_CHECKING:
    pass


Records = dict[str, dict[str, NDArray[Any]]]
"""What a run keeps, by quantity and population, `[samples, steps, *features]`."""


def empty_records(
    graph: Graph, stimulus: Stimulus, record: tuple[str, ...], *, cleared: bool = True
) -> Records:
    """Return arrays for what a run records: `record`, and the potentials that outputs read.

    Args:
        graph: The network.
        stimulus: The samples that run.
        record: Quantities that are asked for.
        cleared: Whether they hold zeros; a target that writes every entry saves the time.

    Raises:
        TargetError: It is more than the machine has.
    """
    number = np.int32 if graph.stage is Stage.FIXED else np.float64
    recorded = graph.recorded(record)
    _check_room(stimulus, recorded_bytes(graph, stimulus.steps, record))
    records: Records = {quantity: {} for quantity in QUANTITIES}
    make = np.zeros if cleared else np.empty
    for node in graph.populations:
        extent = (stimulus.samples, stimulus.steps, *node.vth.shape)
        for quantity in recorded[node.name]:
            sent = np.bool_ if node.max_spikes == 1 else np.uint8
            records[quantity][node.name] = make(extent, sent if quantity == "spikes" else number)
    return records


def recorded_bytes(graph: Graph, steps: int, record: tuple[str, ...]) -> int:
    """Return how many bytes a run records of one sample: a spike takes 1, a real number 8, an integer 4."""
    number = 4 if graph.stage is Stage.FIXED else 8
    recorded = graph.recorded(record)
    return steps * sum(
        node.vth.size * (1 if quantity == "spikes" else number)
        for node in graph.populations
        for quantity in recorded[node.name]
    )


def _check_room(stimulus: Stimulus, per_sample: int) -> None:
    """Raise before the operating system would have to end this process."""
    needed = per_sample * stimulus.samples
    memory = machine_memory()
    if needed > memory:
        raise TargetError(
            f"the records of {stimulus.samples} samples of {stimulus.steps} steps need {needed / 2**30:.1f} "
            f"GiB, this machine has {memory / 2**30:.1f}: run fewer samples at a time, or record less"
        )


def kept_quantities(records: Records, graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the quantities that are kept of every population."""
    return {
        node.name: tuple(quantity for quantity in QUANTITIES if node.name in records[quantity])
        for node in graph.populations
    }
