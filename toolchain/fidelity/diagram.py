"""The path of a network as a drawing: what feeds what, and how large it is."""

from html import escape
from typing import Final

import networkx as nx
import numpy as np
from markupsafe import Markup

from toolchain import ir
from toolchain.ir import Graph, Pooling, Synapses
from toolchain.ir.matrix import values_of

_WIDTH, _HEIGHT, _ACROSS, _DOWN, _MARGIN = 150, 46, 40, 66, 8
_BEND: Final = 36
"""How far an arrow that feeds back swings out."""
_LETTER: Final = 6
"""Width of a letter of a note."""
_LONGEST: Final = 40
_NARROW: Final = 460
"""Drawings up to this width are shrunk to the screen of a phone; wider ones scroll."""


def path_diagram(graph: Graph) -> Markup:
    """Return an SVG of a graph: one box per input, population, pooling and output, one arrow per pair.

    What feeds back is dashed: loops of a population on its right, longer ways back on the left. Nodes on one
    level stand side by side.
    """
    boxes = [node for node in graph if not isinstance(node, Synapses | ir.Delay)]
    arrows = _arrows(graph)
    levels = _levels([node.name for node in boxes], arrows)
    rows: dict[int, list[str]] = {}
    for node in boxes:
        rows.setdefault(levels[node.name], []).append(node.name)
    widest = max(len(row) for row in rows.values())
    back = [ends for ends in arrows if ends[0] != ends[1] and levels[ends[1]] <= levels[ends[0]]]
    loops = [ends for ends in arrows if ends[0] == ends[1]]
    left = _MARGIN + (_BEND + _room(arrows, back) if back else 0)
    across = widest * (_WIDTH + _ACROSS) - _ACROSS
    places = {
        name: (
            left + (widest - len(row)) * (_WIDTH + _ACROSS) // 2 + i * (_WIDTH + _ACROSS),
            _MARGIN + level * (_HEIGHT + _DOWN),
        )
        for level, row in rows.items()
        for i, name in enumerate(row)
    }
    right = max(
        _BEND + _room(arrows, loops) if loops else 0,
        _room(arrows, [ends for ends in arrows if ends not in back and ends not in loops]) - _WIDTH // 2,
        _WIDTH if any(levels[b] - levels[a] > 1 for a, b in arrows) else 0,
    )
    width = left + across + right + _MARGIN
    height = 2 * _MARGIN + (max(rows) + 1) * (_HEIGHT + _DOWN) - _DOWN
    shapes = {name: "x".join(map(str, value.shape)) for name, value in graph.types.items()}
    drawn = [_arrow(places, *ends, notes) for ends, notes in arrows.items()]
    drawn += [
        _box(*places[node.name], node.name, f"{_word(node.kind)} {shapes[node.name]}") for node in boxes
    ]
    head = (
        f'<svg class="path{" narrow" if width <= _NARROW else ""}" role="img" '
        f'aria-label="The network as boxes and arrows" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#52606d"/></marker></defs>'
    )
    # Every name was escaped when it was drawn.
    return Markup(head + "".join(drawn) + "</svg>")  # noqa: S704


def _room(arrows: dict[tuple[str, str], list[str]], ends: list[tuple[str, str]]) -> int:
    """Return how many pixels the longest note of some arrows takes."""
    notes = (note for each in ends for note in arrows[each])
    return max((_LETTER * min(len(note), _LONGEST) + 6 for note in notes), default=0)


def _arrows(graph: Graph) -> dict[tuple[str, str], list[str]]:
    """Return, per pair of boxes, what stands on the arrow between them."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for node in graph:
        if isinstance(node, Synapses):
            source, delay = graph.source(node.inputs[0])
            for reader in graph.readers(node.name):
                arrows.setdefault((source.name, reader.name), []).append(_note(node, delay))
        elif isinstance(node, ir.Output | Pooling):
            source, _ = graph.source(node.inputs[0])
            arrows.setdefault((source.name, node.name), [])
    return arrows


def _note(node: Synapses, delay: int) -> str:
    fixed = isinstance(node, ir.FixedDense | ir.FixedConv2d)
    bits = f" × {node.weight_bits} bit" if fixed else ""  # noqa: RUF001 - a count times a width
    late = f", delay {delay}" if delay else ""
    return f"{node.name}: {np.count_nonzero(values_of(node.weights)):,}{bits}{late}"


def _levels(names: list[str], arrows: dict[tuple[str, str], list[str]]) -> dict[str, int]:
    """Return how far down each box stands: below everything that feeds it forward."""
    order = {name: i for i, name in enumerate(names)}
    forward = nx.DiGraph()
    forward.add_nodes_from(names)
    forward.add_edges_from((a, b) for a, b in arrows if order[a] < order[b])
    levels: dict[str, int] = {}
    for name in names:
        levels[name] = max((levels[before] + 1 for before in forward.predecessors(name)), default=0)
    return levels


def _box(x: int, y: int, name: str, text: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" fill="#f5f7fa" stroke="#0b7285"/>'
        f'<text x="{x + _WIDTH // 2}" y="{y + 19}" text-anchor="middle" font-size="13" font-weight="600" '
        f'fill="#1f2933">{escape(_short(name, 19))}</text>'
        f'<text x="{x + _WIDTH // 2}" y="{y + 36}" text-anchor="middle" font-size="11" '
        f'fill="#52606d">{escape(text)}</text>'
    )


def _arrow(places: dict[str, tuple[int, int]], source: str, target: str, notes: list[str]) -> str:
    (x0, y0), (x1, y1) = places[source], places[target]
    dash = ' stroke-dasharray="4 3"'
    if source == target:
        x, up, down = x0 + _WIDTH, y0 + 12, y0 + _HEIGHT - 12
        line = f"M{x} {down} C{x + _BEND} {down + 8} {x + _BEND} {up - 8} {x + 1} {up}"
        place, anchor = (x + _BEND, y0 + _HEIGHT // 2 + 4 - 7 * (len(notes) - 1)), "start"
    elif y1 > y0:
        start, end = (x0 + _WIDTH // 2, y0 + _HEIGHT), (x1 + _WIDTH // 2, y1 - 1)
        skips = y1 - y0 > _HEIGHT + _DOWN
        bend = 60 + _WIDTH // 2 if skips else 0
        middle, dash = (start[1] + end[1]) // 2, ""
        line = (
            f"M{start[0]} {start[1]} C{start[0] + bend} {middle} {end[0] + bend} {middle} {end[0]} {end[1]}"
        )
        place = (max(start[0], end[0]) + bend * 3 // 4 + 6, middle + 4 - 7 * (len(notes) - 1))
        anchor = "start"
    else:
        start, end = (x0, y0 + _HEIGHT - 12), (x1 - 1, y1 + 12)
        out = start[0] - _BEND, end[0] - _BEND
        line = f"M{start[0]} {start[1]} C{out[0]} {start[1]} {out[1]} {end[1]} {end[0]} {end[1]}"
        place, anchor = (start[0] - 6, start[1] + 22), "end"
    texts = "".join(
        f'<text x="{place[0]}" y="{place[1] + 14 * i}" text-anchor="{anchor}" font-size="11" '
        f'fill="#52606d">{escape(_short(note, _LONGEST))}</text>'
        for i, note in enumerate(notes)
    )
    return f'<path d="{line}" fill="none" stroke="#52606d" marker-end="url(#tip)"{dash}/>{texts}'


def _word(kind: str) -> str:
    return {"fixed_lif": "neurons", "lif": "neurons", "sum_pool2d": "sum pool", "max_pool2d": "max pool"}.get(
        kind, kind
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
