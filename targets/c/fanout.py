"""The synapses of a matrix as tables of C: for every source the targets of its spikes, and the weights.

A weight takes 8 bits: its granularity, a power of two, is left out and comes back by a shift. What takes
the least memory is chosen: all weights of a matrix without the targets; the targets, each in one to four
bytes; or the distance from one target to the next, in one byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from targets.c.layout import Arrival
from targets.c.tables import ConstTable
from toolchain import ir
from toolchain.fixedpoint import SignMode, weight_granularity
from toolchain.ir.matrix import columns_of, rows_of, targets_of, values_of

_FAR: Final = 255
"""The largest distance that a byte holds."""


class FanoutForm(Enum):
    """How a table says which target a weight belongs to."""

    MATRIX = "matrix"
    """By its place: every source has a weight for every target."""
    TARGETS = "targets"
    """By a number for each weight."""
    STEPS = "steps"
    """By its distance from the target before it, for each weight."""


@final
@dataclass(frozen=True)
class Fanout:
    """The tables of a connection.

    Attributes:
        form: How targets are told.
        tables: Starts of the sources' lists, targets or distances, and weights, as far as the form has them.
        synapses: Number of synapses, those of weight zero left out.
        waits: Delays that occur among its synapses, shortest first; each has lists for all sources.
    """

    form: FanoutForm
    tables: tuple[ConstTable, ...]
    synapses: int
    waits: tuple[int, ...]


@final
@dataclass(frozen=True)
class _Synapses:
    """Synapses in the order of their lists: by delay, by source, by target."""

    lists: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[Any]
    count: int
    """Number of lists."""

    @property
    def starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self.lists, np.arange(self.count + 1))


def stored_weights(
    node: ir.FixedDense | ir.FixedConv2d, values: NDArray[Any]
) -> tuple[NDArray[Any], int, str]:
    """Return weights in 8 bits, by how many bits they are shifted to the left, and how they are added.

    Inhibitory weights are stored as magnitudes and subtracted.
    """
    bits = weight_granularity(node.sign_mode, node.weight_bits).bit_length() - 1
    # Exact: the low bits are zero, as `verify` has checked.
    whole = values >> bits
    match node.sign_mode:
        case SignMode.MIXED:
            return whole.astype(np.int8), bits, "+="
        case SignMode.EXCITATORY:
            return whole.astype(np.uint8), bits, "+="
        case SignMode.INHIBITORY:
            return (-whole).astype(np.uint8), bits, "-="


def fan_out(name: str, node: ir.FixedDense, arrivals: Sequence[Arrival]) -> Fanout:
    """Return the tables of a connection of which some weights are not zero.

    Args:
        name: Its identifier.
        node: The connection.
        arrivals: What one population reads through it: one for every delay of its synapses.
    """
    sender = arrivals[0].sender
    waits = tuple(arrival.steps for arrival in arrivals)
    parts = [_slot(arrival, i) for i, arrival in enumerate(arrivals)]
    lists, targets, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((targets, lists))
    weights, _, _ = stored_weights(node, values[order])
    synapses = _Synapses(lists[order], targets[order], weights, sender.size * len(waits))
    size = targets_of(node.weights)
    choices = [_as_targets(name, synapses), _as_steps(name, synapses)]
    if len(waits) == 1 and sender.size * size <= min(sum(table.bytes for table in t) for _, t in choices):
        choices.append(_as_matrix(name, synapses, size))
    form, tables = min(choices, key=lambda choice: sum(table.bytes for table in choice[1]))
    return Fanout(form, tables, values.size, waits)


def _slot(arrival: Arrival, slot: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the list, the target and the weight of every synapse of one delay."""
    matrix, sender = arrival.weights, arrival.sender
    if matrix is None:
        raise TypeError("a connection by a matrix has one")
    values = values_of(matrix)
    some = values != 0
    numbers = np.argsort(sender.order)
    sources = numbers[columns_of(matrix)[some]]
    return slot * sender.size + sources, rows_of(matrix)[some], values[some]


def _starts(name: str, starts: NDArray[np.int64]) -> ConstTable:
    return ConstTable.smallest(f"{name}_starts", "where the list of each source begins, and the end", starts)


def _as_targets(name: str, synapses: _Synapses) -> tuple[FanoutForm, tuple[ConstTable, ...]]:
    targets = ConstTable.smallest(f"{name}_targets", "target of each synapse", synapses.targets)
    weights = ConstTable(f"{name}_weights", "weight of each synapse", synapses.weights)
    return FanoutForm.TARGETS, (_starts(name, synapses.starts), targets, weights)


def _as_steps(name: str, synapses: _Synapses) -> tuple[FanoutForm, tuple[ConstTable, ...]]:
    """Write distances; one that is too far for a byte goes by way of synapses of weight zero."""
    first = np.diff(synapses.lists, prepend=-1) != 0
    far = synapses.targets - np.where(first, 0, np.roll(synapses.targets, 1))
    between = np.maximum(far - 1, 0) // _FAR
    ends = np.cumsum(between + 1)
    distances, weights = np.full(ends[-1], _FAR), np.zeros(ends[-1], synapses.weights.dtype)
    distances[ends - 1] = far - _FAR * between
    weights[ends - 1] = synapses.weights
    starts = np.concatenate(([0], ends))[synapses.starts]
    return FanoutForm.STEPS, (
        _starts(name, starts),
        ConstTable(
            f"{name}_distances", "target of each synapse, from the one before", distances.astype(np.uint8)
        ),
        ConstTable(f"{name}_weights", "weight of each synapse", weights),
    )


def _as_matrix(name: str, synapses: _Synapses, size: int) -> tuple[FanoutForm, tuple[ConstTable, ...]]:
    matrix = np.zeros((synapses.count, size), synapses.weights.dtype)
    matrix[synapses.lists, synapses.targets] = synapses.weights
    return FanoutForm.MATRIX, (
        ConstTable(f"{name}_weights", "weights, a row for each source", matrix.ravel()),
    )
