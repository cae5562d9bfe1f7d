"""Whether integers are those of their float graph: every weight, threshold, decay, bias and delay."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.errors import FaultyIntegersError
from toolchain.ir import Graph, Node, Stage
from toolchain.ir.firing import Neurons
from toolchain.ir.matrix import columns_of, rows_of, values_of
from toolchain.passes.quantization.integers import decay_register, most_compensated
from toolchain.passes.quantization.ranges import by_rows

_Q = NDArray[Any]


@final
@dataclass(frozen=True)
class Fault:
    """An integer that is not what its real number rounds to.

    Attributes:
        node: Name in the graph.
        what: Number that is wrong, such as `threshold of neuron 17`.
        expected: Value that would have been right.
        got: Value that is there.
    """

    node: str
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"'{self.node}': {self.what} is {self.got}, expected {self.expected}"


def check_integers(before: Graph, after: Graph, *, clustered: bool = False) -> None:
    """Raise unless a fixed graph is a rounding of a float graph.

    Structure and delays must be the same; a weight must be one of the two neighbours of its real value on the
    grid of its connection, or the end of the range; a threshold, a bias and what a spike sets, takes or
    adds must be the nearest; a decay the nearest, or lower by no more than makes up for rounding.

    Args:
        before: The float graph.
        after: The fixed graph quantized from it.
        clustered: Whether decays were given to few profiles and may be anything.

    Raises:
        FaultyIntegersError: Names the first node, the index in it, and what was expected.
    """
    fault = next(find_faults(before, after, clustered=clustered), None)
    if fault is not None:
        raise FaultyIntegersError(fault.node, str(fault))


def find_faults(before: Graph, after: Graph, *, clustered: bool = False) -> Iterator[Fault]:
    """Yield what is wrong with the integers of a graph; see `check_integers`."""
    if after.stage is not Stage.FIXED:
        yield Fault(after.name, "stage", "integers", "real numbers")
        return
    for node in before:
        if node.name not in after:
            yield Fault(node.name, "node", f"a {node.kind}", "missing")
            continue
        other = after[node.name]
        if node.inputs != other.inputs:
            yield Fault(node.name, "source", ", ".join(node.inputs), ", ".join(other.inputs))
        match node, other:
            case (ir.Dense(), ir.FixedDense()) | (ir.Conv2d(), ir.FixedConv2d()):
                yield from _connection_faults(before, after, node, other)
            case ir.Lif(), ir.FixedLif():
                yield from _population_faults(node, other, clustered=clustered)
            case _:
                yield from _same_faults(node, other)
    for node in after:
        if node.name not in before:
            yield Fault(node.name, "node", "none", f"a {node.kind}")


def _connection_faults(
    before: Graph, after: Graph, node: ir.Dense | ir.Conv2d, other: ir.FixedDense | ir.FixedConv2d
) -> Iterator[Fault]:
    if not _alike(getattr(node, "delays", None), getattr(other, "delays", None)):
        yield Fault(node.name, "delays of its synapses", "those of the float graph", "others")
    target = next(iter(after.readers(node.name)), None)
    if target is None:
        yield Fault(node.name, "target", before.readers(node.name)[0].name, "none")
        return
    if node.weights.shape != other.weights.shape or not isinstance(target, ir.FixedLif):
        yield Fault(node.name, "shape", str(node.weights.shape), str(other.weights.shape))
        return
    if not isinstance(node.weights, np.ndarray) and not (
        _alike(columns_of(node.weights), columns_of(other.weights))
        and _alike(rows_of(node.weights), rows_of(other.weights))
    ):
        yield Fault(node.name, "synapses", "those of the float graph", "others")
        return
    rows = rows_of(node.weights)
    scale = by_rows(target.scale)[rows, 0] / 2.0**other.exponent / before.message_scale(node)
    step = fixedpoint.weight_granularity(other.sign_mode, other.weight_bits)
    lowest, highest = fixedpoint.round_weights(
        np.array([-np.inf, np.inf]), other.sign_mode, other.weight_bits
    )
    real, integers = values_of(node.weights) * scale, values_of(other.weights)
    inside = np.clip(real, lowest, highest)
    wrong = np.abs(integers - inside) >= step * (1 + 1e-9)
    wrong |= (real == 0) & (integers != 0)
    for index in np.flatnonzero(wrong)[:1]:
        wanted = f"{real[index]:.2f} rounded to a multiple of {step}"
        yield Fault(node.name, f"weight {index} (target {rows[index]})", wanted, str(integers[index]))


def _population_faults(node: ir.Lif, other: ir.FixedLif, *, clustered: bool) -> Iterator[Fault]:
    if node.vth.shape != other.vth.shape:
        yield Fault(node.name, "shape", str(node.vth.shape), str(other.vth.shape))
        return
    does = [(each.reset.value, each.max_spikes, *_optional(each)) for each in (node, other)]
    if does[0] != does[1]:
        said = [", ".join(map(str, each)) for each in does]
        yield Fault(node.name, "effect of a spike", *said)
        return
    units = np.where(np.isfinite(node.vth), node.vth * other.scale, fixedpoint.THRESHOLD_MAX)
    thresholds = np.clip(np.rint(units), 0, fixedpoint.THRESHOLD_MAX)
    mantissa, exponent = fixedpoint.split_bias(node.bias * other.scale * 2.0**fixedpoint.ALIGNMENT_BITS)
    pairs: list[tuple[str, _Q, _Q, _Q]] = [
        ("threshold", other.vth, thresholds, other.vth != thresholds),
        (
            "bias",
            other.bias,
            np.left_shift(mantissa, exponent),
            other.bias != np.left_shift(mantissa, exponent),
        ),
    ]
    if not clustered:
        du = decay_register(node.du, None, least=1) - 1
        dv = np.minimum(decay_register(node.dv, None, least=0), fixedpoint.DECAY_UNITY - 1)
        pairs += [
            ("du", other.du, du, (other.du > du) | (other.du < du - most_compensated(node.du))),
            ("dv", other.dv, dv, (other.dv > dv) | (other.dv < dv - most_compensated(node.dv))),
        ]
    pairs += _amounts(node, other)
    for what, got, expected, wrong in pairs:
        for index in np.flatnonzero(wrong)[:1]:
            whose = (
                f"{what} of neuron {index} (element {node.origin.elements[index]} of '{node.origin.path}')"
            )
            yield Fault(node.name, whose, str(int(expected.flat[index])), str(int(got.flat[index])))


def _amounts(node: ir.Lif, other: ir.FixedLif) -> list[tuple[str, _Q, _Q, _Q]]:
    """Return what a spike does in integers, what it should do, and where that differs."""
    largest, unit = fixedpoint.STATE_LIMIT - 1, other.scale * 2.0**fixedpoint.ALIGNMENT_BITS
    got, pairs = _optional(other), list[tuple[str, _Q, _Q, _Q]]()
    for name, real in _optional(node).items():
        match name:
            case "refractory":
                expected = real
            case "adaptation_decay":
                expected = decay_register(real, None, least=1)
            case _:
                least = 1 if name == "reset_amount" and node.max_spikes > 1 else -largest
                expected = np.clip(np.rint(real * unit), least, largest)
        pairs.append((name, got[name], expected, got[name] != expected))
    return pairs


def _optional(node: Neurons) -> dict[str, _Q]:
    """Return the numbers of neurons that a population need not have."""
    return {name: values for name, values in node.per_neuron.items() if name not in node.required}


def _same_faults(node: Node, other: Node) -> Iterator[Fault]:
    """Yield differences of nodes that both stages share: inputs, delays, poolings, outputs."""
    if type(node) is not type(other):
        yield Fault(node.name, "operation", node.kind, other.kind)
        return
    for item in fields(node):
        left, right = getattr(node, item.name), getattr(other, item.name)
        if not _alike(left, right):
            what = "delay" if isinstance(node, ir.Delay) and item.name == "steps" else item.name
            yield Fault(node.name, what, str(left), str(right))


def _alike(left: Any, right: Any) -> bool:  # noqa: ANN401 - field values of any sort
    if left is None or right is None:
        return left is right
    if hasattr(left, "data") and hasattr(left, "indptr"):
        return bool((left != right).nnz == 0)
    return bool(np.array_equal(left, right))
