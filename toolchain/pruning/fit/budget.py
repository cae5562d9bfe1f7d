"""What a network may take: one limit of the place that it is to run on."""

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from toolchain.errors import PruningError
from toolchain.fixedpoint import WIDE_BITS
from toolchain.intake import name_of
from toolchain.options import MOST, choice, each, hold, whole

_UNITS: Final = {"": 1, "B": 1, "KB": 1000, "KIB": 2**10, "MB": 10**6, "MIB": 2**20}
_SIZE: Final = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_KIB: Final = 2**10
_LONGEST: Final = 40
"""Characters of a size: numbers of hundreds of digits are none."""


class BudgetLimit(Enum):
    """What is limited."""

    CORES = "cores"
    """Cores of a neuromorphic chip."""
    SYNOPS = "synops"
    """Synaptic operations of a sample."""
    FLASH = "flash"
    """Bytes of flash of a processor: instructions and tables."""
    RAM = "ram"
    """Bytes of RAM of a processor: the state."""
    BRAM = "bram"
    """Bytes of the memories of a core in an FPGA."""

    @property
    def unit(self) -> str:
        """The limit in words that follow a number."""
        return _UNIT_WORDS[self]

    @property
    def in_bytes(self) -> bool:
        """Whether it counts bytes."""
        return self in {BudgetLimit.FLASH, BudgetLimit.RAM, BudgetLimit.BRAM}


_UNIT_WORDS: Final = {
    BudgetLimit.CORES: "cores",
    BudgetLimit.SYNOPS: "synaptic operations a sample",
    BudgetLimit.FLASH: "bytes of flash",
    BudgetLimit.RAM: "bytes of RAM",
    BudgetLimit.BRAM: "bytes of memory in the FPGA",
}


class Saliency(Enum):
    """What the loss says of a synapse, for the numbers of synapses of the connections."""

    LAMP = "lamp"
    """Square of the weight over those of the stronger ones of its connection (Lee et al. 2021)."""
    MAGNITUDE = "magnitude"
    """Square of the weight over the mean square of its connection."""
    GRADIENT = "gradient"
    """Weight times gradient, in magnitude, on a few training batches: no connection is normalised."""


@final
@dataclass(frozen=True, kw_only=True)
class SizeBudget:
    """What a network may take.

    Attributes:
        limit: What is limited.
        amount: How much of it there is.
        target: Name of the target that is asked what a network takes.
        profile: Name or file of a processor of that target, or file of a chip; empty for the target's own.
        weight_bits: Bits of a weight to choose from; empty for those of the experiment.
        saliency: What the loss says of a synapse.
    """

    limit: BudgetLimit
    amount: int
    target: str
    profile: str = ""
    weight_bits: tuple[int, ...] = ()
    saliency: Saliency = Saliency.LAMP

    def __post_init__(self) -> None:
        hold(
            self,
            limit=choice(BudgetLimit),
            amount=whole(1),
            target=name_of,
            weight_bits=each(whole(2, WIDE_BITS)),
            saliency=choice(Saliency),
        )

    def measured(self, amount: float) -> str:
        """Return an amount of what is limited, in words: the least budget that it is within."""
        if self.limit is BudgetLimit.CORES and amount == 1:
            return "1 core"
        return f"{math.ceil(amount):,} {self.limit.unit}"

    def sentence(self) -> str:
        """Return the budget in words."""
        size = f" ({self.amount / _KIB:.4g} KiB)" if self.limit.in_bytes and self.amount >= _KIB else ""
        place = "" if self.limit is BudgetLimit.SYNOPS else f" on {self.profile or self.target}"
        return f"{self.measured(self.amount)}{size}{place}"


def bytes_of(size: int | str) -> int:
    """Return a size in bytes: a number, or one with a unit, such as `64 KiB`.

    Raises:
        PruningError: It is no such size.
    """
    text = str(size).strip()
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or match[2].upper() not in _UNITS:
        raise PruningError(f"expected a size such as 65536, '64 KiB' or '0.5 MiB', got '{text[:_LONGEST]}'")
    whole_bytes = int(float(match[1].replace("_", "")) * _UNITS[match[2].upper()])
    if not 1 <= whole_bytes <= MOST:
        raise PruningError(f"expected a size from one byte to 2 GiB, got '{text}'")
    return whole_bytes
