"""What a build tells of how its network came to be: import, pruning, added delays, training with integers."""

from typing import Final

from toolchain.fidelity.change import Change
from toolchain.files.documents import Count, Digest, Document


class Sizes(Document):
    """What pruning changed, both measured on the test split.

    Attributes:
        neurons: Of the recurrent pool.
        recurrent_synapses: Of the recurrent pool.
        synapses: All of them.
        spikes: Of the recurrent pool, per sample.
        operations: Synaptic operations per sample.
        accuracy: Of the float network, in percent.
    """

    neurons: Change
    recurrent_synapses: Change
    synapses: Change
    spikes: Change
    operations: Change
    accuracy: Change

    def rows(self) -> tuple[tuple[str, Change], ...]:
        """Return every figure with its name for people."""
        return tuple((_NAMES[name], change) for name, change in self)


_NAMES: Final = {
    "neurons": "neurons in the pool",
    "recurrent_synapses": "recurrent synapses",
    "synapses": "all synapses",
    "spikes": "spikes per sample",
    "operations": "synaptic operations per sample",
    "accuracy": "float accuracy, %",
}


class ImportFacts(Document):
    """Where an imported network comes from.

    Attributes:
        notes: What a user must know of how the file was read.
        file: Its name; None for a graph that was given in memory.
        sha256: Of the file.
    """

    notes: tuple[str, ...]
    file: str | None = None
    sha256: Digest | None = None


class RepairFacts(Document):
    """Training with the integers.

    Attributes:
        epochs: How many.
        loss: After the last; None without any.
    """

    epochs: Count
    loss: float | None


class BuildFacts(Document):
    """What a build tells of its network, beside the graphs.

    Attributes:
        imported: The file it was read from.
        sizes: What pruning changed.
        float_agreement: How far PyTorch's own forward pass agrees with the float graph, as a sentence.
        loop_delays: Delays that were added to loops, as sentences; None if nobody asked for them.
        fast_loop: The loop that no clocked target can run, if there is one.
        repair: Training with the integers.
    """

    imported: ImportFacts | None = None
    sizes: Sizes | None = None
    float_agreement: str | None = None
    loop_delays: tuple[str, ...] | None = None
    fast_loop: str | None = None
    repair: RepairFacts | None = None

    def notes(self) -> tuple[str, ...]:
        """Return what a user must know: of the import, and of delays that were added."""
        imported = () if self.imported is None else self.imported.notes
        return (*imported, *self._delays())

    def _delays(self) -> tuple[str, ...]:
        if self.loop_delays is not None:
            return self.loop_delays or ("no loop had too little delay: nothing was added",)
        if self.fast_loop is None:
            return ()
        told = f"the loop {self.fast_loop} has more connections than steps, so no clocked target"
        return (f"{told} (Lava, Loihi) can run it; `loop_delay` adds what is missing, in real numbers too",)
