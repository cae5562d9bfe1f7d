"""Report of pruning to fit on one page: the way, every connection before and after, all answers."""

from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from toolchain.pages import ACCENT, INK, WARM, Table, panel, panels, write_page
from toolchain.pruning.fit.record import FitRecord, FitStep


def write_fit_report(path: Path, record: FitRecord) -> None:
    """Write the page, atomically.

    Args:
        path: Where the page is written.
        record: How the network came to fit.
    """
    parts = Table(
        "Synapses of each connection, and what one costs, in prices of the dearest.",
        ("connection", "synapses", "left", "share left", "price of a synapse"),
        [
            (
                each.name,
                f"{each.before:,}",
                f"{each.after:,}",
                f"{100 * each.after / max(each.before, 1):.1f} %",
                "-" if each.price is None else f"{each.price:.2f}",
            )
            for each in record.connections
        ],
    )
    layers = Table(
        "Neurons of each layer.",
        ("layer", "neurons", "left"),
        [(each.name, f"{each.before:,}", f"{each.after:,}") for each in record.layers],
    )
    caption = "Every network that the target was asked about, in order."
    write_page(
        path,
        "toolchain.pruning",
        "fit.html.j2",
        title=f"Pruned to fit {record.budget}",
        outcome=f"The network {record.sentence()}.",
        sizes=_sizes(record),
        course=_course(record),
        parts=parts,
        layers=layers if record.layers else None,
        candidates=_asked("Each choice of bits, after a short training.", record.candidates)
        if record.candidates
        else None,
        steps=_asked(caption, record.steps),
    )


def _sizes(record: FitRecord) -> list[tuple[str, int, int]]:
    sizes = [("synapses", record.connections), ("neurons", record.layers)]
    return [
        (name, sum(each.before for each in parts), sum(each.after for each in parts))
        for name, parts in sizes
        if parts
    ]


def _asked(caption: str, steps: tuple[FitStep, ...]) -> Table:
    bits = any(step.weight_bits is not None for step in steps)
    head = ("what", *(("bits",) if bits else ()), "neurons", "synapses", "takes", "fits", "validation")
    return Table(
        caption,
        head,
        [
            (
                step.what,
                *((str(step.weight_bits),) if bits else ()),
                f"{step.neurons:,}",
                f"{step.synapses:,}",
                "more than a core" if step.amount is None else f"{step.amount:,.0f}",
                "yes" if step.fits else "no",
                "-" if step.accuracy is None else f"{step.accuracy:.2f} %",
            )
            for step in steps
        ],
    )


def _course(record: FitRecord) -> Markup:
    """Return size against synapses, and the order in which candidates were tried."""
    steps = [step for step in record.steps if step.amount is not None]
    size, way = panel("synapses", record.unit, height=2.8), panel("asked", "synapses", height=2.8)
    for fits, color in ((True, ACCENT), (False, WARM)):
        chosen = [step for step in steps if step.fits is fits]
        shown: dict[str, Any] = {"s": 14, "color": color, "label": "fits" if fits else "does not fit"}
        size.scatter([step.synapses for step in chosen], [step.amount for step in chosen], **shown)
        numbers = [i for i, step in enumerate(record.steps) if step.fits is fits]
        way.scatter([i + 1 for i in numbers], [record.steps[i].synapses for i in numbers], **shown)
    size.axhline(record.allowed, color=INK, linewidth=0.8, linestyle="--")
    size.set_ylim(0, None)
    way.set_yscale("log")
    way.xaxis.set_major_locator(MaxNLocator(integer=True))
    size.legend(fontsize=7)
    drawn = [("What networks take; the line is the budget", size), ("The search", way)]
    points = [
        (step.synapses, step.accuracy, step.weight_bits)
        for step in (*record.candidates, *record.steps)
        if step.accuracy is not None
    ]
    if points:
        right = panel("synapses", "validation, %", height=2.8)
        accuracies = [accuracy for _, accuracy, _ in points]
        right.scatter([synapses for synapses, _, _ in points], accuracies, s=18, color=ACCENT)
        for synapses, accuracy, bits in points:
            if bits is not None:
                right.annotate(f"{bits} bits", (synapses, accuracy), fontsize=7)
        right.set_ylim(min(accuracies) - 2, max(accuracies) + 2)
        drawn.append(("Accuracy of the integers of trained networks", right))
    return panels(drawn)
