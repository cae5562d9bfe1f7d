"""Pages: one HTML file each that needs no network, readable on a phone and on paper."""

from toolchain.pages.page import (
    ACCENT,
    INK,
    WARM,
    Table,
    bin_edges,
    number,
    panel,
    panels,
    plain,
    sentence,
    write_page,
)

__all__ = [
    "ACCENT",
    "INK",
    "WARM",
    "Table",
    "bin_edges",
    "number",
    "panel",
    "panels",
    "plain",
    "sentence",
    "write_page",
]
