"""How synapses leave and come back while a network is trained: the methods, the sizes, the course."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from toolchain.errors import PruningError
from toolchain.intake import names_of
from toolchain.options import choice, hold, optional, positive_share, real, share, whole


class SparseMethod(Enum):
    """Way in which the synapses of a network become few, or stay few, while it is trained."""

    GRADUAL = "gradual"
    """The weakest leave step by step; none comes back (Zhu & Gupta 2017)."""
    SET = "set"
    """The weakest leave, and as many come at random places (Mocanu et al. 2018)."""
    RIGL = "rigl"
    """The weakest leave, and as many come where the gradient is largest (Evci et al. 2020)."""
    DEEP_REWIRING = "deep_rewiring"
    """A synapse leaves where its sign would change, and as many come at random places; signs are fixed, and
    noise lets weights explore (Bellec et al. 2018)."""
    SOFT_DEEP_REWIRING = "soft_deep_rewiring"
    """As above, but absent synapses wander, too, and come when they reach zero: the number is free."""
    SNIP = "snip"
    """The first batches choose: those stay whose weight times gradient is largest (Lee et al. 2019)."""
    SYNFLOW = "synflow"
    """Those stay that most flows through in a linear network, without data (Tanaka et al. 2020)."""
    STATIC = "static"
    """Synapses drawn at random before the training; the control of all others."""

    @property
    def starts_whole(self) -> bool:
        """Whether a training begins with all synapses."""
        return self in {SparseMethod.GRADUAL, SparseMethod.SNIP}

    @property
    def chooses_once(self) -> bool:
        """Whether synapses are chosen by a score, once, before anything is learnt."""
        return self in {SparseMethod.SNIP, SparseMethod.SYNFLOW}

    @property
    def keeps_signs(self) -> bool:
        """Whether the sign of a synapse is fixed."""
        return self in {SparseMethod.DEEP_REWIRING, SparseMethod.SOFT_DEEP_REWIRING}


class Allocation(Enum):
    """How many synapses each connection gets."""

    UNIFORM = "uniform"
    """The same share of its synapses."""
    ERDOS_RENYI = "erdos_renyi"
    """In proportion to the neurons that it joins, `sources + targets`: small connections stay denser. Of a
    convolution, to `sources + targets + rows + columns` in channels and places of its kernel (Evci et al.
    2020)."""
    GLOBAL = "global"
    """As many as have the highest scores of all: of gradual pruning that of LAMP (Lee et al. 2021). A
    connection keeps a tenth of the density of all, and every neuron that is read an input."""


class Price(Enum):
    """What a synapse costs where the worst leave: its score is for each unit of that."""

    SYNAPSE = "synapse"
    """All cost the same."""
    OPERATIONS = "operations"
    """The messages of its source, measured in the batches of renewals."""


_PRICED: Final = (SparseMethod.GRADUAL, SparseMethod.SET, SparseMethod.RIGL, SparseMethod.SNIP)
"""Methods that can weigh operations."""


@final
@dataclass(frozen=True, kw_only=True)
class SparseOptions:
    """How synapses leave and come back. All defaults are ours.

    Attributes:
        method: Way in which it is done.
        fraction: Share of the synapses of the untrained network that the trained one has, over all
            connections that are pruned together.
        connections: Names of those connections; empty for all.
        allocation: How many each of them gets; by default `GLOBAL` where the method has scores that compare
            (gradual, SNIP, SynFlow), `ERDOS_RENYI` of others.
        price: What a synapse costs; by default its operations in gradual pruning, elsewhere all cost the
            same. By operations, what is divided by it is what the loss would lose with a
            synapse, the running mean of `(w dL/dw)^2` (gradual, SET, RigL), the square of the gradient of an
            absent one (RigL), or the saliency (SNIP).
        batches: Batches whose gradients decide, of SNIP; they teach nothing else. At most one epoch.
        rounds: Rounds of SynFlow.
        interval: Steps from one renewal to the next.
        renewed: Share of the synapses that is renewed at the first renewal; it falls to zero as a half cosine
            (Evci et al. 2020).
        frozen: Share of the training, at its end, in which the synapses stay as they are.
        l1: Decay towards zero of the magnitudes of deep rewiring, in learning rates (its alpha).
        temperature: Variance of the noise of deep rewiring, `2 * rate * temperature` at every step.
        seed: Seed of what is drawn.
    """

    method: SparseMethod = SparseMethod.GRADUAL
    fraction: float = 0.05
    connections: tuple[str, ...] = ()
    allocation: Allocation | None = None
    price: Price | None = None
    batches: int = 4
    rounds: int = 100
    interval: int = 20
    renewed: float = 0.3
    frozen: float = 0.25
    l1: float = 1e-4
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        hold(
            self,
            method=choice(SparseMethod),
            fraction=positive_share,
            connections=names_of,
            allocation=optional(choice(Allocation)),
            price=optional(choice(Price)),
            batches=whole(1),
            rounds=whole(1),
            interval=whole(1),
            renewed=share,
            frozen=share,
            l1=real(0),
            temperature=real(0),
            seed=whole(),
        )
        if self.method is SparseMethod.SOFT_DEEP_REWIRING and not self.temperature:
            raise PruningError(
                "in soft deep rewiring, synapses come back by noise alone; give it a temperature above 0"
            )
        method = self.method
        if self.allocated is Allocation.GLOBAL and not self._scored:
            raise PruningError(
                f"'{method.value}' has no scores that compare between connections, so no global allocation; "
                "use erdos_renyi or uniform, or gradual, snip or synflow"
            )
        if self.price is Price.OPERATIONS and method not in _PRICED:
            raise PruningError(
                f"'{method.value}' asks no score of which synapses leave, or sees no data, so it cannot "
                f"weigh operations; use {', '.join(each.value for each in _PRICED)}"
            )

    @property
    def allocated(self) -> Allocation:
        """How many synapses each connection gets."""
        if self.allocation is not None:
            return self.allocation
        return Allocation.GLOBAL if self._scored else Allocation.ERDOS_RENYI

    @property
    def priced(self) -> Price:
        """What a synapse costs."""
        if self.price is not None:
            return self.price
        return Price.OPERATIONS if self.method is SparseMethod.GRADUAL else Price.SYNAPSE

    @property
    def _scored(self) -> bool:
        return self.method.chooses_once or self.method is SparseMethod.GRADUAL

    def renews(self, step: int, total: int) -> bool:
        """Return whether synapses are renewed at a step.

        Args:
            step: Number of the step among all of the training, from 1.
            total: All steps.
        """
        last = self.last_step(total)
        return step == last or (step < last and step % self.interval == 0)

    def last_step(self, total: int) -> int:
        """Return the step of the last renewal: from then on the synapses stay as they are."""
        return max(1, math.floor((1 - self.frozen) * total))

    def renewed_at(self, step: int, total: int) -> float:
        """Return the share of the synapses that is renewed at a step: a half cosine down to zero."""
        part = min(1.0, step / self.last_step(total))
        return self.renewed * (1 + math.cos(math.pi * part)) / 2

    def share_at(self, step: int, total: int) -> float:
        """Return the share of the synapses that is left after a step of gradual pruning.

        `f + (1 - f) (1 - part)^3`, the course of Zhu & Gupta.
        """
        part = min(1.0, step / self.last_step(total))
        return self.fraction + (1 - self.fraction) * (1 - part) ** 3
