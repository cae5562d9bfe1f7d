"""Layers cut into slices that a core can hold."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Final, final

import numpy as np

from targets.loihi.cores import Caps, Chip, Core
from targets.loihi.memory import OUTPUT_AXONS, CoreShare
from targets.loihi.network import ChipLayer, ConvolutionLink
from targets.loihi.slices import Box, NeuronSlice, boxed, covered, whole
from toolchain.arrays import Floats, Ints, Pair
from toolchain.errors import DoesNotFitError

Rates = dict[str, Floats]
Grid = tuple[int, int, int]

_CORNER: Final = Box((0, 1), (0, 1), (0, 1))
_MOST_BOXES: Final = 1 << 12
_WIDER: Final = 2


def fill(chip: Chip, layers: Sequence[ChipLayer], order: Ints, caps: Caps, begun: Core = ()) -> list[Core]:
    """Put neurons on one core after another, each as full as possible.

    Args:
        chip: Network and chip.
        layers: Layers without feature maps.
        order: Order of their neurons, which are counted over all these layers.
        caps: Largest number of neurons of a layer on a core, by name.
        begun: Contents of a core that takes the first neurons if it can.

    Returns:
        The cores, the begun one first if it took any neurons.

    Raises:
        DoesNotFitError: One of the neurons is too large for a core.
    """
    cores: list[Core] = []
    start = 0
    while start < len(order):
        rest = order[start:]
        taken = _longest(chip, layers, rest, caps, begun) if begun and not cores else 0
        present = begun if taken else ()
        taken = taken or _longest(chip, layers, rest, caps, ())
        if not taken:
            _refuse(chip, _slices(layers, rest[:1])[0])
        cores.append((*present, *(chip.share(neurons) for neurons in _slices(layers, rest[:taken]))))
        start += taken
    return cores


def _longest(chip: Chip, layers: Sequence[ChipLayer], order: Ints, caps: Caps, present: Core) -> int:
    """Return how many of the first neurons fit beside what a core already holds, by bisection."""

    def fits(size: int) -> bool:
        return chip.legal(
            (*present, *(chip.share(neurons) for neurons in _slices(layers, order[:size]))), caps
        )

    low, high = 0, min(len(order), chip.profile.core.neurons.value) + 1
    if fits(high - 1):
        return high - 1
    high -= 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _slices(layers: Sequence[ChipLayer], neurons: Ints) -> list[NeuronSlice]:
    """Return neurons that are counted over all layers as slices of each."""
    slices: list[NeuronSlice] = []
    start = 0
    for layer in layers:
        own = neurons[(neurons >= start) & (neurons < start + layer.size)] - start
        if own.size:
            slices.append(NeuronSlice(layer.name, np.sort(own)))
        start += layer.size
    return slices


def divided(chip: Chip, layers: Sequence[ChipLayer], labels: Ints) -> list[Core]:
    """Return a core for every label, whether it is legal or not."""
    by_label = (_slices(layers, np.flatnonzero(labels == label)) for label in np.unique(labels))
    return [tuple(chip.share(neurons) for neurons in slices) for slices in by_label]


def tile_in_order(chip: Chip, layer: ChipLayer, most: int) -> list[CoreShare]:
    """Cut feature maps in the order C, H, W: whole channels where they fit, otherwise strips of rows."""
    tiler = _Tiler(chip, layer, most)
    channels, height, width = layer.shape
    low, high, best = 0, channels + 1, None
    while high - low > 1:
        middle = (low + high) // 2
        grid = (-(-channels // middle), 1, 1)
        low, high, best = (middle, high, grid) if tiler.legal(grid) else (low, middle, best)
    if best is None:
        strips = (
            (channels, rows, columns) for columns in range(1, width + 1) for rows in range(1, height + 1)
        )
        best = next((grid for grid in strips if tiler.legal(grid)), None)
    if best is None:
        corner = boxed(layer, _CORNER)
        return _refuse(chip, whole(layer) if chip.legal([chip.share(corner)]) else corner)
    return tiler.shares(best)


def tile_image(chip: Chip, layer: ChipLayer, most: int, rates: Rates) -> list[CoreShare]:
    """Cut feature maps into boxes that take the fewest cores, and among those the fewest messages.

    The boxes count as cores, and so do the cores that the axons to them fill where they begin.

    Raises:
        DoesNotFitError: One of its neurons is too large for a core.
    """
    tiler = _Tiler(chip, layer, most)
    if not chip.legal([chip.share(boxed(layer, _CORNER))]):
        _refuse(chip, boxed(layer, _CORNER))
    best: tuple[float, float] | None = None
    cheapest, first = (1, 1, 1), 0
    for count in range(tiler.least(), _MOST_BOXES):
        if best is not None and count > min(best[0], _WIDER * first):
            return tiler.shares(cheapest)
        for grid in _grids(layer.shape, count):
            if tiler.legal(grid):
                first = first or count
                cost = (count + tiler.filled_at_sources(grid), tiler.messages(grid, rates))
                if best is None or cost < best:
                    best, cheapest = cost, grid
    return _refuse(chip, whole(layer))


def _grids(shape: tuple[int, ...], count: int) -> Iterator[Grid]:
    """Yield all ways to cut channels, rows and columns into a number of boxes."""
    for channels in range(1, min(shape[0], count) + 1):
        if count % channels == 0:
            for rows in range(1, min(shape[1], count // channels) + 1):
                columns, rest = divmod(count // channels, rows)
                if rest == 0 and columns <= shape[2]:
                    yield channels, rows, columns


def _cuts(extent: int, count: int) -> list[Pair]:
    """Return that many ranges, as equal as they can be."""
    return list(pairwise(extent * i // count for i in range(count + 1)))


@final
class _Tiler:
    """Tries grids of boxes over the feature maps of a layer; of boxes with equal costs only one is tried."""

    def __init__(self, chip: Chip, layer: ChipLayer, most: int) -> None:
        self.chip, self.layer = chip, layer
        self.room = min(most, chip.profile.core.neurons.value)
        incoming = chip.network.incoming(layer.name)
        self.links = [link for link in incoming if isinstance(link, ConvolutionLink)]
        alone = all(link.groups in {1, link.shape[0]} for link in self.links)
        # Only the number of channels on a core matters, not which they are, unless their parameters differ.
        self.alike = alone and chip.legal_profiles(layer)
        self.border = max((max(link.window.kernel) * max(link.window.dilation) + max(link.window.padding)
                           for link in self.links), default=0)  # fmt: skip
        self.known: dict[tuple[object, ...], CoreShare | None] = {}

    def least(self) -> int:
        """Return a lower bound of the number of boxes: every neuron and weight needs a place."""
        words = sum(block.words for block in self.chip.share(whole(self.layer)).blocks)
        room = self.chip.profile.memory.synaptic_words.value
        shared = 0 if any(link.groups > 1 for link in self.links) else words // room
        return max(-(-self.layer.size // self.room), 1, shared)

    def legal(self, grid: Grid) -> bool:
        """Return whether every box of a grid fits a core."""
        cuts = self._ranges(grid)
        if prod(max(end - start for start, end in axis) for axis in cuts) > self.room:
            return False
        kinds = [
            list({self._end_key(ends, axis): ends for ends in ranges}.values())
            for axis, ranges in enumerate(cuts)
        ]
        return all(self._share(box) is not None for box in _boxes(kinds))

    def shares(self, grid: Grid) -> list[CoreShare]:
        """Return the boxes of a legal grid with their synapses."""
        shares = ((box, self._share(box)) for box in _boxes(self._ranges(grid)))
        return [replace(share, neurons=boxed(self.layer, box)) for box, share in shares if share is not None]

    def filled_at_sources(self, grid: Grid) -> float:
        """Return how many cores the axons that reach the boxes fill where they begin."""
        limit = self.chip.memory.limits.get(OUTPUT_AXONS)
        if limit is None:
            return 0.0
        inside = [link for link in self.links if not link.outside]
        slots = sum(
            self.chip.memory.leaving(link, 1, 1, 1)
            * self._reaching(link, grid, np.full(link.shape[1:], link.shape[0]))
            for link in inside
        )
        return slots / limit.value

    def messages(self, grid: Grid, rates: Rates) -> float:
        """Return the messages per step that reach the boxes."""
        return sum(
            self._reaching(link, grid, rates[link.source].reshape(link.shape).sum(axis=0))
            for link in self.links
        )

    def _reaching(self, link: ConvolutionLink, grid: Grid, weights: Floats) -> float:
        """Return the summed weights of the source pixels that reach each box."""
        _, rows, columns = self._ranges(grid)
        reached = [
            sum(covered(link, Box((0, 1), *pair), axis).any(axis=1).astype(float) for pair in pairs)
            for axis, pairs in (
                (0, [(ends, (0, 1)) for ends in rows]),
                (1, [((0, 1), ends) for ends in columns]),
            )
        ]
        each = grid[0] if link.groups == 1 else 1
        return each * float(reached[0] @ weights @ reached[1])

    def _ranges(self, grid: Grid) -> list[list[Pair]]:
        return [_cuts(extent, count) for extent, count in zip(self.layer.shape, grid, strict=True)]

    def _end_key(self, ends: Pair, axis: int) -> tuple[int, ...]:
        """Return what the cost of a range along an axis depends on: length, and distance to the ends."""
        start, end = ends
        if axis == 0:
            return (end - start,) if self.alike else ends
        return end - start, min(start, self.border), min(self.layer.shape[axis] - end, self.border)

    def _share(self, box: Box) -> CoreShare | None:
        key = tuple(
            self._end_key(ends, axis) for axis, ends in enumerate((box.channels, box.rows, box.columns))
        )
        if key not in self.known:
            share = self.chip.share(boxed(self.layer, box))
            self.known[key] = share if self.chip.legal([share]) else None
        return self.known[key]


def _boxes(cuts: list[list[Pair]]) -> Iterator[Box]:
    return (Box(c, y, x) for c in cuts[0] for y in cuts[1] for x in cuts[2])


def _refuse(chip: Chip, neurons: NeuronSlice) -> list[CoreShare]:
    """Raise for neurons that no core can hold."""
    resource, load = chip.load([chip.share(neurons)])
    limit = chip.memory.limits[resource].value
    if neurons.size > 1:
        remedy = f"no cut into {_MOST_BOXES} boxes or fewer fits cores; prune its channels"
        raise DoesNotFitError(neurons.layer, resource, round(load * limit), limit, remedy)
    remedy = "prune its inputs, use fewer bits, or make the layer before it narrower"
    raise DoesNotFitError(neurons.layer, f"{resource} for one neuron", round(load * limit), limit, remedy)
