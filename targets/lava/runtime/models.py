"""The choices between Lava's processes and ours."""

from enum import Enum


class Models(Enum):
    """How many of the processes and models are Lava's own. All give the same integers."""

    STOCK = "stock"
    """All of them, but for the relay of graded messages: the judge. One simulation per sample."""
    MIXED = "mixed"
    """Lava's connections, our windowed populations around Lava's dynamics, our model of `Conv`."""
    LAYERS = "layers"
    """One process of ours per population: the fewest messages."""
