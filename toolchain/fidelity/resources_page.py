"""A network on the cores of a chip, to look at: a map of how full they are and what runs between them."""

import math
from itertools import product
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Rectangle

from toolchain.fidelity.neurobench import NeuroBench
from toolchain.pages import INK, subplots, svg, write_page
from toolchain.target.chip_fit import Fit

_SHOWN_CHIPS: Final = 6
_EXTENT: Final = 0.6
_WIDEST: Final = 5.0


def write_resources(path: Path, fit: Fit, metrics: NeuroBench) -> None:
    """Write a page of its own, atomically."""
    write_page(path, "toolchain.fidelity", "resources.html.j2", chip=shown_resources(fit, metrics))


def shown_resources(fit: Fit, metrics: NeuroBench) -> dict[str, Any]:
    """Return what the template `chip.html.j2` shows."""
    binding, share = fit.binding
    return {
        "fit": fit,
        "metrics": metrics.model_dump(),
        "binding": binding,
        "share": share,
        "limit": fit.limits[binding],
        "heaviest": max((link.messages for link in fit.links), default=0.0),
        "hidden": max(0, fit.chips_needed - _SHOWN_CHIPS),
        "map": core_map(fit),
    }


def core_map(fit: Fit) -> Markup:
    """Draw every chip: cores coloured by their scarcest resource, links as wide as their traffic."""
    chips = min(fit.chips_needed, _SHOWN_CHIPS)
    columns, rows, seats = fit.mesh
    figure, axes = subplots(chips, 1, 9.0, 0.5 + chips * 9.0 * (rows + 0.3) / (columns + 1))
    heaviest = max((link.messages for link in fit.links), default=0.0)
    colours = colormaps["YlOrRd"]
    for chip in range(chips):
        axis = axes[chip, 0]
        _draw_links(axis, fit, chip, heaviest)
        for router in product(range(columns), range(rows)):
            held = [core for core in fit.cores if (core.chip, core.router) == (chip, router)]
            shades = [colours(max(fit.utilization(core).values())) for core in held]
            for seat in range(seats):
                _draw_core(axis, router, seat, seats, shades[seat] if seat < len(shades) else "white")
        axis.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), aspect="equal", title=f"chip {chip}")
        axis.set_xticks(range(columns))
        axis.set_yticks(range(rows))
    figure.colorbar(_scale(colours), ax=list(axes[:, 0]), label="used of the scarcest resource", shrink=0.7)
    return svg(figure)


def _scale(colours: Any) -> Any:  # noqa: ANN401 - matplotlib's colour map
    return ScalarMappable(cmap=colours)


def _draw_core(axis: Any, router: tuple[int, int], seat: int, seats: int, colour: Any) -> None:  # noqa: ANN401
    """Draw one of the cores at a router, in a square of them; white if it is not used."""
    side = math.isqrt(seats - 1) + 1
    extent = _EXTENT / side
    row, column = divmod(seat, side)
    left, top = router[0] - _EXTENT / 2 + column * extent, router[1] - _EXTENT / 2 + row * extent
    axis.add_patch(Rectangle((left, top), extent, extent, facecolor=colour, edgecolor=INK, linewidth=0.4))


def _draw_links(axis: Any, fit: Fit, chip: int, heaviest: float) -> None:  # noqa: ANN401 - matplotlib's
    loads: dict[tuple[tuple[int, int], ...], float] = {}
    for link in fit.links:
        if link.start[0] == link.end[0] == chip:
            ends = tuple(sorted([link.start[1:], link.end[1:]]))
            loads[ends] = max(loads.get(ends, 0.0), link.messages)
    for ((x, y), (to_x, to_y)), load in loads.items():
        width = 0.4 + _WIDEST * load / (heaviest or 1.0)
        axis.plot([x, to_x], [y, to_y], color=INK, alpha=0.35, lw=width, solid_capstyle="round", zorder=0)
