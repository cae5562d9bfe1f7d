"""Curves of a training by epoch, as figures."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toolchain.pages import ACCENT, WARM, panel, panels
from toolchain.training.state_file import EpochRecord

_TITLES: Final = {"loss": "loss", "accuracy": "accuracy, %"}
_PANEL: Final = (3.4, 2.3)
"""Inches of one curve."""


def figure_of(records: Sequence[EpochRecord]) -> Figure:
    """Return a figure of the loss, and beside it of the accuracy where classes are learnt."""
    curves = _curves(records)
    figure = Figure(figsize=(_PANEL[0] * len(curves), _PANEL[1]), layout="constrained")
    for place, name in enumerate(curves):
        _draw(figure.add_subplot(1, len(curves), place + 1), name, records)
    return figure


def html_of(records: Sequence[EpochRecord]) -> str:
    """Return the same as HTML, a figure for each curve."""
    drawn: list[tuple[str, Any]] = []
    for name in _curves(records):
        axes = panel("epoch", _TITLES[name])
        _draw(axes, name, records)
        drawn.append((_TITLES[name], axes))
    return str(panels(drawn))


def _curves(records: Sequence[EpochRecord]) -> list[str]:
    return ["loss", *(["accuracy"] if any(each.accuracy is not None for each in records) else [])]


def _draw(axes: Any, name: str, records: Sequence[EpochRecord]) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Draw a curve of training and, if there is any, of validation."""
    for field, colour, label in ((name, ACCENT, "training"), (f"validation_{name}", WARM, "validation")):
        values = [(each.epoch, getattr(each, field)) for each in records]
        known = [(epoch, value) for epoch, value in values if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), color=colour, label=label, marker=".")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel(_TITLES[name], fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize=8)
