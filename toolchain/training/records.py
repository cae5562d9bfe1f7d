"""What came out of the epochs of a training: a tuple that shows itself."""

from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, final

from toolchain.errors import UsageError
from toolchain.summary import Summarised, Summary
from toolchain.training.state_file import EpochRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = 5
"""Epochs at the beginning and at the end of a table; those between are left out."""


@final
class Records(Summarised, tuple[EpochRecord, ...]):
    """The records of a training, one for each epoch.

    It is a tuple, equal to one of the same records. Printed it is a line; in a notebook it is a table and
    two curves.
    """

    __slots__ = ()

    def summary(self) -> Summary:
        """Return what the last epoch left, and a row for each of the first and last epochs."""
        validated = any(each.validation_loss is not None for each in self)
        classes = any(each.accuracy is not None for each in self)
        head = ["epoch", "loss", *(["accuracy, %"] if classes else [])]
        if validated:
            head += ["validation loss", *(["validation accuracy, %"] if classes else [])]
        names = [_FIELDS[title] for title in head]
        return Summary(self._line(), head, [[_cell(each, name) for name in names] for each in self._ends()])

    def plot(self) -> "Figure":
        """Return a figure of the loss, and beside it of the accuracy where classes are learnt, by epoch.

        `records.plot().savefig("training.png")` writes it.

        Raises:
            UsageError: There is no epoch.
        """
        if not self:
            raise UsageError("there is no epoch to plot", "train for at least one epoch")
        return _curves().figure_of(self)

    def _repr_html_(self) -> str:
        table = self.summary().to_html()
        return table + _curves().html_of(self) if self else table

    def _ends(self) -> Iterator[EpochRecord]:
        if len(self) <= 2 * _SHOWN:
            return iter(self)
        return chain(self[:_SHOWN], self[-_SHOWN:])

    def _line(self) -> str:
        if not self:
            return "Records of no epoch"
        last = self[-1]
        right = "" if last.accuracy is None else f", accuracy {last.accuracy:.2f} %"
        line = f"Records of {len(self)} epoch{'s' * (len(self) > 1)}: loss {last.loss:.4g}{right}"
        if last.validation_loss is None:
            return line
        other = last.validation_accuracy
        right = "" if other is None else f", accuracy {other:.2f} %"
        return f"{line}; validation loss {last.validation_loss:.4g}{right}"


_FIELDS: Final = {
    "epoch": "epoch",
    "loss": "loss",
    "accuracy, %": "accuracy",
    "validation loss": "validation_loss",
    "validation accuracy, %": "validation_accuracy",
}


def _curves() -> Any:  # noqa: ANN401 - a module, imported when it is needed first, since it needs Matplotlib
    return import_module("toolchain.training.curves")


def _cell(record: EpochRecord, name: str) -> str:
    value = getattr(record, name)
    if value is None:
        return "-"
    return str(value) if name == "epoch" else f"{value:.2f}" if "accuracy" in name else f"{value:.4g}"
