"""What the integers of a population are in Lava, and what they are in the registers of a Loihi 1."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.files.documents import Count, Document, Whole

_LARGEST_DECAY: Final = fixedpoint.DECAY_UNITY - 1
"""A decay register of Loihi 1 has 12 bits."""


class Span(Document):
    """Least and largest of some integers.

    Attributes:
        least: The least.
        most: The largest.
    """

    least: Whole
    most: Whole

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


class LavaRegisters(Document):
    """Integers of a population as Lava counts them.

    Attributes:
        du: Decays of the current, in 1/4096.
        dv: Decays of the potential, in 1/4096.
        vth: Thresholds, without the 6 bits by which they are shifted.
        bias_mant: Mantissas of the biases.
        bias_exp: Exponents of the biases.
    """

    du: Span
    dv: Span
    vth: Span
    bias_mant: Span
    bias_exp: Span


class ChipRegisters(Document):
    """Integers of a population as Loihi 1 counts them; only the first differs from Lava's.

    Attributes:
        iDecay: Decays of the current, in 1/4096.
        vDecay: Decays of the potential, in 1/4096.
        vThMant: Mantissas of the thresholds.
        biasMant: Mantissas of the biases.
        biasExp: Exponents of the biases.
    """

    iDecay: Span  # noqa: N815 - the chip's own name
    vDecay: Span  # noqa: N815
    vThMant: Span  # noqa: N815
    biasMant: Span  # noqa: N815
    biasExp: Span  # noqa: N815


class Registers(Document):
    """What the integers of a population are in Lava and in the registers of a Loihi 1.

    Attributes:
        lava: As Lava counts.
        loihi1: As the chip does.
        beyond_12_bits: How many neurons have an iDecay of 4096; the register itself then takes `du`, on a
            core whose ds_offset bit adds the one.
    """

    lava: LavaRegisters
    loihi1: ChipRegisters
    beyond_12_bits: Count


def current_decay(node: ir.FixedLif) -> NDArray[np.int32]:
    """Return `iDecay = du + 1`, 1 .. 4096: what a neuron loses of its current at every step, in 1/4096.

    The hidden + 1 on `du` is Lava's: a recording made with iDecay 1024 is computed with a `du` of 1023 and
    with no other (`tests/hardware`; lava-nc/lava#322). Lava-DL's files count as the chip does.
    """
    return node.du + np.int32(1)


def chip_registers(node: ir.FixedLif) -> Registers:
    """Return the least and the largest value of every register, as Lava counts and as Loihi 1 does."""
    decay = current_decay(node)
    dv, vth = _span(node.dv), _span(node.vth)
    mantissa, exponent = _span(node.bias_mantissa), _span(node.bias_exponent)
    return Registers(
        lava=LavaRegisters(du=_span(node.du), dv=dv, vth=vth, bias_mant=mantissa, bias_exp=exponent),
        loihi1=ChipRegisters(
            iDecay=_span(decay), vDecay=dv, vThMant=vth, biasMant=mantissa, biasExp=exponent
        ),
        beyond_12_bits=int((decay > _LARGEST_DECAY).sum()),
    )


def _span(values: NDArray[np.int32]) -> Span:
    return Span(least=int(values.min()), most=int(values.max()))
