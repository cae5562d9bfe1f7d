"""The order in which two workers begin: each with tests that compile other loops than the other one's.

In a fresh checkout nothing is compiled. Workers that begin anywhere come to the same loops at the same time,
and both compile them. What one has compiled is stored, and the other one reads it: so they begin apart. The
tests of the architecture follow one another, so that one worker alone reads all modules for them.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")

_EMULATOR: Final = ("tests/targets/emulator/",)
_ARCHITECTURE: Final = ("tests/architecture/",)
_TRAINING: Final = ("tests/toolchain/models/", "tests/toolchain/training/", "tests/toolchain/pruning/")


def begun_apart(items: Sequence[Item], path_of: Callable[[Item], str]) -> list[Item]:
    """Return all items: of the emulator, of the architecture, and of training where the second half begins.

    A scheduler that lets workers steal gives each of two workers one half to begin with. Otherwise the order
    stays.

    Args:
        items: What is tested, in any order.
        path_of: The module of an item, from the root of the repository.
    """
    emulator = [item for item in items if path_of(item).startswith(_EMULATOR)]
    training = [item for item in items if path_of(item).startswith(_TRAINING)]
    rest = [item for item in items if not path_of(item).startswith(_EMULATOR + _TRAINING)]
    others = sorted(rest, key=lambda item: not path_of(item).startswith(_ARCHITECTURE))
    between = max(0, len(items) // 2 - len(emulator))
    return [*emulator, *others[:between], *training, *others[between:]]
