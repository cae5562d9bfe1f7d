"""A stimulus in parts, so that the records of a run need not all be in memory."""

from collections.abc import Iterator
from typing import Final

from toolchain.execution.stimulus import Stimulus
from toolchain.target.protocol import BatchedProgram, Program

ROOM_BYTES: Final = 128 * 2**20
"""What the records of a part may take."""


def in_parts(
    stimulus: Stimulus,
    per_sample: int,
    program: Program | None = None,
    room: int | None = None,
    *,
    of: range | None = None,
) -> Iterator[tuple[int, Stimulus]]:
    """Yield the first sample of each part, and the part.

    A part is cut where the program would cut by itself. A run in parts then has the very records of a run in
    one piece, real numbers included.

    Args:
        stimulus: Checked, or fitted to the graph.
        per_sample: Bytes that are recorded of a sample.
        program: What runs the parts; None if it gives the same however samples are cut.
        room: Bytes that a part may record, unless a single batch of the program records more; by default
            `ROOM_BYTES`.
        of: Samples that are cut into parts, see `in_shards`; by default all.
    """
    batch = batch_of(program, stimulus.steps)
    size = max(1, (room or ROOM_BYTES) // max(1, per_sample * batch)) * batch
    samples = range(stimulus.samples) if of is None else of
    for start in samples[::size]:
        yield start, stimulus.take(slice(start, min(start + size, samples.stop)))


def in_shards(samples: int, most: int, batch: int = 1) -> list[range]:
    """Return up to so many ranges of samples that can be run apart, each cut where a batch ends.

    >>> in_shards(10, 4), in_shards(10, 4, batch=4)
    ([range(0, 3), range(3, 6), range(6, 9), range(9, 10)], [range(0, 4), range(4, 8), range(8, 10)])
    """
    size = -(-samples // max(1, most))
    size = -(-size // batch) * batch
    return [range(start, min(start + size, samples)) for start in range(0, samples, size)]


def batch_of(program: Program | None, steps: int) -> int:
    """Return after how many samples of so many steps a program may be cut without a change of any digit."""
    return program.batch_size(steps) if isinstance(program, BatchedProgram) else 1
