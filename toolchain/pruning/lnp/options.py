"""What Lyapunov Noise Pruning is asked to do, and what it tells of every iteration."""

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
from toolchain.pruning.lnp.noise_pruning import Importance, KeepRule
from toolchain.pruning.lnp.time_scales import TimeScaleOptions
from toolchain.pruning.pool import RecurrentPool

FULL_UP_TO: Final = 1000
"""Neurons up to which the full spectrum attributes exponents to neurons."""


class PruningStep(Enum):
    """The four steps of the paper; any can be left out, as in its ablation."""

    NOISE = "noise"
    """I: drop synapses by the Lyapunov matrix and the noise covariance."""
    CENTRALITY = "centrality"
    """II: drop neurons of low betweenness."""
    DELOCALIZATION = "delocalization"
    """III: give edges back."""
    TIME_SCALES = "time_scales"
    """IV: optimise the distribution of the time constants, once, after the last iteration."""


class ExponentSource(Enum):
    """Where the Lyapunov exponent of a single neuron comes from."""

    AUTO = "auto"
    """The full spectrum up to 1,000 neurons, the diagonal above."""
    FULL = "full"
    """`sum_k lambda_k <Q_ik^2>` over the full spectrum, refreshed whenever the pool is measured. Costly, so
    short: over 150 steps a neuron fires a few times, and the attribution is noisy."""
    DIAGONAL = "diagonal"
    """The local exponent `<log(beta (1 - s) + 1e-6)>`, every iteration, over all trials. Ranks the
    Lyapunov matrix as a full spectrum over 3,000 steps does (0.93 to 0.99), which a full spectrum over
    few steps itself does not reach."""


STEPS_ONE_TO_THREE: Final = frozenset({PruningStep.NOISE, PruningStep.CENTRALITY, PruningStep.DELOCALIZATION})


@final
@dataclass(frozen=True)
class LnpOptions:
    """How far, in how many rounds and by which steps to prune.

    Where the defaults differ from the paper's choices, which `published` has, our study, which changed one
    thing at a time, found fewer synaptic operations and no loss of accuracy that it could show.

    Attributes:
        neurons: Neurons that remain.
        synapse_fraction: Share of the recurrent synapses that remains, net of all steps.
        iterations: Rounds of Steps I to III. The paper uses 100.
        steps: Which steps are taken. A step left out does nothing: without Step II all neurons
            stay, without Step I synapses go only with their neurons.
        drive: The noise that stands in for data.
        keep: Step I.
        centrality: Step II.
        delocalization: Step III.
        time_scales: Step IV.
        attribution: Where the exponent of a neuron comes from.
        measure_every: Iterations between two measurements of spectrum, spectral radius and localisation;
            the first and the last iteration are always measured.
        leading: Exponents that are recorded.
        spectrum_steps: Steps over which a leading spectrum is averaged.
        attribution_steps: Steps over which a full spectrum is averaged.
        restore_gain: Whether the pool gets back the spectral radius it started with whenever that is
            measured: rescaling by `1 / p`, its cap and the removal of neurons all move it (ours).
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
    attribution: ExponentSource = ExponentSource.AUTO
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
        """Return the paper's choices: the Lyapunov matrix, hubs first, 100 iterations."""
        return cls(
            neurons,
            synapse_fraction,
            iterations,
            keep=KeepRule(importance=Importance.LYAPUNOV),
            delocalization=DelocalizationRule(prefer=Preference.HUBS),
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
    """One iteration; 0 is the pool as it came, one more than the last is the pool after Step IV.

    Attributes:
        iteration: Its number.
        neurons: Left after it.
        synapses: Recurrent synapses left.
        added: Synapses that Step III gave back.
        rate: Mean spikes per neuron and step under noise, before the iteration.
        operations: Mean recurrent synaptic operations per step under noise, before it. Input and read-out do
            not count.
        mean_exponent: Mean exponent of the neurons, before it.
        largest_exponent: Largest Lyapunov exponent after it; None where not measured.
        spectrum: Leading exponents after it; empty where not measured.
        spectral_radius: Of the recurrent matrix after it; None where not measured.
        localisation: Mean inverse participation ratio of the leading eigenvectors of the graph's
            Laplacian after it; None where not measured.
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
        pool: Its synapses and neurons.
        kept: Index of each remaining neuron in the original pool, ascending.
        records: The pool as it came, then one per iteration, then one after Step IV if it was taken.
    """

    pool: RecurrentPool
    kept: NDArray[np.int64]
    records: tuple[LnpRecord, ...]
