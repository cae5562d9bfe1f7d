"""What a sweep knows of a point: one row of its table."""

from enum import Enum
from typing import Annotated, ClassVar

from pydantic import Field

from toolchain.files.documents import Document, FileDocument

Setting = bool | int | float | str | tuple[bool | int | float | str, ...] | None
"""A value of a key that a sweep varies."""
Percent = Annotated[float, Field(ge=0, le=100)]


class PointState(Enum):
    """How a point ended."""

    DONE = "done"
    FAILED = "failed"
    PRUNED = "pruned"


class Figures(Document):
    """What was measured of a point. None where it does not apply, such as accuracies of real outputs.

    Attributes:
        validation: Accuracy of the real numbers on the samples for validation, in percent.
        fixed_validation: Accuracy of the integers on them.
        validation_rmse: Error of the real numbers on them, in standard deviations, where outputs are real.
        fixed_validation_rmse: Error of the integers on them.
        float_accuracy: Accuracy of the real numbers on the test samples, in percent.
        fixed_accuracy: Accuracy of the integers on the test samples.
        float_rmse: Error of the real numbers on the test samples, in standard deviations.
        fixed_rmse: Error of the integers on the test samples.
        spike_f1: Spike F1 of integers against real numbers, over all populations.
        neurons: Neurons that can fire.
        synapses: Pairs of connected neurons.
        operations: Synaptic operations of the integers per sample.
        cores: Cores of the chip; None for a target that is no chip.
        microjoules: Dynamic energy of a sample on the chip, by the lowest and the highest published figure.
        exact: Per further target, whether its integers were equal bit for bit.
    """

    validation: Percent | None = None
    fixed_validation: Percent | None = None
    validation_rmse: float | None = None
    fixed_validation_rmse: float | None = None
    float_accuracy: Percent | None = None
    fixed_accuracy: Percent | None = None
    float_rmse: float | None = None
    fixed_rmse: float | None = None
    spike_f1: float | None = None
    neurons: int | None = None
    synapses: int | None = None
    operations: float | None = None
    cores: int | None = None
    microjoules: tuple[float, float] | None = None
    exact: dict[str, bool] = Field(default_factory=dict)


class PointRow(FileDocument):
    """A point of a sweep that has ended.

    Attributes:
        name: Name of the point: a hash of all that decides it.
        settings: The keys that the sweep varies, with the values that this point has.
        state: How it ended.
        error: What went wrong; empty if nothing did.
        run: The RUN folder, relative to that of the sweep; empty if there is none.
        build: The BUILD folder, likewise.
        figures: What was measured.
        train_seconds: Time that its training took, of whichever point of the same run trained.
        compile_seconds: Time that compiling and comparing took.
        worker: Where it was computed: host and process.
    """

    FORMAT: ClassVar[str] = "pumice-sweep-point"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "row of a pumice sweep"
    WRITTEN_BY: ClassVar[str] = "pumice sweep"

    format: str = FORMAT
    version: int = VERSION
    name: str
    settings: dict[str, Setting]
    state: PointState
    error: str = ""
    run: str = ""
    build: str = ""
    figures: Figures = Figures()
    train_seconds: float | None = None
    compile_seconds: float | None = None
    worker: str = ""
