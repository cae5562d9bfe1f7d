"""New samples before they are encoded, with all that stands beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.sets.data_set import Stored
from toolchain.errors import CorruptArtifactError

NAMES: Final = 300
"""Characters of names of columns or classes that a message shows."""


@final
@dataclass(frozen=True)
class RawSamples:
    """New samples, not yet encoded.

    Attributes:
        samples: Samples by index; those of files are read when they are asked for.
        sources: Where each comes from: the name of its file, or its row; empty where they have no names.
        labels: Class of each sample, or what is to be said of it in the units of the network, if all of them
            are known.
        lengths: Number of valid steps of each sample; None if all are valid.
        present: Last value of each window of a series; None for what is none.
    """

    samples: Stored
    sources: tuple[str, ...] = ()
    labels: NDArray[Any] | None = None
    lengths: NDArray[np.int64] | None = None
    present: Floats | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, places: slice) -> "RawSamples":
        """Return the samples of a slice."""
        return RawSamples(
            self.samples[places],
            self.sources[places],
            None if self.labels is None else self.labels[places],
            None if self.lengths is None else self.lengths[places],
            None if self.present is None else self.present[places],
        )


def named_classes(
    words: Sequence[str], sources: Sequence[str], classes: Sequence[str], path: Path
) -> NDArray[np.int64] | None:
    """Return the numbers of the classes that words name; None where none of them names one.

    Raises:
        CorruptArtifactError: Some name a class, and one does not.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    if not any(word in numbers for word in words):
        return None
    for word, source in zip(words, sources, strict=True):
        if word not in numbers:
            raise CorruptArtifactError(
                path,
                f"{source}: class '{word}' was not learnt, and those of other samples were; learnt: "
                f"{', '.join(classes)[:NAMES]}",
            )
    return np.array([numbers[word] for word in words], np.int64)
