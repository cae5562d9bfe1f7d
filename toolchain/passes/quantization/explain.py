"""What quantization did to every tensor and population, as a document for people and machines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.execution.clipping import graded_range
from toolchain.ir import EdgeKind, Graph
from toolchain.ir.matrix import rows_of, values_of
from toolchain.passes.quantization.calibration import HEAD_ROOM, Calibration
from toolchain.passes.quantization.chip_registers import chip_registers
from toolchain.passes.quantization.integers import LOST_PER_DECAY
from toolchain.passes.quantization.ranges import Bounds, by_rows, excess, potential_limit, prove_bounds
from toolchain.passes.quantization.report import (
    ConnectionReport,
    FiringReport,
    InputReport,
    PopulationReport,
    QuantizationReport,
    Range,
    ScaleLimits,
    Spread,
)
from toolchain.passes.quantization.warnings import find_warnings


def explain_quantization(
    before: Graph, after: Graph, *, steps: int | None = None, calibration: Calibration | None = None
) -> QuantizationReport:
    """Return the document that is stored as `quantization.json`.

    Args:
        before: The float graph that was quantized.
        after: The fixed graph it became.
        steps: Length of the longest sample, as given to the quantizer.
        calibration: As given to the quantizer.

    Returns:
        What the classes of `toolchain.passes.quantization.report` say of inputs, connections and
        populations, with warnings and without options.
    """
    connections: dict[str, ConnectionReport] = {}
    populations: dict[str, PopulationReport] = {}
    for node in after.synapses:
        source = before[node.name]
        target = after.readers(node.name)[0]
        if (
            isinstance(node, ir.FixedDense | ir.FixedConv2d)
            and isinstance(source, ir.Dense | ir.Conv2d)
            and isinstance(target, ir.FixedLif)
        ):
            bits = after.largest_message(node).bit_length()
            message = before.message_scale(source)
            connections[node.name] = _explain_connection(source, node, target, message, bits)
    for node in after.populations:
        source = before[node.name]
        if isinstance(node, ir.FixedLif) and isinstance(source, ir.Lif):
            populations[node.name] = _explain_population(after, source, node, steps, calibration)
    report = QuantizationReport(
        calibration_samples=0 if calibration is None else calibration.samples,
        steps=steps,
        inputs={
            node.name: InputReport(bits=node.bits, range=graded_range(node))
            for node in after.inputs
            if node.edge is EdgeKind.GRADED
        },
        connections=connections,
        populations=populations,
    )
    return report.model_copy(update={"warnings": find_warnings(report)})


def _explain_connection(
    before: ir.Dense | ir.Conv2d,
    after: ir.FixedDense | ir.FixedConv2d,
    target: ir.FixedLif,
    message: float,
    message_bits: int,
) -> ConnectionReport:
    real, integer = values_of(before.weights) / message, values_of(after.weights)
    factor = by_rows(target.scale)[rows_of(before.weights), 0] / 2.0**after.exponent
    lowest, highest = fixedpoint.weight_limits(after.sign_mode)
    step = fixedpoint.weight_granularity(after.sign_mode, after.weight_bits)
    wanted = real * factor
    clipped = (wanted > highest + step / 2) | (wanted < lowest - step / 2)
    energy = float(np.sum(real**2))
    error = float(np.sum((integer / factor - real) ** 2))
    return ConnectionReport(
        synapses=int(np.count_nonzero(real)),
        exponent=after.exponent,
        sign_mode=after.sign_mode,
        weight_bits=after.weight_bits,
        clipped=int(clipped.sum()),
        rounded_to_zero=int(((integer == 0) & (real != 0)).sum()),
        not_nearest=int((np.abs(integer - wanted) > step / 2 + 1e-6).sum() - clipped.sum()),
        largest_integer=int(np.abs(integer).max(initial=0)),
        limit=(max(-lowest, highest) // step) * step,
        relative_rms_error=float(np.sqrt(error / energy)) if energy > 0 else 0.0,
        message_bits=message_bits,
    )


def _explain_population(
    graph: Graph, before: ir.Lif, after: ir.FixedLif, steps: int | None, calibration: Calibration | None
) -> PopulationReport:
    fires = np.isfinite(before.vth)
    threshold = np.where(fires, before.vth, 1.0)
    threshold_error = np.where(fires, np.abs(after.vth / after.scale - threshold) / threshold, 0.0)
    bias_error = np.abs(after.bias / (after.scale * 2.0**fixedpoint.ALIGNMENT_BITS) - before.bias)
    reach = prove_bounds(graph, after, steps)
    limit, readout = fixedpoint.STATE_LIMIT - 1, not bool(fires.all())
    v_reach, limit_v = reach.reach(after.reset, readout=readout), potential_limit(readout=readout)
    proved = bool((excess([reach], after.reset, readout=readout, limit=limit) <= 1).all())
    level = after.vth.astype(np.float64) * 2**fixedpoint.ALIGNMENT_BITS
    silent = fires & (reach.high <= level)
    restless = fires & (after.bias - reach.current - _held_back(after, reach) > level)
    with np.errstate(divide="ignore"):
        memory = np.minimum(fixedpoint.DECAY_UNITY / after.dv.astype(np.float64), steps or np.inf)
    # A neuron without leak (dv = 0) loses nothing: its product is exact.
    loss = np.where(after.dv > 0, LOST_PER_DECAY * memory, 0.0)
    known: Range = "proved" if proved else "shrunk" if calibration is None else "measured"
    return PopulationReport(
        neurons=int(after.vth.size),
        scale=_spread(after.scale),
        threshold=_spread(after.vth.astype(np.float64)),
        largest_threshold_error=float(threshold_error.max(initial=0.0)),
        largest_bias_error=float(bias_error.max(initial=0.0)),
        largest_tau_error=_tau_error(before.dv, after.dv / fixedpoint.DECAY_UNITY),
        largest_tau_current_error=_tau_error(before.du, (after.du + 1.0) / fixedpoint.DECAY_UNITY),
        inexact_decays=int(((before.du == 0) | (before.dv == 1)).sum()),
        current_bound=_share(reach.current, limit),
        potential_bound=_share(v_reach, limit_v),
        range=known,
        head_room=_less_head_room(before, after, reach, calibration) if known == "measured" else None,
        limited_by=_limits(graph, after, fires),
        thresholds=int(np.unique(after.vth).size),
        decays=len(np.unique(np.stack([after.du.ravel(), after.dv.ravel()]), axis=1).T),
        relative_bias_error=float((bias_error / threshold).max(initial=0.0)),
        never_fire=int(silent.sum()),
        always_fire=int(restless.sum()),
        largest_decay_loss=float(np.where(fires, loss / np.maximum(level, 1), 0.0).max(initial=0.0)),
        origin=after.origin.path,
        registers=chip_registers(after),
        firing=None if after.is_plain else _explain_firing(before, after, _share(reach.rise, limit)),
    )


def _less_head_room(
    before: ir.Lif, after: ir.FixedLif, reach: Bounds, calibration: Calibration | None
) -> float | None:
    """Return the factor by which what was measured may grow, where it is less than it should be."""
    if calibration is None:
        return None
    observed = calibration.bounds(before, after.scale * 2.0**fixedpoint.ALIGNMENT_BITS)
    readout, limit = not bool(np.isfinite(before.vth).all()), fixedpoint.STATE_LIMIT - 1
    over = float(excess([reach, observed], after.reset, readout=readout, limit=limit).max(initial=0.0))
    return HEAD_ROOM / over if over > 1 else None


def _held_back(node: ir.FixedLif, reach: Bounds) -> Floats:
    """Return by what its own spikes can keep a neuron from firing; a reset to zero leaves nothing of them."""
    if node.is_plain:
        return np.zeros(node.vth.shape)
    waits = np.zeros(node.vth.shape) if node.refractory is None else node.refractory
    return np.where(waits > 0, np.inf, reach.low + reach.rise)


def _explain_firing(before: ir.Lif, after: ir.FixedLif, rise_bound: float | None) -> FiringReport:
    unit = after.scale * 2.0**fixedpoint.ALIGNMENT_BITS
    level = np.where(np.isfinite(before.vth), before.vth, np.inf)
    amount_error, adaptation_error, lost, tau_error = np.zeros(1), np.zeros(1), 0, 0.0
    if before.reset_amount is not None and after.reset_amount is not None:
        amount_error = np.abs(after.reset_amount / unit - before.reset_amount) / level
    if before.adaptation is not None and after.adaptation is not None:
        there = (before.adaptation > 0) & np.isfinite(level)
        wanted = np.where(there, before.adaptation, 1.0)
        adaptation_error = np.where(there, np.abs(after.adaptation / unit / wanted - 1), 0.0)
        lost = int((there & (after.adaptation == 0)).sum())
    if before.adaptation_decay is not None and after.adaptation_decay is not None:
        tau_error = _tau_error(before.adaptation_decay, after.adaptation_decay / fixedpoint.DECAY_UNITY)
    return FiringReport(
        reset=after.reset,
        max_spikes=after.max_spikes,
        largest_amount_error=float(amount_error.max(initial=0.0)),
        largest_adaptation_error=float(adaptation_error.max(initial=0.0)),
        lost_adaptations=lost,
        largest_tau_error=tau_error,
        rise_bound=rise_bound,
    )


def _limits(graph: Graph, node: ir.FixedLif, fires: NDArray[np.bool_]) -> ScaleLimits:
    """Return, per cause, how many neurons (or channels) could not have twice their scale because of it."""
    size = len(node.vth)
    full = np.zeros(size, bool)
    for name in node.inputs:
        connection = graph[name]
        if isinstance(connection, ir.FixedDense | ir.FixedConv2d):
            _, highest = fixedpoint.weight_limits(connection.sign_mode)
            peaks = np.zeros(size)
            np.maximum.at(peaks, rows_of(connection.weights), np.abs(values_of(connection.weights)))
            full |= peaks * 2 > max(highest, fixedpoint.PURE_WEIGHT_MAX - 1)
    largest_bias = fixedpoint.BIAS_MANTISSA_MAX << fixedpoint.BIAS_EXPONENT_MAX
    threshold = (by_rows(node.vth.astype(np.float64) * fires) * 2 > fixedpoint.THRESHOLD_MAX).any(axis=1)
    bias = (np.abs(by_rows(node.bias.astype(np.float64))) * 2 > largest_bias).any(axis=1)
    return ScaleLimits(
        weights=int(full.sum()),
        threshold=int((threshold & ~full).sum()),
        bias=int((bias & ~full & ~threshold).sum()),
        range=int((~(full | threshold | bias)).sum()),
    )


def _spread(values: NDArray[np.floating[Any]]) -> Spread:
    return Spread(least=float(values.min()), median=float(np.median(values)), most=float(values.max()))


def _share(values: NDArray[np.floating[Any]], limit: int) -> float | None:
    """Return the largest bound in units of the register; None where nothing can be proved."""
    largest = float(values.max(initial=0.0)) / limit
    return largest if np.isfinite(largest) else None


def _tau_error(wanted: NDArray[np.floating[Any]], got: NDArray[np.floating[Any]]) -> float:
    """Return the largest relative error of `tau = -1 / log(1 - d)`; 0 where d is 0 or 1."""
    inner = (wanted > 0) & (wanted < 1) & (got > 0) & (got < 1)
    if not inner.any():
        return 0.0
    ratio = np.log1p(-wanted[inner]) / np.log1p(-got[inner])
    return float(np.abs(ratio - 1).max())
