"""The numbers of neurons as the core reads them: columns of 16 bits, for each group and lane."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.rtl.instructions import Flag
from targets.rtl.layout import MessageSender
from toolchain import ir
from toolchain.fixedpoint import DECAY_UNITY, THRESHOLD_MAX
from toolchain.reset import Reset

PLAIN_COLUMNS: Final = 4
RULED_COLUMNS: Final = 10
_LOW: Final = 0xFFFF
_EFFECTS: Final = {
    Reset.ZERO: 0,
    Reset.VALUE: Flag.SETS_AMOUNT,
    Reset.SUBTRACT: Flag.SUBTRACTS,
    Reset.NONE: Flag.KEEPS,
}


def parameters_of(node: ir.FixedLif, sender: MessageSender) -> NDArray[np.int64]:
    """Return the parameters of a population, `[groups, lanes, columns]`, as short as they repeat.

    What fills up a group keeps nothing and has the largest threshold: it never fires.
    """
    columns = np.zeros((sender.groups * sender.lanes, RULED_COLUMNS), np.int64)
    columns[:, 2], columns[:, 3] = THRESHOLD_MAX & _LOW, THRESHOLD_MAX >> 16 << 15
    columns[sender.places] = _columns(node)
    table = columns.reshape(sender.groups, sender.lanes, RULED_COLUMNS)
    for period in sorted({1, sender.channel_groups}):
        if (
            sender.groups % period == 0
            and (table.reshape(-1, period, *table.shape[1:]) == table[:period]).all()
        ):
            return table[:period]
    return table


def _columns(node: ir.FixedLif) -> NDArray[np.int64]:
    """Return the columns of every neuron, in the order of the graph."""
    size = node.vth.size
    zero = np.zeros(size, np.int64)

    def flat(values: NDArray[np.int32] | None) -> NDArray[np.int64]:
        return zero if values is None else values.ravel().astype(np.int64)

    keep_current = DECAY_UNITY - 1 - flat(node.du)
    keep_potential = DECAY_UNITY - flat(node.dv)
    bias, vth, amount, adaptation = (
        flat(node.bias),
        flat(node.vth),
        flat(node.reset_amount),
        flat(node.adaptation),
    )
    keep_rise = zero if node.adaptation_decay is None else DECAY_UNITY - flat(node.adaptation_decay)
    return np.stack(
        [
            (bias >> 16 & 0xF) << 12 | keep_current,
            bias & _LOW,
            vth & _LOW,
            vth >> 16 << 15 | keep_potential,
            amount & _LOW,
            amount >> 16 & 0xFF,
            flat(node.refractory),
            adaptation & _LOW,
            keep_rise,
            adaptation >> 16,
        ],
        axis=1,
    )


def firing_flags(node: ir.FixedLif) -> int:
    """Return the flags that say what a spike does."""
    flags = int(_EFFECTS[node.reset])
    flags |= Flag.REFRACTORY if node.refractory is not None else 0
    return flags | (Flag.ADAPTS if node.adaptation is not None else 0)
