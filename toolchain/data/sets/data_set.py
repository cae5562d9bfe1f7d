"""What every data set is once it is open: three parts of samples with labels, and where they came from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from toolchain.data.sets.output_scale import OutputScale
from toolchain.data.sets.reading import Reading
from toolchain.files.documents import Count, Digest, Document

Stored = Any
"""Samples by index: an array, one that stays in its file, or a sequence that reads a sample when asked."""


class SampleKind(Enum):
    """What a sample is before it is encoded."""

    VALUES = "values"
    """Intensities in 0 .. 1, `[channels]`, or `[frames, channels]` for a sequence."""
    PICTURES = "pictures"
    """Intensities in 0 .. 1, `[C, H, W]`."""
    TRAINS = "trains"
    """What enters a network as it is: spikes or graded values, `[steps, channels]` or `[steps, C, H, W]`."""
    SOUND = "sound"
    """A waveform in -1 .. 1, `[samples]`, of any length."""
    EVENTS = "events"
    """Events of a sensor: a structured array with `t`, `x`, `p` and, where the sensor has rows, `y`."""
    WINDOWS = "windows of a series"
    """Values that follow one another in time, of mean 0 and deviation 1, `[window, dimensions]`."""


_AXES: Final = {
    SampleKind.VALUES: (1, 2),
    SampleKind.PICTURES: (3,),
    SampleKind.TRAINS: (2, 4),
    SampleKind.SOUND: (0,),
    SampleKind.EVENTS: (3,),
    SampleKind.WINDOWS: (2,),
}
"""How many axes a sample has."""


@final
class OnDemand(Sequence[NDArray[Any]]):
    """Samples that are read when they are asked for.

    Args:
        read: Returns a sample, given its item.
        items: What stands for each sample, such as the path of its file.
    """

    def __init__(self, read: Callable[[Any], NDArray[Any]], items: Sequence[Any]) -> None:
        self._read, self._items = read, tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - the signature of a sequence
        """Return a sample, or the samples of a slice or of an array of indices."""
        if isinstance(index, slice | np.ndarray):
            places = np.arange(len(self))[index]
            return OnDemand(self._read, [self._items[int(i)] for i in places])
        return self._read(self._items[int(index)])


@final
@dataclass(frozen=True)
class Part:
    """The samples of training, validation or test.

    Attributes:
        samples: Samples by index.
        labels: Class of each sample, int64 `[samples]`; or what is to be said of it in real numbers, float64
            `[samples, outputs]`.
        lengths: Number of valid steps of each sample, int64 `[samples]`; None if all are valid.
    """

    samples: Stored
    labels: NDArray[Any]
    lengths: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: NDArray[np.int64]) -> "Part":
        """Return the samples at these places, which ascend."""
        if len(places) == len(self) and np.array_equal(places, np.arange(len(self))):
            return self
        samples = self.samples[places]
        return Part(samples, self.labels[places], None if self.lengths is None else self.lengths[places])


class SampleForm(Document):
    """What the samples of a data set have in common before they are encoded.

    Attributes:
        name: What the set is called under `[data]`.
        kind: What a sample is.
        shape: Shape of a sample; of events the shape `(C, H, W)` of the sensor; empty for sound.
        hertz: Samples of a waveform in a second; 0 for what is no sound.
    """

    name: str
    kind: SampleKind
    shape: tuple[Count, ...]
    hertz: Count = 0

    @model_validator(mode="after")
    def _of_its_kind(self) -> "SampleForm":
        if len(self.shape) not in _AXES[self.kind] or 0 in self.shape:
            raise ValueError(f"{self.kind.value} have no samples of shape {list(self.shape)}")
        return self


class DataOrigin(Document):
    """Where the samples of a data set came from.

    Attributes:
        path: The file or folder that was read, as it was named.
        sha256: SHA-256 of the file; of several files, of their names and digests.
        train: Samples for training.
        validation: Samples for validation.
        test: Samples for the test.
        left_out: Files that are broken and were left out, as asked.
    """

    path: str
    sha256: Digest
    train: Count
    validation: Count
    test: Count
    left_out: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """Where the samples came from and how many there are, in a line."""
        broken = f", {len(self.left_out)} broken left out" if self.left_out else ""
        counts = f"{self.train} to train, {self.validation} to validate, {self.test} to test"
        return f"'{self.path}', SHA-256 {self.sha256[:12]}: {counts}{broken}"


@final
@dataclass(frozen=True)
class DataSet:
    """A data set to learn from, open and split.

    Attributes:
        name: What it is called under `[data]`.
        kind: What a sample is.
        shape: Shape of a sample; of events the shape `(C, H, W)` of the sensor; empty for sound.
        classes: Names of the classes; of the outputs where real values are learnt.
        train: Samples to train on.
        validation: Samples to choose settings by; there may be none.
        test: Samples that are held out to the end.
        origin: Files the samples came from; None for what an installed library brings along.
        hertz: Samples of a waveform in a second; 0 for what is no sound.
        reading: How files become samples.
        scale: Units of the outputs where real values are learnt; None for classes.
    """

    name: str
    kind: SampleKind
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    origin: DataOrigin | None = None
    hertz: int = 0
    reading: Reading = field(default_factory=Reading)
    scale: OutputScale | None = None

    @property
    def form(self) -> SampleForm:
        """What the samples have in common."""
        return SampleForm(name=self.name, kind=self.kind, shape=self.shape, hertz=self.hertz)
