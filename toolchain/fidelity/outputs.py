"""Real outputs: what they mean, and how far they are from what is true and from what needs no network."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, final

import numpy as np
from pydantic import Field

from toolchain.arrays import Floats
from toolchain.data.codes.options import WindowCodeOptions
from toolchain.data.sets.output_scale import OutputScale
from toolchain.fidelity.exact_sum import ExactSum, rounded
from toolchain.files.documents import OMITTED, Document, omitted

_Extent = Annotated[int, Field(gt=0, lt=2**31)]
Size = Annotated[float, Field(ge=0)]


@final
class ForecastForm(Document):
    """How a network forecasts a series.

    Attributes:
        window: Values that it is shown.
        horizon: Values that it continues on its own predictions when it is compared.
        increments: Whether it says the change from the last value of the window instead of the value.
        encoding: Code by which values enter.
    """

    window: _Extent
    horizon: _Extent
    increments: bool
    encoding: WindowCodeOptions


@final
class OutputForm(Document):
    """What real outputs mean.

    Attributes:
        scale: Names and units.
        forecast: How a series goes on; None for what is no series.
    """

    scale: OutputScale
    forecast: Annotated[ForecastForm | None, OMITTED] = None

    @property
    def increments(self) -> bool:
        """Whether outputs are changes from the present value."""
        return self.forecast is not None and self.forecast.increments

    def values(self, outputs: Floats, present: Floats | None) -> Floats:
        """Return outputs or labels in the units of the data.

        Args:
            outputs: What a network says or should say, `[samples, outputs]`.
            present: Last values of the samples; without them a change stays one.
        """
        if not self.increments:
            return self.scale.in_units(outputs)
        if present is None:
            return outputs * np.array(self.scale.deviation)
        return self.scale.in_units(present + outputs)


@final
class OutputError(Document):
    """Root mean square error of what was said.

    Attributes:
        rmse: Error of every output, in the units of the data.
        together: Error of all outputs, each in standard deviations of the training part.
        r_squared: Share of the variance of the truth that is said, per output, at most 1; None where it never
            changes.
    """

    rmse: tuple[Size, ...]
    together: Size
    r_squared: Annotated[tuple[float | None, ...], omitted(())] = ()


@final
class OutputErrors(Document):
    """How far real outputs are from the truth.

    Attributes:
        names: Name of each output.
        normalised: Whether `together` counts standard deviations of the training part, and no units of the
            network.
        float_error: Error of the real numbers; None without labels.
        fixed_error: Error of the integers; None without labels, or where only real numbers were run.
        difference: Difference between real numbers and integers; None where only real numbers were run.
        mean_error: Error of always saying the mean of the training part; None where it is not known.
        persistence_error: Error of holding the last value of a series; None for what is none.
    """

    names: tuple[str, ...]
    normalised: bool
    float_error: OutputError | None = None
    fixed_error: OutputError | None = None
    difference: OutputError | None = None
    mean_error: OutputError | None = None
    persistence_error: OutputError | None = None

    @property
    def unit(self) -> str:
        """The unit in which errors of all outputs are counted together."""
        return "standard deviations" if self.normalised else "units of the network"

    @property
    def error_rise(self) -> float | None:
        """How much larger the error of the integers is than that of the real numbers, in percent."""
        if self.float_error is None or self.fixed_error is None or not self.float_error.together:
            return None
        return 100 * (self.fixed_error.together / self.float_error.together - 1)

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the heads of a table, and a row for every output and one for all together."""
        named = {
            "RMSE": self.float_error,
            "RMSE, integers": self.fixed_error,
            "integers from float": self.difference,
            "training mean": self.mean_error,
            "last value": self.persistence_error,
        }
        shown = {name: error for name, error in named.items() if error is not None}
        shares = {
            name: error.r_squared
            for name, error in (("R²", self.float_error), ("R², integers", self.fixed_error))
            if error is not None
        }
        rows = [
            [
                name,
                *(f"{error.rmse[i]:.4g}" for error in shown.values()),
                *("-" if share[i] is None else f"{share[i]:.4f}" for share in shares.values()),
            ]
            for i, name in enumerate(self.names)
        ]
        if len(self.names) > 1 or self.normalised:
            together = [f"{error.together:.4g}" for error in shown.values()]
            rows.append([f"all, in {self.unit}", *together, *("" for _ in shares)])
        return ["output", *shown, *shares], rows

    def sentence(self) -> str:
        """Return the errors of all outputs together in a sentence."""
        named = {
            "network" if self.fixed_error is None else "float": self.float_error,
            "integers": self.fixed_error,
            "always the training mean": self.mean_error,
            "holding the last value": self.persistence_error,
        }
        said = [f"{name} {error.together:.4g}" for name, error in named.items() if error is not None]
        if not said and self.difference is not None:
            said = [f"integers from float {self.difference.together:.4g}"]
        return f"RMSE in {self.unit}: {', '.join(said)}"


