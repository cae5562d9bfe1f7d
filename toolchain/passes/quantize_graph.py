"""From real numbers to integers: one scale per neuron, one exponent per connection."""

from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.errors import PostconditionError, PreconditionError
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.ir import (
    AnyNode,
    Conv2d,
    Delay,
    Dense,
    FixedConv2d,
    FixedDense,
    FixedLif,
    Graph,
    Input,
    Lif,
    Pooling,
    Stage,
)
from toolchain.ir.matrix import Matrix, rows_of, values_of, with_values
from toolchain.passes.base import Pass
from toolchain.passes.ranges import (
    HEAD_ROOM,
    Calibration,
    by_rows,
    over_rows,
    potential_limit,
    prove_bounds,
)
from toolchain.passes.scales import (
    Incoming,
    cap_scale,
    choose_exponents,
    common_scale,
    largest_scale,
    search_scale,
)

Floats = NDArray[np.float64]

_SHRINKING_ROUNDS = 40
# Integers change only if the scale changes noticeably: less than this would stand still.
_LEAST_SHRINKING = 1.02


@final
@dataclass(frozen=True, kw_only=True)
class QuantizeGraph(Pass):
    """Replace every float operation by its integer counterpart.

    Spikes are binary and the reset is to zero, so multiplying a neuron's incoming weights, bias
    and threshold by one positive factor changes no spike: every neuron has a scale of its own,
    hidden in its threshold; the neurons of a feature map, which share their weights, share it.
    Read-out populations share one scale, because their potentials are compared.

    The scale is the largest at which weights, threshold and bias fit, lowered by at most a
    factor of two to where rounding hurts least, and then until `u` and `v` stay inside 24 bits:
    proved from the weights, or else observed on calibration data with twofold head-room. Without
    data it shrinks until proved.

    Attributes:
        weight_bits: Bits of a weight, sign included, 2 .. 8.
        per_neuron: False gives each population one scale (the usual way elsewhere, kept for
            comparison).
        steps: Length of the longest sample, if known; sharpens the proofs for slow neurons.
        calibration: Ranges observed on training data.
        profile: Limits of the target.
    """

    name: ClassVar[str] = "quantize-graph"

    weight_bits: int = fixedpoint.WEIGHT_BITS
    per_neuron: bool = True
    steps: int | None = None
    calibration: Calibration | None = field(default=None, repr=False)
    profile: HardwareProfile = LAVA_FIXED_POINT

    def requires(self, graph: Graph) -> None:
        """Accept float graphs in which every connection has one target population."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'quantize-graph' needs a float graph; this one is in integers already")
        if not 2 <= self.weight_bits <= self.profile.weight_bits:
            raise PreconditionError(
                f"expected 2 to {self.profile.weight_bits} weight bits, got {self.weight_bits}"
            )
        for node in graph:
            if isinstance(node, Delay) and not isinstance(node.steps, int):
                raise PreconditionError(f"delay '{node.name}' differs per neuron; run 'fold-delays' first")
        for node in graph.synapses:
            if len(graph.readers(node.name)) != 1:
                raise PreconditionError(
                    f"connection '{node.name}' has {len(graph.readers(node.name))} readers, "
                    "expected one population"
                )

    def rewrite(self, graph: Graph) -> Graph:
        """Return the integer graph; names, order and origins stay."""
        replaced: dict[str, AnyNode] = {}
        for population in graph.populations:
            if isinstance(population, Lif):
                replaced |= {node.name: node for node in self._population(graph, population)}
        return graph.map(lambda node: replaced.get(node.name, node))

    def ensures(self, graph: Graph) -> None:
        """Promise that nothing can leave its register unseen and that no float operation is left."""
        if graph.stage is not Stage.FIXED:
            raise PostconditionError("'quantize-graph' left a float operation; this is a bug")

    def _population(self, graph: Graph, population: Lif) -> list[AnyNode]:
        synapses = [node for name in population.inputs if isinstance(node := graph[name], Dense | Conv2d)]
        incoming = [
            Incoming(
                _per_message(graph, node), fixedpoint.sign_mode_of(values_of(node.weights)), self.weight_bits
            )
            for node in synapses
        ]
        # One value per neuron, or per feature map: the dearest of its neurons decides.
        threshold = by_rows(population.vth).max(axis=1)
        bias = np.abs(by_rows(population.bias)).max(axis=1)
        exponents = choose_exponents(incoming, threshold, self.profile)
        ceiling = cap_scale(largest_scale(incoming, exponents), threshold, bias, self.profile)
        compared = not np.isfinite(threshold).all()
        for _ in range(_SHRINKING_ROUNDS):
            scale = (
                search_scale(incoming, exponents, ceiling, threshold)
                if self.per_neuron and not compared
                else common_scale(ceiling)
            )
            connections = [
                _integers(node, item, exponent, scale)
                for node, item, exponent in zip(synapses, incoming, exponents, strict=True)
            ]
            neurons = _neurons(population, over_rows(scale, population.vth.shape))
            excess = by_rows(self._excess(graph, connections, neurons, readout=compared)).max(axis=1)
            if (excess <= 1).all():
                return [*connections, neurons]
            if not np.isfinite(excess).all():
                break
            smaller = scale / np.maximum(excess, _LEAST_SHRINKING)
            ceiling = np.where(excess > 1, smaller, ceiling)
        raise PreconditionError(
            f"population '{population.name}' does not fit 24 bits at any scale; "
            "give calibration data, or reduce its time constants or weights"
        )

    def _excess(
        self, graph: Graph, connections: list[FixedDense | FixedConv2d], neurons: FixedLif, *, readout: bool
    ) -> Floats:
        """Return by how much u or v may exceed its register, in the population's shape; at most 1 is safe."""
        local = graph.with_nodes(
            [*(n for n in graph if isinstance(n, Input | Delay | Pooling | Lif)), *connections, neurons]
        )
        proved = prove_bounds(local, neurons, self.steps)
        limit = float(self.profile.state_limit - 1)
        v_reach = np.maximum(proved.low, proved.high) if readout else proved.low
        limit_v = float(potential_limit(readout=readout))
        excess_u, excess_v = proved.current / limit, v_reach / limit_v
        if self.calibration is not None and neurons.name in self.calibration.v_low:
            unit = 2.0**fixedpoint.ALIGNMENT_BITS * neurons.scale * HEAD_ROOM
            seen = -self.calibration.v_low[neurons.name]
            if readout:
                seen = np.maximum(seen, self.calibration.v_high[neurons.name])
            excess_u = np.minimum(excess_u, self.calibration.u_peak[neurons.name] * unit / limit)
            excess_v = np.minimum(excess_v, seen * unit / limit_v)
        return np.maximum(excess_u, excess_v)


