"""The cycles that a step takes, in the mean over a recorded run: the states of the sequencer, counted.

`targets/rtl/README.md` has the table; tests hold it equal to what a simulation counts.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from targets.rtl.image import MemoryImage
from targets.rtl.instructions import LENGTH, Flag, Operation
from targets.rtl.layout import IntVector, MessageSender
from targets.rtl.weights import scale_of
from toolchain.arrays import Array, Floats
from toolchain.execution.activity import Activity

REST, PROGRAM, INPUT, EVENTS, SYNAPSES, NEURONS, MESSAGES = (
    "rest before a sample",
    "instructions",
    "input",
    "events",
    "synapses",
    "neurons and poolings",
    "messages and potentials sent",
)
_INSTRUCTION: Final = 20
"""To fetch an instruction, to begin it, and to move its list on."""
_DELIVERED: Final = 4
"""For an event of a matrix, beside the words of its row."""
_CONVOLVED: Final = 9
"""For an event of a window, beside its rows."""
_ROW: Final = 3
_ELEMENT: Final = 2
"""For a row and for an element of a kernel, beside its groups."""
_FIRED: Final = 6
_POOLED: Final = 3
_FOLDED: Final = 3
_GROUPS: Final = 6
"""The word of an instruction that says how many groups it takes."""
_OPERATION: Final = 7
"""The bits of an operation in the first word of an instruction."""


def count_cycles(image: MemoryImage, activity: Activity) -> dict[str, float]:
    """Return the cycles of a step by what they are for, in the mean over a run.

    Streams count as never waiting, spikes of several lanes as independent of one another, and all steps of a
    sample as equally busy.

    Args:
        image: What the core is loaded with.
        activity: Events of its sources in a run.
    """
    cycles = dict.fromkeys((REST, PROGRAM, INPUT, EVENTS, SYNAPSES, NEURONS, MESSAGES), 0.0)
    cycles[REST] = (_INSTRUCTION + int(image.tables[_GROUPS])) / activity.steps
    ages = _ages(image)
    for words, sender in _instructions(image):
        cycles[PROGRAM] += _INSTRUCTION
        if sender is None:
            if words[0] & _OPERATION == Operation.FOLD:
                cycles[NEURONS] += _FOLDED * words[_GROUPS]
            continue
        rates = activity.rates(sender.node.name)
        if words[0] & _OPERATION in {Operation.DELIVER, Operation.CONVOLVE}:
            # What is sent in the last steps of a sample reaches nobody who reads it later.
            rates = rates * max(0, activity.steps - next(ages)) / activity.steps
            # A list without a message is looked at all the same.
            cycles[EVENTS] += float(np.prod(1 - rates))
        match words[0] & _OPERATION:
            case Operation.RECEIVE:
                cycles[INPUT] += 1 + rates.sum()
            case Operation.DELIVER:
                cycles[EVENTS] += _DELIVERED * rates.sum()
                starts = image.tables[words[7] :]
                cycles[SYNAPSES] += float(rates @ (starts[sender.codes + 1] - starts[sender.codes]))
            case Operation.CONVOLVE:
                events, synapses = _window(image, words, sender, rates)
                cycles[EVENTS] += events
                cycles[SYNAPSES] += synapses
            case _:
                sweep, sends = _sweep(image, words, sender, activity)
                cycles[NEURONS] += sweep
                cycles[MESSAGES] += sends
    return {work: float(count) for work, count in cycles.items()}


def line_bytes(image: MemoryImage, activity: Activity, code_bits: int) -> float:
    """Return the bytes that a step takes on the serial line, in the slower direction."""
    senders = image.layout.senders
    event = 3 if code_bits > 14 else 2  # noqa: PLR2004 - as `link.v` says
    answer = 3 if code_bits > 12 else 2  # noqa: PLR2004 - likewise
    value = -(-image.size.value_bits // 8)
    coming = sum(
        1 + activity.rates(node.name).sum() * (event + (value if node.bits > 1 else 0))
        for node in image.graph.inputs
    )
    going = 1.0
    for words, sender in _instructions(image):
        if sender is not None and words[0] & _OPERATION == Operation.FIRE and words[0] & Flag.SENDS:
            going += answer * activity.rates(sender.node.name).sum()
            going += (
                (answer + 3) * sender.groups * senders[sender.node.name].lanes * bool(words[0] & Flag.SHOWS)
            )
    return float(max(coming, going))


def _instructions(image: MemoryImage) -> Iterator[tuple[list[int], MessageSender | None]]:
    """Yield the instructions of a step, each with the sender whose list it opens."""
    rings: dict[int, MessageSender] = {}
    start = 0
    for sender in image.layout.senders.values():
        rings[start] = sender
        start += sender.slots * sender.stride
    place, operation = LENGTH, -1
    while operation != Operation.END:
        words = image.tables[place : place + LENGTH].tolist()
        operation = words[0] & _OPERATION
        opens = operation not in {Operation.FOLD, Operation.END}
        yield words, rings[words[2]] if opens else None
        place += LENGTH


def _ages(image: MemoryImage) -> Iterator[int]:
    """Yield how many steps ago the messages of every delivery were sent, in the order of the program."""
    for readings in image.layout.readings.values():
        folds = [scale_of(image.graph, reading.node).folds for reading in readings]
        for wanted in (True, False):
            yield from (each.steps for each, fold in zip(readings, folds, strict=True) if fold is wanted)


def _window(
    image: MemoryImage, words: list[int], sender: MessageSender, rates: Floats
) -> tuple[float, float]:
    """Return cycles for the events of a window, and for its synapses."""
    down, across = (
        _reached(image.tables, words[field], extent)
        for field, extent in zip((8, 9), sender.shape[1:], strict=True)
    )
    by_pixel = rates.reshape(sender.shape).sum(axis=0)
    reached = (down[:, None] > 0) & (across > 0)
    # A pixel that reaches nothing takes one more look.
    events = _CONVOLVED * by_pixel.sum() + by_pixel[~reached].sum()
    rows = (by_pixel * down[:, None] * (across > 0)).sum()
    elements = (by_pixel * down[:, None] * across).sum()
    return float(events + _ROW * rows + _ELEMENT * elements), float(words[_GROUPS] * elements)


def _reached(tables: IntVector, first: int, extent: int) -> Array:
    bounds = tables[first : first + 2 * extent].reshape(-1, 2)
    return (bounds[:, 1] - bounds[:, 0]) // 2


def _sweep(
    image: MemoryImage, words: list[int], sender: MessageSender, activity: Activity
) -> tuple[float, float]:
    """Return cycles for the groups of a population or pooling, and for what it sends."""
    rates = activity.rates(sender.node.name)
    sends = float(rates.sum())
    if words[0] & _OPERATION == Operation.POOL:
        return _POOLED * sender.groups + 1.0, sends
    quiet = np.ones(sender.groups * sender.lanes)
    quiet[sender.places] = 1 - rates
    spiking = float((1 - quiet.reshape(-1, sender.lanes).prod(axis=1)).sum())
    total = activity.events[sender.node.name].sum()
    spiking *= activity.spikes[sender.node.name] / total if total else 1.0
    shown = sender.groups * sender.lanes if words[0] & Flag.SHOWS else 0
    return (_FIRED + image.size.rules) * sender.groups + 1.0 + spiking, sends + shown
