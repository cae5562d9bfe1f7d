"""The result of reading a file of another framework."""

from dataclasses import dataclass
from typing import final

from toolchain.ir import Graph


@final
@dataclass(frozen=True)
class Imported:
    """A network from a file.

    Attributes:
        graph: The network in real numbers.
        notes: Sentences that say what was assumed and what was rewritten, for the user.
        fixed: The network in integers, where the file holds integers.
    """

    graph: Graph
    notes: tuple[str, ...]
    fixed: Graph | None = None
