"""From real numbers to integers: one scale per neuron, one exponent per connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from toolchain import fixedpoint, ir
from toolchain.errors import PostconditionError, PreconditionError
from toolchain.ir import AnyNode, Graph, Stage
from toolchain.passes.base import Pass, require_folded_delays
from toolchain.passes.quantization.population import QuantizeOptions, quantize_population


@final
@dataclass(frozen=True, kw_only=True)
class QuantizeGraph(QuantizeOptions, Pass):
    """Replace every population and its connections by integers, one population after the other.

    How one becomes integers is `quantization.population`; this pass checks what it is given, and puts the
    nodes together. Its options are those of `QuantizeOptions`.

    Multiplying a neuron's incoming weights, bias and threshold by one positive factor changes no spike, nor
    how many there are: a reset to zero, or none, has no unit, and a potential that a spike sets, an amount
    that it takes, and what it adds to the threshold are multiplied with the rest. So every neuron has a scale
    of its own, hidden in its threshold; the neurons of a feature map, which share their weights, share it.
    Read-out populations share one scale, because their potentials are compared.

    The scale is the largest at which weights, threshold and bias fit, lowered by at most a
    factor of two to where rounding hurts least (weights that are whole numbers times a step, as those of
    a quantized network, stay them), and then until `u` and `v` stay inside 24 bits. That is proved from the
    weights, or else observed on calibration data with twofold head-room; without data the scale
    shrinks until it is proved. Where nothing leaks, what is observed is not how low a potential falls, but
    the highest floor that causes no other spike (`lowest_floor`); below that it saturates. From above, only
    potentials that a spike subtracts from, or leaves, must not saturate; see `Bounds.reach`.

    With calibration data, weights are rounded together so that their errors cancel, and decays make up
    for what rounding toward zero takes from small states.
    """

    name: ClassVar[str] = "quantize-graph"

    def requires(self, graph: Graph) -> None:
        """Accept float graphs in which every connection has one target population."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'quantize-graph' needs a float graph; this one is in integers already")
        if self.threshold_profiles is not None and (self.threshold_profiles < 1 or not self.per_neuron):
            raise PreconditionError(
                "`threshold_profiles` shares thresholds among neurons with a scale of their own; "
                "expected at least 1 profile, and `per_neuron`"
            )
        require_folded_delays(graph)
        for node in graph.synapses:
            self._check_bits(node.name)
            if len(graph.readers(node.name)) != 1:
                raise PreconditionError(
                    f"connection '{node.name}' has {len(graph.readers(node.name))} readers, "
                    "expected one population"
                )

    def _check_bits(self, connection: str) -> None:
        bits, room = self.bits_of(connection), self.profile.exponents[1]
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
        replaced: dict[str, Sequence[AnyNode]] = {}
        for population in graph.populations:
            if isinstance(population, ir.Lif):
                replaced |= quantize_population(self, graph, population).by_replaced()
        return graph.with_nodes([new for node in graph for new in replaced.get(node.name, [node])])

    def ensures(self, graph: Graph) -> None:
        """Promise that no float operation is left; what fits its register was proved before."""
        if graph.stage is not Stage.FIXED:
            raise PostconditionError("'quantize-graph' left a float operation; this is a bug")
