"""`[search]` of a sweep file: what is looked for, among which values, and for how long."""

import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, Self, final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from toolchain.files.documents import Document, explain
from toolchain.sweep.dotted import flat_keys
from toolchain.sweep.rows import Setting
from toolchain.workflow.sections.numbers import Positive, Seed

_WHOLE_STEPS: Final = 1e-9
"""How far the number of steps from the low to the high end may be from a whole one."""
Number = float | Annotated[int, Field(ge=-(2**53), le=2**53)]
"""An end of a range. A float holds every whole number up to there."""


class Objective(Enum):
    """What a search makes better. All are measured on the samples for validation."""

    ACCURACY = "accuracy"
    RMSE = "rmse"
    OPERATIONS = "operations"
    CORES = "cores"
    MICROJOULES = "microjoules"

    @property
    def maximized(self) -> bool:
        """Whether more is better."""
        return self is Objective.ACCURACY


FAITHFUL: Final = frozenset((Objective.ACCURACY, Objective.RMSE))
"""Objectives that say how well the network does its task."""


class Range(Document):
    """Numbers from `low` to `high`, both included: whole ones if both ends and the step are whole.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether a factor counts, and not a difference: 0.01 .. 0.1 is as likely as 0.1 .. 1.
        step: Distance of neighbours; 1 for whole numbers and none for real ones unless given.
    """

    low: Number = Field(description="smallest value")
    high: Number = Field(description="largest value")
    log: bool = Field(default=False, description="whether a factor counts, and not a difference")
    step: Number | None = Field(
        default=None, description="distance of neighbours; by default 1 for whole numbers, none for real ones"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high, step = self.low, self.high, self.step
        if not low < high:
            raise ValueError(f"expected low < high, got low = {low} and high = {high}")
        if not math.isfinite(high - low):
            raise ValueError(f"expected ends that are not so far apart, got {low} .. {high}")
        if self.log and low <= 0:
            raise ValueError(f"expected low > 0 for log = true, got low = {low}")
        if step is not None:
            if self.log:
                raise ValueError("a step goes with log = false only, since steps of a factor are not equal")
            if not 0 < step <= high - low:
                raise ValueError(f"expected a step of more than 0 and at most {high - low}, got {step}")
            steps = (high - low) / step
            if not math.isfinite(steps):
                raise ValueError(f"expected a step that is not so small beside {low} .. {high}, got {step}")
            if abs(round(steps) - steps) > _WHOLE_STEPS:
                raise ValueError(
                    f"expected ends a whole number of steps apart, got {low} .. {high} by {step}"
                )
        return self

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))

    @property
    def ends(self) -> tuple[int | float, int | float]:
        """The smallest and the largest value."""
        return (self.low, self.high) if self.whole else (float(self.low), float(self.high))

    def __contains__(self, value: object) -> bool:
        """Return whether a value is one of the range."""
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            return False
        if self.whole and value != round(value):
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=_WHOLE_STEPS)


_OF_A_RANGE: Final = frozenset(Range.model_fields)

Choices = Annotated[tuple[Setting, ...], Field(min_length=1)]
"""Values that have no order."""
Space = Choices | Range
"""Values that a key may have."""
_CHOICES: Final = TypeAdapter[tuple[Setting, ...]](
    Choices, config=ConfigDict(strict=True, allow_inf_nan=False)
)


@final
class SearchSection(Document):
    """`[search]`: values are chosen by what the points before them have measured.

    Nothing is judged by test samples: a search needs `data.validation_fraction` above 0.
    """

    trials: Positive = Field(
        default=40, description="points that are tried, the file's own settings included"
    )
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = Field(
        default=(Objective.ACCURACY, Objective.OPERATIONS),
        description="what becomes better, measured on the validation part: accuracy or rmse of the integers, "
        "operations, cores, microjoules",
    )
    sampler: Literal["tpe", "nsga2", "random"] = Field(
        default="tpe",
        description="tpe (Parzen estimators, for one or several objectives), nsga2 (evolution, for several "
        "objectives and hundreds of trials) or random",
    )
    seed: Seed = Field(default=0, description="of the sampler")
    startup: Positive = Field(default=10, description="trials at random before the sampler learns from them")
    batch: Positive = Field(
        default=4,
        description="trials that are chosen together; the next ones wait for all of them, so that a search "
        "is the same with any number of workers",
    )
    prune: bool = Field(
        default=False,
        description="whether a training ends early that does worse after an epoch than half of those before "
        "it; with accuracy or rmse as the only objective",
    )
    space: dict[str, Space] = Field(
        min_length=1, description="values by dotted key: a list of choices, or { low, high, log, step }"
    )

    @field_validator("space", mode="wrap")
    @classmethod
    def _read_space(cls, value: Any, usual: object) -> dict[str, Space]:  # noqa: ANN401 - stands in a file
        """Read key by key, since the usual error would not name a key with dots."""
        del usual
        if not isinstance(value, Mapping) or not value:
            raise ValueError(
                'expected keys with their values, such as "model.gain" = { low = 0.5, high = 2.0 }'
            )
        return {key: _space(key, values) for key, values in flat_keys(value, _OF_A_RANGE).items()}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("expected each of the objectives once")
        if set(self.objectives) >= FAITHFUL:
            raise ValueError("'accuracy' is for classes and 'rmse' for real outputs; give one of them")
        if self.prune and (len(self.objectives) > 1 or not FAITHFUL.intersection(self.objectives)):
            raise ValueError(
                "prune = true goes with accuracy or rmse as the only objective: with several, a training "
                "that does worse in one may be the best in another; leave out 'prune' or the other objectives"
            )
        if self.sampler == "nsga2" and len(self.objectives) == 1:
            raise ValueError("sampler 'nsga2' is for several objectives; use 'tpe' or 'random' for one")
        return self

    def ends(self) -> list[dict[str, Setting]]:
        """Return settings that must all be accepted where the file is read: every choice and both ends.

        Each sets one key; keys may still contradict one another, which then shows in the trial.
        """
        return [
            {key: value}
            for key, values in self.space.items()
            for value in (values.ends if isinstance(values, Range) else values)
        ]


def _space(key: str, values: object) -> Space:
    """Return the values of a key."""
    # As text, in which a list can be read as a tuple, but no text as a number.
    content = json.dumps(values, default=str)
    try:
        choices = (
            Range.model_validate_json(content) if isinstance(values, Mapping) else _choices(key, content)
        )
    except ValidationError as error:
        place, reason = explain(error)
        inside = f"'{place}' " if place else ""
        raise ValueError(f'"{key}": {inside}{reason}') from None
    if not isinstance(choices, Range) and len({json.dumps(each) for each in choices}) < len(choices):
        raise ValueError(f'"{key}": expected each of the choices once')
    return choices


def _choices(key: str, content: str) -> tuple[Setting, ...]:
    try:
        return _CHOICES.validate_json(content)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        if not place:
            raise
        values = json.loads(content)
        raise ValueError(
            f'"{key}": expected numbers, texts, true, false, and lists of those, got {values[int(place[0])]}'
        ) from None
