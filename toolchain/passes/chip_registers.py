"""What the integers of a population are in Lava, and what they are in the registers of a Loihi 1."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.ir import FixedLif

_LARGEST_DECAY: Final = fixedpoint.DECAY_UNITY - 1
"""A decay register of Loihi 1 has 12 bits."""


def current_decay(node: FixedLif) -> NDArray[np.int32]:
    """Return `iDecay = du + 1`, 1 .. 4096: what a neuron loses of its current at every step, in 1/4096.

    The hidden + 1 on `du` is Lava's: a recording made with iDecay 1024 is computed with a `du` of 1023 and
    with no other (`tests/hardware`; lava-nc/lava#322). Lava-DL's files count as the chip does.
    """
    return node.du + np.int32(1)


def chip_registers(node: FixedLif) -> dict[str, Any]:
    """Return the least and the largest value of every register, as Lava counts and as Loihi 1 does.

    Returns:
        `lava`: `du`, `dv`, `vth`, `bias_mant`, `bias_exp`. `loihi1`: `iDecay`, `vDecay`, `vThMant`,
        `biasMant`, `biasExp`; only the first differs. `beyond_12_bits`: how many neurons have an iDecay of
        4096; the register itself then takes `du`, on a core whose ds_offset bit adds the one.
    """
    common = (node.dv, node.vth, node.bias_mantissa, node.bias_exponent)
    decay = current_decay(node)
    chip_names = ("iDecay", "vDecay", "vThMant", "biasMant", "biasExp")
    return {
        "lava": _ranges(("du", "dv", "vth", "bias_mant", "bias_exp"), node.du, *common),
        "loihi1": _ranges(chip_names, decay, *common),
        "beyond_12_bits": int((decay > _LARGEST_DECAY).sum()),
    }


def _ranges(names: tuple[str, ...], *values: NDArray[np.int32]) -> dict[str, dict[str, int]]:
    return {
        name: {"least": int(array.min()), "most": int(array.max())}
        for name, array in zip(names, values, strict=True)
    }
