"""How the network of a build came to be: import, pruning, added delays, training with integers."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from toolchain.errors import SourceMismatchError
from toolchain.fidelity.change import Change
from toolchain.fidelity.source_search import SourceAgreement
from toolchain.files.documents import OMITTED, Count, Digest, Document


class Sizes(Document):
    """What pruning changed, both measured on the test split.

    Attributes:
        neurons: Neurons without those that are read out.
        recurrent_synapses: Synapses within the recurrent pool; None where there is none.
        parameters: Numbers that were trained, those of a convolution once; None where synapses are pruned.
        synapses: Synapses of the whole network.
        spikes: Spikes of these neurons per sample.
        operations: Synaptic operations per sample.
        accuracy: Accuracy of the float network in percent.
    """

    neurons: Change
    recurrent_synapses: Annotated[Change | None, OMITTED] = None
    parameters: Annotated[Change | None, OMITTED] = None
    synapses: Change
    spikes: Change
    operations: Change
    accuracy: Change

    def rows(self) -> tuple[tuple[str, Change], ...]:
        """Return every figure with its name for people."""
        return tuple((_NAMES[name], change) for name, change in self if change is not None)


_NAMES: Final = {
    "neurons": "neurons",
    "recurrent_synapses": "recurrent synapses",
    "parameters": "parameters",
    "synapses": "all synapses",
    "spikes": "spikes per sample",
    "operations": "synaptic operations per sample",
    "accuracy": "float accuracy, %",
}


class ImportFacts(Document):
    """Where an imported network comes from.

    Attributes:
        notes: Notes on how the file was read.
        warnings: What the file seems to have lost, so that it hardly is the network that was trained.
        file: Name of the file; None for a graph that was given in memory.
        sha256: SHA-256 of the file.
        rests: Potential of the file that is zero in the network, by population, for every neuron; only where
            it is not zero in the file.
    """

    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    file: str | None = None
    sha256: Digest | None = None
    rests: dict[str, tuple[float, ...]] = Field(default_factory=dict)


class RepairFacts(Document):
    """Training with the integers.

    Attributes:
        epochs: Number of epochs.
        loss: Loss after the last epoch; None without any.
    """

    epochs: Count
    loss: float | None


class SourceFacts(Document):
    """How far the network as it was read is what its framework computed.

    Attributes:
        equal: Whether all recorded spikes are equal, and all recorded potentials within their tolerance.
        samples: Number of samples.
        steps: Number of steps of each.
        populations: How far each population that was recorded is equal.
        unrecorded: Populations of which nothing was recorded.
        left_out: Neurons of a record that the network does not have, by population.
        otherwise: Arguments with which the file would be equal; empty if none were found.
        sentences: The result in words.
    """

    # What a dataclass holds is checked too, so that no NaN gets into the file.
    model_config = ConfigDict(revalidate_instances="always")

    equal: bool
    samples: Count
    steps: Count
    populations: dict[str, SourceAgreement]
    unrecorded: tuple[str, ...]
    left_out: dict[str, Count]
    otherwise: str
    sentences: tuple[str, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for every population: equal spikes, spike F1, largest error of v, first difference."""
        return [
            (
                name,
                "-" if each.spike_agreement is None else f"{each.spike_agreement:.5f}",
                "-" if each.spike_f1 is None else f"{each.spike_f1:.4f}",
                "-" if each.largest_error is None else f"{each.largest_error:.3g}",
                "none" if each.first is None else f"sample {each.first.sample}, step {each.first.step}",
            )
            for name, each in self.populations.items()
        ]

    def require_equal(self) -> None:
        """Raise if the network is not what the framework computed.

        Raises:
            SourceMismatchError: Says where it first differs, and what would be equal.
        """
        if not self.equal:
            raise SourceMismatchError("; ".join(self.sentences))


