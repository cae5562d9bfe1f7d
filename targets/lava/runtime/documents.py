"""What a network on Lava is, and what a run of it is: the documents of which every job is made.

- `network.json` is a `LavaNetwork`: what to build;
- `weights.npz` holds its arrays, `"<process>/<part>"`;
- `run.json` is a `LavaRun`: how many samples, and what to record.

Names of processes hold no `/`, so that no two arrays share a key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final, final

import numpy as np

from .firing import SpikeEffect
from .models import Models
from .strict_json import FormatDocument
from .windows import SampleWindows

NETWORK: Final = "network.json"
WEIGHTS: Final = "weights.npz"
RUN: Final = "run.json"


class Numbers(Enum):
    """Lava's word for the models that are selected."""

    FIXED = "fixed_pt"
    REAL = "floating_pt"

    @property
    def dtype(self) -> type[np.generic]:
        """Type of messages and states."""
        return np.int32 if self is Numbers.FIXED else np.float64


@final
@dataclass(frozen=True)
class LavaInput:
    """An input of the network, in the units of the model.

    Attributes:
        name: Name of the input.
        key: Name of its array in a file of samples.
        shape: Features of one step.
        graded: Whether it takes numbers instead of spikes.
        scale: Factor by which the numbers of a network of integers are multiplied before they are rounded.
        bits: Magnitude bits of the rounded numbers.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    graded: bool
    scale: float
    bits: int


@final
@dataclass(frozen=True)
class LavaSource:
    """A process that sends an input, `wait` steps late.

    Attributes:
        name: Unique name of the process.
        input: Name of the input.
        shape: Features of one step.
        wait: Steps between the stimulus and the sending.
        offset: Step of Lava at which logical step 0 of the input lies.
    """

    name: str
    input: str
    shape: tuple[int, ...]
    wait: int
    offset: int


@final
@dataclass(frozen=True)
class LavaPopulation:
    """A population, or a relay that repeats one a step later.

    Its arrays are `du`, `dv`, `vth`, `bias_mant` and `bias_exp`; and where its spikes do more than to set the
    potential to zero, those of `reset_amount`, `refractory`, `adaptation` and `adaptation_decay` that it
    needs, as `Firing` says.

    Attributes:
        name: Unique name of the process.
        shape: Features of one step.
        offset: Step of Lava at which it does step 0 of the first sample.
        relay: Whether it was added only to wait.
        reset: Effect of a spike on the potential.
        max_spikes: Most spikes that a neuron sends in one step.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    relay: bool
    reset: SpikeEffect = SpikeEffect.ZERO
    max_spikes: int = 1


@final
@dataclass(frozen=True)
class LavaAdder:
    """A process that sends on the sum of what it receives: a sum pooling, or a relay of numbers.

    Attributes:
        name: Unique name of the process.
        shape: Features of one step.
        offset: Step of Lava at which it does step 0 of the first sample.
    """

    name: str
    shape: tuple[int, ...]
    offset: int


@final
@dataclass(frozen=True)
class LavaConnection:
    """Synapses between two processes; one step late, as every connection of Lava.

    Its array is `dense`, `[targets, sources]`, or `data`, `indices` and `indptr` of the same in CSR form.

    Attributes:
        name: Unique name of the process.
        source: Name of the process that sends.
        target: Name of the population or adder that receives.
        shape: Numbers of targets and sources.
        sparse: Whether its array is in CSR form.
        exponent: Power of two by which integer weights are multiplied.
        sign_mode: Lava's word for the signs of integer weights, such as `mixed`; None for real ones.
        weight_bits: Bits of an integer weight.
        graded: Whether the source sends numbers instead of spikes.
    """

    name: str
    source: str
    target: str
    shape: tuple[int, int]
    sparse: bool
    exponent: int
    sign_mode: str | None
    weight_bits: int
    graded: bool


