"""What a spike does to the membrane potential, in a module that needs nothing else."""

from enum import Enum
from typing import Final

MOST_SPIKES: Final = 255
"""The most spikes that a neuron may send in one step: a message of eight bits."""
LONGEST_REFRACTORY: Final = 4095
"""The longest refractory period in steps."""


class Reset(Enum):
    """What a spike does to the membrane potential of its neuron."""

    ZERO = "zero"
    """The potential becomes zero."""
    VALUE = "value"
    """The potential becomes a value of the neuron's own."""
    SUBTRACT = "subtract"
    """The potential loses an amount of the neuron's own, once for every spike."""
    NONE = "none"
    """The potential stays, so that a neuron fires at every step above its threshold."""

    @property
    def has_amount(self) -> bool:
        """Whether a number per neuron says what a spike does."""
        return self in {Reset.VALUE, Reset.SUBTRACT}
