"""What a chip says of a network: whether it fits, on which cores, and what a step would cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

_CONFIDENCE: Final = {
    "H": "stated by the maker",
    "M": "one primary source",
    "L": "second-hand",
    "INF": "inferred",
}


def confidence_in_words(code: str) -> str:
    """Return what a code of confidence means; a code that is not known stays as it is."""
    return _CONFIDENCE.get(code, code)


@final
@dataclass(frozen=True)
class Fact:
    """A number with its source.

    Attributes:
        value: The number.
        unit: Unit of the number.
        source: Source of the number, in words.
        confidence: H stated by the maker, M one primary source, L second-hand, INF inferred.
    """

    value: float
    unit: str
    source: str
    confidence: str

    @property
    def confidence_in_words(self) -> str:
        """The confidence, spelled out."""
        return confidence_in_words(self.confidence)


@final
@dataclass(frozen=True)
class CoreLoad:
    """One core that is used.

    Attributes:
        chip: Counted from 0.
        router: Column and row on the chip's mesh.
        neurons: Per layer that has neurons here.
        used: Per limit, how much of it.
        operations: Synaptic operations per step.
        messages: Spikes that arrive per step.
    """

    chip: int
    router: tuple[int, int]
    neurons: Mapping[str, int]
    used: Mapping[str, int]
    operations: float
    messages: float


@final
@dataclass(frozen=True)
class LayerLoad:
    """One population, or pooling, on its cores.

    Attributes:
        name: Of the population.
        neurons: How many.
        cores: Cores that hold some of them.
        synaptic_words: Memory of the synapses that end here.
        encodings: Per incoming connection, how its synapses are stored.
        binding: The limit that is used most on the fullest of its cores.
        utilization: Share of it.
    """

    name: str
    neurons: int
    cores: int
    synaptic_words: int
    encodings: Mapping[str, str]
    binding: str
    utilization: float

    @property
    def stored(self) -> str:
        """How its synapses are stored, in words."""
        kinds = {kind for kinds in self.encodings.values() for kind in kinds.split(", ")}
        return ", ".join(sorted(kinds))


@final
@dataclass(frozen=True)
class LinkLoad:
    """Spikes from one router to the next, by the route that goes along x first.

    Attributes:
        start: Chip, column and row.
        end: Chip, column and row; of another chip at its border.
        messages: Per step.
    """

    start: tuple[int, int, int]
    end: tuple[int, int, int]
    messages: float


@final
@dataclass(frozen=True)
class Estimate:
    """Time and energy of a step under one set of coefficients.

    Attributes:
        costs: Name of the set.
        label: What it is; stands wherever a number of it stands.
        sources: Where its coefficients are from.
        confidence: The least sure of them.
        seconds: Of a step: the most loaded core, or link of the chain, and the barrier.
        dynamic_joules: Of a step; None where no energies are public.
        static_joules: Of a step, least and most: static power of the chips times its duration.
    """

    costs: str
    label: str
    sources: str
    confidence: str
    seconds: float
    dynamic_joules: float | None
    static_joules: tuple[float, float]

    @property
    def confidence_in_words(self) -> str:
        """The confidence, spelled out."""
        return confidence_in_words(self.confidence)

    def sentence(self, steps: int) -> str:
        """Return time and energy in words, with what they are and where they are from.

        Args:
            steps: Of a sample.
        """
        energy = "no energies of this chip are public"
        if self.dynamic_joules is not None:
            each, all_steps = _joules(self.dynamic_joules), _joules(self.dynamic_joules * steps)
            energy = f"dynamic {each} a step, {all_steps} a sample of {steps} steps"
        least, most = (_joules(value) for value in self.static_joules)
        static = least if least == most else f"{least} to {most}"
        return (
            f"{self.costs} ({self.label}): {1e6 * self.seconds:.2f} us a step; {energy}; static {static} a "
            f"step. Coefficients from {self.sources}, the least sure of them {self.confidence_in_words}."
        )


def _joules(value: float) -> str:
    for factor, unit in ((1, "J"), (1e3, "mJ"), (1e6, "uJ"), (1e9, "nJ")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e12:.3g} pJ"


@final
@dataclass(frozen=True)
class Packing:
    """How far a network is spread.

    Attributes:
        cores: Cores that are used.
        messages: Spikes that go to another core, per step.
        hops: Routers that they pass, per step.
    """

    cores: int
    messages: float
    hops: float


@final
@dataclass(frozen=True)
class Fit:
    """A network on a chip.

    Attributes:
        chip: Name of the profile.
        title: Of the chip, for people.
        chips: How many there may be.
        chips_needed: How many are needed.
        cores_per_chip: That can be used.
        mesh: Columns and rows of routers on a chip, and cores at a router.
        limits: Per limit of a core, the number and its source.
        cores: Those that are used.
        layers: In the order of the network.
        links: Between routers, those that carry spikes.
        packing: What was achieved.
        in_order: The same network, one layer after another in the order of its neurons; None if that does
            not fit.
        events: Per step, mean over the recorded run: operations, updates, spikes, messages, hops.
        estimates: Time and energy, one per set of coefficients.
        notes: What the reader should know, such as what is only inferred.
        advice: What would make it fit, or fit better.
        steps: Of a sample of the recorded run.
    """

    chip: str
    title: str
    chips: int
    chips_needed: int
    cores_per_chip: int
    mesh: tuple[int, int, int]
    limits: Mapping[str, Fact]
    cores: tuple[CoreLoad, ...]
    layers: tuple[LayerLoad, ...]
    links: tuple[LinkLoad, ...]
    packing: Packing
    in_order: Packing | None
    events: Mapping[str, float]
    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]
    steps: int

    @property
    def fits(self) -> bool:
        """Whether there are enough chips."""
        return self.chips_needed <= self.chips

    def utilization(self, core: CoreLoad) -> dict[str, float]:
        """Return the share of every limit that a core uses."""
        return {name: core.used.get(name, 0) / fact.value for name, fact in self.limits.items()}

    @property
    def binding(self) -> tuple[str, float]:
        """The limit that is used most on the fullest core, and the share."""
        shares = (pair for core in self.cores for pair in self.utilization(core).items())
        return max(shares, key=lambda pair: pair[1])

    def advised(self, advice: tuple[str, ...]) -> "Fit":
        """Return the fit with advice."""
        return replace(self, advice=advice)
