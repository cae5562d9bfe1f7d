"""The schema of a chip: every limit with its unit, its source and its confidence."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from targets.lava.declared import MIXED
from toolchain.files.documents import Document
from toolchain.hardware import HardwareProfile
from toolchain.neuron_rules import RESET_TO_ZERO, NeuronRules
from toolchain.options import LARGEST_FACTOR
from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset
from toolchain.target.capabilities import Capabilities
from toolchain.target.profile_files import Sourced, read_profile

Count = Annotated[int, Field(ge=1, le=2**40)]
Amount = Annotated[float, Field(ge=0, le=LARGEST_FACTOR)]
Share = Annotated[float, Field(ge=0, lt=1)]
Bits = Annotated[int, Field(ge=1, le=64)]
MoreBits = Annotated[int, Field(ge=0, le=64)]


def _rising(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"expected the least and the most, got {limits[0]} and {limits[1]}")
    return limits


Range = Annotated[tuple[Bits, Bits], AfterValidator(_rising)]

_LARGEST_MESH: Final = 1 << 16

BUILT_IN: Final = ("loihi1", "loihi2")
_OTHER_NEURONS: Final = (
    'compile with `replace_reset="zero"`, which measures what that costs, and train with the integers; '
    "a neuron that does more than reset to zero runs on loihi2"
)
"""What to do where a chip has not the neurons of a network."""


class Mesh(Document):
    """`[mesh]`: how the cores of a chip are joined."""

    columns: Sourced[Count] = Field(description="routers from west to east")
    rows: Sourced[Count] = Field(description="routers from north to south")
    cores_per_router: Sourced[Count] = Field(description="cores at one router")
    cores_per_chip: Sourced[Count] = Field(description="cores of a chip that can be used")
    link_rate: Sourced[Count] | None = Field(
        default=None, description="spikes per second past a router, if known"
    )

    @model_validator(mode="after")
    def _holds_its_cores(self) -> Self:
        room = self.columns.value * self.rows.value * self.cores_per_router.value
        if room > _LARGEST_MESH:
            raise ValueError(
                f"a mesh of {room} cores is larger than any chip; expected {_LARGEST_MESH} or fewer"
            )
        if self.cores_per_chip.value > room:
            raise ValueError(f"{self.cores_per_chip.value} cores do not fit a mesh of {room}")
        return self


class CoreLimits(Document):
    """`[core]`: what any core of the chip holds."""

    neurons: Sourced[Count] = Field(description="neurons of a core")
    input_axons: Sourced[Count] = Field(description="axons that may arrive at a core")
    layers_share_cores: Sourced[bool] = Field(description="whether a core may hold parts of several layers")
    graded_spikes: Sourced[bool] = Field(description="whether a spike may carry an integer")
    max_delay: Sourced[Count] = Field(description="steps that a synapse may wait")


class NeuronLimits(Document):
    """`[neurons]`: what a spike may do. Without it a spike only sets the potential to zero."""

    resets: Sourced[Annotated[tuple[Reset, ...], Field(min_length=1)]] = Field(
        description="what a spike may do to the potential"
    )
    longest_refractory: Sourced[Annotated[int, Field(ge=0, le=LONGEST_REFRACTORY)]] = Field(
        description="steps for which a spike may make a neuron refractory"
    )
    adapts: Sourced[bool] = Field(description="whether a spike may raise the threshold")
    max_spikes: Sourced[Annotated[int, Field(ge=1, le=MOST_SPIKES)]] = Field(
        description="spikes that a neuron may send in one step"
    )
    programs: Sourced[bool] = Field(
        description="whether a neuron is a program, so that all but a reset to zero has to be written"
    )

    def rules(self) -> NeuronRules:
        """Return the same as plain numbers."""
        return NeuronRules(
            resets=frozenset(self.resets.value),
            longest_refractory=self.longest_refractory.value,
            adapts=self.adapts.value,
            max_spikes=self.max_spikes.value,
        )


class EntryMemory(Document):
    """`[memory]` with `layout = "entries"`: synapses as lists of entries, as on Loihi 1."""

    layout: Literal["entries"] = Field(description="lists of entries")
    word_bits: Sourced[Bits] = Field(description="bits of a memory word")
    synaptic_words: Sourced[Count] = Field(description="words for synapses")
    words_per_axon: Sourced[Count] = Field(description="words that one axon may point at")
    output_axons: Sourced[Count] = Field(description="slots for axons that leave a core")
    entry_bits: Sourced[Bits] = Field(description="head of every entry")
    entry_synapses: Sourced[Count] = Field(description="synapses of an entry")
    index_bits_least: Sourced[Bits] = Field(description="least bits of a target's index")
    skip_bits: Sourced[Range] = Field(description="least and most bits of a gap between targets")
    delay_bits: Sourced[Range] = Field(description="least and most bits of a delay, where there are any")
    delay_compartment_bits: Sourced[Bits] = Field(
        description="a core with delays of d bits holds two to the power of this less d compartments"
    )
    weight_bits: Sourced[Annotated[tuple[Bits, ...], Field(min_length=1)]] = Field(
        description="widths in which weights can be stored"
    )
    guard_remainder: Sourced[Bits] = Field(description="bits in the last word that cost one word more")
    uniform_axons: Sourced[bool] = Field(description="whether every axon takes what the largest takes")
    decay_profiles: Sourced[Count] = Field(description="distinct pairs of decays on a core")
    threshold_profiles: Sourced[Count] = Field(description="distinct thresholds on a core")
    synapse_formats: Sourced[Count] = Field(description="distinct synapse formats on a core")
    shared_base: Sourced[Count] = Field(description="compartments at which a shared list may begin")
    narrow_atoms: Sourced[Count] = Field(description="channels that a narrow population axon tells apart")
    wide_slots: Sourced[Count] = Field(description="slots of a wide population axon; a narrow one has 1")


class PoolMemory(Document):
    """`[memory]` with `layout = "pool"`: one pool of words for everything, as inferred of Loihi 2."""

    layout: Literal["pool"] = Field(description="one pool of words")
    word_bits: Sourced[Bits] = Field(description="bits of a memory word")
    memory_words: Sourced[Count] = Field(description="words for everything together")
    head_room: Sourced[Share] = Field(description="share of the words that is left free")
    synaptic_words: Sourced[Count] = Field(description="words for synapses")
    axon_map: Sourced[Count] = Field(description="words that say where spikes go")
    neuron_groups: Sourced[Count] = Field(description="groups of neurons that run one program")
    synapse_overhead: Sourced[MoreBits] = Field(description="bits of a synapse beside its weight")
    axon_header: Sourced[MoreBits] = Field(description="bits at the head of an axon")
    sparse_axon_words: Sourced[Annotated[int, Field(ge=0, le=2**40)]] = Field(
        description="words that a sparse axon takes beside its synapses"
    )
    delay_bits: Sourced[MoreBits] = Field(description="bits of a delay, where there are any")
    neuron_words: Sourced[Count] = Field(description="words of a neuron with shared parameters")
    mixed_neuron_words: Sourced[Count] = Field(description="words of a neuron with its own parameters")


class Costs(Document):
    """One of `[[costs]]`: what events cost. Without energies it gives times only.

    Attributes:
        name: Name of the set.
        label: What the set is; it stands wherever a number of it stands.
        time_synapse_dense: Time of an event at a synapse.
        time_synapse_sparse: Time of an event at a sparse or run-length synapse.
        time_synapse_shared: Time of an event at a synapse of a convolution.
    """

    name: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    energy_synapse_dense: Sourced[Amount] | None = Field(default=None, description="of an event at a synapse")
    energy_synapse_sparse: Sourced[Amount] | None = Field(default=None, description="sparse or run-length")
    energy_synapse_shared: Sourced[Amount] | None = Field(default=None, description="of a convolution")
    energy_neuron_active: Sourced[Amount] | None = Field(default=None, description="neuron that spikes")
    energy_neuron_inactive: Sourced[Amount] | None = Field(default=None, description="neuron that does not")
    energy_spike: Sourced[Amount] | None = Field(default=None, description="on top, per spike")
    energy_message: Sourced[Amount] | None = Field(default=None, description="per spike and destination core")
    energy_hop_x: Sourced[Amount] | None = Field(default=None, description="to the next router, east or west")
    energy_hop_y: Sourced[Amount] | None = Field(
        default=None, description="to the next router, north or south"
    )
    time_synapse_dense: Sourced[Amount]
    time_synapse_sparse: Sourced[Amount]
    time_synapse_shared: Sourced[Amount]
    time_neuron: Sourced[Amount] = Field(description="per neuron and step")
    time_neuron_active: Sourced[Amount] = Field(description="on top, per neuron that spikes")
    time_spike: Sourced[Amount] = Field(description="on top, per spike")
    time_message_out: Sourced[Amount] = Field(description="per message that leaves a core")
    time_message_in: Sourced[Amount] = Field(description="per message that arrives")
    barrier_routers: Sourced[Annotated[tuple[Count, ...], Field(min_length=1)]] = Field(
        description="numbers of active routers, rising"
    )
    barrier_time: Sourced[Annotated[tuple[Amount, ...], Field(min_length=1)]] = Field(
        description="time to end a step with so many"
    )
    static_power: Sourced[Annotated[tuple[Amount, Amount], AfterValidator(_rising)]] = Field(
        description="least and most"
    )

    @property
    def has_energies(self) -> bool:
        """Whether it gives energies."""
        return self.energy_message is not None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        given = {name for name in type(self).model_fields if name.startswith("energy_")}
        missing = sorted(name for name in given if getattr(self, name) is None)
        if missing and len(missing) != len(given):
            raise ValueError(f"gives some energies, but not {', '.join(missing)}: give all or none")
        routers, times = self.barrier_routers.value, self.barrier_time.value
        if len(routers) != len(times) or list(routers) != sorted(set(routers)):
            raise ValueError("barrier_routers must rise and have as many values as barrier_time")
        return self


class ChipProfile(Document):
    """A chip, as read from its TOML file.

    Attributes:
        name: Name of the chip.
        title: Name of the chip for people.
        mesh: How the cores are joined.
        core: What any core holds.
        neurons: What a spike may do; None if it only sets the potential to zero.
        memory: How a core stores synapses.
        costs: What events cost, one set of coefficients or more.
    """

    name: Annotated[str, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1)]
    mesh: Mesh
    core: CoreLimits
    neurons: NeuronLimits | None = None
    memory: EntryMemory | PoolMemory = Field(discriminator="layout")
    costs: Annotated[tuple[Costs, ...], Field(min_length=1)]
    references: dict[str, str] = Field(default={}, description="what the short codes in sources stand for")

    def hardware(self) -> HardwareProfile:
        """Return the numbers that the compiler respects: Lava's formats, and the profiles of a core."""
        profiles = self.memory
        entries = isinstance(profiles, EntryMemory)
        return HardwareProfile(
            name=self.title,
            decay_profiles=profiles.decay_profiles.value if entries else None,
            threshold_profiles=profiles.threshold_profiles.value if entries else None,
        )

    def capabilities(self) -> Capabilities:
        """Return what the chip runs: integers, as Lava runs them, in neurons and synapses of the chip."""
        return replace(
            MIXED,
            name=self.title,
            real=None,
            fixed=RESET_TO_ZERO if self.neurons is None else self.neurons.rules(),
            longest_delay=self.core.max_delay.value,
            graded_messages=self.core.graded_spikes.value,
            remedy=_OTHER_NEURONS,
        )


def load_profile(source: str | Path) -> ChipProfile:
    """Return a chip of ours by name, or read one from a file.

    Args:
        source: `loihi1`, `loihi2`, or the path of a TOML file of the same schema.

    Raises:
        MissingFileError: There is no such file.
        ProfileError: A value is missing or impossible: names file and key.
    """
    return read_profile(ChipProfile, source, files("targets.loihi"), BUILT_IN, "targets/loihi/README.md")
