"""What a network with real outputs says of samples, in the units of the data."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from toolchain.arrays import Floats
from toolchain.fidelity.outputs import OutputErrors, OutputForm, OutputTally


@final
@dataclass(frozen=True)
class RealValues:
    """What the first output says, and what is true.

    Attributes:
        scores: Output in the units of the network, `[samples, outputs]`.
        labels: What should be said, likewise; None if nobody says it.
        form: What outputs mean; None where they have no other units.
        present: Last values of the samples of a series.
        sources: File or row that each sample comes from; empty where samples have no names.
    """

    scores: Floats
    labels: Floats | None = None
    form: OutputForm | None = None
    present: Floats | None = None
    sources: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each output; of a change without a value that it starts from, the word before it."""
        if self.form is None:
            return tuple(f"output {i}" for i in range(self.scores.shape[1]))
        names = self.form.scale.names
        return tuple(f"change of {name}" for name in names) if self._changes else names

    @property
    def _changes(self) -> bool:
        return self.form is not None and self.form.increments and self.present is None

    def in_units(self, outputs: Floats) -> Floats:
        """Return outputs or labels in the units of the data."""
        return outputs if self.form is None else self.form.values(outputs, self.present)

    @property
    def values(self) -> Floats:
        """What is said, `[samples, outputs]`."""
        return self.in_units(self.scores)

    @property
    def truth(self) -> Floats | None:
        """What is true, `[samples, outputs]`; None if nobody says it."""
        return None if self.labels is None else self.in_units(self.labels)

    @property
    def errors(self) -> OutputErrors | None:
        """How far what is said is from the truth; None without it."""
        if self.labels is None:
            return None
        tally = OutputTally(self.names, self.form)
        tally.add([self.scores], self.labels, self.present)
        return tally.result(present=not self._changes)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """Return the names of the columns, and a row for each sample."""
        truth = self.truth
        table = self.values if truth is None else np.concatenate([self.values, truth], axis=1)
        true = () if truth is None else tuple(f"true {name}" for name in self.names)
        head = ["sample", *(("source",) if self.sources else ()), *self.names, *true]
        sources = [[source] for source in self.sources] or [[]] * len(table)
        return head, [[i, *sources[i], *row] for i, row in enumerate(table.tolist())]

    def line(self) -> str:
        """Return how many there are and how far they are from the truth, in words."""
        errors = self.errors
        said = "" if errors is None else f"; {errors.sentence()}"
        return f"Prediction of {len(self.scores)} samples: {', '.join(self.names)}{said}"

    def arrays(self) -> dict[str, Any]:
        """Return what a file holds: `values`, and `labels` if the truth is known."""
        truth = self.truth
        return {"values": self.values} | ({} if truth is None else {"labels": truth})