class OwnFacts(Document):
    """A network that code of the user built, and that is kept as its graph.

    Attributes:
        sha256: SHA-256 of the file with that code.
        still_steps: Steps for which the module shows a picture; None if samples are sequences.
        source: How far the graph is what the module's own forward computed.
    """

    sha256: Digest
    still_steps: Annotated[int, Field(ge=1, lt=2**31)] | None
    source: SourceFacts


class ReplacedResets(Document):
    """Resets that gave way to those of a chip, and what that changed in real numbers.

    Attributes:
        populations: What a spike did before and does no more, in words, by population.
        samples: Samples on which the network was run before and after; 0 without any.
        spike_f1: Spike F1 over all populations; None without samples, like all figures.
        prediction_agreement: Share of samples with equal predictions, in percent.
        accuracy: Accuracy before and after, in percent; None without labels.
        repaired: Accuracy of the integers on the same samples after training with them, in percent; None
            without that training, without labels, or if the samples are those it was trained on.
    """

    populations: dict[str, str]
    samples: Count = 0
    spike_f1: float | None = None
    prediction_agreement: float | None = None
    accuracy: Change | None = None
    repaired: Annotated[float | None, OMITTED] = None

    def sentence(self, *, trained: bool) -> str:
        """Return what was replaced, and what that cost.

        Args:
            trained: Whether the network was trained with its integers afterwards.
        """
        listed = "; ".join(f"'{name}' ({what})" for name, what in self.populations.items())
        said = f"spikes of these populations now set the potential to zero; left out: {listed}"
        if self.spike_f1 is None or self.prediction_agreement is None:
            return f"{said}; what that costs was not measured, there were no samples"
        change = self.accuracy
        right = "" if change is None else f", accuracy {change.before:.2f} % -> {change.after:.2f} %"
        return (
            f"{said}; in real numbers, on {self.samples} samples, that gives spike F1 {self.spike_f1:.4f}, "
            f"equal predictions {self.prediction_agreement:.2f} %{right}{self._what_now(trained=trained)}"
        )

    def _what_now(self, *, trained: bool) -> str:
        if not trained:
            return ": training with the integers may repair it"
        if self.repaired is None:
            return ", all of it before the training with the integers"
        return f"; after training with them, the integers reach {self.repaired:.2f} %"


class BuildFacts(Document):
    """How the network of a build came to be.

    Attributes:
        imported: The file it was read from.
        source: Comparison with what its framework computed.
        sizes: Sizes before and after pruning.
        float_agreement: Agreement of PyTorch's own forward pass with the float graph, as a sentence.
        loop_delays: Delays that were added to loops, as sentences; None if nobody asked for them.
        fast_loop: The loop that no clocked target can run, if there is one.
        repair: Training with the integers.
        replaced: Resets that others took the place of; None if all stayed.
    """

    imported: ImportFacts | None = None
    source: Annotated[SourceFacts | None, OMITTED] = None
    sizes: Sizes | None = None
    float_agreement: str | None = None
    loop_delays: tuple[str, ...] | None = None
    fast_loop: str | None = None
    repair: RepairFacts | None = None
    replaced: Annotated[ReplacedResets | None, OMITTED] = None

    def notes(self) -> tuple[str, ...]:
        """Return what a user must know: of the import, its proof, replaced resets, and added delays."""
        imported = () if self.imported is None else (*self.imported.warnings, *self.imported.notes)
        source = () if self.source is None else self.source.sentences
        trained = self.repair is not None
        replaced = () if self.replaced is None else (self.replaced.sentence(trained=trained),)
        return (*source, *imported, *replaced, *self._delays())

    def _delays(self) -> tuple[str, ...]:
        if self.loop_delays is not None:
            return self.loop_delays or ("no loop had too little delay: nothing was added",)
        if self.fast_loop is None:
            return ()
        problem = f"the loop {self.fast_loop} has more connections than steps, so no clocked target"
        return (
            f"{problem} (Lava, Loihi) can run it; `loop_delay` adds what is missing, in real numbers too",
        )
