"""How Spiking Channel Activity pruning prunes and regrows: quantities, treatments, the course over epochs."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import final

from toolchain.errors import PruningError
from toolchain.intake import count_of
from toolchain.options import MOST, choice, flag, hold, real, whole


class Ranking(Enum):
    """Quantity that decides which channels live."""

    ACTIVITY = "activity"
    """Mean of `theta S + |V|` over an epoch: the channel activity of SCA."""
    FIRING_RATE = "firing_rate"
    """Mean spikes per neuron and step over an epoch."""
    WEIGHT_NORM = "weight_norm"
    """Mean |w| of the filter, or of the batch-norm scale if the norm reads a residual stream."""
    SLIMMING = "slimming"
    """|gamma| of the batch-norm (Network Slimming, Liu et al. 2017); needs `gamma_l1`."""


class Regrowth(Enum):
    """Quantity that decides which pruned channels come back."""

    GRADIENT = "gradient"
    """|dL/d gamma|, or |dL/dm| of the gate if gates are closed."""
    RANDOM = "random"
    """Random numbers, as a control."""


class Masking(Enum):
    """Treatment of a pruned channel between two updates."""

    FAITHFUL = "faithful"
    """Filter, scale and shift are set to zero after the epoch and may drift away again, as in the released
    code: its momentum is what makes them comparable at the next update."""
    STRICT = "strict"
    """The gate of its batch-norm is closed at every step; filter, scale and shift keep their values."""


class ChannelPrice(Enum):
    """What a channel costs: it lives by its score for each unit of that."""

    CHANNEL = "channel"
    """All cost the same (the paper)."""
    OPERATIONS = "operations"
    """What its spikes make later layers do, measured in the last batch before each update."""


@final
@dataclass(frozen=True, kw_only=True)
class ScaOptions:
    """How channels are pruned and regrown. The defaults are the variant we recommend, not the paper's.

    Attributes:
        sparsity: Share `p` of all channels that is pruned in the end, over all layers together.
        regrowth: Share `q` of all channels that is regrown at the first update.
        masking: Treatment of a pruned channel between two updates.
        ranking: Quantity that decides which channels live.
        price: What a channel costs (the paper: all the same); scores are divided by it (ours).
        criterion: Quantity that decides which channels come back.
        anneal: Whether `q` falls to zero, linearly, over the epochs with updates (ours; the paper: constant).
        frozen: Share of the epochs, at the end, whose mask stays as it is and is enforced (ours).
        warm_up: Epochs before the first update (the paper: 0).
        interval: Epochs from one update to the next; activity is measured in the last of them.
        mean_gradient: Whether the gradient is averaged over the epoch instead of taken from its last
            batch (the paper: last batch).
        least: Number of channels that every layer keeps. With 0, as in the paper, a layer that loses all of
            them is an error.
        l1: Weight of `sign(w)` added to the gradient of all 3 x 3 convolutions (the paper: 3e-5).
        gamma_l1: Weight of `sign(gamma)` added to the gradient of the batch-norms (Network Slimming).
        seed: Seed of random regrowth.
    """

    sparsity: float = 0.7
    regrowth: float = 0.2
    masking: Masking = Masking.FAITHFUL
    ranking: Ranking = Ranking.ACTIVITY
    price: ChannelPrice = ChannelPrice.CHANNEL
    criterion: Regrowth = Regrowth.GRADIENT
    anneal: bool = True
    frozen: float = 0.3
    warm_up: int = 0
    interval: int = 1
    mean_gradient: bool = False
    least: int = 1
    l1: float = 0.0
    gamma_l1: float = 0.0
    seed: int = 0

    @classmethod
    def published(cls, *, sparsity: float = 0.7, regrowth: float = 0.2) -> "ScaOptions":
        """Return what the paper and its released code do: constant p and q after every epoch to the last."""
        return cls(sparsity=sparsity, regrowth=regrowth, anneal=False, frozen=0.0, l1=3e-5)

    def __post_init__(self) -> None:
        hold(
            self,
            sparsity=real(),
            regrowth=real(),
            masking=choice(Masking),
            ranking=choice(Ranking),
            price=choice(ChannelPrice),
            criterion=choice(Regrowth),
            anneal=flag,
            frozen=real(),
            mean_gradient=flag,
            l1=real(0),
            gamma_l1=real(0),
            seed=whole(),
        )
        for name in ("warm_up", "interval", "least"):
            count_of(getattr(self, name), name, least=-MOST)
        if not (0 <= self.sparsity < 1 and 0 <= self.regrowth <= 1 and self.sparsity + self.regrowth <= 1):
            raise PruningError(
                "expected 0 <= sparsity < 1, 0 <= regrowth and their sum at most 1, "
                f"got {self.sparsity} and {self.regrowth}"
            )
        if not 0 <= self.frozen < 1 or self.warm_up < 0 or self.interval < 1 or self.least < 0:
            raise PruningError(
                "expected 0 <= frozen < 1, warm_up >= 0, interval >= 1 and least >= 0, "
                f"got {self.frozen}, {self.warm_up}, {self.interval} and {self.least}"
            )

    def last_update(self, epochs: int) -> int:
        """Return the epoch after which the mask stays as it is."""
        return max(1, epochs - math.ceil(self.frozen * epochs)) if self.frozen else epochs

    def updates_after(self, epoch: int, epochs: int) -> bool:
        """Return whether the mask is renewed after this epoch."""
        last = self.last_update(epochs)
        if not self.warm_up < epoch <= last:
            return False
        return epoch == last or (epoch - self.warm_up - 1) % self.interval == 0

    def next_update(self, epoch: int, epochs: int) -> int:
        """Return the first epoch from this one on after which the mask is renewed; this one if none is."""
        later = range(epoch, self.last_update(epochs) + 1)
        return next((each for each in later if self.updates_after(each, epochs)), epoch)

    def regrowth_after(self, epoch: int, epochs: int) -> float:
        """Return the share of channels that is regrown after this epoch."""
        if not self.anneal:
            return self.regrowth
        first, last = self.warm_up + 1, self.last_update(epochs)
        return self.regrowth * (last - epoch) / max(last - first, 1)
