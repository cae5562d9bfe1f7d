"""Everything that is known about the quantization of one node, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from toolchain import ir
from toolchain.errors import UnknownNameError
from toolchain.fidelity.agreement import thresholds
from toolchain.ir import Graph
from toolchain.ir.matrix import rows_of, values_of
from toolchain.passes.quantization.chip_registers import chip_registers
from toolchain.passes.quantization.ranges import by_rows
from toolchain.passes.quantization.report import (
    ConnectionReport,
    FiringReport,
    PopulationReport,
    QuantizationReport,
)
from toolchain.reset import Reset

_PARTS: Final = (".excitatory", ".inhibitory", ".coarse", ".fine")
"""What the names of a connection's parts end with, by sign and by size of weight."""


def explain_node(graphs: tuple[Graph, Graph], report: QuantizationReport, name: str) -> list[str]:
    """Return what quantization did to a connection or population and why, one sentence each.

    Args:
        graphs: Float graph and fixed graph.
        report: Contents of `quantization.json`.
        name: Name of the node; the name a connection had before it was split means all of its parts.

    Raises:
        UnknownNameError: Lists the nodes that were quantized.
    """
    known = {**report.connections, **report.populations}
    names = [
        each for each in known if each == name or (each.startswith(f"{name}.") and each.endswith(_PARTS))
    ]
    if not names:
        raise UnknownNameError("node", name, known)
    sentences: list[str] = []
    for each in names:
        node = graphs[1][each]
        if isinstance(node, ir.FixedDense | ir.FixedConv2d):
            sentences += _connection(graphs, report.connections[each], node)
        elif isinstance(node, ir.FixedLif):
            sentences += _population(graphs[0], report, node)
        sentences += [f"warning: {item.text}." for item in report.warnings if item.node == each]
    return sentences


def _connection(
    graphs: tuple[Graph, Graph], row: ConnectionReport, node: ir.FixedDense | ir.FixedConv2d
) -> Iterator[str]:
    target = graphs[1].readers(node.name)[0]
    unit = "neuron" if isinstance(node, ir.FixedDense) else "channel"
    yield (
        f"'{node.name}' has {row.synapses:,} {row.sign_mode.value} weights of {row.weight_bits} bits, "
        f"up to {row.limit} in magnitude, times 2^{row.exponent}."
    )
    yield (
        f"A weight w became round(w S / 2^{row.exponent}) with the scale S of its {unit} of "
        f"'{target.name}'; the root mean square error is {100 * row.relative_rms_error:.2f} %."
    )
    yield (
        f"{row.rounded_to_zero:,} became zero, {row.clipped:,} were clipped, {row.not_nearest:,} "
        "took the farther neighbour, because that cancels errors on the calibration data."
    )
    if isinstance(target, ir.FixedLif):
        yield _worst_weight(graphs, node, target)


def _worst_weight(
    graphs: tuple[Graph, Graph], node: ir.FixedDense | ir.FixedConv2d, target: ir.FixedLif
) -> str:
    before = next(each for each in graphs[0].synapses if each.name == node.name)
    rows = rows_of(node.weights)
    factor = by_rows(target.scale)[rows, 0] / 2.0**node.exponent / graphs[0].message_scale(before)
    real, integers = values_of(before.weights), values_of(node.weights)
    index = int(np.argmax(np.abs(integers / factor - real)))
    element = int(target.origin.elements.reshape(len(target.vth), -1)[rows[index], 0])
    return (
        f"Its least exact weight is {real[index]:.4g} into {rows[index]} of '{target.name}' (element "
        f"{element} of '{target.origin.path}'): it became {integers[index]}, which is "
        f"{integers[index] / factor[index]:.4g}."
    )


