"""The map of a chip: which layer lies on which core, how full it is, what runs between the routers."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Final

from markupsafe import Markup

from toolchain.pages import INK, number
from toolchain.target.chip_fit import CoreLoad, Fit

SHOWN_CHIPS: Final = 6
_FULL: Final = "#f08c00"
"""Colour of a core whose scarcest resource is used up; letters of ink can be read on it."""
_PITCH, _EXTENT, _MARGIN, _WIDEST = 44, 34, 26, 7


def layer_letters(fit: Fit) -> dict[str, str]:
    """Return a short mark for every layer, by its name: A to Z, then A2 to Z2 and so on."""
    rounds = [(chr(ord("A") + i % 26), i // 26 + 1) for i in range(len(fit.layers))]
    marks = [letter if turn == 1 else f"{letter}{turn}" for letter, turn in rounds]
    return {layer.name: mark for layer, mark in zip(fit.layers, marks, strict=True)}


def core_maps(fit: Fit) -> Markup:
    """Draw every chip: cores coloured by their scarcest resource, links as wide as their traffic."""
    heaviest = max((link.messages for link in fit.links), default=0.0)
    chips = range(min(fit.chips_needed, SHOWN_CHIPS))
    return Markup("").join(_chip(fit, chip, layer_letters(fit), heaviest) for chip in chips)


def _chip(fit: Fit, chip: int, letters: Mapping[str, str], heaviest: float) -> Markup:
    columns, rows, _ = fit.mesh
    width, height = _MARGIN + columns * _PITCH, _MARGIN + rows * _PITCH
    title = f"Map of chip {chip}: {columns} columns and {rows} rows of routers"
    drawn = [_links(fit, chip, heaviest)]
    for router in product(range(columns), range(rows)):
        drawn += _router(
            fit, [core for core in fit.cores if (core.chip, core.router) == (chip, router)], router, letters
        )
    for column in range(columns):
        drawn.append(_text(_MARGIN + (column + 0.5) * _PITCH, 12, str(column)))
    for row in range(rows):
        drawn.append(_text(8, _MARGIN + (row + 0.5) * _PITCH + 3, str(row)))
    head = Markup('<svg class="chip" role="group" aria-label="{}" viewBox="0 0 {} {}">')
    name = Markup("<h4>Chip {}</h4>").format(chip) if fit.chips_needed > 1 else Markup("")
    return name + head.format(title, width, height) + Markup("").join(drawn) + Markup("</svg>")


def _router(
    fit: Fit, cores: list[CoreLoad], router: tuple[int, int], letters: Mapping[str, str]
) -> list[Markup]:
    """Draw the cores at a router as a square of squares; empty ones are white."""
    seats = fit.mesh[2]
    side = math.isqrt(seats - 1) + 1
    extent = _EXTENT / side
    left, top = (_MARGIN + (place + 0.5) * _PITCH - _EXTENT / 2 for place in router)
    drawn: list[Markup] = []
    for seat in range(seats):
        row, column = divmod(seat, side)
        x, y = left + column * extent, top + row * extent
        share = max(fit.utilization(cores[seat]).values()) if seat < len(cores) else 0.0
        square = Markup(
            '<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" fill="#fff" stroke="{}" stroke-width=".5"/>'
        ).format(x, y, extent, extent, INK)
        if seat >= len(cores):
            drawn.append(square)
            continue
        core = cores[seat]
        shade = Markup(
            '<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" fill="{}" fill-opacity="{:.2f}"/>'
        ).format(x, y, extent, extent, _FULL, share)
        first = letters[max(core.neurons, key=lambda name: core.neurons[name])] if core.neurons else ""
        mark = _text(x + extent / 2, y + extent / 2 + 3, f"{first}+" if len(core.neurons) > 1 else first)
        drawn.append(
            Markup(
                '<g class="core" tabindex="0" role="img" aria-label="{0}"><title>{0}</title>{1}</g>'
            ).format(_core_sentence(fit, core, seat), square + shade + mark)
        )
    return drawn


def _core_sentence(fit: Fit, core: CoreLoad, seat: int) -> str:
    shares = fit.utilization(core)
    fullest = max(shares, key=lambda name: shares[name])
    layers = ", ".join(f"{count:,} neurons of '{name}'" for name, count in core.neurons.items())
    return (
        f"Core {seat} at column {core.router[0]}, row {core.router[1]} of chip {core.chip}: {layers}. "
        f"It uses {100 * shares[fullest]:.0f} % of its {fullest}, its scarcest resource. In a mean step "
        f"it does {number(core.operations)} synaptic operations, and {number(core.messages)} messages arrive."
    )


def _links(fit: Fit, chip: int, heaviest: float) -> Markup:
    loads: dict[tuple[tuple[int, int], ...], float] = {}
    for link in fit.links:
        if link.start[0] == link.end[0] == chip:
            ends = tuple(sorted([link.start[1:], link.end[1:]]))
            loads[ends] = max(loads.get(ends, 0.0), link.messages)
    line = Markup(
        '<line x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}" stroke="#9aa5b1" stroke-width="{:.1f}">'
        "<title>{} messages a step</title></line>"
    )
    drawn = [
        line.format(
            *(_MARGIN + (place + 0.5) * _PITCH for end in ends for place in end),
            1 + _WIDEST * load / (heaviest or 1.0),
            number(load),
        )
        for ends, load in loads.items()
    ]
    return Markup("").join(drawn)


def _text(x: float, y: float, text: str) -> Markup:
    head = Markup('<text x="{:g}" y="{:g}" text-anchor="middle" font-size="9" fill="{}">{}</text>')
    return head.format(x, y, INK, text)
