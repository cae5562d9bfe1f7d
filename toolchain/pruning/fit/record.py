"""What a run remembers of how its network came to fit."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class FitStep:
    """A network that the place was asked about.

    Attributes:
        what: What was tried, in words.
        neurons: Number of neurons.
        synapses: Number of synapses.
        amount: How much of the budget's limit it takes; None if a part of it is too large for any core.
        fits: Whether that is within the budget.
        accuracy: Accuracy of its integers on the samples for validation, in percent, if it was measured.
        weight_bits: Bits of a weight, if they were chosen.
    """

    what: str
    neurons: int
    synapses: int
    amount: float | None
    fits: bool
    accuracy: float | None = None
    weight_bits: int | None = None


@final
@dataclass(frozen=True)
class FittedPart:
    """A connection, or a layer, before and after.

    Attributes:
        name: Its name.
        before: Synapses, or neurons, before anything was pruned.
        after: Those that are left.
        price: Price of a synapse, in prices of the dearest; None for neurons.
    """

    name: str
    before: int
    after: int
    price: float | None = None


@final
@dataclass(frozen=True)
class FitRecord:
    """How a network came to fit.

    Attributes:
        budget: The budget, in words.
        limit: What is limited.
        target: The target that was asked.
        allowed: How much of it there is.
        amount: How much the network takes.
        unit: The limit, in words that follow a number.
        note: What the amount rests on, in words, where it is not exact.
        weight_bits: Bits of a weight, if they were chosen with the synapses.
        qat_epochs: Epochs of training with the integers that belong to that choice.
        threshold_profiles: Most thresholds of a population, if fewer than a core holds had to do.
        decay_profiles: Most pairs of decays of a population, likewise.
        connections: Synapses of each connection.
        layers: Neurons of each layer.
        steps: Every network that the target was asked about, in order.
        candidates: For every choice of bits the largest network that fits, after a short training.
    """

    budget: str
    limit: str
    target: str
    allowed: int
    amount: float
    unit: str
    connections: tuple[FittedPart, ...]
    layers: tuple[FittedPart, ...]
    steps: tuple[FitStep, ...]
    candidates: tuple[FitStep, ...] = ()
    weight_bits: int | None = None
    qat_epochs: int | None = None
    threshold_profiles: int | None = None
    decay_profiles: int | None = None
    note: str = ""

    def sentence(self) -> str:
        """Return the outcome in words."""
        before, after = (
            sum(getattr(each, part) for each in self.connections) for part in ("before", "after")
        )
        bits = "" if self.weight_bits is None else f", weights of {self.weight_bits} bits"
        shared = [
            f"{most} {words}"
            for most, words in (
                (self.threshold_profiles, "thresholds"),
                (self.decay_profiles, "pairs of decays"),
            )
            if most is not None
        ]
        profiles = f", at most {' and '.join(shared)} a population" if shared else ""
        whole = ", so that none had to leave" if after == before else ""
        unit = "core" if (self.unit, self.amount) == ("cores", 1) else self.unit
        return (
            f"fits {self.budget}: takes {self.amount:,.0f} {unit} with {after:,} of {before:,} synapses"
            f"{whole}{bits}{profiles}{f' ({self.note})' if self.note else ''}"
        )