def _population(before: Graph, report: QuantizationReport, node: ir.FixedLif) -> Iterator[str]:
    row = report.populations[node.name]
    limits = "; ".join(f"{_LIMITS[cause]} (neurons: {count:,})" for cause, count in row.limited_by if count)
    yield (
        f"'{node.name}' has {row.neurons:,} neurons; its scale S, by which one unit of the "
        f"model is 64 S integers, is {row.scale.span}."
    )
    yield f"What keeps S from doubling: {limits}."
    yield (
        f"Thresholds became {row.threshold.least:.0f} to {row.threshold.most:.0f} "
        f"({row.thresholds:,} distinct), off by at most {100 * row.largest_threshold_error:.3f} %."
    )
    yield (
        f"Decays are multiples of 1/4096 (distinct pairs: {row.decays:,}); the worst time constant is "
        f"off by {100 * max(row.largest_tau_error, row.largest_tau_current_error):.2f} %."
    )
    if row.firing is not None:
        yield _firing(row.firing)
    if node.refractory is not None:
        least, most = node.refractory.min(), node.refractory.max()
        steps = f"{least} steps" if least == most else f"{least} to {most} steps"
        yield f"After a spike its neurons send nothing for {steps}: as in the model, which counts steps, too."
    yield _range(row, report.calibration_samples)
    yield from _registers(node)
    float_node = before[node.name]
    if isinstance(float_node, ir.Lif) and np.isfinite(float_node.vth).all():
        error = np.abs(thresholds(node) - float_node.vth) / float_node.vth
        index = int(np.argmax(error))
        yield (
            f"Its least exact threshold is {float_node.vth.flat[index]:.5g} of neuron {index} (element "
            f"{node.origin.elements[index]} of '{node.origin.path}'): it became {node.vth.flat[index]} units."
        )


_LIMITS: Mapping[str, str] = {
    "weights": "their largest weight",
    "threshold": "the threshold register",
    "bias": "the bias register",
    "range": "the 24-bit range of u and v, or that a smaller scale rounds better",
}


def _registers(node: ir.FixedLif) -> Iterator[str]:
    registers = chip_registers(node)
    lava = registers.lava
    yield (
        f"Lava's current decay du is {lava.du}; what Loihi 1 takes as iDecay is one more, "
        f"{registers.loihi1.iDecay}, since Lava adds one by itself. The others are the same: dv {lava.dv} "
        f"is vDecay, vth {lava.vth} is vThMant, biases are mantissas of {lava.bias_mant} with "
        f"exponents of {lava.bias_exp}."
    )
    if registers.beyond_12_bits:
        yield (
            f"{registers.beyond_12_bits:,} of its {node.vth.size:,} neurons have an iDecay of 4096, "
            "beyond the 12 bits of the register: their core has to add the one (its bit ds_offset), and the "
            "register takes du."
        )


def _firing(row: FiringReport) -> str:
    takes = {
        Reset.ZERO: "sets the potential to zero",
        Reset.VALUE: "sets the potential to a value",
        Reset.SUBTRACT: "takes an amount from the potential",
        Reset.NONE: "leaves the potential",
    }
    spike = f"Each of up to {row.max_spikes} spikes in a step" if row.max_spikes > 1 else "A spike"
    amount = f", off by at most {100 * row.largest_amount_error:.3f} % of the threshold"
    parts = [f"{spike} {takes[row.reset]}{amount if row.reset.has_amount else ''}"]
    if row.rise_bound != 0:
        bound = "an amount that nothing bounds"
        if row.rise_bound is not None:
            bound = f"at most {100 * row.rise_bound:.2g} % of the register"
        errors = 100 * row.largest_adaptation_error, 100 * row.largest_tau_error
        parts.append(
            f"it raises the threshold, by {bound} in all; what one adds is off by at most {errors[0]:.3f} %, "
            f"the time constant with which that fades by {errors[1]:.2f} %"
        )
    return "; ".join(parts) + "."


def _range(row: PopulationReport, samples: int) -> str:
    bounds = [
        f"|{name}| reaches at most {100 * bound:.0f} % of its register"
        for name, bound in (("u", row.current_bound), ("v", row.potential_bound))
        if bound is not None
    ]
    proof = " and ".join(bounds) or "nothing bounds them"
    match row.range:
        case "proved":
            return f"It cannot overflow, whatever comes: {proof}."
        case "measured":
            return (
                f"That it does not overflow is measured on {samples} samples with twofold head-room, and not "
                f"proved. If the worst of all inputs came, {proof}."
            )
        case _:
            return f"Its scale was shrunk until it fits: {proof}."
