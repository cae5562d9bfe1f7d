"""Who watches the epochs of a training, and may end it before the last one."""

from collections.abc import Callable, Sequence

from toolchain.training.state_file import EpochRecord

EpochWatch = Callable[[Sequence[EpochRecord]], None]
"""Takes the records of all epochs that are done. What it raises ends the training, whose state is on disk.

Unlike a `Callback` it is no part of the training: a checkpoint does not mind whether somebody watches.
"""


def no_watch(records: Sequence[EpochRecord]) -> None:
    """Let a training go on."""
    del records
