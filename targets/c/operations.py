"""What a step of a network does, counted, and the instructions that a Cortex-M4 takes for it."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from targets.c.connections import ConnectionCode
from targets.c.fanout import FanoutForm
from targets.c.layout import Arrival, Sender, Way
from targets.c.neurons import PopulationNumbers
from targets.c.source import NetworkCode
from toolchain.arrays import Array
from toolchain.execution.activity import Activity
from toolchain.ir import Window

INSTRUCTIONS: Final[Mapping[str, float]] = {
    "messages": 12.0,
    "synaptic operations": 7.0,
    "places in windows": 12.0,
    "neurons": 25.0,
    "decays": 11.0,
    "elements looked through": 6.0,
}
"""By what is counted: instructions of a Cortex-M4 under QEMU, gcc 12.2 -O2, rounded means over networks."""


def count_operations(code: NetworkCode, activity: Activity) -> dict[str, dict[str, float]]:
    """Return what every layer does in a step, in the mean over a run, by the kinds of `INSTRUCTIONS`.

    All neurons count in every step, although a population at rest is not touched.

    Args:
        code: The network.
        activity: Events of its sources in a run.
    """
    return {
        name: _of_layer(code, name, sender, activity)
        for name, sender in code.layout.senders.items()
        if not sender.is_input
    }


def instructions_of(operations: Mapping[str, float]) -> float:
    """Return the instructions of a Cortex-M4 for counted operations."""
    return sum(INSTRUCTIONS[kind] * count for kind, count in operations.items())


def _of_layer(code: NetworkCode, name: str, sender: Sender, activity: Activity) -> dict[str, float]:
    counts = dict.fromkeys(INSTRUCTIONS, 0.0)
    first = True
    for arrival in code.layout.arrivals[name]:
        for kind, count in _of_arrival(code.connections[arrival.node.name], arrival, activity).items():
            counts[kind] += count
        first = False
    numbers = code.populations.get(name)
    if numbers is None:
        counts["elements looked through"] += 0.0 if first else sender.size
    else:
        counts["neurons"] = float(sender.size)
        counts["decays"] = float(sender.size * _decays(numbers))
    counts["elements looked through"] += sender.slot_size if sender.slots else 0.0
    return counts


def _decays(numbers: PopulationNumbers) -> int:
    return sum(bool(each) for each in (numbers.keepu, numbers.keepv, numbers.keeprise))


def _of_arrival(connection: ConnectionCode, arrival: Arrival, activity: Activity) -> dict[str, float]:
    rates, sender = activity.rates(arrival.sender.node.name), arrival.sender
    counts = {"messages": float(rates.sum())}
    match arrival.way:
        case Way.ALL:
            counts["elements looked through"] = float(sender.size)
        case Way.RECALLED:
            counts["elements looked through"] = float(sender.slot_size + rates.sum())
        case Way.LISTED:
            pass
    if connection.apart:
        counts["elements looked through"] = counts.get("elements looked through", 0.0) + connection.size
    if connection.fanout is None:
        down, across = _places(connection.window, sender.shape[1:])
        reached = float(down @ rates.reshape(sender.shape).sum(axis=0) @ across)
        counts["places in windows"] = reached
        counts["synaptic operations"] = reached * connection.per_group
    else:
        counts["synaptic operations"] = float(rates[sender.order] @ _lengths(connection, arrival))
    return counts


def _lengths(connection: ConnectionCode, arrival: Arrival) -> Array:
    """Return the length of the list of every source that messages of one delay walk."""
    if connection.form is FanoutForm.MATRIX:
        return np.full(arrival.sender.size, connection.size)
    place, size = connection.waits.index(arrival.steps), arrival.sender.size
    starts = connection.tables[0].values.astype(np.int64)
    return np.diff(starts[place * size : (place + 1) * size + 1])


def _places(window: Window, extent: tuple[int, ...]) -> tuple[Array, Array]:
    """Return for every row, and for every column, how many places of windows read it."""
    counts: list[Array] = []
    for axis, size in enumerate(extent):
        kernel, stride, padding, dilation = (
            each[axis] for each in (window.kernel, window.stride, window.padding, window.dilation)
        )
        places = window.positions((extent[0], extent[1]))[axis]
        ahead = np.arange(size)[:, None] + padding - dilation * np.arange(kernel)
        counts.append(((ahead >= 0) & (ahead % stride == 0) & (ahead // stride < places)).sum(axis=1))
    return counts[0], counts[1]
