"""The result of reading a file of another framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from toolchain.arrays import Array
from toolchain.ir import Graph


@final
@dataclass(frozen=True)
class Imported:
    """A network from a file.

    Attributes:
        graph: The network in real numbers.
        notes: Sentences that say what was assumed and what was rewritten, for the user.
        fixed: The network in integers, where the file holds integers.
        rests: Potential of the file that is zero here, for every neuron of a population; only where it is
            not zero there.
    """

    graph: Graph
    notes: tuple[str, ...]
    fixed: Graph | None = None
    rests: Mapping[str, Array] = field(default_factory=dict)
