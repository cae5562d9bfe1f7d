"""What a simulated core is told and answers, in words of 32 bits; `bench/` is the other side."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.rtl.image import MemoryImage
from targets.rtl.size import CoreSize
from toolchain import fixedpoint
from toolchain.arrays import Array
from toolchain.execution.trace import QUANTITIES
from toolchain.ir import EdgeKind

Words = NDArray[np.uint32]
ON: Final = 0
"""The step follows the one before."""
FROM_REST: Final = 1
"""The step is the first of a sample."""
_BYTES: Final = 4


def config_words(image: MemoryImage, size: CoreSize) -> Words:
    """Return what a bench must know of a network: its memories, and how its inputs are coded."""
    load = image.load_words(size)
    senders = [image.layout.senders[node.name] for node in image.graph.inputs]
    counts = [len(senders), *(sender.size for sender in senders)]
    parts = [[len(load)], load, [image.groups], counts, *(sender.codes for sender in senders)]
    return np.concatenate([np.asarray(part, np.int64) for part in parts]).astype(np.uint32)


def asked_words(image: MemoryImage, values: Mapping[str, Array]) -> Words:
    """Return what enters as words, `[..., elements]`.

    Args:
        image: The network.
        values: Fitted values of every input, `[..., *features]`, in the model's units.
    """
    parts: list[Array] = []
    for node in image.graph.inputs:
        given = values[node.name]
        if node.edge is EdgeKind.GRADED:
            given = fixedpoint.encode_graded(given, node.scale, node.bits)
        parts.append(given.reshape(*given.shape[: given.ndim - len(node.shape)], -1).astype(np.int32))
    return np.concatenate(parts, axis=-1).view(np.uint32)


def answered(record: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is answered where some quantities are recorded: spikes always."""
    return tuple(quantity for quantity in QUANTITIES if quantity in {"spikes", *record})


def answer_size(image: MemoryImage, quantities: tuple[str, ...]) -> int:
    """Return how many bytes the answer to a step has."""
    return _BYTES * (1 + len(quantities) * image.groups * image.size.lanes)


def read_cycles(answers: Words) -> NDArray[np.int64]:
    """Return the cycles of every step, of answers `[..., words of a step]`."""
    return answers[..., 0].astype(np.int64)


def read_records(
    image: MemoryImage, answers: Words, quantities: tuple[str, ...]
) -> dict[str, dict[str, Array]]:
    """Return answers `[..., words of a step]` by quantity and population, `[..., *features]`."""
    lanes, neurons = image.size.lanes, image.groups * image.size.lanes
    records: dict[str, dict[str, Array]] = {quantity: {} for quantity in quantities}
    for i, quantity in enumerate(quantities):
        part = answers[..., 1 + i * neurons : 1 + (i + 1) * neurons].view(np.int32)
        for node in image.graph.populations:
            sender = image.layout.senders[node.name]
            numbers = part[..., sender.places + image.states[node.name] * lanes]
            if quantity == "spikes":
                numbers = numbers.astype(np.uint8 if node.max_spikes > 1 else np.bool_)
            records[quantity][node.name] = numbers.reshape(*answers.shape[:-1], *sender.shape)
    return records
