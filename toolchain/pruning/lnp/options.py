"""Options of Lyapunov Noise Pruning, and its record of every iteration."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Final, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolchain.errors import PruningError
from toolchain.files.documents import Count
from toolchain.options import choice, flag, hold, real, whole
from toolchain.pruning.lnp.centrality import CentralityRule
from toolchain.pruning.lnp.delocalization import DelocalizationRule, Preference
from toolchain.pruning.lnp.noise import NoiseDrive
from toolchain.pruning.lnp.noise_pruning import KeepRule
from toolchain.pruning.lnp.time_scales import TimeScaleOptions
from toolchain.pruning.pool import RecurrentPool

FULL_UP_TO: Final = 1000
"""Size of the largest pool in which the full spectrum attributes exponents to neurons."""


class PruningStep(Enum):
    """The four steps of the paper, each of which can be left out, as in its ablation."""

    NOISE = "noise"
    """I: drop synapses by the Lyapunov matrix and the noise covariance."""
    CENTRALITY = "centrality"
    """II: drop neurons of low betweenness."""
    DELOCALIZATION = "delocalization"
    """III: give edges back."""
    TIME_SCALES = "time_scales"
    """IV: optimise the distribution of the time constants, once, after the last iteration."""


class ExponentSource(Enum):
    """The source of the Lyapunov exponent of a single neuron."""

    AUTO = "auto"
    """The full spectrum up to 1,000 neurons, the diagonal above."""
    FULL = "full"
    """`sum_k lambda_k <Q_ik^2>` over the full spectrum, measured anew whenever the pool is (`measure_every`).
    In between it grows old: in a run of ten rounds from 512 neurons to 220 the rank correlation of the
    Lyapunov matrix with that of a fresh spectrum over 1,000 steps is 0.92, 0.59 and -0.15 after rounds 1, 5
    and 9, that of the diagonal 0.99, 0.97 and 0.92."""
    DIAGONAL = "diagonal"
    """The local exponent `<log(beta (1 - s) + 1e-6)>` over all trials, in every iteration. It ranks the
    entries of the Lyapunov matrix nearly as a full spectrum over 3,000 steps does (rank correlation 0.93 to
    0.99), which a full spectrum over few steps does not reach."""


STEPS_ONE_TO_THREE: Final = frozenset({PruningStep.NOISE, PruningStep.CENTRALITY, PruningStep.DELOCALIZATION})


@final
@dataclass(frozen=True)
class LnpOptions:
    """How far, in how many rounds and by which steps to prune.

    `published` has the paper's choices. Of the defaults that differ from them, our study measured |w| and
    leaves, one at a time: fewer synaptic operations, and no loss of accuracy was shown. The others keep the
    shares of the signs, an input of every neuron, and exponents of the present pool.

    Attributes:
        neurons: Number of neurons that remain.
        synapse_fraction: Share of the recurrent synapses that remains after all steps.
        iterations: Number of rounds of Steps I to III. The paper uses 100.
        steps: Steps that are taken. Without Step II all neurons stay; without Step I synapses go only with
            their neurons.
        drive: Noise that replaces data.
        keep: Rule of Step I.
        centrality: Rule of Step II.
        delocalization: Rule of Step III.
        time_scales: Options of Step IV.
        attribution: Source of the exponent of a neuron.
        measure_every: Iterations between two measurements of spectrum, spectral radius and localisation;
            the first and the last iteration are always measured.
        leading: Number of exponents that are recorded.
        spectrum_steps: Number of steps over which a leading spectrum is averaged.
        attribution_steps: Number of steps over which a full spectrum is averaged.
        restore_gain: Whether the pool gets back its original spectral radius whenever that is measured:
            rescaling by `1 / p`, its cap and the removal of neurons all change it (ours).
    """

    neurons: int
    synapse_fraction: float
    iterations: int = 20
    steps: frozenset[PruningStep] = STEPS_ONE_TO_THREE
    drive: NoiseDrive = field(default_factory=NoiseDrive)
    keep: KeepRule = field(default_factory=KeepRule)
    centrality: CentralityRule = field(default_factory=CentralityRule)
    delocalization: DelocalizationRule = field(default_factory=DelocalizationRule)
    time_scales: TimeScaleOptions = field(default_factory=TimeScaleOptions)
    attribution: ExponentSource = ExponentSource.DIAGONAL
    measure_every: int = 10
    leading: int = 64
    spectrum_steps: int = 60
    attribution_steps: int = 150
    restore_gain: bool = True

    def __post_init__(self) -> None:
        hold(
            self,
            neurons=whole(),
            synapse_fraction=real(),
            iterations=whole(),
            attribution=choice(ExponentSource),
            measure_every=whole(),
            leading=whole(1),
            spectrum_steps=whole(1),
            attribution_steps=whole(1),
            restore_gain=flag,
        )

    @classmethod
    def published(cls, neurons: int, synapse_fraction: float, iterations: int = 100) -> "LnpOptions":
        """Return the paper's choices: the Lyapunov matrix, signs together, hubs first, 100 iterations."""
        return cls(
            neurons,
            synapse_fraction,
            iterations,
            keep=KeepRule.published(),
            delocalization=DelocalizationRule(prefer=Preference.HUBS),
            attribution=ExponentSource.AUTO,
        )

    def check(self, pool: RecurrentPool) -> None:
        """Raise `PruningError` if the targets are impossible for a pool."""
        pool.check_targets(self.neurons, 0)
        if not 0 < self.synapse_fraction <= 1:
            raise PruningError(f"expected a synapse fraction in 0 .. 1, got {self.synapse_fraction}")
        if self.iterations < 1 or self.measure_every < 1:
            raise PruningError(
                f"expected at least one iteration and one between measurements, got {self.iterations} "
                f"and {self.measure_every}"
            )
        if not self.steps:
            raise PruningError("expected at least one step, got none")
        if pool.synapses == 0:
            raise PruningError("the pool has no recurrent synapses to prune")


Rate = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, lt=2**63)]


@final
@dataclass(frozen=True)
class LnpRecord:
    """Record of one iteration; 0 is the original pool, one more than the last is the pool after Step IV.

    Attributes:
        iteration: Number of the iteration.
        neurons: Number of neurons left after it.
        synapses: Number of recurrent synapses left after it.
        added: Number of synapses that Step III gave back.
        rate: Mean spikes per neuron and step under noise, before it.
        operations: Mean recurrent synaptic operations per step under noise, before it, without input and
            read-out.
        mean_exponent: Mean exponent of the neurons, before it.
        largest_exponent: Largest Lyapunov exponent after it; None if not measured.
        spectrum: Leading exponents after it; empty if not measured.
        spectral_radius: Spectral radius of the recurrent matrix after it; None if not measured.
        localisation: Mean inverse participation ratio of the leading eigenvectors of the graph's Laplacian
            after it; None if not measured.
    """

    iteration: Count
    neurons: Count
    synapses: Count
    added: Count
    rate: Rate
    operations: Amount
    mean_exponent: float
    largest_exponent: float | None = None
    spectrum: tuple[float, ...] = ()
    spectral_radius: Amount | None = None
    localisation: Amount | None = None


@final
@dataclass(frozen=True)
class LnpResult:
    """The pruned pool.

    Attributes:
        pool: Remaining neurons and synapses.
        indices: Index of each remaining neuron in the original pool, ascending.
        records: Record of the original pool, of every iteration, and of Step IV if it was taken.
    """

    pool: RecurrentPool
    indices: NDArray[np.int64]
    records: tuple[LnpRecord, ...]
