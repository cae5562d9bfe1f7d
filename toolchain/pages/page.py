"""Pages: figures as inline SVG, tables, and templates that share one base."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import matplotlib as mpl
import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolchain.files.atomic import write_text
from toolchain.summary import are_numbers

INK: Final = "#1f2933"
ACCENT: Final = "#0b7285"
WARM: Final = "#c2410c"
_LARGE: Final = 1000
_CODE: Final = re.compile("`([^`]+)`")
_ALIKE: Final = 1e-9
"""Relative difference below which values are one, written with rounding errors."""
_PANEL: Final = (3.4, 2.3)
"""Inches. At a phone's width the text of a panel keeps its size."""


@final
@dataclass(frozen=True)
class Table:
    """A table of a page.

    On a narrow screen, one of more than four columns becomes a card per row, or scrolls if it has many rows.

    Attributes:
        caption: What it shows and how to read it, in a sentence or two.
        columns: Heads of the columns; the first column names the row.
        rows: Cells of each row, in the order of the columns.
        sortable: Whether a tap on a head sorts the rows.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    sortable: bool = False

    @property
    def texts(self) -> list[bool]:
        """Whether each column holds texts, which begin at one place as numbers end at one."""
        return [not are_numbers(row[i] for row in self.rows) for i in range(len(self.columns))]


def write_page(path: Path, package: str, template: str, **values: object) -> None:
    """Render a template and write the page, atomically.

    Args:
        path: Where the page is written.
        package: Package whose `templates` folder holds the template; those of this package are found too.
        template: Name of the template.
        values: What the template shows.
    """
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("toolchain.pages")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["sentence"] = sentence
    macros: Any = environment.get_template("table.html.j2").module
    page = environment.get_template(template).render(number=number, show=macros.show, **values)
    write_text(path, page)


def panel(xlabel: str, ylabel: str, *, height: float = _PANEL[1]) -> Any:  # noqa: ANN401 - matplotlib's Axes
    """Return the axes of a small figure of its own, with titles on both."""
    axes: Any = Figure(figsize=(_PANEL[0], height), layout="constrained").subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    return axes


def panels(drawn: Sequence[tuple[str, Any]]) -> Markup:
    """Return figures with their titles, as many side by side as the screen has room for.

    Args:
        drawn: Title and axes of each, in order.
    """
    figures = Markup("").join(
        Markup("<figure><figcaption>{}</figcaption>{}</figure>").format(title, _svg(axes.figure, title))
        for title, axes in drawn
    )
    return Markup('<div class="panels">{}</div>').format(figures)


def bin_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the edges of the bins of a histogram.

    Values that differ by rounding only have too few numbers between them for so many bins. They get those of
    a single value.

    Args:
        values: What is counted; infinite values lie in no bin.
        bins: Number of bins.
    """
    finite = values[np.isfinite(values)]
    lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    largest = max(abs(lowest), abs(highest))
    if highest - lowest <= _ALIKE * largest:
        reach = largest / 2 or 0.5
        lowest, highest = lowest - reach, highest + reach
    return np.linspace(lowest, highest, bins + 1)


def _svg(figure: Figure, label: str) -> Markup:
    """Return a figure as inline SVG. The text comes from matplotlib, which escapes labels."""
    buffer = io.StringIO()
    # Hash salt: the same content gives the same bytes. Text stays text.
    with mpl.rc_context({"svg.hashsalt": "pumice", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    # Names of groups would be the same in every figure; nothing refers to them.
    text = re.sub(r'<g id="\w+_\d+">', "<g>", text[text.index("<svg") :])
    # The page says once which fonts it uses, not with every text.
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))  # noqa: S704


def plain(name: str) -> str:
    """Return a name for a figure, in which a dollar sign would begin a formula."""
    return name.replace("$", r"\$")


def number(value: float) -> str:
    """Return a count in full and anything else with two decimals."""
    return f"{value:,.0f}" if value == round(value) or value >= _LARGE else f"{value:.2f}"


def sentence(text: str) -> Markup:
    """Return a text as a sentence of a page: a capital at its start, a full stop, code instead of backticks.

    Names inside keep their letters.
    """
    whole = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(whole))))  # noqa: S704 - escaped before
