"""What a trained network keeps of its data, so that new samples enter as those of the training did."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Annotated, Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from toolchain.data.codes.input_encoder import InputEncoder
from toolchain.data.codes.options import AsIsCode, CodeOptions
from toolchain.data.codes.sample_encoder import SampleEncoder
from toolchain.data.new_samples.raw_files import read_raw
from toolchain.data.new_samples.raw_samples import RawSamples
from toolchain.data.new_samples.raw_tables import read_windows
from toolchain.data.sets.data_set import SampleForm, SampleKind
from toolchain.data.sets.output_scale import OutputScale
from toolchain.data.sets.reading import FileKind, Reading
from toolchain.data.sound.wav import FASTEST
from toolchain.errors import ArgumentError
from toolchain.files.documents import OMITTED, FileDocument
from toolchain.intake import PathText, array_of, check_finite, path_of
from toolchain.memory import budget

_STREAM: Final = 9
"""Random numbers of new samples, apart from those of the training."""

_STILL: Final = frozenset({SampleKind.VALUES, SampleKind.PICTURES, SampleKind.TRAINS})
_KINDS: Final = {
    FileKind.ARRAYS: _STILL,
    FileKind.TABLE: frozenset({SampleKind.VALUES, SampleKind.WINDOWS}),
    FileKind.PICTURES: frozenset({SampleKind.PICTURES}),
    FileKind.IMAGES: frozenset({SampleKind.PICTURES}),
    FileKind.SOUND: frozenset({SampleKind.SOUND}),
    FileKind.EVENTS: frozenset({SampleKind.EVENTS}),
    FileKind.SPOKEN_SPIKES: frozenset({SampleKind.EVENTS}),
}
"""What files may hold."""


@final
class RawEncoder(FileDocument):
    """Reads and encodes new samples as those of a training were.

    Attributes:
        form: What the samples have in common.
        reading: How files become samples; with what values of a table are scaled by.
        encoding: What stood under `[encoding]`.
        classes: Names of the classes.
        flat: Whether the channels of a step stand in one row.
        spikes: Whether trains that enter as they are must be spikes.
        seed: Seed of the Poisson code, whose draws are the same for every new sample.
        scale: Units of the outputs where real values are learnt; of a series those of its values, too.
    """

    FORMAT: ClassVar[str] = "pumice-input"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "description of the input of a pumice network"
    WRITTEN_BY: ClassVar[str] = "pumice train"

    format: str = FORMAT
    version: int = VERSION
    form: SampleForm
    reading: Reading
    encoding: CodeOptions
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    flat: bool = True
    spikes: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    scale: Annotated[OutputScale | None, OMITTED] = None

    @model_validator(mode="after")
    def _together(self) -> "RawEncoder":
        reading, values = self.reading, prod(self.form.shape)
        if self.form.kind not in _KINDS[reading.files]:
            raise ValueError(f"files of {reading.files.value} hold no {self.form.kind.value}")
        if reading.scaling is not None and values % len(reading.scaling.low):
            raise ValueError(f"{len(reading.scaling.low)} channels are scaled, samples have {values} values")
        series = self.form.kind is SampleKind.WINDOWS
        wanted = self.form.shape[1] if series else values
        if reading.files is FileKind.TABLE and len(reading.columns) != wanted:
            raise ValueError(f"a table has {len(reading.columns)} columns, samples have {wanted} values")
        if self.scale is not None and len(self.scale.names) != len(self.classes):
            raise ValueError(f"{len(self.scale.names)} outputs have units, there are {len(self.classes)}")
        if series and (self.scale is None or len(self.scale.names) != wanted):
            raise ValueError("a series has no units for each of its values")
        if reading.files is FileKind.EVENTS and reading.reader is None:
            raise ValueError("recordings of events have no reader")
        if reading.files is FileKind.SOUND and not (0 < self.form.hertz <= FASTEST and reading.rates):
            raise ValueError(f"sound has no sampling rate up to {FASTEST}")
        return self

    @classmethod
    def of(cls, encoder: InputEncoder, seed: int) -> "RawEncoder":
        """Return what encodes new samples as an encoder does those of its data set.

        Args:
            encoder: Encoder of the data set that was learnt.
            seed: Seed of the training.
        """
        data = encoder.data
        return cls(
            form=data.form,
            reading=data.reading,
            encoding=encoder.options,
            classes=data.classes,
            flat=encoder.flat,
            spikes=encoder.sample_encoder.spikes,
            seed=seed,
            scale=data.scale,
        )

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return self._encoder.steps

    @property
    def still(self) -> bool:
        """Whether a sample is one picture or row, which is shown at every step."""
        return self._encoder.still

    def shown_for(self, steps: int) -> "RawEncoder":
        """Return an encoder that shows what is still for so many steps."""
        # A copy would hold what was derived of the former steps.
        return RawEncoder(
            form=self.form,
            reading=self.reading,
            encoding=self.encoding.model_copy(update={"steps": steps}),
            classes=self.classes,
            flat=self.flat,
            spikes=self.spikes,
            seed=self.seed,
            scale=self.scale,
        )

    @property
    def features(self) -> tuple[int, ...]:
        """Shape of a step as it enters."""
        return (self._encoder.channels,) if self.flat else self._encoder.features

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample takes once it is encoded, at least."""
        return self._encoder.bytes_per_sample

    @property
    def changes_nothing(self) -> bool:
        """Whether what is stored is what enters."""
        in_row = self.flat and len(self.form.shape) > len(("steps", "channels"))
        return isinstance(self.encoding, AsIsCode) and self.reading.scaling is None and not in_row

    def read(self, path: PathText) -> RawSamples:
        """Return the samples of a file or folder of the kind that was learnt, not yet encoded.

        Classes of the samples are read where all of them are there: in the column of a table, in the array
        `labels`, or as the names of folders or files. So are real values that are to be said of them. Of a
        series every window is a sample, also the last one, whose next value nobody knows yet.

        Args:
            path: A table, an `.npz` with an array `input`, or a file or folder of pictures, WAV files or
                recordings of events.

        Raises:
            MissingFileError: There is nothing.
            UsageError: It is of another kind, size or rate than what was learnt; says what was expected.
            CorruptArtifactError: A file is damaged, or a class is none of those that were learnt.
        """
        place = path_of(path, "path")
        series = self.form.kind is SampleKind.WINDOWS
        if series and self.scale is not None and place.is_file() and place.suffix.lower() != ".npz":
            return read_windows(self.form, self.reading, self.scale, place)
        raw = read_raw(self.form, self.reading, self.classes, place, self.scale)
        if not series or self.scale is None:
            return raw
        # What a series says next is read of tables only: here it may be a change or a value.
        present = self.scale.normalised(np.asarray(raw.samples)[:, -1])
        return replace(raw, labels=None, present=present)

    def encode(self, samples: Iterable[Any]) -> NDArray[Any]:
        """Return samples as they enter the network, `[samples, steps, *features]`.

        Args:
            samples: Samples as `read` returns them, or of your own: rows of a table, pictures `[C, H, W]`,
                waveforms in -1 .. 1, structured arrays of events, or windows of a series. What was scaled for
                the training is given unscaled.

        Raises:
            ArgumentError: A sample has another shape than those that were learnt, or values that it may not
                have; or they do not fit into the memory.
        """
        given = list(samples)
        if not given:
            raise ArgumentError("samples", "at least one sample", "none")
        excess = budget().excess(2 * len(given) * self.bytes_per_sample)
        if excess:
            raise ArgumentError(
                "samples",
                "samples that fit into the memory",
                f"{len(given)}",
                f"{excess}; encode fewer at once",
            )
        trains = np.stack([self._encoded(sample) for sample in given])
        if not self._encoder.still:
            return trains
        return np.broadcast_to(trains[:, None], (len(trains), self.steps, *trains.shape[1:]))

    @cached_property
    def _encoder(self) -> SampleEncoder:
        return SampleEncoder(self.form, self.encoding, self.flat, spikes=self.spikes)

    def _encoded(self, sample: object) -> NDArray[Any]:
        one = self._checked(sample)[None]
        if self.reading.scaling is not None:
            one = self.reading.scaling.scaled(one)
        if self.form.kind is SampleKind.WINDOWS and self.scale is not None:
            one = self.scale.normalised(one)
        # Every sample draws the same, so that what is said of one does not depend on those beside it.
        return self._encoder.encode(one, np.random.default_rng([self.seed, _STREAM]))[0]

    def _checked(self, sample: object) -> NDArray[Any]:
        """Return a sample once its shape and values are known to be those of samples that were learnt."""
        if self.form.kind is SampleKind.EVENTS:
            # Whoever bins them checks them.
            return np.asarray(sample)
        array = array_of(sample, "samples")
        if self.form.kind is SampleKind.SOUND:
            if array.ndim != 1 or not array.size:
                raise ArgumentError("samples", "waveforms [values]", f"one of shape {list(array.shape)}")
        elif array.shape != self.form.shape:
            flat = array.shape == (prod(self.form.shape),)
            if not flat or self.form.kind is not SampleKind.VALUES:
                raise ArgumentError(
                    "samples",
                    f"samples {list(self.form.shape)}, as those that were learnt",
                    f"one of shape {list(array.shape)}",
                )
            array = array.reshape(self.form.shape)
        check_finite(array, "samples")
        return array