def _per_message(graph: Graph, node: Dense | Conv2d) -> Matrix:
    """Return the weights per unit of integer message: a graded source is scaled."""
    return with_values(node.weights, values_of(node.weights) / graph.message_scale(node))


def _integers(node: Dense | Conv2d, item: Incoming, exponent: int, scale: Floats) -> FixedDense | FixedConv2d:
    factor = scale[rows_of(item.weights)] / 2.0**exponent
    integers = fixedpoint.round_weights(values_of(item.weights) * factor, item.sign_mode, item.weight_bits)
    weights = with_values(item.weights, integers)
    if isinstance(node, Dense):
        return FixedDense(
            name=node.name,
            inputs=node.inputs,
            weights=weights,
            exponent=exponent,
            sign_mode=item.sign_mode,
            weight_bits=item.weight_bits,
            delays=node.delays,
        )
    return FixedConv2d(
        name=node.name,
        inputs=node.inputs,
        weights=np.asarray(weights),
        exponent=exponent,
        sign_mode=item.sign_mode,
        weight_bits=item.weight_bits,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )


def _neurons(node: Lif, scale: Floats) -> FixedLif:
    unity = fixedpoint.DECAY_UNITY
    mantissa, exponent = fixedpoint.split_bias(node.bias * scale * 2.0**fixedpoint.ALIGNMENT_BITS)
    units = np.where(np.isfinite(node.vth), node.vth * scale, fixedpoint.THRESHOLD_MAX)
    return FixedLif(
        name=node.name,
        inputs=node.inputs,
        du=np.clip(np.rint(node.du * unity) - 1, 0, unity - 1),
        dv=np.clip(np.rint(node.dv * unity), 0, unity - 1),
        vth=np.clip(np.rint(units), 0, fixedpoint.THRESHOLD_MAX),
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        scale=scale,
        origin=node.origin,
    )
