"""What adaptation adds to the thresholds of a population in a recorded run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.ir import Population


def rises(node: Population, spikes: NDArray[Any]) -> NDArray[Any] | None:
    """Return what every threshold of a run had been raised by when it was compared with a potential.

    Spikes are all that it follows from, so no execution has to record it.

    Args:
        node: A population in real numbers or in integers.
        spikes: Its spikes, or how many of them, `[batch, time, *shape]`.

    Returns:
        `[batch, time, *shape]`, float64 in the model's units or int32 in those of the potential; None for a
        population whose thresholds stay.
    """
    if node.adaptation is None or node.adaptation_decay is None:
        return None
    rise: NDArray[Any] = np.zeros((len(spikes), *node.vth.shape), node.adaptation.dtype)
    record = np.zeros(spikes.shape, rise.dtype)
    for t in range(spikes.shape[1]):
        record[:, t] = rise
        added = node.adaptation * spikes[:, t].astype(rise.dtype)
        if isinstance(node, ir.FixedLif):
            faded = fixedpoint.decay(rise, node.adaptation_decay)
            rise = np.minimum(faded + added, np.int32(fixedpoint.STATE_LIMIT - 1))
        else:
            rise = (1 - node.adaptation_decay) * rise + added
    return record


def before_reset(node: Population, v: NDArray[Any], spikes: NDArray[Any]) -> NDArray[Any]:
    """Return potentials as they were compared with the threshold, of those that are recorded after the reset.

    What a spike took is added again where it subtracts. A potential that a spike set says nothing of what it
    was, and stays as recorded.
    """
    if node.reset is not ir.Reset.SUBTRACT or node.reset_amount is None:
        return v
    return v + spikes.astype(node.reset_amount.dtype) * node.reset_amount
