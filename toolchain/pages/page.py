"""Figures as inline SVG, and templates that share one base."""

import io
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from toolchain.files.atomic import write_text

INK: Final = "#1f2933"
ACCENT: Final = "#0b7285"
WARM: Final = "#d9480f"
_LARGE: Final = 1000


def write_page(path: Path, package: str, template: str, **values: object) -> None:
    """Render a template and write the page, atomically.

    Args:
        path: The file.
        package: Whose `templates` folder holds the template; `base.html.j2` is found from any.
        template: Its name.
        values: What it shows.
    """
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("toolchain.pages")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    page = environment.get_template(template).render(number=number, **values)
    write_text(path, page)


def svg(figure: Figure) -> Markup:
    """Return a figure as inline SVG. The text comes from matplotlib, which escapes labels."""
    buffer = io.StringIO()
    # Hash salt: the same content gives the same bytes. Text stays text.
    with mpl.rc_context({"svg.hashsalt": "pumice", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])  # noqa: S704 - see the docstring


def subplots(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Any]:
    """Return a figure and its axes `[rows, columns]`; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    return figure, axes


def number(value: float) -> str:
    """Return a count in full and anything else with two decimals."""
    return f"{value:,.0f}" if value == round(value) or value >= _LARGE else f"{value:.2f}"
