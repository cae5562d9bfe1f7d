"""From real numbers to integers: one scale per neuron, one exponent per connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, final

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.errors import PostconditionError, PreconditionError
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.ir import AnyNode, Graph, Pooling, Stage
from toolchain.ir.matrix import Matrix, values_of, with_values
from toolchain.passes.base import Pass
from toolchain.passes.quantization.calibration import HEAD_ROOM, Calibration
from toolchain.passes.quantization.integers import fixed_connections, fixed_neurons, nearest_weights
from toolchain.passes.quantization.ranges import by_rows, over_rows, potential_limit, prove_bounds
from toolchain.passes.quantization.rounding import Rounding, round_together, search_together
from toolchain.passes.quantization.scales import (
    Incoming,
    cap_scale,
    choose_exponents,
    common_scale,
    incoming_steps,
    kept_scale,
    largest_scale,
    search_scale,
    smallest_exponents,
)
from toolchain.passes.quantization.threshold_profiles import share_thresholds

OTHERS: Final = "*"
"""Stands for the connections whose bits are not given by name."""
_SHRINKING_ROUNDS: Final = 40
# Integers change only if the scale changes noticeably: less than this would stand still.
_LEAST_SHRINKING: Final = 1.02


@final
@dataclass(frozen=True, kw_only=True)
class QuantizeGraph(Pass):
    """Replace every float operation by its integer counterpart.

    Spikes are binary and the reset is to zero, so multiplying a neuron's incoming weights, bias
    and threshold by one positive factor changes no spike: every neuron has a scale of its own,
    hidden in its threshold; the neurons of a feature map, which share their weights, share it.
    Read-out populations share one scale, because their potentials are compared.

    The scale is the largest at which weights, threshold and bias fit, lowered by at most a
    factor of two to where rounding hurts least (weights that are whole numbers times a step, as those of
    a quantized network, stay them), and then until `u` and `v` stay inside 24 bits:
    proved from the weights, or else observed on calibration data with twofold head-room. Without
    data it shrinks until proved. Observed where nothing leaks is how low a potential may be held without
    another spike (`lowest_floor`), not how low it falls: below that, it saturates.

    With calibration data, weights are rounded together so that their errors cancel, and decays make up
    for what rounding toward zero takes from small states.

    Attributes:
        weight_bits: Bits of a weight, sign included, 2 .. 15; for all, or per connection. A name also
            means the halves that `split-signs` made of it; `*` means all others, without it they have 8. More
            than 8 are two synapses, whose connections end in `.coarse` and `.fine`.
        per_neuron: False gives each population one scale (the usual way elsewhere, kept for
            comparison).
        threshold_profiles: At most so many distinct thresholds per population, for chips that hold few; None
            for as many as there are neurons.
        rounding: How weights become integers.
        compensate_decays: Whether decays make up for rounding toward zero, each neuron by its own state; not
            where decays are shared by few profiles.
        keep: A fixed graph of the same network whose scales and exponents are kept, as after training with
            its integers; scales still shrink where the range demands it.
        steps: Length of the longest sample, if known; sharpens the proofs for slow neurons.
        calibration: What was observed on training data.
        profile: Limits of the target.
    """

    name: ClassVar[str] = "quantize-graph"

    weight_bits: int | Mapping[str, int] = fixedpoint.WEIGHT_BITS
    per_neuron: bool = True
    threshold_profiles: int | None = None
    rounding: Rounding = Rounding.JOINT
    compensate_decays: bool = True
    keep: Graph | None = field(default=None, repr=False)
    steps: int | None = None
    calibration: Calibration | None = field(default=None, repr=False)
    profile: HardwareProfile = LAVA_FIXED_POINT

    def requires(self, graph: Graph) -> None:
        """Accept float graphs in which every connection has one target population."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'quantize-graph' needs a float graph; this one is in integers already")
        if self.threshold_profiles is not None and (self.threshold_profiles < 1 or not self.per_neuron):
            raise PreconditionError("expected at least 1 threshold profile, and a scale per neuron")
        for node in graph:
            if isinstance(node, ir.Delay) and not isinstance(node.steps, int):
                raise PreconditionError(f"delay '{node.name}' differs per neuron; run 'fold-delays' first")
        for node in graph.synapses:
            self._check_bits(node.name)
            if len(graph.readers(node.name)) != 1:
                raise PreconditionError(
                    f"connection '{node.name}' has {len(graph.readers(node.name))} readers, "
                    "expected one population"
                )

    def _check_bits(self, connection: str) -> None:
        bits, room = bits_of(self.weight_bits, connection), self.profile.exponents[1]
        if not 2 <= bits <= fixedpoint.WIDE_BITS:
            raise PreconditionError(
                f"expected 2 to {fixedpoint.WIDE_BITS} weight bits, got {bits} for '{connection}'"
            )
        if bits > self.profile.weight_bits + room:
            raise PreconditionError(
                f"'{connection}' has {bits} weight bits; more than {self.profile.weight_bits} need "
                f"exponents, and the largest here is {room}"
            )

    def rewrite(self, graph: Graph) -> Graph:
        """Return the integer graph; order and origins stay, and names but those of wide weights."""
        replaced: dict[str, list[AnyNode]] = {}
        for population in graph.populations:
            if isinstance(population, ir.Lif):
                replaced |= _Population(self, graph, population).quantized()
        return graph.with_nodes([new for node in graph for new in replaced.get(node.name, [node])])

    def ensures(self, graph: Graph) -> None:
        """Promise that nothing can leave its register unseen and that no float operation is left."""
        if graph.stage is not Stage.FIXED:
            raise PostconditionError("'quantize-graph' left a float operation; this is a bug")


