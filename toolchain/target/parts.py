"""A stimulus in parts, so that the records of a run need not all be in memory."""

from collections.abc import Iterator
from typing import Final

from toolchain.execution.stimulus import Stimulus
from toolchain.target.protocol import BatchedProgram, Program

ROOM_BYTES: Final = 128 * 2**20
"""What the records of a part may take."""


def in_parts(
    stimulus: Stimulus, per_sample: int, program: Program | None = None, room: int | None = None
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
    """
    batch = program.batch_size(stimulus.steps) if isinstance(program, BatchedProgram) else 1
    size = max(1, (room or ROOM_BYTES) // max(1, per_sample * batch)) * batch
    for start in range(0, stimulus.samples, size):
        yield start, stimulus.take(slice(start, start + size))
