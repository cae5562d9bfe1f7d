"""How a network continues a series by its own predictions, in real numbers and in integers."""

from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
from pydantic import Field

from toolchain.arrays import Floats
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.outputs import OutputForm, Size
from toolchain.files.documents import Document

_CLOSE = 1e-9


@final
class ForecastFigures(Document):
    """Root mean square errors of forecasts, in standard deviations of the training part.

    Attributes:
        starts: Number of windows from which the series was continued.
        float_rmse: Error of the real numbers, for each value after the window.
        fixed_rmse: Error of the integers, likewise.
        persistence_rmse: Error of holding the last value of the window, likewise.
    """

    starts: Annotated[int, Field(ge=1, lt=2**63)]
    float_rmse: tuple[Size, ...]
    fixed_rmse: tuple[Size, ...]
    persistence_rmse: tuple[Size, ...]


@final
@dataclass(frozen=True)
class Continuation:
    """Forecasts beside the truth; all values have mean 0 and deviation 1 over the training part.

    Attributes:
        form: What outputs mean.
        history: Windows from which it goes on, `[starts, window, D]`.
        truth: What follows, `[starts, horizon, D]`.
        real: What the real numbers say, likewise.
        fixed: What the integers say, likewise.
    """

    form: OutputForm
    history: Floats
    truth: Floats
    real: Floats
    fixed: Floats

    @property
    def figures(self) -> ForecastFigures:
        """Errors for each value after the window."""
        last = np.broadcast_to(self.history[:, -1:], self.truth.shape)
        errors = [
            tuple(np.sqrt(np.mean((said - self.truth) ** 2, axis=(0, 2))).tolist())
            for said in (self.real, self.fixed, last)
        ]
        return ForecastFigures(
            starts=len(self.truth), float_rmse=errors[0], fixed_rmse=errors[1], persistence_rmse=errors[2]
        )


def series_in(stimulus: Stimulus, form: OutputForm) -> Floats:
    """Return the series that the windows of a stimulus lie in, as far as one follows the other.

    Args:
        stimulus: Samples with labels and present values.
        form: What labels mean.

    Returns:
        Normalised values `[time, D]`: the present value of each window, and what follows the last one; none
        where nothing says them.
    """
    labels, present = stimulus.labels, stimulus.present
    if labels is None or present is None or not stimulus.real:
        return np.zeros((0, len(form.scale.names)))
    after = present + labels if form.increments else labels
    breaks = np.flatnonzero((np.abs(after[:-1] - present[1:]) > _CLOSE).any(axis=1))
    end = int(breaks[0]) + 1 if len(breaks) else len(present)
    return np.concatenate([present[:end], after[end - 1 : end]])
