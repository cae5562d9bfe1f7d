"""The tables of a report, each with a sentence that says how to read it."""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from toolchain.fidelity.agreement import Agreement
from toolchain.fidelity.attribution import LossAttribution, RuleEffect
from toolchain.fidelity.change import Change
from toolchain.fidelity.continuation import ForecastFigures
from toolchain.fidelity.cost import Cost
from toolchain.fidelity.outputs import OutputErrors
from toolchain.fidelity.spike_distances import COST, TAU
from toolchain.pages import Table, number
from toolchain.passes.quantization.report import QuantizationReport

_NONE: Final = "–"  # noqa: RUF001 - an empty cell of a page, not a minus
_RANGES: Final = {
    "proved": "proved: no input can overflow it",
    "measured": "measured, with twofold head-room",
    "shrunk": "proved, after the scale was made smaller",
}


def stages_table(attribution: LossAttribution) -> Table:
    """Return what each stage from real numbers to integers changes."""
    stages = [
        ("float graph", "rounded numbers, exact states", attribution.rounded),
        ("rounded numbers, exact states", "integers", attribution.arithmetic),
        ("float graph", "integers", attribution.together),
    ]
    return Table(
        f"What changes from each stage of the conversion to the next, over {attribution.samples} samples; "
        "the last row is the whole way. A spike F1 of 1 means that all spikes are equal.",
        ("from", "to", "spike F1", "equal predictions", _lost(attribution)),
        [(before, after, *_share(row)) for before, after, row in stages],
    )


def causes_table(attribution: LossAttribution) -> Table:
    """Return what each integer rule changes alone."""
    causes = [
        *attribution.alone.items(),
        ("all rounded numbers (fake quantization)", attribution.rounded),
        ("all rules: the integers", attribution.together),
    ]
    worst = max(1 - row.spike_f1 for _, row in causes) or 1.0
    return Table(
        "What each integer rule changes if it alone holds and all else stays real, over "
        f"{attribution.samples} samples. The bar is the share of spikes that differ, 1 - F1. The rows "
        "do not add up, because errors cancel or meet.",
        ("rule", "spike F1", "equal predictions", _lost(attribution), "spikes that differ"),
        [(name, *_share(row), _bar(1 - row.spike_f1, worst)) for name, row in causes],
    )


def _lost(attribution: LossAttribution) -> str:
    """Return the head of the column that says what was lost at the output."""
    return "accuracy lost, points" if attribution.together.error_rise is None else "rise of the error, %"


def _share(row: RuleEffect) -> tuple[str, str, str]:
    drop = row.accuracy_drop if row.error_rise is None else row.error_rise
    alike = _NONE if row.prediction_agreement is None else f"{row.prediction_agreement:.2f} %"
    return f"{row.spike_f1:.4f}", alike, _NONE if drop is None else f"{drop:+.2f}"


def outputs_table(figures: OutputErrors) -> Table:
    """Return the errors of real outputs, and of what needs no network."""
    head, rows = figures.rows()
    return Table(
        "Root mean square errors in the units of the data; 'all' counts every output in standard deviations "
        "of the training part. Beside the network stand two guesses that need none: always the mean of the "
        "training part and, of a series, the last value. R² is the share of the variance that is said; a "
        "guess that is always the mean has 0.",
        head,
        rows,
    )


def horizon_table(figures: ForecastFigures) -> Table:
    """Return the errors of a forecast for each value that it goes on."""
    return Table(
        f"Root mean square errors of {figures.starts} forecasts that go on by their own predictions, in "
        "standard deviations of the training part, for each value after the window.",
        ("value", "float", "integers", "holding the last value"),
        [
            (i + 1, *(f"{each:.4f}" for each in errors))
            for i, errors in enumerate(
                zip(figures.float_rmse, figures.fixed_rmse, figures.persistence_rmse, strict=True)
            )
        ],
    )


def _bar(value: float, worst: float) -> Markup:
    return Markup('{} %<span class="bar" style="width: {}%"></span>').format(
        f"{100 * value:.2f}", f"{100 * value / worst:.1f}"
    )


def sizes_table(sizes: Sequence[tuple[str, Change]]) -> Table:
    """Return what pruning changed."""
    return Table(
        "The float network before and after pruning, both measured on the test samples.",
        ("figure", "unpruned", "pruned", "pruned of unpruned"),
        [
            (name, number(change.before), number(change.after), _changed(name, change))
            for name, change in sizes
        ],
    )


def _changed(name: str, change: Change) -> str:
    """Return what is left of a figure as a share, and of one that is a share itself by how much it moved."""
    if name.endswith("%"):
        return f"{change.after - change.before:+.2f} points"
    return f"{100 * change.after / change.before:.1f} %" if change.before else _NONE


