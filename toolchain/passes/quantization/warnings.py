"""What a user should know about a quantization, in sentences that say why and what can be done."""

from collections.abc import Iterator
from typing import Final

from toolchain.passes.quantization.integers import COARSE, FINE
from toolchain.passes.quantization.report import (
    ConnectionReport,
    FiringReport,
    PopulationReport,
    QuantizationReport,
    QuantizationWarning,
)

_ZEROED: Final = 0.01
_ROUGH: Final = 0.05
_COARSE: Final = 0.25
_TAU: Final = 0.05
_LOSS: Final = 0.02
_BIAS: Final = 0.01


def find_warnings(report: QuantizationReport) -> tuple[QuantizationWarning, ...]:
    """Return the warnings that a quantization deserves."""
    warnings: list[QuantizationWarning] = []
    for name, row in report.connections.items():
        # A half holds part of every weight: few and small integers are what it is for.
        if not name.endswith((COARSE, FINE)):
            warnings += [QuantizationWarning(node=name, text=text) for text in _of_connection(row)]
    samples, steps = report.calibration_samples, report.steps
    for name, row in report.populations.items():
        warnings += [
            QuantizationWarning(node=name, text=text) for text in _of_population(row, samples, steps)
        ]
    return tuple(warnings)


def _of_connection(row: ConnectionReport) -> Iterator[str]:
    synapses, bits = row.synapses, row.weight_bits
    if row.clipped:
        yield (
            f"{row.clipped:,} of {synapses:,} weights are clipped at {row.limit}: their neuron has "
            "no larger scale left; give this connection a larger share by reducing its largest weights"
        )
    if synapses and row.rounded_to_zero > _ZEROED * synapses:
        yield (
            f"{row.rounded_to_zero:,} of {synapses:,} synapses round to zero, being under half a step of "
            f"{bits} bits; more bits, or training with the integers, brings them back"
        )
    if row.relative_rms_error > _ROUGH:
        yield (
            f"weights are off by {100 * row.relative_rms_error:.1f} % (root mean square): {bits} bits "
            "are few for how much they differ; more bits, or training with the integers, help"
        )
    if synapses and row.largest_integer <= _COARSE * row.limit:
        graded = (
            f"; its messages have {row.message_bits} bits, and of the 24 bits of u six are shifted "
            "away: fewer bits of input leave more for the weights"
        )
        yield (
            f"only integers up to {row.largest_integer} of {row.limit} are used: another "
            "connection, the threshold, the bias or the 24-bit range of its neurons holds the scale down "
            f"(see their population){graded if row.message_bits > 1 else ''}"
        )


def _of_population(row: PopulationReport, samples: int, steps: int | None) -> Iterator[str]:
    if row.never_fire:
        yield (
            f"{row.never_fire} of {row.neurons} neurons can never fire: even all their inputs at "
            f"once, for {steps or 'any number of'} steps, do not reach the threshold; they can be pruned"
        )
    if row.always_fire:
        yield (
            f"{row.always_fire} of {row.neurons} neurons fire at every step, whatever comes: their "
            "bias is so far above the threshold that no input holds them back"
        )
    if row.range == "measured":
        yield _measured(row, samples)
    taus = [(row.largest_tau_error, "membrane"), (row.largest_tau_current_error, "current")]
    if row.firing is not None:
        taus.append((row.firing.largest_tau_error, "threshold"))
        yield from _of_firing(row.firing)
    for error, what in taus:
        if error > _TAU:
            yield (
                f"a {what} time constant is off by {100 * error:.0f} %: decays are multiples of "
                "1/4096, or were given to few profiles; shorter time constants or a longer step are "
                "exacter"
            )
    if row.largest_decay_loss > _LOSS:
        yield (
            f"rounding toward zero takes up to {row.largest_decay_loss:.2f} thresholds from a slow "
            "neuron: its scale is small, and the loss is made up for on average only"
        )
    if row.relative_bias_error > _BIAS:
        yield (
            f"a bias is off by {100 * row.relative_bias_error:.1f} % of the threshold per step: 13 "
            "bits and a power of two hold it no better"
        )
    if row.inexact_decays:
        yield (
            f"{row.inexact_decays} neurons have a decay that no register holds: a current that never "
            "leaks loses 1/4096 a step, a potential that forgets at once keeps |v| >> 12"
        )


def _measured(row: PopulationReport, samples: int) -> str:
    bounds = [row.current_bound, row.potential_bound]
    if row.firing is not None and row.firing.rise_bound != 0:
        bounds.append(row.firing.rise_bound)
    worst = max((bound for bound in bounds if bound is not None), default=None)
    far = "without limit" if worst is None else f"up to {worst:.3g} times the register"
    room = row.head_room
    if room is not None and room < 1:
        return (
            f"u or v reached {1 / room:.2f} times their register on {samples} samples: they wrap or "
            f"saturate, as they did when the integers were trained (the worst case is {far})"
        )
    wide = "twofold" if room is None else f"{room:.2f}-fold"
    return (
        f"that u and v fit 24 bits is measured on {samples} samples with {wide} head-room, not "
        f"proved (the worst case is {far}): on quite different data they may wrap or saturate"
    )


def _of_firing(row: FiringReport) -> Iterator[str]:
    if row.largest_amount_error > _BIAS:
        yield (
            f"what a spike sets or takes is off by {100 * row.largest_amount_error:.1f} % of the threshold: "
            "the scale of its neuron is small (see their population)"
        )
    if row.lost_adaptations:
        yield (
            f"in {row.lost_adaptations} neurons a spike no longer raises the threshold: what it adds is less "
            "than half of 1/64 of a threshold unit, which is far below what their potential resolves; leave "
            "adaptation out there, or give it a larger amount"
        )
    elif row.largest_adaptation_error > _BIAS:
        yield (
            f"what a spike adds to the threshold is off by {100 * row.largest_adaptation_error:.1f} %: it is "
            "few units of 1/64 of a threshold unit"
        )
