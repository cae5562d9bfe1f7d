"""The numbers of a population in C: a constant, a table for its channels, or one for its neurons."""

from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from targets.c.layout import Sender
from targets.c.tables import ConstTable
from toolchain import ir
from toolchain.fixedpoint import DECAY_UNITY, STATE_LIMIT

_CURRENT_BITS: Final = 6
"""By which what arrives is shifted to the left before it is a current."""


@final
@dataclass
class PopulationNumbers:
    """The numbers of a population; those that it lacks are empty.

    Attributes:
        name: Identifier of the population.
        node: The population.
        sender: What it sends.
        always_fed: Whether something arrives in every step.
        reach: Largest magnitude of what may arrive in a step.
        keepu: What is left of a current after a step, in units of 1/4096; empty if nothing is.
        keepv: The same of a potential; empty if all of it is.
        bias: What is added to a potential in each step.
        vth: Mantissa of the threshold.
        amount: Potential that a spike sets, or takes.
        period: Steps of the refractory period.
        adaptation: What a spike adds to the threshold.
        keeprise: What is left of that after a step.
        tables: The tables that they are read from.
        by_channel: Whether a table has a number for each channel.
    """

    name: str
    node: ir.FixedLif
    sender: Sender
    always_fed: bool = False
    reach: int = STATE_LIMIT
    keepu: str = ""
    keepv: str = ""
    bias: str = ""
    vth: str = ""
    amount: str = ""
    period: str = ""
    adaptation: str = ""
    keeprise: str = ""
    tables: list[ConstTable] = field(default_factory=list)
    by_channel: bool = False

    def __post_init__(self) -> None:
        node = self.node
        # `du` has a hidden 1.
        keepu = DECAY_UNITY - 1 - node.du
        self.keepu = self._expression("keepu", "left of a current, of 4096", keepu, leave_out=0)
        keepv = DECAY_UNITY - node.dv
        self.keepv = self._expression("keepv", "left of a potential, of 4096", keepv, leave_out=DECAY_UNITY)
        self.bias = self._expression("bias", "added to a potential", node.bias, leave_out=0)
        self.vth = self._expression("vth", "threshold, in units of 64", node.vth)
        self.amount = self._optional("amount", "what a spike sets or takes", node.reset_amount)
        self.period = self._optional("period", "steps of the refractory period", node.refractory)
        self.adaptation = self._optional("adaptation", "added to a threshold by a spike", node.adaptation)
        if node.adaptation_decay is not None:
            keeprise = DECAY_UNITY - node.adaptation_decay
            self.keeprise = self._expression("keeprise", "left of that, of 4096", keeprise)

    @property
    def within(self) -> bool:
        """Whether no current can reach the limit at which it wraps: it is forgotten at once, and small."""
        return not self.keepu and self.reach << _CURRENT_BITS < STATE_LIMIT

    @property
    def rests(self) -> bool:
        """Whether without input nothing changes once all is zero."""
        return not (self.bias or self.always_fed)

    @property
    def several(self) -> bool:
        """Whether a neuron may send several spikes in a step."""
        return self.node.max_spikes > 1

    def _optional(self, word: str, meaning: str, values: NDArray[Any] | None) -> str:
        return "" if values is None else self._expression(word, meaning, values)

    def _expression(self, word: str, meaning: str, values: NDArray[Any], leave_out: int | None = None) -> str:
        """Return how a number is written where neuron `i` of channel `c` is computed."""
        if (values == values.flat[0]).all():
            number = int(values.flat[0])
            return "" if number == leave_out else str(number)
        stored, index = values.ravel()[self.sender.order], "i"
        if self.sender.is_image:
            channels = values.reshape(values.shape[0], -1)
            if (channels == channels[:, :1]).all():
                stored, index, self.by_channel = channels[:, 0], "c", True
        table = ConstTable.smallest(f"{self.name}_{word}", meaning, stored)
        if table.values.dtype == np.uint32:
            # They are numbers with a sign, and all of them fit one of 32 bits.
            table = ConstTable(table.name, meaning, stored.astype(np.int32))
        self.tables.append(table)
        return f"{table.name}[{index}]"
