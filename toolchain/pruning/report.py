"""Report of pruning on one page: sizes, course, spectra, time constants, adjacency."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from toolchain.pages import ACCENT, WARM, subplots, svg, write_page
from toolchain.pruning.lnp.options import LnpRecord
from toolchain.pruning.pool import RecurrentPool, Selection

_BLOCKS = 128


def write_pruning_report(
    path: Path,
    title: str,
    before: RecurrentPool,
    after: Selection,
    records: Sequence[LnpRecord] = (),
    *,
    dt_ms: float = 1.0,
) -> None:
    """Write the page, atomically.

    Args:
        path: File to write.
        title: Heading of the page.
        before: The original pool.
        after: The pruned pool.
        records: Records of LNP; empty for other methods.
        dt_ms: Length of a step.
    """
    sizes: list[tuple[str, float, float]] = [
        ("neurons", before.size, after.pool.size),
        ("recurrent synapses", before.synapses, after.pool.synapses),
    ]
    if records:
        sizes.append(("recurrent operations a step", records[0].operations, records[-1].operations))
    write_page(
        path,
        "toolchain.pruning",
        "pruning.html.j2",
        title=title,
        sizes=sizes,
        records=records,
        course=_course(records) if records else None,
        spectra=_spectra(records) if records and records[0].spectrum else None,
        taus=_taus(before, after.pool, dt_ms),
        adjacency=_adjacency(before, after),
    )


def _course(records: Sequence[LnpRecord]) -> Markup:
    figure, axes = subplots(1, 4, 11.0, 2.4)
    at = [record.iteration for record in records]
    series: list[tuple[str, list[float]]] = [
        ("neurons", [record.neurons for record in records]),
        ("recurrent synapses", [record.synapses for record in records]),
        ("recurrent operations a step", [record.operations for record in records]),
    ]
    for axis, (name, values) in zip(axes.flat, series, strict=False):
        axis.plot(at, values, color=ACCENT)
        axis.set(xlabel="iteration", ylim=(0, None))
        axis.set_title(name, fontsize=9)
    measured = [record for record in records if record.largest_exponent is not None]
    exponents = [record.largest_exponent for record in measured]
    axes[0, 3].plot([record.iteration for record in measured], exponents, color=WARM, marker="o", ms=3)
    axes[0, 3].set(xlabel="iteration")
    axes[0, 3].set_title("largest exponent", fontsize=9)
    return svg(figure)


def _spectra(records: Sequence[LnpRecord]) -> Markup:
    """Spectra of different sizes are stretched to one axis, as the paper does."""
    figure, axes = subplots(1, 1, 7.0, 2.8)
    measured = [record for record in records if record.spectrum]
    for record, colour, label in ((measured[0], ACCENT, "before"), (measured[-1], WARM, "after")):
        place = (np.arange(len(record.spectrum)) + 0.5) / record.neurons
        axes[0, 0].plot(place, record.spectrum, color=colour, label=label)
    axes[0, 0].set(xlabel="index over neurons", ylabel="exponent per step")
    axes[0, 0].legend(fontsize=8)
    return svg(figure)


def _taus(before: RecurrentPool, after: RecurrentPool, dt_ms: float) -> Markup:
    figure, axes = subplots(1, 1, 7.0, 2.4)
    taus = [-dt_ms / np.log(np.maximum(pool.beta, 1e-12)) for pool in (before, after)]
    bins = np.histogram_bin_edges(np.concatenate(taus), bins=40)
    for tau, colour, label in zip(taus, (ACCENT, WARM), ("before", "after"), strict=True):
        axes[0, 0].hist(tau, bins=bins, color=colour, alpha=0.55, label=label)
    axes[0, 0].set(xlabel="membrane time constant, ms", ylabel="neurons")
    axes[0, 0].legend(fontsize=8)
    return svg(figure)


def _adjacency(before: RecurrentPool, after: Selection) -> Markup:
    figure, axes = subplots(1, 2, 9.0, 4.2)
    place = np.arange(before.size), after.indices
    extent = (0, before.size, before.size, 0)
    for axis, pool, index, title in zip(
        axes[0], (before, after.pool), place, ("before", "after"), strict=True
    ):
        axis.imshow(
            _density(pool, index, before.size), cmap="Greys", interpolation="nearest", vmin=0, extent=extent
        )
        axis.set_title(title, fontsize=9)
    return svg(figure)


def _density(pool: RecurrentPool, index: NDArray[np.int64], size: int) -> NDArray[np.floating[Any]]:
    """Return the share of present synapses per block of the original matrix."""
    blocks = min(_BLOCKS, size)
    targets, sources = pool.ends
    edges = np.linspace(0, size, blocks + 1)
    counts = np.histogram2d(index[targets], index[sources], bins=(edges, edges))[0]
    return counts / (size / blocks) ** 2
