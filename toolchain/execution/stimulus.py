"""The samples that a network runs on: an array for every input, and labels and the like beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.errors import ArgumentError, StimulusError, UsageError
from toolchain.execution.companions import (
    KEYS,
    are_real,
    check_companions,
    classes_or_targets,
    companion_of,
)
from toolchain.files.archive import HELD_BYTES, StoredArray, open_arrays
from toolchain.files.npz import read_arrays, write_arrays
from toolchain.intake import PathText, array_of, check_finite, path_of
from toolchain.ir import EdgeKind, Graph
from toolchain.ir.types import size_of
from toolchain.summary import Summarised, Summary

_SINGLE: Final = "input"
_MARK: Final = "input/"
_AXES: Final = ("batch", "time")
_CHECKED_VALUES: Final = 2**22
"""Number of values of a large stimulus that are checked at a time."""


@final
@dataclass(frozen=True, repr=False)
class Stimulus(Summarised):
    """Samples in the model's units.

    Attributes:
        values: Arrays `[batch, time, *features]` of bool, integers or floats, by the names of the inputs. A
            network with one input accepts the name `input` for it, and a single array stands for that name.
            An array may be anything that `intake.array_of` reads.
        labels: Class of each sample, whole numbers `[batch]`, or real targets in the units of the network's
            outputs, floats `[batch, outputs]`; None if there are no labels.
        lengths: Number of valid steps of each sample, `[batch]`; None if all are valid.
        present: Last value of each sample of a series, `[batch, outputs]`, from which a forecast goes on;
            None for what is none.

    Raises:
        ArgumentError: Values are not arrays of numbers, or what stands beside them is not what it should be.
    """

    values: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None = None
    lengths: NDArray[np.int64] | None = None
    present: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        arrays: Any = self.values
        if not isinstance(arrays, Mapping):
            arrays = {_SINGLE: arrays}
        values: dict[str, NDArray[Any]] = {}
        for name, array in arrays.items():
            if not isinstance(name, str):
                raise ArgumentError("stimulus", "arrays by the names of inputs", f"{name!r} for a name")
            values[name] = _number_array(array, name)
        object.__setattr__(self, "values", values)
        for companion, numbers in self.companions.items():
            object.__setattr__(self, companion, companion_of(companion, numbers))

    @classmethod
    def of(cls, values: object, *, name: str = "stimulus") -> "Stimulus":
        """Return a stimulus from an array (one input), a mapping by input name, or a stimulus.

        For labels or lengths, call `Stimulus(values, labels, lengths)`.

        Args:
            values: The value that a caller gave.
            name: Name of the argument, for errors.

        Raises:
            StimulusError: It is not made of numbers.
        """
        if isinstance(values, Stimulus):
            return values
        try:
            return cls(cast("Mapping[str, NDArray[Any]]", values))
        except ArgumentError as error:
            raise StimulusError(f"{name}: {error}", _remedy_for(values)) from None

    @classmethod
    def of_batches(cls, batches: Iterable[object]) -> "Stimulus":
        """Return what a data loader yields, as one stimulus.

        Args:
            batches: Batches of samples `[batch, time, *features]`, or pairs of samples and labels.

        Raises:
            StimulusError: There is no batch, or batches do not go together: says which.
        """
        samples, labels = list[NDArray[Any]](), list[NDArray[Any]]()
        for i, batch in enumerate(batches):
            some, *classes = _pair_of(batch)
            try:
                samples.append(np.atleast_1d(array_of(some, "samples")))
                labels += [classes_or_targets(each, samples=len(samples[-1])) for each in classes]
            except (ArgumentError, TypeError) as error:
                raise StimulusError(f"batch {i}: {error}") from None
            shapes = [list(each.shape[1:]) for each in (samples[0], samples[-1])]
            kinds = {each.shape[1:] for each in labels}
            if shapes[0] != shapes[1] or len(labels) not in {0, len(samples)} or len(kinds) > 1:
                raise StimulusError(
                    f"batch {i}: expected samples {shapes[0]}, all with labels of one kind or none, got "
                    f"{shapes[1]}"
                )
        if not samples:
            raise StimulusError("expected batches of samples, got none")
        return cls({_SINGLE: np.concatenate(samples)}, np.concatenate(labels) if labels else None)

    def summary(self) -> Summary:
        """Return the shape of every array."""
        companions = self.companions
        arrays = {**self.values, **companions}
        rows = [(name, " x ".join(map(str, array.shape)), array.dtype) for name, array in arrays.items()]
        inputs = ", ".join(f"{name} {shape} {kind}" for name, shape, kind in rows[: len(self.values)])
        extra = f"; with {' and '.join(companions)}" if companions else ""
        return Summary(f"Stimulus: {inputs or 'no input'}{extra}", ("array", "shape", "type"), rows)

    @property
    def companions(self) -> dict[str, NDArray[Any]]:
        """What stands beside the values: labels, lengths and present values, those that there are."""
        return {name: getattr(self, name) for name in KEYS if getattr(self, name) is not None}

    @property
    def real(self) -> bool:
        """Whether labels are real targets."""
        return are_real(self.labels)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.extent[0]

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.extent[1]

    @property
    def extent(self) -> tuple[int, int]:
        """Number of samples, and number of their time steps.

        Raises:
            StimulusError: There is no input, or it has no time.
        """
        for name, array in self.values.items():
            if array.ndim < len(_AXES):
                raise StimulusError(
                    f"input '{name}' expects [batch, time, features], got {list(array.shape)}"
                )
            return array.shape[0], array.shape[1]
        raise StimulusError(f"the stimulus holds no input; expected an array named '{_SINGLE}'")

    def take(self, index: slice | NDArray[Any]) -> "Stimulus":
        """Return the selected samples."""
        companions = {name: numbers[index] for name, numbers in self.companions.items()}
        return Stimulus({name: array[index] for name, array in self.values.items()}, **companions)

    def save(self, path: PathText) -> None:
        """Write `stimulus.npz`: an array per input (see `stored_key`), and the companions by their `KEYS`."""
        arrays = {stored_key(name): array for name, array in self.values.items()}
        companions = {KEYS[name]: numbers for name, numbers in self.companions.items()}
        write_arrays(path_of(path, "path"), arrays | companions)

    @classmethod
    def load(cls, path: PathText) -> "Stimulus":
        """Read `stimulus.npz`.

        Raises:
            StimulusError: It holds no input, or something that is not numbers.
            CorruptArtifactError: It is not an archive of plain arrays.
        """
        path = path_of(path, "path")
        return cls._of_arrays(path, read_arrays(path))

    @classmethod
    def open(cls, path: PathText, held_bytes: int = HELD_BYTES) -> "Stimulus":
        """Return what `stimulus.npz` holds; arrays larger than `held_bytes` stay there until they are needed.

        Raises:
            StimulusError: It holds no input, or something that is not numbers.
            CorruptArtifactError: It is not an archive of plain arrays; see `files.archive.open_arrays`.
        """
        path = path_of(path, "path")
        return cls._of_arrays(path, open_arrays(path, held_bytes))

    @classmethod
    def of_file(cls, file: IO[bytes], path: Path, held_bytes: int = HELD_BYTES) -> "Stimulus":
        """Return what an opened `stimulus.npz` holds, and close it when nothing more is read; see `open`."""
        return cls._of_arrays(path, open_arrays(path, held_bytes, file))

    @classmethod
    def _of_arrays(cls, path: Path, arrays: dict[str, NDArray[Any]]) -> "Stimulus":
        companions = {name: arrays.pop(key, None) for name, key in KEYS.items()}
        if not arrays:
            raise StimulusError(f"'{path}' holds no input; expected an array named '{_SINGLE}'")
        try:
            return cls({_input_of(key): array for key, array in arrays.items()}, **companions)
        except ArgumentError as error:
            raise StimulusError(f"'{path}' holds what is no stimulus: {error}") from None


def _pair_of(batch: object) -> Sequence[object]:
    """Return samples, and labels if a batch has them; a list of numbers is samples."""
    if isinstance(batch, tuple | list):
        parts = cast("Sequence[object]", batch)
        if 0 < len(parts) <= len(_AXES) and all(hasattr(part, "shape") for part in parts):
            return parts
    return (batch,)


def stored_key(name: str) -> str:
    """Return the name of an input's array in `stimulus.npz`; no two inputs, nor labels or lengths, share one.

    It is the name of the input, except for names that mean something else there or look like such a key.

    >>> stored_key("image"), stored_key("labels"), stored_key("input/labels")
    ('image', 'input/labels', 'input/input/labels')
    """
    return f"{_MARK}{name}" if name in KEYS.values() or name.startswith(_MARK) else name


def _input_of(key: str) -> str:
    return key.removeprefix(_MARK)


def _number_array(array: object, name: str) -> NDArray[Any]:
    """Return an array of numbers; one that stays in its file stays there."""
    if not isinstance(array, StoredArray):
        return array_of(array, name)
    if array.dtype.kind not in "biuf":
        raise ArgumentError(name, "numbers (bool, integer or float)", f"{array.dtype} {list(array.shape)}")
    return cast("NDArray[Any]", array)


def fit_stimulus(graph: Graph, stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]]) -> Stimulus:
    """Return the stimulus by the names of the graph's inputs, checked against them.

    Spike inputs become bool, graded inputs float64.

    Raises:
        ArgumentError: It is not made of numbers.
        StimulusError: A name, shape, length or value does not fit.
    """
    given = named_stimulus(graph, stimulus)
    values = {node.name: _fit_values(node, given.values[node.name]) for node in graph.inputs}
    return replace(given, values=values)


def check_stimulus(
    graph: Graph, stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]], name: str | None = None
) -> Stimulus:
    """Return the stimulus by the names of the graph's inputs; its values are checked and stay as they are.

    It may be larger than the memory: only a few samples are checked at a time. Before a part of it is run,
    that part goes through `fit_stimulus`.

    Args:
        graph: The network.
        stimulus: The samples for it.
        name: Name of the argument, for errors; None if there is none to name.

    Raises:
        StimulusError: A name, shape, length or value does not fit.
    """
    try:
        given = named_stimulus(graph, stimulus)
        size = sum(size_of(node.shape) for node in graph.inputs) * given.steps
        together = max(1, _CHECKED_VALUES // size)
        for start in range(0, given.samples, together):
            fit_stimulus(graph, given.take(slice(start, start + together)))
    except UsageError as error:
        if name is None:
            raise
        raise StimulusError(f"{name}: {error}") from None
    return given


def shared_samples(one: Stimulus, other: Stimulus) -> int:
    """Return how many samples of `one` are also samples of `other`, whatever their inputs are called.

    The samples are read one at a time, so both may be larger than the memory.
    """
    known = {_digest(other, i) for i in range(other.samples)}
    return sum(_digest(one, i) in known for i in range(one.samples))


def _digest(stimulus: Stimulus, sample: int) -> bytes:
    arrays = stimulus.take(slice(sample, sample + 1)).values
    # Adding zero makes -0 the same as 0.
    parts = (np.ascontiguousarray(np.asarray(arrays[name], np.float64) + 0.0) for name in sorted(arrays))
    return b"".join(sha256(f"{part.shape}".encode() + part.tobytes()).digest() for part in parts)


def fit_step(
    nodes: Iterable[ir.Input], values: Mapping[str, NDArray[Any]], batch: int
) -> dict[str, NDArray[Any]]:
    """Return one step of a stimulus, `[batch, *features]` for each input, fitted as by `fit_stimulus`.

    Raises:
        ArgumentError: It is not made of numbers.
        StimulusError: A name, shape or value does not fit, or the batch is another.
    """
    inputs, arrays = _by_input(nodes, Stimulus(values).values)
    for name, array in arrays.items():
        _check_shape(inputs[name], array, _AXES[:1])
        if len(array) != batch:
            raise StimulusError(f"input '{name}' expects a batch of {batch}, got {len(array)}")
    return {name: _fit_values(inputs[name], array) for name, array in arrays.items()}


def named_stimulus(graph: Graph, stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]]) -> Stimulus:
    """Return the stimulus by the names of the graph's inputs; everything but its values is checked."""
    given = Stimulus.of(stimulus)
    inputs, values = _by_input(graph.inputs, given.values)
    for name, array in values.items():
        _check_shape(inputs[name], array, _AXES)
    extents = {array.shape[:2] for array in values.values()}
    if len(extents) > 1:
        raise StimulusError(f"inputs disagree in [batch, time]: {sorted(extents)}")
    check_companions(graph, given.companions, *extents.pop())
    return replace(given, values=values)


