"""What the real outputs of a network mean in the units of the data, and how they are normalised."""

from typing import Annotated, Self, final

import numpy as np
from pydantic import Field, model_validator

from toolchain.arrays import Floats
from toolchain.errors import SeriesError
from toolchain.files.documents import Document

_Deviation = Annotated[float, Field(gt=0)]


@final
class OutputScale(Document):
    """Names and units of real outputs. What is learnt has mean 0 and deviation 1 over the training part.

    Attributes:
        names: Name of each output.
        mean: Mean of each over the training part, in the units of the data.
        deviation: Standard deviation of each, likewise.
    """

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    mean: tuple[float, ...]
    deviation: tuple[_Deviation, ...]

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if not len(self.names) == len(self.mean) == len(self.deviation):
            raise ValueError("expected a name, a mean and a deviation for every output")
        return self

    @classmethod
    def of(cls, values: Floats, names: tuple[str, ...], path: object) -> Self:
        """Return the scale of values by their mean and deviation.

        Args:
            values: Values of the training part, `[samples, outputs]`.
            names: Name of each output.
            path: What they were read from, for errors.

        Raises:
            SeriesError: An output never changes, or is too large for its square.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = values.mean(axis=0), values.std(axis=0)
        for name, spread in zip(names, deviation, strict=True):
            if not 0 < spread < np.inf:
                what = "never changes in the training part" if spread == 0 else "is too large to be squared"
                raise SeriesError(str(path), f"'{name}' {what}: nothing can be learnt of it")
        return cls(names=names, mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))

    def normalised(self, values: Floats) -> Floats:
        """Return values of the data, `[..., outputs]`, as a network learns them."""
        return (values - np.array(self.mean)) / np.array(self.deviation)

    def in_units(self, values: Floats) -> Floats:
        """Return normalised values, `[..., outputs]`, in the units of the data."""
        return np.array(self.mean) + np.array(self.deviation) * values