def bits_of(weight_bits: int | Mapping[str, int], connection: str) -> int:
    """Return the bits of a connection: those of its name, or of the name it had before it was split."""
    if isinstance(weight_bits, int):
        return weight_bits
    whole = connection.rpartition(".")[0]
    otherwise = weight_bits.get(OTHERS, fixedpoint.WEIGHT_BITS)
    return weight_bits.get(connection, weight_bits.get(whole, otherwise))


@final
class _Population:
    """One population and its connections on their way to integers."""

    def __init__(self, options: QuantizeGraph, graph: Graph, node: ir.Lif) -> None:
        self.options, self.graph, self.node = options, graph, node
        self.synapses = [
            item for name in node.inputs if isinstance(item := graph[name], ir.Dense | ir.Conv2d)
        ]
        seen = options.calibration
        self.seen = seen if seen is not None and node.name in seen.v_low else None
        self.moments = None if self.seen is None else self.seen.drives.get(node.name)
        self.calibrated = options.rounding is Rounding.JOINT and self.moments is not None
        self.incoming = self._incoming()
        self.steps = incoming_steps(self.incoming)
        # One value per neuron, or per feature map: the dearest of its neurons decides.
        self.threshold = by_rows(node.vth).max(axis=1)
        self.compared = not np.isfinite(self.threshold).all()
        kept = None if options.keep is None else options.keep[node.name]
        self.kept = kept if isinstance(kept, ir.FixedLif) else None

    def quantized(self) -> dict[str, list[AnyNode]]:
        """Return integers that fit every register, by the name of the node that they replace.

        Exponents are chosen before the range is known. Where the range lowers the scale they fall behind it,
        so that weights use their integers; exponents only fall, hence this ends.
        """
        exponents = self._exponents()
        nodes, scale = self._fitted(exponents)
        while self.options.keep is None:
            needed = smallest_exponents(self.incoming, scale)
            smaller = [min(pair) for pair in zip(exponents, needed, strict=True)]
            if smaller == exponents:
                break
            exponents = smaller
            nodes, scale = self._fitted(exponents)
        return nodes

    def _fitted(self, exponents: list[int]) -> tuple[dict[str, list[AnyNode]], Floats]:
        """Return integers that fit every register, and the scale of every row."""
        bias = np.abs(by_rows(self.node.bias)).max(axis=1)
        ceiling = cap_scale(
            largest_scale(self.incoming, exponents), self.threshold, bias, self.options.profile
        )
        if self.kept is not None:
            ceiling = by_rows(self.kept.scale)[:, 0]
        for _ in range(_SHRINKING_ROUNDS):
            scale = self._scale(exponents, ceiling)
            nodes, excess = self._try(exponents, scale, Rounding.NEAREST)
            if (excess <= 1).all() and self.calibrated:
                nodes, excess = self._try(exponents, scale, self.options.rounding)
            if (excess <= 1).all():
                return nodes, scale
            if not np.isfinite(excess).all():
                break
            smaller = scale / np.maximum(excess, _LEAST_SHRINKING)
            ceiling = np.where(excess > 1, smaller, ceiling)
        raise PreconditionError(
            f"population '{self.node.name}' does not fit 24 bits at any scale; "
            "give calibration data, or reduce its time constants or weights"
        )

    def _incoming(self) -> list[Incoming]:
        found: list[Incoming] = []
        start = 0
        for node in self.synapses:
            weights = _per_message(self.graph, node)
            signs = fixedpoint.sign_mode_of(values_of(node.weights))
            if self.options.keep is not None:
                # Weights that became zero in training must not change what the others mean.
                kept = self.options.keep[node.name]
                signs = kept.sign_mode if isinstance(kept, ir.FixedDense | ir.FixedConv2d) else signs
            item = Incoming(weights, signs, bits_of(self.options.weight_bits, node.name))
            if self.moments is not None:
                energy = np.diag(self.moments)[start : start + item.sources]
                # A source that was never active is not free.
                importance = energy + 1e-3 * max(float(np.diag(self.moments).mean()), 1e-12)
                item = Incoming(weights, signs, item.weight_bits, importance)
                start += item.sources
            found.append(item)
        return found

    def _exponents(self) -> list[int]:
        if self.options.keep is None:
            return choose_exponents(self.incoming, self.threshold, self.options.profile)
        kept = (self.options.keep[node.name] for node in self.synapses)
        return [node.exponent for node in kept if isinstance(node, ir.FixedDense | ir.FixedConv2d)]

    def _scale(self, exponents: list[int], ceiling: Floats) -> Floats:
        if self.kept is not None and not self.compared and self.options.threshold_profiles is None:
            return ceiling
        if self.compared or not self.options.per_neuron:
            return self._common(exponents, ceiling)
        if self.options.threshold_profiles is None:
            searched = self._searched(exponents, ceiling)
            if self.steps is None:
                return searched
            kept = kept_scale(self.steps, exponents, ceiling, self.threshold)
            return np.where(np.isfinite(kept), kept, searched)
        if (by_rows(self.node.vth) != self.threshold[:, None]).any():
            raise PreconditionError(
                f"thresholds differ inside the feature maps of '{self.node.name}'; they cannot share profiles"
            )
        largest = self.threshold * ceiling
        if largest.min() < 1:
            raise PreconditionError(f"a threshold of '{self.node.name}' is below one unit; it has no profile")
        return share_thresholds(largest, self.options.threshold_profiles) / self.threshold

    def _common(self, exponents: list[int], ceiling: Floats) -> Floats:
        """Return one scale for all, at which weights that are quantized alike stay what they are."""
        scale = common_scale(ceiling)
        steps = np.array([]) if self.steps is None else self.steps[np.isfinite(self.steps)]
        if not steps.size or not np.allclose(steps, steps[0], rtol=1e-6):
            return scale
        kept = kept_scale(np.full(scale.shape, steps[0]), exponents, scale, self.threshold)
        return kept if np.isfinite(kept).all() else scale

    def _searched(self, exponents: list[int], ceiling: Floats) -> Floats:
        """Return the scale of every neuron at which rounding hurts least."""
        if self.moments is not None and self.calibrated:
            return search_together(self.incoming, exponents, ceiling, self.threshold, self.moments)
        return search_scale(self.incoming, exponents, ceiling, self.threshold)

    def _try(
        self, exponents: list[int], scale: Floats, rounding: Rounding
    ) -> tuple[dict[str, list[AnyNode]], Floats]:
        """Return the integers at a scale, and by how much each row exceeds its registers."""
        if rounding is Rounding.JOINT and self.moments is not None:
            integers, _ = round_together(self.incoming, exponents, scale, self.moments)
        else:
            integers = [
                nearest_weights(item, exponent, scale)
                for item, exponent in zip(self.incoming, exponents, strict=True)
            ]
        parts = zip(self.synapses, self.incoming, exponents, integers, strict=True)
        found = {part[0].name: fixed_connections(*part) for part in parts}
        connections = [each for name in self.node.inputs for each in found[name]]
        name = self.node.name
        sizes = None
        if self.seen is not None and self.options.compensate_decays:
            sizes = self.seen.u_mean[name], self.seen.v_mean[name]
        neurons = fixed_neurons(self.node, over_rows(scale, self.node.vth.shape), sizes)
        neurons = replace(neurons, inputs=tuple(each.name for each in connections))
        if self.kept is not None:
            neurons = replace(neurons, du=self.kept.du, dv=self.kept.dv)
        nodes: dict[str, list[AnyNode]] = {key: [*each] for key, each in found.items()}
        nodes[name] = [neurons]
        return nodes, by_rows(self._excess(connections, neurons)).max(axis=1)

    def _excess(self, connections: list[ir.FixedDense | ir.FixedConv2d], neurons: ir.FixedLif) -> Floats:
        """Return by how much u or v may exceed its register, in the population's shape; at most 1 is safe."""
        local = self.graph.with_nodes(
            [
                *(n for n in self.graph if isinstance(n, ir.Input | ir.Delay | Pooling | ir.Lif)),
                *connections,
                neurons,
            ]
        )
        proved = prove_bounds(local, neurons, self.options.steps)
        limit = float(self.options.profile.state_limit - 1)
        v_reach = np.maximum(proved.low, proved.high) if self.compared else proved.low
        limit_v = float(potential_limit(readout=self.compared))
        excess_u, excess_v = proved.current / limit, v_reach / limit_v
        if self.seen is not None:
            unit = 2.0**fixedpoint.ALIGNMENT_BITS * neurons.scale * HEAD_ROOM
            reach = -self.seen.v_low[neurons.name]
            if self.compared:
                reach = np.maximum(reach, self.seen.v_high[neurons.name])
            excess_u = np.minimum(excess_u, self.seen.u_peak[neurons.name] * unit / limit)
            excess_v = np.minimum(excess_v, reach * unit / limit_v)
        return np.maximum(excess_u, excess_v)


def _per_message(graph: Graph, node: ir.Dense | ir.Conv2d) -> Matrix:
    """Return the weights per unit of integer message: a graded source is scaled."""
    return with_values(node.weights, values_of(node.weights) / graph.message_scale(node))
