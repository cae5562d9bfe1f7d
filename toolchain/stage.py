"""The two stages of a network, in a module that needs nothing else, so that asking for them is quick."""

from enum import Enum


class Stage(Enum):
    """Whether a graph computes in real numbers or in integers."""

    FLOAT = "float"
    FIXED = "fixed"
