"""What a build says of samples: the scores of its outputs, and the classes they point to."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.bars import draws
from toolchain.data.new_samples.raw_samples import RawSamples
from toolchain.errors import ArgumentError, UsageError
from toolchain.execution.clipping import ClippingTally, warn_clipped
from toolchain.execution.companions import are_real, classes_or_targets
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.decode import accuracy, scores
from toolchain.fidelity.outputs import OutputForm
from toolchain.files.atomic import write_text
from toolchain.files.npz import write_arrays
from toolchain.intake import PathText, path_of, samples_of
from toolchain.ir import Stage
from toolchain.memory import enough_memory
from toolchain.progress import Progress, default_progress, part_progress
from toolchain.summary import Summarised, Summary
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.new_samples import NewSamples, open_samples, stimuli
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
        class_names: Names of the classes; empty if the network knows none.
        sources: File or row that each sample comes from; empty where samples have no names.
        form: What real outputs mean; None for classes, or where nobody said it.
        present: Last values of the samples of a series.

    Raises:
        ArgumentError: Scores are no finite numbers `[samples, classes]` of at least one sample and class, or
            not of as many samples as there are labels and other scores, or of other classes than names.
    """

    scores: dict[str, Floats]
    labels: NDArray[Any] | None = None
    class_names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    form: OutputForm | None = None
    present: Floats | None = None

    def __post_init__(self) -> None:
        given: Any = self.scores
        if not isinstance(given, Mapping) or not given:
            what = "none" if isinstance(given, Mapping) else type(given).__name__
            raise ArgumentError("scores", "arrays [samples, classes] by the names of outputs", what)
        samples: int | str = "samples"
        scores: dict[str, Floats] = {}
        for output, values in given.items():
            name = f"scores['{output}']"
            scores[output] = samples_of(values, name, (samples, "classes")).astype(np.float64, copy=False)
            samples = len(scores[output])
        object.__setattr__(self, "scores", scores)
        classes = next(iter(scores.values())).shape[1]
        if self.class_names and len(self.class_names) != classes:
            raise ArgumentError(
                "class_names", f"a name for each of {classes} classes", str(len(self.class_names))
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", classes_or_targets(self.labels, samples=int(samples)))

    @property
    def real(self) -> RealValues | None:
        """What is said and what is true in the units of the data; None for classes."""
        real = are_real(self.labels)
        if self.form is None and not real:
            return None
        first = next(iter(self.scores.values()))
        return RealValues(first, self.labels if real else None, self.form, self.present, self.sources)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the class of each sample; empty if the network knows none."""
        return tuple(self.class_names[k] for k in self.classes) if self.class_names else ()

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
        table = np.concatenate(list(self.scores.values()), axis=1)
        columns: dict[str, Sequence[object]] = {"sample": range(len(table))}
        if self.sources:
            columns["source"] = self.sources
        columns["class"] = self.classes.tolist()
        if self._named:
            columns["name"] = self.names
        if self.labels is not None:
            columns["label"] = self.labels.tolist()
            if self._named:
                columns["label name"] = [self.class_names[k] for k in self.labels]
        head = [*columns, *self._score_names()]
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        return head, [[*row, *each.tolist()] for row, each in zip(rows, table, strict=True)]

    def _score_names(self) -> list[str]:
        """Return what each score is of: a class of the first output by its name, others by their number."""
        first, several = next(iter(self.scores)), len(self.scores) > 1
        names: list[str] = []
        for output, each in self.scores.items():
            words = self.class_names if self._named and output == first else range(each.shape[1])
            names += [f"{output if several else 'score'} {word}" for word in words]
        return names

    @property
    def _named(self) -> bool:
        """Whether names say more than the numbers of the classes."""
        return any(name != str(number) for number, name in enumerate(self.class_names))

    def summary(self) -> Summary:
        """Return how many there are of each class, or the errors of real values, and the first of them."""
        head, rows = self.rows()
        line = self._line() if self.real is None else self.real.line()
        shown = [
            [f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row] for row in rows[:_SHOWN]
        ]
        return Summary(line, head, shown)

    def _called(self, number: int) -> str:
        return f"'{self.class_names[number]}'" if self._named else str(number)

    def _line(self) -> str:
        counts = enumerate(np.bincount(self.classes))
        of_each = ", ".join(f"{count} of class {self._called(k)}" for k, count in counts if count)
        right = "" if self.accuracy is None else f"; {self.accuracy:.2f} % are right"
        return f"Prediction of {len(self.classes)} samples: {of_each}{right}"

    def save(self, path: PathText) -> None:
        """Write a `.csv`, a row for each sample, or a `.npz` with `classes` or `values`, `labels` and scores.

        In a `.npz` the scores of an output are the array `scores/<output>`, and names stand in `class_names`
        and `sources`, as far as there are any.

        Raises:
            UsageError: The name ends in neither.
        """
        place = check_prediction_file(path_of(path, "path"))
        if place.suffix == ".csv":
            text = io.StringIO()
            head, rows = self.rows()
            csv.writer(text, lineterminator="\n").writerows([head, *rows])
            # Names of files may hold half characters, which no text may.
            write_text(place, text.getvalue().encode(errors="backslashreplace").decode())
            return
        arrays: dict[str, NDArray[Any]] = {f"scores/{name}": each for name, each in self.scores.items()}
        if self.real is not None:
            arrays |= self.real.arrays()
        else:
            arrays["classes"] = self.classes
            if self.labels is not None:
                arrays["labels"] = self.labels
        for name in ("class_names", "sources"):
            if getattr(self, name):
                arrays[name] = np.array(getattr(self, name))
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
    stimulus: NewSamples | None = None,
    target: str | None = None,
    *,
    stage: Stage = Stage.FIXED,
    samples: int | None = None,
    encoded: bool | None = None,
    progress: Progress = default_progress,
) -> Prediction:
    """Run a build on samples, and return what its outputs say of each.

    A part of the samples runs at a time, so that only scores grow with their number.

    Args:
        build: The build.
        stimulus: The samples; by default the build's own. Labels among them give the accuracy. Arrays are
            what enters the network. A path, such as that of a table or of a folder of pictures, and what
            `build.encoder.read` returns, are encoded as the samples of the training were.
        target: Name of an installed target; by default the build's.
        stage: Whether the integers run, or the real numbers they came from.
        samples: Number of the first samples; by default all.
        encoded: Whether an `.npz` holds what enters the network, instead of samples as those of the training;
            by default its shape says so.
        progress: Callback with how far it is; by default a bar where somebody looks.

    Raises:
        UsageError: There is no stimulus, or samples are of another kind than those of the training.
        StimulusError: It does not fit the inputs of the network.
    """
    given = _given(check_is_build(build), stimulus, encoded=encoded)
    first = first_samples(samples)
    # What needs no encoding is checked as a whole before the work.
    given = given.take(slice(0, first)) if isinstance(given, RawSamples) else _first(build, given, first)
    graph = build.graph(stage)
    program = program_of(target or build.target, graph)
    outputs: dict[str, list[Floats]] = {output.name: [] for output in graph.outputs}
    clipping, done = ClippingTally.of(graph), 0
    total = len(given) if isinstance(given, RawSamples) else given.samples
    for fitted in stimuli(build, given):
        for start, part in in_parts(fitted, recorded_bytes(graph, fitted.steps, _RECORDED), program):
            clipping.add(part.values)
            report = part_progress(progress, done + start, part.samples, total)
            trace = program.run(part, record=_RECORDED, progress=report)
            for output in graph.outputs:
                outputs[output.name].append(scores(graph, trace, output, part.lengths))
        done += fitted.samples
    warn_clipped(clipping.clipped)
    real = build.facts.outputs is not None
    return Prediction(
        {name: np.concatenate(each) for name, each in outputs.items()},
        given.labels,
        () if real else tuple(graph.outputs[0].classes),
        given.sources if isinstance(given, RawSamples) else (),
        build.facts.outputs,
        given.present,
    )


def _given(
    build: Build, stimulus: NewSamples | None, *, encoded: bool | None
) -> Stimulus | RawSamples | None:
    if isinstance(stimulus, str | Path):
        return open_samples(build, stimulus, encoded=encoded)
    return stimulus if stimulus is None or isinstance(stimulus, RawSamples) else Stimulus.of(stimulus)


def _first(build: Build, stimulus: Stimulus | None, count: int | None) -> Stimulus:
    return build.stimulus_for(stimulus).take(slice(0, count))
