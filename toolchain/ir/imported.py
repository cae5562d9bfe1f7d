"""The result of reading a file of another framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from toolchain.arrays import Floats
from toolchain.ir import Graph


@final
@dataclass(frozen=True)
class Imported:
    """A network from a file.

    Attributes:
        graph: The network in real numbers.
        notes: Sentences that say what was assumed and what was rewritten, for the user.
        fixed: The network in integers, where the file holds integers.
        warnings: Sentences on what the file seems to have lost, so that it hardly is the network that was
            trained.
        rests: Potential of the file that is zero here, for each population where that is not zero.
    """

    graph: Graph
    notes: tuple[str, ...]
    fixed: Graph | None = None
    warnings: tuple[str, ...] = ()
    rests: Mapping[str, Floats] = field(default_factory=dict)