def _by_input(
    nodes: Iterable[ir.Input], values: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, ir.Input], Mapping[str, NDArray[Any]]]:
    """Return the inputs and the arrays for them, both by name."""
    inputs = {node.name: node for node in nodes}
    if len(inputs) == 1 and set(values) == {_SINGLE}:
        values = {next(iter(inputs)): values[_SINGLE]}
    if set(values) != set(inputs):
        raise StimulusError(f"expected arrays named {sorted(inputs)}, got {sorted(values)}")
    return inputs, values


def _check_shape(node: ir.Input, array: NDArray[Any], axes: tuple[str, ...]) -> None:
    if array.ndim != len(axes) + len(node.shape) or array.shape[len(axes) :] != node.shape:
        expected = ", ".join((*axes, "x".join(map(str, node.shape))))
        raise StimulusError(f"input '{node.name}' expects [{expected}], got {list(array.shape)}")
    if 0 in array.shape:
        raise StimulusError(f"input '{node.name}' got {list(array.shape)}: no samples or no steps")


def _fit_values(node: ir.Input, array: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(array)
    if node.edge is EdgeKind.SPIKE and values.dtype == np.bool_:
        return np.ascontiguousarray(values)
    check_finite(values, f"input '{node.name}'")
    if node.edge is EdgeKind.GRADED:
        return values.astype(np.float64, order="C")
    spikes = values.astype(bool, order="C")
    if not np.array_equal(spikes, values):
        raise StimulusError(f"input '{node.name}' takes spikes, expected only 0 and 1")
    return spikes


def _remedy_for(values: object) -> str:
    """Return what to do about values that are no samples."""
    if isinstance(values, tuple) and len(values) == len(_AXES):
        return "samples with labels are Stimulus(samples, labels)"
    if isinstance(values, Iterable) and not isinstance(values, Mapping | str | list | np.ndarray):
        return "a data loader becomes samples by Stimulus.of_batches(loader)"
    return ""
