"""Samples for a prediction: what enters as it is, or files and samples that are encoded first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.data.new_samples.raw_samples import RawSamples
from toolchain.data.sets.data_set import SampleKind
from toolchain.errors import UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.archive import open_arrays
from toolchain.intake import PathText, path_of
from toolchain.ir import Graph
from toolchain.memory import budget
from toolchain.workflow.build_folder import Build

NewSamples = Stimulus | RawSamples | NDArray[Any] | PathText
"""What can be predicted: what enters a network, samples that are not encoded yet, or the path of either."""
_TOGETHER: Final = 256
"""Samples that are encoded together, at most."""
_ROOM: Final = 16
"""Share of the memory that they may take."""


def open_samples(build: Build, path: PathText, *, encoded: bool | None = None) -> Stimulus | RawSamples:
    """Return the samples of a file or folder for a build.

    An `.npz` may hold samples as those of the training, or what enters the network. Shapes tell them apart
    unless both are the same.

    Args:
        build: The build.
        path: The file or folder.
        encoded: Whether an `.npz` holds what enters the network; None to find out.

    Raises:
        UsageError: It is of another kind than the training, or it is not clear what an `.npz` holds.
    """
    place = path_of(path, "path")
    encoder = build.encoder
    is_npz = place.suffix.lower() == ".npz" and not place.is_dir()
    if encoder is None or encoded or (is_npz and encoder.changes_nothing):
        if encoder is None and (not is_npz or encoded is False):
            if (form := build.facts.outputs) is not None and form.forecast is not None:
                raise UsageError(
                    f"'{place}' cannot be predicted: the build forecasts a series, and an earlier version "
                    "made it, which knows encoded windows of it only",
                    "train anew and compile that, or give what enters the network as an .npz, of the form of "
                    "stimulus.npz in its folder",
                )
            raise UsageError(
                f"'{place}' would have to be encoded as the samples of the training, which this build does "
                "not know: it was made of a network without its data, or by an earlier version",
                "give what enters the network as an .npz, or compile the run folder of the training again",
            )
        return Stimulus.open(place)
    if is_npz and encoded is None and encoder.form.kind is SampleKind.WINDOWS:
        return Stimulus.open(place)
    if not is_npz or encoded is False or encoder.form.kind in {SampleKind.SOUND, SampleKind.EVENTS}:
        if is_npz and encoded is None and _enters(place):
            return Stimulus.open(place)
        return encoder.read(place)
    return _told_apart(encoder, place, build.float_graph)


def _enters(path: Path) -> bool:
    """Return whether an `.npz` holds what enters the network, where samples are not stored so."""
    return "input" in open_arrays(path) if path.is_file() else False


def _told_apart(encoder: RawEncoder, path: Path, graph: Graph) -> Stimulus | RawSamples:
    """Return the arrays of an `.npz` as what their shape says they are."""
    stimulus = Stimulus.open(path)
    array: Any = stimulus.values.get("input")
    if array is None or len(stimulus.values) > 1:
        return stimulus
    shape = tuple(array.shape[1:])
    raw, enters = shape == encoder.form.shape, shape[1:] == graph.inputs[0].shape
    if raw and enters:
        raise UsageError(
            f"'{path}' may hold samples as those of the training, or what enters the network: both have the "
            f"shape {list(shape)}",
            "say which by `encoded=False` or `encoded=True`",
        )
    return stimulus if enters and not raw else encoder.read(path)


def stimuli(build: Build, samples: Stimulus | RawSamples) -> Iterator[Stimulus]:
    """Yield samples as they enter a build, checked; those that are not encoded yet a part at a time.

    Raises:
        UsageError: The build does not know how.
    """
    if isinstance(samples, Stimulus):
        yield build.stimulus_for(samples)
        return
    if build.encoder is None:
        raise UsageError(
            "the build does not know how the samples of its training were encoded",
            "give what enters the network, as a `Stimulus`",
        )
    room = budget().limit // _ROOM // max(build.encoder.bytes_per_sample, 1)
    together = int(np.clip(room, 1, _TOGETHER))
    for start in range(0, len(samples), together):
        some = samples.take(slice(start, start + together))
        trains = build.encoder.encode(some.samples[i] for i in range(len(some)))
        stretch = build.encoder.steps // (build.encoder.form.shape or (1,))[0]
        lengths = None if some.lengths is None else some.lengths * stretch
        yield build.stimulus_for(Stimulus({"input": trains}, some.labels, lengths, present=some.present))
