"""Places of cores on the mesh, and the spikes that every link between routers carries."""

from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from targets.loihi.profile import Mesh
from toolchain.arrays import Floats, Ints
from toolchain.target.chip_fit import LinkLoad

_WORK: Final = 500_000_000
"""Number of pairs of places that are compared in all, which takes a few seconds."""
_NOTHING: Final = 1e-9


@final
@dataclass(frozen=True, eq=False)
class CorePlacement:
    """Cores on routers.

    Attributes:
        mesh: Mesh of a chip; chips stand in a row, each joined to the next along x.
        routers: Column, counted over all chips, and row of every core, `[cores, 2]`.
        messages: Spikes per step from core to core.
    """

    mesh: Mesh
    routers: Ints = field(repr=False)
    messages: Floats = field(repr=False)

    @property
    def hops(self) -> tuple[float, float]:
        """Routers passed per step, along x and along y."""
        far = np.abs(self.routers[:, None] - self.routers[None])
        along = (self.messages[:, :, None] * far).sum(axis=(0, 1))
        return float(along[0]), float(along[1])

    def where(self, core: int) -> tuple[int, int, int]:
        """Return chip, column and row of a core."""
        return self._split(int(self.routers[core, 0]), int(self.routers[core, 1]))

    def _split(self, column: int, row: int) -> tuple[int, int, int]:
        chip, inside = divmod(column, self.mesh.columns.value)
        return chip, inside, row

    def links(self) -> tuple[LinkLoad, ...]:
        """Return the load of every link if spikes go along x first, then along y."""
        loads: dict[tuple[int, int, int, int], float] = {}
        places, core_of = np.unique(self.routers, axis=0, return_inverse=True)
        between = np.zeros((len(places), len(places)))
        inverse = core_of.ravel()
        np.add.at(between, (inverse[:, None], inverse[None, :]), self.messages)
        for i, j in zip(*np.nonzero(between), strict=True):
            for step in _route(tuple(places[i].tolist()), tuple(places[j].tolist())):
                loads[step] = loads.get(step, 0.0) + float(between[i, j])
        return tuple(
            LinkLoad(self._split(x, y), self._split(to_x, to_y), load)
            for (x, y, to_x, to_y), load in sorted(loads.items())
        )


def _route(start: tuple[int, ...], end: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    (x, y), (to_x, to_y) = start, end
    steps: list[tuple[int, int, int, int]] = []
    while x != to_x:
        following = x + (1 if to_x > x else -1)
        steps.append((x, y, following, y))
        x = following
    while y != to_y:
        following = y + (1 if to_y > y else -1)
        steps.append((x, y, x, following))
        y = following
    return steps


def slots(mesh: Mesh, cores: int) -> Ints:
    """Return the routers of as many chips as the cores need, one per core, column by column to and fro."""
    per_chip = mesh.cores_per_chip.value
    chips = -(-cores // per_chip)
    path = [
        (column, row if column % 2 == 0 else mesh.rows.value - 1 - row)
        for column in range(mesh.columns.value)
        for row in range(mesh.rows.value)
    ]
    one = np.repeat(np.array(path), mesh.cores_per_router.value, axis=0)[:per_chip]
    along = np.array([mesh.columns.value, 0])
    return np.concatenate([one + chip * along for chip in range(chips)])


def place_in_order(mesh: Mesh, messages: Floats) -> CorePlacement:
    """Place one core after another."""
    return CorePlacement(mesh, slots(mesh, len(messages))[: len(messages)], messages)


def place_near(mesh: Mesh, messages: Floats) -> CorePlacement:
    """Place cores that talk near each other.

    From the order, the two cores (or a core and an empty place) whose exchange saves most hops are
    exchanged, until none saves any: the hops never rise.
    """
    places = slots(mesh, len(messages))
    total = len(places)
    flow = np.zeros((total, total))
    flow[: len(messages), : len(messages)] = messages + messages.T
    np.fill_diagonal(flow, 0)
    # Distances between all places, in the order in which cores take them.
    far = np.abs(places[:, None] - places[None]).sum(axis=2).astype(np.float64)
    moved = flow @ far
    seat = np.arange(total)
    for _ in range(max(1, _WORK // total**2)):
        stay = np.diag(moved)
        gain = stay[:, None] + stay - moved - moved.T - 2 * flow * far
        a, b = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[a, b] <= _NOTHING * flow.sum():
            break
        moved += np.outer(flow[:, a] - flow[:, b], far[b] - far[a])
        for array in (moved, far):
            array[:, [a, b]] = array[:, [b, a]]
        far[[a, b]] = far[[b, a]]
        seat[[a, b]] = seat[[b, a]]
    return CorePlacement(mesh, places[seat[: len(messages)]], messages)
