"""One population and its connections on their way to integers, in three steps.

`choose_scale` says how many integers a unit of the model is for every neuron, `round_weights` makes the
integers of that scale, and `prove_fit` proves by how much they exceed their registers.
`quantize_population` repeats the three until everything fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, final

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.errors import PreconditionError
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.ir import AnyNode, Graph, Pooling
from toolchain.ir.matrix import values_of, with_values
from toolchain.passes.quantization.calibration import Calibration
from toolchain.passes.quantization.integers import fixed_connections, fixed_neurons, nearest_weights
from toolchain.passes.quantization.ranges import by_rows, excess, over_rows, prove_bounds
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
_LEAST_SHRINKING: Final = 1.02
"""Integers change only if the scale changes noticeably: a smaller factor would change nothing."""
_UNUSED_SOURCE: Final = 1e-3
"""Importance of a source that was never active, as a share of the mean: its weights may not be any number."""

FixedConnection = ir.FixedDense | ir.FixedConv2d


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """How real numbers become integers.

    Attributes:
        weight_bits: Bits of a weight, sign included, 2 .. 15; for all, or per connection. A name also
            means the halves that `split-signs` made of it; `*` means all others, without it they have 8. More
            than 8 are two synapses, whose connections end in `.coarse` and `.fine`.
        per_neuron: False gives each population one scale (the usual way elsewhere, kept for
            comparison).
        threshold_profiles: Largest number of distinct thresholds in a population, for chips that hold few;
            None for as many as there are neurons.
        rounding: How weights become integers.
        compensate_decays: Whether decays make up for rounding toward zero, each neuron by its own state; not
            where decays are shared by few profiles.
        keep: A fixed graph of the same network whose scales, exponents and decays are kept, as after training
            with its integers, whatever is known of ranges.
        steps: Length of the longest sample, if known; sharpens the proofs for slow neurons.
        calibration: What was observed on training data.
        profile: Limits of the target.
    """

    weight_bits: int | Mapping[str, int] = fixedpoint.WEIGHT_BITS
    per_neuron: bool = True
    threshold_profiles: int | None = None
    rounding: Rounding = Rounding.JOINT
    compensate_decays: bool = True
    keep: Graph | None = field(default=None, repr=False)
    steps: int | None = None
    calibration: Calibration | None = field(default=None, repr=False)
    profile: HardwareProfile = LAVA_FIXED_POINT

    def bits_of(self, connection: str) -> int:
        """Return the bits of a connection: those of its name, or of the name it had before it was split."""
        if isinstance(self.weight_bits, int):
            return self.weight_bits
        whole = connection.rpartition(".")[0]
        otherwise = self.weight_bits.get(OTHERS, fixedpoint.WEIGHT_BITS)
        return self.weight_bits.get(connection, self.weight_bits.get(whole, otherwise))


@final
@dataclass(frozen=True)
class FloatPopulation:
    """A population in real numbers, with all that decides which integers it gets.

    Attributes:
        options: How real numbers become integers.
        graph: The float graph.
        node: The population.
    """

    options: QuantizeOptions
    graph: Graph
    node: ir.Lif

    @cached_property
    def connections(self) -> list[ir.Dense | ir.Conv2d]:
        """The connections into the population, in the order in which it reads them."""
        nodes = (self.graph[name] for name in self.node.inputs)
        return [node for node in nodes if isinstance(node, ir.Dense | ir.Conv2d)]

    @cached_property
    def calibration(self) -> Calibration | None:
        """What was observed of the population; None if nothing was."""
        calibration = self.options.calibration
        return calibration if calibration is not None and self.node.name in calibration.v_low else None

    @cached_property
    def moments(self) -> Floats | None:
        """Second moments of what the population reads; None where none were observed."""
        return None if self.calibration is None else self.calibration.drives.get(self.node.name)

    @property
    def rounds_together(self) -> bool:
        """Whether the weights of a neuron are rounded together, so that their errors cancel."""
        return self.options.rounding is Rounding.JOINT and self.moments is not None

    @cached_property
    def threshold(self) -> Floats:
        """Threshold of every neuron; of a feature map, whose neurons share a scale, the largest."""
        return by_rows(self.node.vth).max(axis=1)

    @cached_property
    def is_readout(self) -> bool:
        """Whether potentials are compared with one another, so that all neurons need one scale."""
        return not np.isfinite(self.threshold).all()

    @cached_property
    def template(self) -> ir.FixedLif | None:
        """The integers whose scale and decays are kept; None where they are chosen anew."""
        node = None if self.options.keep is None else self.options.keep[self.node.name]
        return node if isinstance(node, ir.FixedLif) else None

    @cached_property
    def incoming(self) -> list[Incoming]:
        """The weights of every connection, per unit of integer message."""
        incoming: list[Incoming] = []
        start = 0
        for node in self.connections:
            # The integers of a graded source are its values times a scale.
            weights = with_values(node.weights, values_of(node.weights) / self.graph.message_scale(node))
            signs = fixedpoint.sign_mode_of(values_of(node.weights))
            template = None if self.options.keep is None else self.options.keep[node.name]
            if isinstance(template, FixedConnection):
                # Weights that became zero in training must not change what the others mean.
                signs = template.sign_mode
            connection = Incoming(weights, signs, self.options.bits_of(node.name))
            if self.moments is not None:
                energies = np.diag(self.moments)
                unused = _UNUSED_SOURCE * max(float(energies.mean()), 1e-12)
                end = start + connection.sources
                connection = replace(connection, importance=energies[start:end] + unused)
                start = end
            incoming.append(connection)
        return incoming

    @cached_property
    def grid(self) -> Floats | None:
        """The step of which all weights of a neuron are multiples; None if there is none."""
        return incoming_steps(self.incoming)


@final
@dataclass(frozen=True)
class FixedPopulation:
    """The integers of a population and of its connections at one scale.

    Attributes:
        scale: Integers per unit of the model, for every neuron or feature map.
        connections: Integer connections, by the name of the connection that they replace.
        neurons: The population; it reads those connections.
    """

    scale: Floats
    connections: Mapping[str, list[FixedConnection]]
    neurons: ir.FixedLif

    def by_replaced(self) -> dict[str, Sequence[AnyNode]]:
        """Return all integer nodes, by the name of the node that they replace."""
        return {**self.connections, self.neurons.name: [self.neurons]}


def quantize_population(options: QuantizeOptions, graph: Graph, node: ir.Lif) -> FixedPopulation:
    """Return integers that fit every register.

    Exponents are chosen before the range is known. Where the range lowers the scale they fall behind it,
    so that weights use their integers; exponents only fall, hence this ends.

    Raises:
        PreconditionError: No scale fits.
    """
    population = FloatPopulation(options, graph, node)
    exponents = first_exponents(population)
    fixed = _fit(population, exponents)
    while options.keep is None:
        needed = smallest_exponents(population.incoming, fixed.scale)
        smaller = [min(pair) for pair in zip(exponents, needed, strict=True)]
        if smaller == exponents:
            break
        exponents = smaller
        fixed = _fit(population, exponents)
    return fixed


def _fit(population: FloatPopulation, exponents: list[int]) -> FixedPopulation:
    """Return integers that fit every register, at the largest scale at which they do; or those kept."""
    ceiling = scale_ceiling(population, exponents)
    if population.template is not None:
        # Any other scale would round the weights anew: to other integers than those that were trained.
        return round_weights(population, exponents, ceiling, together=population.rounds_together)
    for _ in range(_SHRINKING_ROUNDS):
        scale = choose_scale(population, exponents, ceiling)
        fixed = round_weights(population, exponents, scale, together=False)
        over = prove_fit(population, fixed)
        if population.rounds_together and (over <= 1).all():
            fixed = round_weights(population, exponents, scale, together=True)
            over = prove_fit(population, fixed)
        if (over <= 1).all():
            return fixed
        if not np.isfinite(over).all():
            break
        ceiling = np.where(over > 1, scale / np.maximum(over, _LEAST_SHRINKING), ceiling)
    raise PreconditionError(
        f"population '{population.node.name}' does not fit 24 bits at any scale; "
        "give samples as `calibration`, or reduce its time constants or weights"
    )


def first_exponents(population: FloatPopulation) -> list[int]:
    """Return the exponent of every connection with which the search for integers begins."""
    options = population.options
    if options.keep is None:
        return choose_exponents(population.incoming, population.threshold, options.profile)
    templates = (options.keep[node.name] for node in population.connections)
    return [node.exponent for node in templates if isinstance(node, FixedConnection)]


def scale_ceiling(population: FloatPopulation, exponents: list[int]) -> Floats:
    """Return the largest scale of every row at which weights, threshold and bias fit.

    A row without any of them fits every scale, and has the smallest of the others.
    """
    if population.template is not None:
        return by_rows(population.template.scale)[:, 0]
    bias = np.abs(by_rows(population.node.bias)).max(axis=1)
    largest = largest_scale(population.incoming, exponents)
    scale = cap_scale(largest, population.threshold, bias, population.options.profile)
    return np.where(np.isfinite(scale), scale, scale.min() if np.isfinite(scale.min()) else 1.0)


def choose_scale(population: FloatPopulation, exponents: list[int], ceiling: Floats) -> Floats:
    """Return the scale of every neuron or feature map, up to a ceiling: the first of the three steps."""
    options, incoming, threshold = population.options, population.incoming, population.threshold
    if population.is_readout or not options.per_neuron:
        return _common(population, exponents, ceiling)
    if options.threshold_profiles is not None:
        return _shared_thresholds(population, options.threshold_profiles, ceiling)
    if population.moments is not None and population.rounds_together:
        scale = search_together(incoming, exponents, ceiling, threshold, population.moments)
    else:
        scale = search_scale(incoming, exponents, ceiling, threshold)
    if population.grid is None:
        return scale
    exact = kept_scale(population.grid, exponents, ceiling, threshold)
    return np.where(np.isfinite(exact), exact, scale)


def _common(population: FloatPopulation, exponents: list[int], ceiling: Floats) -> Floats:
    """Return one scale for all, at which weights that are quantized alike stay what they are."""
    scale, grid = common_scale(ceiling), population.grid
    steps = np.array([]) if grid is None else grid[np.isfinite(grid)]
    if not steps.size or not np.allclose(steps, steps[0], rtol=1e-6):
        return scale
    exact = kept_scale(np.full(scale.shape, steps[0]), exponents, scale, population.threshold)
    return exact if np.isfinite(exact).all() else scale


def _shared_thresholds(population: FloatPopulation, profiles: int, ceiling: Floats) -> Floats:
    """Return scales at which the population has no more distinct thresholds than profiles."""
    name, threshold = population.node.name, population.threshold
    if (by_rows(population.node.vth) != threshold[:, None]).any():
        raise PreconditionError(
            f"thresholds differ inside the feature maps of '{name}'; they cannot share profiles"
        )
    largest = threshold * ceiling
    if largest.min() < 1:
        raise PreconditionError(f"a threshold of '{name}' is below one unit; it has no profile")
    return share_thresholds(largest, profiles) / threshold


def round_weights(
    population: FloatPopulation, exponents: list[int], scale: Floats, *, together: bool
) -> FixedPopulation:
    """Return the integers at a scale: the second of the three steps.

    Args:
        population: The population in real numbers.
        exponents: Exponent of every connection.
        scale: Integers per unit of the model, for every neuron or feature map.
        together: Whether the weights of a neuron are rounded together, or each to the nearest.
    """
    node, incoming = population.node, population.incoming
    if together and population.moments is not None:
        integers, _ = round_together(incoming, exponents, scale, population.moments)
    else:
        pairs = zip(incoming, exponents, strict=True)
        integers = [nearest_weights(weights, exponent, scale) for weights, exponent in pairs]
    rows = zip(population.connections, incoming, exponents, integers, strict=True)
    connections = {row[0].name: fixed_connections(*row) for row in rows}
    sizes = None
    if population.calibration is not None and population.options.compensate_decays:
        sizes = population.calibration.u_mean[node.name], population.calibration.v_mean[node.name]
    neurons = fixed_neurons(node, over_rows(scale, node.vth.shape), sizes)
    template = population.template
    if template is not None:
        decay = None if node.adaptation is None else template.adaptation_decay
        neurons = replace(neurons, du=template.du, dv=template.dv, adaptation_decay=decay)
    inputs = tuple(each.name for name in node.inputs for each in connections[name])
    return FixedPopulation(scale, connections, replace(neurons, inputs=inputs))


def prove_fit(population: FloatPopulation, fixed: FixedPopulation) -> Floats:
    """Return by what factor a register may be exceeded in every row; at most 1 is safe: the third step.

    The registers are those of u, of v, of the rise of a threshold, and of the amounts of a spike. A range is
    proved from the weights, or else observed on calibration data, with head-room.
    """
    neurons, readout = fixed.neurons, population.is_readout
    around = (node for node in population.graph if isinstance(node, ir.Input | ir.Delay | Pooling | ir.Lif))
    connections = (each for name in population.node.inputs for each in fixed.connections[name])
    local = population.graph.with_nodes([*around, *connections, neurons])
    limit = float(population.options.profile.state_limit - 1)
    known = [prove_bounds(local, neurons, population.options.steps)]
    unit = 2.0**fixedpoint.ALIGNMENT_BITS * neurons.scale
    if population.calibration is not None:
        known.append(population.calibration.bounds(population.node, unit))
    amounts = [np.abs(amount) * unit / limit for amount in _amounts(population.node)]
    over = np.maximum.reduce([excess(known, neurons.reset, readout=readout, limit=limit), *amounts])
    return by_rows(over).max(axis=1)


def _amounts(node: ir.Lif) -> list[Floats]:
    """Return what a spike sets, takes or adds, for the neurons that can fire."""
    amounts = (node.reset_amount, node.adaptation)
    return [np.where(np.isfinite(node.vth), amount, 0.0) for amount in amounts if amount is not None]
