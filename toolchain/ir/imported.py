"""What comes out of a file of another framework."""

from dataclasses import dataclass
from typing import final

from toolchain.ir import Graph


@final
@dataclass(frozen=True)
class Imported:
    """A network from a file.

    Attributes:
        graph: In real numbers.
        notes: What was assumed and what was rewritten, to be shown to the user.
        fixed: In integers, where the file holds integers.
    """

    graph: Graph
    notes: tuple[str, ...]
    fixed: Graph | None = None
