"""What the driver is told and answers in a step, as bytes; `templates/driver.c.j2` is the other side."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from targets.c.source import NetworkCode
from toolchain import fixedpoint
from toolchain.arrays import Array
from toolchain.execution.trace import QUANTITIES
from toolchain.ir import EdgeKind

RESET: Final = b"R"
STEP: Final = b"S"
_NUMBER: Final = 4
"""Bytes of a value, a potential or a current."""


def input_bytes(code: NetworkCode, values: Mapping[str, Array]) -> Array:
    """Return what enters as bytes, `[..., bytes of a step]`.

    Args:
        code: The network.
        values: Fitted values of every input, `[..., *features]`, in the model's units.
    """
    parts: list[Array] = []
    for node in code.graph.inputs:
        given = values[node.name]
        lead = given.shape[: given.ndim - len(node.shape)]
        if node.edge is EdgeKind.GRADED:
            given = fixedpoint.encode_graded(given, node.scale, node.bits)
        flat = np.ascontiguousarray(given.reshape(*lead, -1))
        parts.append(flat.view(np.uint8) if node.edge is EdgeKind.GRADED else flat.astype(np.uint8))
    return np.concatenate(parts, axis=-1)


def answered_quantities(record: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the driver answers where some quantities are recorded: spikes always."""
    return tuple(quantity for quantity in QUANTITIES if quantity in {"spikes", *record})


def answer_bytes(code: NetworkCode, quantities: tuple[str, ...]) -> int:
    """Return how many bytes the answer to a step has."""
    sizes = {"spikes": 1, "v": _NUMBER, "u": _NUMBER}
    neurons = sum(population.sender.size for population in code.populations.values())
    return neurons * sum(sizes[quantity] for quantity in quantities)


def read_answers(
    code: NetworkCode, answers: Array, quantities: tuple[str, ...]
) -> dict[str, dict[str, Array]]:
    """Return answers `[..., bytes of a step]` by quantity and population, `[..., *features]`."""
    records: dict[str, dict[str, Array]] = {quantity: {} for quantity in quantities}
    start, lead = 0, answers.shape[:-1]
    for name, population in code.populations.items():
        sender = population.sender
        for quantity in quantities:
            width = sender.size * (1 if quantity == "spikes" else _NUMBER)
            part = np.ascontiguousarray(answers[..., start : start + width])
            start += width
            if quantity != "spikes":
                part = part.view(np.int32)
            elif not population.several:
                part = part.astype(np.bool_)
            values = np.empty_like(part)
            values[..., sender.order] = part
            records[quantity][name] = values.reshape(*lead, *sender.shape)
    return records
