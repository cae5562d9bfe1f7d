"""`[task]`: what is learnt: classes, real values of each sample, or how a series goes on."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field

from toolchain.data.sets.data_set import DataSet
from toolchain.data.sets.options import DATA_KINDS, CsvData, DataOptions, NpzData
from toolchain.errors import ExperimentError
from toolchain.files.documents import Document

Positive = Annotated[int, Field(gt=0, lt=2**20)]


class ClassificationTask(Document):
    """`[task]`: say the class of every sample."""

    name: Literal["classification"] = Field(description="task")


class RegressionTask(Document):
    """`[task]`: say real values of every sample, learnt by squared error."""

    name: Literal["regression"] = Field(description="task")


class ForecastTask(Document):
    """`[task]`: say how a series goes on after a window of its values, learnt by squared error."""

    name: Literal["forecast"] = Field(default="forecast", description="task")
    window: Positive = Field(default=12, description="values that the network is shown")
    horizon: Positive = Field(
        default=10, description="values that it continues on its own predictions when it is compared"
    )
    increments: bool = Field(
        default=True, description="whether it says the change from the last value instead of the value"
    )


TaskOptions = Annotated[ClassificationTask | RegressionTask | ForecastTask, Field(discriminator="name")]
"""What may stand under `[task]`."""
TASK_KINDS: Final[tuple[type[Document], ...]] = get_args(get_args(TaskOptions)[0])
"""All of that, kind by kind."""


def is_series(data: DataOptions) -> bool:
    """Return whether data are a series to forecast."""
    if isinstance(data, CsvData):
        return not data.label and not data.targets
    return data.SERIES


def usual_code(data: Mapping[str, Any]) -> str:
    """Return the encoding that data have if an experiment names none.

    Args:
        data: What stands under `[data]` in the file.
    """
    if data.get("name") == "csv" and not data.get("label") and not data.get("targets"):
        return "values"
    kinds = (
        kind for kind in DATA_KINDS if data.get("name") in get_args(kind.model_fields["name"].annotation)
    )
    return next((kind.CODE for kind in kinds), "rate")


def usual_task(data: DataOptions) -> str:
    """Return the task of data, as far as they are known before they are read; empty for arrays."""
    if is_series(data):
        return "forecast"
    if isinstance(data, NpzData):
        return ""
    return "regression" if isinstance(data, CsvData) and data.targets else "classification"


def named_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands under `[task]` with its name, where its keys belong to one kind only."""
    only = ForecastTask.model_fields.keys() - {"name"}
    return ({"name": "forecast"} if only & task.keys() else {}) | dict(task)


def check_task(data: DataOptions, task: TaskOptions | None) -> None:
    """Raise for a task that data are not made for, and for keys of samples in a series.

    Args:
        data: What stands under `[data]`.
        task: What stands under `[task]`; None for what suits the data.

    Raises:
        ExperimentError: Names the key, and says what to do.
    """
    suits = usual_task(data)
    if isinstance(data, CsvData):
        _check_table(data)
    if task is None or task.name == suits or (not suits and task.name != "forecast"):
        return
    raise ExperimentError("task.name", _misfit(data, suits or "classification or regression", task.name))


def check_opened(data: DataSet, task: TaskOptions | None) -> None:
    """Raise if a task asks for classes where the samples have real labels, or the other way round.

    Raises:
        ExperimentError: Says what to do.
    """
    got = "classification" if data.scale is None else "regression"
    if isinstance(task, ClassificationTask | RegressionTask) and task.name != got:
        labels = "classes, whole numbers" if data.scale is None else "real numbers"
        remedy = (
            "store them as real numbers [samples, outputs]" if data.scale is None else "number classes from 0"
        )
        raise ExperimentError("task.name", f"is '{task.name}', but `labels` are {labels}: {remedy}")


def _misfit(data: DataOptions, suits: str, asked: str) -> str:
    """Return why data do not suit a task, and what to do."""
    if is_series(data):
        reason = f"is '{asked}', but data '{data.name}' are a series to forecast"
        own = "; name the column of the classes by `label`, or what is to be said of a row by `targets`"
        return f"{reason}{own if isinstance(data, CsvData) else ': leave [task] out'}"
    reason = f"is '{asked}', but data '{data.name}' are samples for {suits}"
    if isinstance(data, CsvData):
        key = "targets" if data.targets else "label"
        other = "name `targets` instead" if asked == "regression" else "for a series that follows itself"
        return f"{reason}, since `{key}` is given: leave it out, {other}"
    if asked == "forecast":
        return (
            f"{reason}: a series is a table without `label` and `targets`, lorenz63, rossler or mackey_glass"
        )
    return f"{reason}: real values come from csv with `targets` or from npz"


def _check_table(data: CsvData) -> None:
    if data.label and data.targets:
        raise ExperimentError(
            "data.targets", "does not go with `label`: a row has classes or values to learn"
        )
    if is_series(data):
        for key, value in (("test_path", data.test_path), ("frames", data.frames != 1)):
            if value:
                raise ExperimentError(
                    f"data.{key}",
                    "is of samples; without `label` or `targets` the rows are a series, split in time",
                )