@final
class OutputTally:
    """Adds up the errors of one or two executions of a network, part by part.

    All sums are exact, so no figure depends on how samples are divided into parts.

    Args:
        names: Name of each output.
        form: What outputs mean; None where nobody said it: then they are in the units of the network.
    """

    def __init__(self, names: Sequence[str], form: OutputForm | None = None) -> None:
        self._names, self._form = tuple(names), form
        self._samples = 0
        self._squares: dict[str, list[ExactSum]] = {}
        self._truth = [ExactSum() for _ in self._names]

    def add(
        self, said: Sequence[Floats], labels: Floats | None = None, present: Floats | None = None
    ) -> None:
        """Add the next samples.

        Args:
            said: Outputs `[samples, outputs]` of the real numbers, and of the integers if they ran.
            labels: What should be said, likewise; for all samples or for none.
            present: Last values of the samples, likewise.
        """
        self._samples += len(said[0])
        if len(said) > 1:
            self._square("difference", said[1] - said[0])
        if labels is None:
            return
        for name, each in zip(("float", "fixed"), said, strict=False):
            self._square(name, each - labels)
        form = self._form
        truth = labels + present if form is not None and form.increments and present is not None else labels
        for total, column in zip(self._truth, truth.T, strict=True):
            total.add(column.tolist())
        self._square("truth", truth)
        if form is None or form.forecast is None:
            return
        if form.increments:
            self._square("persistence", labels)
        elif present is not None:
            self._square("persistence", labels - present)

    def include(self, other: "OutputTally") -> None:
        """Add all that was added to another tally of the same outputs."""
        self._samples += other._samples
        for name, sums in other._squares.items():
            own = self._squares.setdefault(name, [ExactSum() for _ in self._names])
            for total, each in zip(own, sums, strict=True):
                total.include(each)
        for total, each in zip(self._truth, other._truth, strict=True):
            total.include(each)

    def _square(self, name: str, errors: Floats) -> None:
        sums = self._squares.setdefault(name, [ExactSum() for _ in self._names])
        for total, column in zip(sums, np.square(errors).T, strict=True):
            total.add(column.tolist())

    def result(self, *, present: bool = True) -> OutputErrors:
        """Return the figures of all samples that were added.

        Args:
            present: Whether every sample came with its last value, where outputs are changes.
        """
        centred = self._form is not None and (present or not self._form.increments)
        return OutputErrors(
            names=self._names,
            normalised=self._form is not None,
            float_error=self._error("float", shares=True),
            fixed_error=self._error("fixed", shares=True),
            difference=self._error("difference"),
            mean_error=self._error("truth") if centred else None,
            persistence_error=self._error("persistence"),
        )

    def _error(self, name: str, *, shares: bool = False) -> OutputError | None:
        sums = self._squares.get(name)
        if sums is None:
            return None
        means = [each.exact / self._samples for each in sums]
        units = (1.0,) * len(means) if self._form is None else self._form.scale.deviation
        return OutputError(
            rmse=tuple(math.sqrt(rounded(mean)) * unit for mean, unit in zip(means, units, strict=True)),
            together=math.sqrt(rounded(sum(means, Fraction()) / len(means))),
            r_squared=self._shares(means) if shares else (),
        )

    def _shares(self, means: list[Fraction]) -> tuple[float | None, ...]:
        """Return the coefficient of determination of every output."""
        squares = self._squares["truth"]
        variances = [
            each.exact / self._samples - (total.exact / self._samples) ** 2
            for each, total in zip(squares, self._truth, strict=True)
        ]
        shares = (
            rounded(1 - mean / variance) if variance > 0 else -math.inf
            for mean, variance in zip(means, variances, strict=True)
        )
        return tuple(share if math.isfinite(share) else None for share in shares)
