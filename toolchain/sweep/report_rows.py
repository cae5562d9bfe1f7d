"""Rows of the tables in the report of a sweep, with links to the reports of their points."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from toolchain.pages import Table
from toolchain.sweep.overview import figure_cells
from toolchain.sweep.results import Design, shown_settings
from toolchain.sweep.rows import PointRow

_MOST_LINKS: Final = 8
"""Points of a design that are linked."""


def designs_table(
    caption: str,
    designs: Sequence[Design],
    keys: Sequence[str],
    columns: Mapping[str, str],
    *,
    labels: tuple[str, Sequence[str]],
    sortable: bool = False,
) -> Table:
    """Return a table with a row for every design.

    Args:
        caption: What it shows.
        designs: The designs.
        keys: Keys that are shown.
        columns: Figures by the heads of their columns.
        labels: Head and cells of the first column.
        sortable: Whether a tap on a head sorts it.
    """
    head, cells = labels
    return Table(
        caption,
        # Links stand in front, since a page that is not wide cuts the last columns off.
        (head, "reports", *keys, *columns),
        [
            (
                label,
                Markup(" ").join(links(row) for row in each.rows[:_MOST_LINKS])
                + (f" and {len(each.rows) - _MOST_LINKS} more" if len(each.rows) > _MOST_LINKS else ""),
                *shown_settings(each.settings, keys),
                *figure_cells(each, columns),
            )
            for label, each in zip(cells, designs, strict=True)
        ],
        sortable=sortable,
    )


def links(row: PointRow) -> Markup:
    """Return links to the report and the run of a point, as the page sees them."""
    # Quoted, the text of a file is a path and nothing else.
    build = Markup('<a href="{}/report.html">report</a>').format(quote(row.build)) if row.build else Markup()
    run = Markup('<a href="{}/">run</a>').format(quote(row.run)) if row.run else Markup()
    return Markup(" ").join(each for each in (build, run) if each)