@final
@dataclass(frozen=True)
class LavaConvolution:
    """A convolution between two processes; one step late, as every connection of Lava.

    Everything is in Lava's order, columns before rows and channels last. Its array is `kernel`,
    `[out, columns, rows, in / groups]`, the exponent of integers folded in.

    Attributes:
        name: Unique name of the process.
        source: Name of the process that sends.
        target: Name of the population that receives.
        input_shape: Columns, rows and channels of what it reads.
        stride: Step from one position to the next.
        padding: Zeros added on both sides.
        dilation: Distance between the elements of the kernel.
        groups: Number of groups of channels.
        graded: Whether the source sends numbers instead of spikes.
    """

    name: str
    source: str
    target: str
    input_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    graded: bool


@final
@dataclass(frozen=True)
class LavaNetwork(FormatDocument):
    """Everything that Lava has to build.

    Attributes:
        name: Name of the network, for people.
        numbers: Whether it computes in integers or in real numbers.
        inputs: Inputs of the network.
        sources: Processes that send them.
        populations: Populations, max poolings and their relays.
        adders: Sum poolings and their relays.
        connections: Synapses.
        convolutions: Connections with shared weights.
        potentials_read: Populations that are read by their potential.
    """

    FORMAT: ClassVar[str] = "pumice-lava-network"
    VERSION: ClassVar[int] = 1

    name: str
    numbers: Numbers
    inputs: tuple[LavaInput, ...]
    sources: tuple[LavaSource, ...]
    populations: tuple[LavaPopulation, ...]
    adders: tuple[LavaAdder, ...]
    connections: tuple[LavaConnection, ...]
    convolutions: tuple[LavaConvolution, ...]
    potentials_read: tuple[str, ...]

    @property
    def links(self) -> Iterator[LavaConnection | LavaConvolution]:
        """All connections."""
        yield from self.connections
        yield from self.convolutions

    @property
    def latest(self) -> int:
        """Steps that a run goes on after the last input of a sample: the largest offset of a population."""
        return max(item.offset for item in self.populations if not item.relay)

    @property
    def gap(self) -> int:
        r"""Steps of silence between two samples of one simulation, so that nothing of one reaches the next.

        A process of offset o acts for sample k at the steps :math:`o + kP, \dots, o + kP + T - 1` and is
        silent at all others, with T steps a sample and a period :math:`P = T + gap`. Every connection is
        one step late, so at step t of a sample a target of offset o' gets what its source sent at step
        :math:`o' + kP + t - 1 = o + kP + (t - d)`, where :math:`d = o + 1 - o'` is the logical delay. If
        :math:`t \geq d`, that is step t - d of the same sample. If :math:`t < d`, it lies in the gap before
        the source's window, since :math:`d \leq gap`: the source was silent, as it must be before the first
        step of a sample. The gap is therefore the largest d of all connections; how many steps a sample
        has, and what the delay is made of, does not matter.
        """
        acts = {item.name: item.offset + item.wait for item in self.sources}
        acts |= {item.name: item.offset for item in (*self.populations, *self.adders)}
        return max((acts[link.source] + 1 - acts[link.target] for link in self.links), default=0)

    def process_names(self, models: Models) -> list[str]:
        """Return the names of all processes that are built, in the order in which they are watched."""
        named: tuple[Any, ...] = (*self.populations, *self.adders)
        if models is not Models.LAYERS:
            named = (*self.sources, *named, *self.links)
        return [item.name for item in named]


@final
@dataclass(frozen=True)
class LavaRun(FormatDocument):
    """A run of a network.

    Attributes:
        models: How many of the processes are Lava's own.
        samples: Number of samples.
        steps: Length of a sample.
        records: Quantities to record, `spikes`, `v` or `u`, by population.
    """

    FORMAT: ClassVar[str] = "pumice-lava-run"
    VERSION: ClassVar[int] = 1

    models: Models
    samples: int
    steps: int
    records: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def windows(self, network: LavaNetwork) -> SampleWindows:
        """Return windows between which lies the gap of the network, or one simulation after the other.

        Lava's own populations have no windows: there every sample is a simulation of its own.
        """
        latest = network.latest
        period = self.steps + (latest if self.models is Models.STOCK else network.gap)
        total = (self.samples - 1) * period + self.steps + latest
        return SampleWindows(period, self.steps, self.samples, total)
