"""Report of sparse training on one page: sizes, course over the epochs, synapses of each connection."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from toolchain.pages import ACCENT, WARM, Table, panel, panels, plain, write_page
from toolchain.pruning.sparse.training import SparseTraining
from toolchain.training import EpochRecord


def write_sparse_report(
    path: Path,
    title: str,
    pruning: SparseTraining,
    courses: Mapping[str, Sequence[EpochRecord]] | None = None,
) -> None:
    """Write the page, atomically.

    Args:
        path: Where the page is written.
        title: Heading of the page.
        pruning: The callback that kept the trained network sparse.
        courses: Epochs of that network, and of those to compare it with if any, by name.
    """
    after = [each.count for each in pruning.connections]
    rows = list(zip(pruning.names, pruning.before, after, strict=True))
    synapses = Table(
        "Synapses of each connection before the training, and those that are left.",
        ("connection", "synapses", "left", "share left"),
        [(name, f"{before:,}", f"{left:,}", f"{100 * left / before:.1f} %") for name, before, left in rows],
    )
    write_page(
        path,
        "toolchain.pruning",
        "sparse.html.j2",
        title=title,
        sizes=[("synapses", sum(pruning.before), sum(after))],
        course=panels([*_course(pruning), *_learning(courses or {})]),
        fans=_fans(pruning),
        synapses=synapses,
    )


def _course(pruning: SparseTraining) -> list[tuple[str, Axes]]:
    epochs = [update.epoch for update in pruning.updates]
    living, renewed = panel("epoch", "synapses", height=2.8), panel("epoch", "synapses", height=2.8)
    for i, name in enumerate(pruning.names):
        shade = 0.25 + 0.75 * (i + 1) / len(pruning.names)
        counts = [update.living[i] for update in pruning.updates]
        living.plot(epochs, counts, color=ACCENT, alpha=shade, label=plain(name))
    living.legend(fontsize=7)
    renewed.plot(epochs, [update.renewed for update in pruning.updates], color=WARM)
    for axis in (living, renewed):
        axis.set_ylim(0, None)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn = [("Synapses of each connection", living)]
    if any(update.renewed for update in pruning.updates):
        drawn.append(("Synapses that left, by epoch", renewed))
    return drawn


def _learning(courses: Mapping[str, Sequence[EpochRecord]]) -> list[tuple[str, Axes]]:
    """Return how right the networks were after every epoch: on validation samples, where there are some."""
    courses = {name: course for name, course in courses.items() if course}
    records = [each for course in courses.values() for each in course]
    if not records:
        return []
    if all(each.validation_accuracy is not None for each in records):
        title, unit = "Accuracy on the validation samples", "%"
        drawn = {name: [each.validation_accuracy for each in course] for name, course in courses.items()}
    elif all(each.accuracy is not None for each in records):
        title, unit = "Accuracy on the training samples", "%"
        drawn = {name: [each.accuracy for each in course] for name, course in courses.items()}
    else:
        title, unit = "Loss on the training samples", "loss"
        drawn = {name: [each.loss for each in course] for name, course in courses.items()}
    axis = panel("epoch", unit, height=2.8)
    for (name, values), color in zip(drawn.items(), cycle((ACCENT, WARM)), strict=False):
        axis.plot(range(1, len(values) + 1), values, color=color, label=plain(name))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=7)
    return [(title, axis)]


def _fans(pruning: SparseTraining) -> Markup:
    """Return how many synapses the neurons, or channels, of each connection receive."""
    drawn: list[tuple[str, object]] = []
    for each in pruning.connections:
        axis = panel("synapses that one receives", each.target.split()[0], height=2.0)
        fan_in = each.mask.flatten(1).sum(dim=1).cpu().numpy()
        axis.hist(fan_in, bins=np.arange(fan_in.max() + 2) - 0.5, color=ACCENT)
        for counts in (axis.xaxis, axis.yaxis):
            counts.set_major_locator(MaxNLocator(integer=True))
        silent = int((fan_in == 0).sum())
        drawn.append((f"{each.name}: {silent} of {len(fan_in)} {each.target} receive none", axis))
    return panels(drawn)
