"""What is given to a network: one array per input, with labels and lengths if there are any."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.archive import HELD_BYTES, open_arrays
from toolchain.atomic import read_arrays, write_arrays
from toolchain.errors import StimulusError
from toolchain.ir import EdgeKind, Graph, Input
from toolchain.ir.types import size_of

_SINGLE = "input"
_CHECKED_VALUES: Final = 2**22
"""Values of a large stimulus that are checked at a time."""


@final
@dataclass(frozen=True)
class Stimulus:
    """Samples in the model's units.

    Attributes:
        values: Per input node, `[batch, time, *features]`; bool, integer or float. A network
            with one input accepts the name `input` for it.
        labels: Optional class per sample, `[batch]`.
        lengths: Optional number of valid steps per sample, `[batch]`.
    """

    values: Mapping[str, NDArray[Any]] = field(repr=False)
    labels: NDArray[np.int64] | None = field(default=None, repr=False)
    lengths: NDArray[np.int64] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, values: "Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]]") -> "Stimulus":
        """Return a stimulus from an array (one input), a mapping by input name, or a stimulus."""
        match values:
            case Stimulus():
                return values
            case Mapping():
                return cls({name: np.asarray(array) for name, array in values.items()})
            case _:
                return cls({_SINGLE: np.asarray(values)})

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(next(iter(self.values.values())).shape[0])

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return int(next(iter(self.values.values())).shape[1])

    def take(self, index: slice | NDArray[Any]) -> "Stimulus":
        """Return the selected samples."""
        return Stimulus(
            {name: array[index] for name, array in self.values.items()},
            None if self.labels is None else self.labels[index],
            None if self.lengths is None else self.lengths[index],
        )

    def save(self, path: Path) -> None:
        """Write `stimulus.npz`: one array per input, and `labels`, `lengths` if present."""
        extra = {"labels": self.labels, "lengths": self.lengths}
        write_arrays(path, {**self.values, **{k: v for k, v in extra.items() if v is not None}})

    @classmethod
    def load(cls, path: Path) -> "Stimulus":
        """Read `stimulus.npz`.

        Raises:
            StimulusError: It holds no input.
            CorruptArtifactError: It is not an archive of plain arrays.
        """
        return cls._of_arrays(path, read_arrays(path))

    @classmethod
    def open(cls, path: Path, held_bytes: int = HELD_BYTES) -> "Stimulus":
        """Return what `stimulus.npz` holds; arrays of more bytes stay there and are read as they are needed.

        Raises:
            StimulusError: It holds no input.
            CorruptArtifactError: It is not an archive of plain arrays; see `toolchain.archive.open_arrays`.
        """
        return cls._of_arrays(path, open_arrays(path, held_bytes))

    @classmethod
    def _of_arrays(cls, path: Path, arrays: dict[str, NDArray[Any]]) -> "Stimulus":
        labels, lengths = arrays.pop("labels", None), arrays.pop("lengths", None)
        if not arrays:
            raise StimulusError(f"'{path}' holds no input; expected an array named '{_SINGLE}'")
        return cls(arrays, labels, lengths)


def fit_stimulus(graph: Graph, stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]]) -> Stimulus:
    """Return the stimulus keyed by the graph's input names, checked against them.

    Spike inputs become bool, graded inputs float64.

    Raises:
        StimulusError: A name, shape, length or value does not fit.
    """
    given = _named(graph, stimulus)
    values = {node.name: _fit_values(node, given.values[node.name]) for node in graph.inputs}
    return Stimulus(values, given.labels, given.lengths)


def check_stimulus(graph: Graph, stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]]) -> Stimulus:
    """Return the stimulus keyed by the graph's input names, its values checked but left as they are.

    It may be larger than the memory: a few samples are looked at at a time. Whoever runs a part of it makes
    that part fit with `fit_stimulus`.

    Raises:
        StimulusError: A name, shape, length or value does not fit.
    """
    given = _named(graph, stimulus)
    size = sum(size_of(node.shape) for node in graph.inputs) * given.steps
    together = max(1, _CHECKED_VALUES // size)
    for start in range(0, given.samples, together):
        fit_stimulus(graph, given.take(slice(start, start + together)))
    return given


def _named(graph: Graph, stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]]) -> Stimulus:
    """Return the stimulus keyed by the graph's input names, everything checked but the values."""
    given = Stimulus.of(stimulus)
    inputs = {node.name: node for node in graph.inputs}
    values = dict(given.values)
    if len(inputs) == 1 and set(values) == {_SINGLE}:
        values = {next(iter(inputs)): values[_SINGLE]}
    if set(values) != set(inputs):
        raise StimulusError(f"expected arrays named {sorted(inputs)}, got {sorted(values)}")
    for name, array in values.items():
        _check_kind(inputs[name], array)
    extents = {array.shape[:2] for array in values.values()}
    if len(extents) > 1:
        raise StimulusError(f"inputs disagree in [batch, time]: {sorted(extents)}")
    _check_companions(given, *extents.pop())
    return Stimulus(values, given.labels, given.lengths)


def _check_kind(node: Input, array: NDArray[Any]) -> None:
    """Raise unless an array has the shape and the type of what enters a network."""
    if array.ndim != 2 + len(node.shape) or array.shape[2:] != node.shape:
        expected = "x".join(map(str, node.shape))
        raise StimulusError(f"input '{node.name}' expects [batch, time, {expected}], got {list(array.shape)}")
    if 0 in array.shape:
        raise StimulusError(f"input '{node.name}' got {list(array.shape)}: no samples or no steps")
    if array.dtype.kind not in "biuf":
        raise StimulusError(f"input '{node.name}' expects bool, integer or float, got {array.dtype}")


def _fit_values(node: Input, array: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(array)
    if node.edge is EdgeKind.GRADED:
        if not np.isfinite(values).all():
            raise StimulusError(f"input '{node.name}' holds values that are not finite")
        return values.astype(np.float64, order="C")
    spikes = values.astype(bool, order="C")
    if not np.array_equal(spikes, values):
        raise StimulusError(f"input '{node.name}' takes spikes, expected only 0 and 1")
    return spikes


def _check_companions(stimulus: Stimulus, samples: int, steps: int) -> None:
    for name in ("labels", "lengths"):
        values: NDArray[Any] | None = getattr(stimulus, name)
        if values is not None and (values.shape != (samples,) or values.dtype.kind not in "iu"):
            raise StimulusError(f"{name} must be {samples} integers, got {values.dtype}{list(values.shape)}")
    lengths = stimulus.lengths
    if lengths is not None and not ((lengths >= 1) & (lengths <= steps)).all():
        raise StimulusError(f"lengths must lie in 1 .. {steps}, got {lengths.min()} .. {lengths.max()}")