def agreement_table(nodes: Mapping[str, Agreement], neurons: Mapping[str, int]) -> Table:
    """Return how far float and integers agree in each population."""
    return Table(
        "How far float and integers agree in each population. 'Equal' is the share of neurons, steps and "
        "samples with the same spike or none; F1 counts spikes only. The rate error is relative to the "
        "mean spike count; the potential error is a root mean square in thresholds (of read-outs, in "
        "standard deviations). Van Rossum and Victor-Purpura are mean distances of spike trains, 0 if "
        f"equal (kernel of {TAU:g} steps; {COST:g} per step that a spike moves).",
        (
            "population",
            "neurons",
            "equal",
            "spike F1",
            "rate error",
            "potential error",
            "van Rossum",
            "Victor-Purpura",
            "samples that differ",
            "first difference",
        ),
        [
            (
                name,
                f"{neurons[name]:,}",
                f"{node.spike_agreement:.5f}",
                f"{node.spike_f1:.4f}",
                f"{node.rate_error:.4f}",
                _NONE if node.membrane_error is None else f"{node.membrane_error:.4f}",
                f"{node.van_rossum:.3f}",
                f"{node.victor_purpura:.3f}",
                f"{100 * node.diverged:.1f} %",
                "none" if node.first is None else f"step {node.first.step}, {node.first.place}",
            )
            for name, node in nodes.items()
        ],
        sortable=True,
    )


def connections_table(report: QuantizationReport) -> Table:
    """Return what quantization did to the weights."""
    return Table(
        "What quantization did to the weights of each connection. A weight is an integer of so many bits "
        "times two to the power of the exponent; the error is a root mean square, relative to that of "
        "the weights.",
        (
            "connection",
            "synapses",
            "signs",
            "bits",
            "exponent",
            "clipped to the range",
            "rounded to zero",
            "RMS error",
        ),
        [
            (
                name,
                f"{row.synapses:,}",
                row.sign_mode.value,
                row.weight_bits,
                row.exponent,
                f"{row.clipped:,}",
                f"{row.rounded_to_zero:,}",
                f"{100 * row.relative_rms_error:.3f} %",
            )
            for name, row in report.connections.items()
        ],
        sortable=True,
    )


def populations_table(report: QuantizationReport) -> Table:
    """Return what quantization did to the neurons."""
    return Table(
        "What quantization did to the neurons of each population. The scale S says how fine the integers "
        "are: one unit of the model is 64 S of them. Errors are the largest of any neuron. Bounds are "
        "shares of the 24-bit registers of the current u and the potential v: below 100 % they are a "
        "proof that no input overflows them.",
        (
            "population",
            "scale S, least to most",
            "threshold error",
            "time constant error",
            "bound of u",
            "bound of v",
            "range of u and v",
            "neurons that never fire",
        ),
        [
            (
                name,
                row.scale.span,
                f"{100 * row.largest_threshold_error:.3f} %",
                f"{100 * row.largest_tau_error:.2f} %",
                _percent(row.current_bound),
                _percent(row.potential_bound),
                _RANGES[row.range],
                f"{row.never_fire:,}",
            )
            for name, row in report.populations.items()
        ],
        sortable=True,
    )


def firing_table(report: QuantizationReport) -> Table | None:
    """Return what a spike does and what quantization did to that; None if all it does is a reset to zero."""
    rows = {name: row.firing for name, row in report.populations.items() if row.firing is not None}
    if not rows:
        return None
    return Table(
        "What a spike does, in the populations in which it does more than set the potential to zero. Errors "
        "are the largest of any neuron: of what a spike sets or takes, in thresholds; of what it adds to the "
        "threshold, and of the time constant with which that fades, relative. The bound is the most that can "
        "be added to a threshold, as a share of the 24-bit register.",
        (
            "population",
            "reset",
            "spikes a step, at most",
            "error of the reset",
            "error of the rise",
            "its time constant",
            "its bound",
        ),
        [
            (
                name,
                row.reset.value,
                row.max_spikes,
                f"{100 * row.largest_amount_error:.3f} %",
                f"{100 * row.largest_adaptation_error:.3f} %",
                f"{100 * row.largest_tau_error:.2f} %",
                _percent(row.rise_bound),
            )
            for name, row in rows.items()
        ],
        sortable=True,
    )


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.1f} %"


def cost_table(costs: tuple[Cost, Cost]) -> Table:
    """Return the synaptic operations of each connection."""
    real, fixed = costs
    return Table(
        "Synapses that are not zero, and synaptic operations of the float network and of the integers: "
        "additions of a weight because a spike arrived, as a mean per sample.",
        ("connection", "synapses", "in float", "in integers"),
        [
            (
                name,
                f"{count:,}",
                f"{real.synaptic_operations[name]:,.0f}",
                f"{fixed.synaptic_operations[name]:,.0f}",
            )
            for name, count in fixed.synapses.items()
        ],
        sortable=True,
    )
