"""What a build says of samples: the scores of its outputs, and the classes they point to."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.bars import draws
from toolchain.errors import UsageError
from toolchain.execution.clipping import ClippingTally, warn_clipped
from toolchain.execution.companions import are_real
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.decode import accuracy, scores
from toolchain.fidelity.outputs import OutputForm
from toolchain.files.atomic import write_text
from toolchain.files.npz import write_arrays
from toolchain.intake import PathText, path_of
from toolchain.ir import Stage
from toolchain.memory import enough_memory
from toolchain.progress import Progress, default_progress, part_progress
from toolchain.summary import Summarised, Summary
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.real_values import RealValues
from toolchain.workflow.run import first_samples, program_of

FILE_KINDS: Final = (".csv", ".npz")
"""What a prediction is written to."""
_SHOWN: Final = 10
_RECORDED: Final = ("spikes",)
"""What outputs read of spikes; the potentials that they read are recorded with these."""


@final
@dataclass(frozen=True, repr=False)
class Prediction(Summarised):
    """What a network says of samples.

    Attributes:
        scores: Scores `[samples, classes]` of each output, in the units of the model: potentials, or numbers
            of spikes.
        labels: The true classes, or real targets in the units of the model, if the samples have them.
        form: What real outputs mean; None for classes, or where nobody said it.
        present: Last values of the samples of a series.
    """

    scores: dict[str, Floats]
    labels: NDArray[Any] | None = None
    form: OutputForm | None = None
    present: Floats | None = None

    @property
    def real(self) -> RealValues | None:
        """What is said and what is true in the units of the data; None for classes."""
        real = are_real(self.labels)
        if self.form is None and not real:
            return None
        first = next(iter(self.scores.values()))
        return RealValues(first, self.labels if real else None, self.form, self.present)

    @property
    def classes(self) -> NDArray[np.int64]:
        """Class of the highest score of the first output, `[samples]`.

        Raises:
            UsageError: The outputs are real values.
        """
        if self.real is not None:
            raise UsageError("the network says real values, no classes", "read `real.values`")
        return next(iter(self.scores.values())).argmax(axis=1)

    @property
    def accuracy(self) -> float | None:
        """Share of right classes in percent; None without them."""
        if self.labels is None or self.real is not None:
            return None
        return accuracy(self.classes, self.labels)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """Return the names of the columns, and a row for each sample."""
        if self.real is not None:
            return self.real.rows()
        several = len(self.scores) > 1
        head = ["sample", "class", *(["label"] if self.labels is not None else [])]
        head += [
            f"{name} {k}" if several else f"score {k}"
            for name, each in self.scores.items()
            for k in range(each.shape[1])
        ]
        table = np.concatenate(list(self.scores.values()), axis=1)
        labels: list[list[object]] = [[] for _ in table]
        if self.labels is not None:
            labels = [[int(label)] for label in self.labels]
        classes = self.classes.tolist()
        return head, [[i, classes[i], *labels[i], *table[i].tolist()] for i in range(len(table))]

    def summary(self) -> Summary:
        """Return how many there are of each class, or the errors of real values, and the first of them."""
        head, rows = self.rows()
        line = self._line() if self.real is None else self.real.line()
        shown = [
            [f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row] for row in rows[:_SHOWN]
        ]
        return Summary(line, head, shown)

    def _line(self) -> str:
        counts = enumerate(np.bincount(self.classes))
        of_each = ", ".join(f"{count} of class {k}" for k, count in counts if count)
        right = "" if self.accuracy is None else f"; {self.accuracy:.2f} % are right"
        return f"Prediction of {len(self.classes)} samples: {of_each}{right}"

    def save(self, path: PathText) -> None:
        """Write a `.csv`, a row for each sample, or a `.npz` with `classes` or `values`, `labels` and scores.

        In a `.npz` the scores of an output are the array `scores/<output>`.

        Raises:
            UsageError: The name ends in neither.
        """
        place = check_prediction_file(path_of(path, "path"))
        if place.suffix == ".csv":
            text = io.StringIO()
            head, rows = self.rows()
            csv.writer(text, lineterminator="\n").writerows([head, *rows])
            write_text(place, text.getvalue())
            return
        arrays: dict[str, NDArray[Any]] = {f"scores/{name}": each for name, each in self.scores.items()}
        if self.real is not None:
            arrays |= self.real.arrays()
        else:
            arrays["classes"] = self.classes
            if self.labels is not None:
                arrays["labels"] = self.labels
        write_arrays(place, arrays)


def check_prediction_file(path: Path) -> Path:
    """Return a path that a prediction can be written to.

    Raises:
        UsageError: Its name has another ending.
    """
    if path.suffix not in FILE_KINDS:
        raise UsageError(f"'{path}' ends in neither {' nor '.join(FILE_KINDS)}", "name a file that does")
    return path


@enough_memory("running the network")
@draws("predict")
def predict_build(
    build: Build,
    stimulus: Stimulus | NDArray[Any] | None = None,
    target: str | None = None,
    *,
    stage: Stage = Stage.FIXED,
    samples: int | None = None,
    progress: Progress = default_progress,
) -> Prediction:
    """Run a build on samples, and return what its outputs say of each.

    A part of the samples runs at a time, so that only scores grow with their number.

    Args:
        build: The build.
        stimulus: The samples; by default the build's own. Labels among them give the accuracy.
        target: Name of an installed target; by default the build's.
        stage: Whether the integers run, or the real numbers they came from.
        samples: Number of the first samples; by default all.
        progress: Callback with how far it is; by default a bar where somebody looks.

    Raises:
        UsageError: There is no stimulus.
        StimulusError: It does not fit the inputs of the network.
    """
    fitted = check_is_build(build).stimulus_for(stimulus).take(slice(0, first_samples(samples)))
    graph = build.graph(stage)
    program = program_of(target or build.target, graph)
    outputs: dict[str, list[Floats]] = {output.name: [] for output in graph.outputs}
    clipping = ClippingTally.of(graph)
    for start, part in in_parts(fitted, recorded_bytes(graph, fitted.steps, _RECORDED), program):
        clipping.add(part.values)
        trace = program.run(
            part,
            record=_RECORDED,
            progress=part_progress(progress, start, part.samples, fitted.samples),
        )
        for output in graph.outputs:
            outputs[output.name].append(scores(graph, trace, output, part.lengths))
    warn_clipped(clipping.clipped)
    joined = {name: np.concatenate(each) for name, each in outputs.items()}
    return Prediction(joined, fitted.labels, build.facts.outputs, fitted.present)
