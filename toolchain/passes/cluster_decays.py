"""Give a population few distinct decays, for chips that hold few."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Stage
from toolchain.passes.base import Pass

_LAST = fixedpoint.DECAY_UNITY - 1


@final
@dataclass(frozen=True, kw_only=True)
class ClusterDecays(Pass):
    """Replace the decays of every population by at most `profiles` distinct pairs `(du, dv)`.

    The pairs are chosen so that the largest relative error of a time constant is small. If only one of the
    two decays differs between neurons, the error is the smallest possible one (to the resolution of the
    search). Otherwise neurons are gathered around neurons that are far apart (Gonzalez 1985), and the error
    is at most twice the smallest one in the logarithm. The decays of raised thresholds stay: no chip is known
    that holds few of these.

    Attributes:
        profiles: Largest number of distinct pairs in a population.
        tau_error: Largest relative error of a time constant that is accepted.
    """

    name: ClassVar[str] = "cluster-decays"

    profiles: int
    tau_error: float = 0.5

    def requires(self, graph: Graph) -> None:
        """Accept float graphs and at least one profile."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'cluster-decays' needs a float graph; run it before 'quantize-graph'")
        if self.profiles < 1:
            raise PreconditionError(f"expected at least 1 decay profile, got {self.profiles}")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph with clustered decays; populations that have few already stay."""
        return graph.map(self._clustered)

    def _clustered(self, node: AnyNode) -> AnyNode:
        if not isinstance(node, ir.Lif):
            return node
        pairs, inverse = np.unique(
            np.stack([node.du.ravel(), node.dv.ravel()], axis=1), axis=0, return_inverse=True
        )
        if len(pairs) <= self.profiles:
            return node
        groups = _gather(np.stack([_log_tau(pairs[:, i]) for i in range(2)], axis=1), self.profiles)
        centres = np.empty_like(pairs)
        for group in np.unique(groups):
            members = groups == group
            for i in range(2):
                centres[members, i] = _centre(pairs[members, i])
        error = max(_tau_error(pairs[:, i], centres[:, i]) for i in range(2))
        if error > self.tau_error:
            raise PreconditionError(
                f"population '{node.name}' has {len(pairs)} distinct decays; {self.profiles} profiles would "
                f"change a time constant by {100 * error:.0f} %, accepted are {100 * self.tau_error:.0f} %: "
                "allow more profiles or a larger `tau_error`"
            )
        decays = centres[inverse.ravel()]
        return replace(node, du=decays[:, 0].reshape(node.du.shape), dv=decays[:, 1].reshape(node.dv.shape))


def _log_tau(decay: Floats) -> Floats:
    """Return `log tau`; decays of 0 and 1 count as the smallest and the largest that 12 bits can hold."""
    inner = np.clip(decay, 0.5 / fixedpoint.DECAY_UNITY, _LAST / fixedpoint.DECAY_UNITY)
    return -np.log(-np.log1p(-inner))


def _centre(decays: Floats) -> float:
    """Return the decay half-way in `log tau`; exactly the decay if all are one."""
    if decays.min() == decays.max():
        return float(decays[0])
    logs = _log_tau(decays)
    tau = np.exp((logs.min() + logs.max()) / 2)
    return float(-np.expm1(-1 / tau))


def _tau_error(wanted: Floats, got: Floats) -> float:
    return float(np.abs(np.expm1(_log_tau(got) - _log_tau(wanted))).max())


def _gather(points: Floats, groups: int) -> NDArray[np.int64]:
    """Return the group of every point so that the widest group is narrow."""
    moving = [i for i in range(points.shape[1]) if np.ptp(points[:, i]) > 0]
    if len(moving) == 1:
        return _gather_line(points[:, moving[0]], groups)
    centres = [int(np.argmin(points.sum(axis=1)))]
    distance = np.abs(points - points[centres[0]]).max(axis=1)
    while len(centres) < groups:
        centres.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.abs(points - points[centres[-1]]).max(axis=1))
    to_centres = np.abs(points[:, None] - points[centres][None]).max(axis=2)
    return np.argmin(to_centres, axis=1)


def _gather_line(values: Floats, groups: int) -> NDArray[np.int64]:
    """Return groups of the least largest width, by bisection over the width."""
    order = np.argsort(values)
    # A little wider than all values, or rounding would leave the last one out.
    low, high = 0.0, float(np.ptp(values)) * (1 + 1e-9)
    for _ in range(60):
        width = (low + high) / 2
        low, high = (low, width) if _cover(values[order], width).max() < groups else (width, high)
    result = np.empty(len(values), dtype=np.int64)
    result[order] = _cover(values[order], high)
    return result


def _cover(ordered: Floats, width: float) -> NDArray[np.int64]:
    """Return the groups when each takes all that fit a width, from the left."""
    group = np.empty(len(ordered), dtype=np.int64)
    start, index = 0, 0
    while start < len(ordered):
        end = int(np.searchsorted(ordered, ordered[start] + width, side="right"))
        group[start:end] = index
        start, index = end, index + 1
    return group
