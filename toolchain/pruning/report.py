"""Report of pruning on one page: sizes, course, spectra, time constants, adjacency."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from toolchain.pages import ACCENT, WARM, Table, bin_edges, number, panel, panels, write_page
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
        path: Where the page is written.
        title: Heading of the page.
        before: The pool as it came.
        after: What is left of it.
        records: Records of LNP; empty for other methods.
        dt_ms: Length of a step in milliseconds.
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
        course=_course(records) if records else None,
        eigenvectors=_eigenvectors(records),
        spectra=_spectra(records) if records and records[0].spectrum else None,
        taus=_taus(before, after.pool, dt_ms),
        adjacency=_adjacency(before, after),
        iterations=_iterations(records) if records else None,
    )


def _eigenvectors(records: Sequence[LnpRecord]) -> str | None:
    """Return whether the eigenvectors spread out, which is what Step III is for; None if not measured."""
    measured = [record.localisation for record in records if record.localisation is not None]
    if len(measured) < 2:
        return None
    before, after = measured[0], measured[-1]
    became = "became less localised" if after < before else "did not spread out"
    return (
        f"The leading eigenvectors of the graph {became}: their mean inverse participation ratio was "
        f"{before:.4f} and is {after:.4f}. It is 1 for one that sits on a single neuron, and 1 over the "
        "number of neurons for one that is spread evenly."
    )


def _course(records: Sequence[LnpRecord]) -> Markup:
    measured = [record for record in records if record.largest_exponent is not None]
    series: list[tuple[str, str, Sequence[LnpRecord], list[float | None]]] = [
        ("Neurons", "neurons", records, [record.neurons for record in records]),
        ("Recurrent synapses", "synapses", records, [record.synapses for record in records]),
        ("Recurrent operations", "operations per step", records, [record.operations for record in records]),
        (
            "Largest Lyapunov exponent",
            "exponent per step",
            measured,
            [record.largest_exponent for record in measured],
        ),
    ]
    drawn: list[tuple[str, Any]] = []
    for name, unit, shown, values in series:
        axis = panel("iteration", unit)
        axis.plot([record.iteration for record in shown], values, color=ACCENT, marker="o", ms=3)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if shown is records:
            axis.set_ylim(0, None)
        drawn.append((name, axis))
    return panels(drawn)


def _spectra(records: Sequence[LnpRecord]) -> Markup:
    """Spectra of different sizes are stretched to one axis, as the paper does."""
    axis = panel("rank of the exponent, over neurons", "exponent per step")
    measured = [record for record in records if record.spectrum]
    for record, colour, label in ((measured[0], ACCENT, "before"), (measured[-1], WARM, "after")):
        place = (np.arange(len(record.spectrum)) + 0.5) / record.neurons
        axis.plot(place, record.spectrum, color=colour, label=label)
    axis.legend(fontsize=8)
    return panels([("Leading exponents", axis)])


def _taus(before: RecurrentPool, after: RecurrentPool, dt_ms: float) -> Markup:
    axis = panel("membrane time constant, ms", "neurons")
    taus = [-dt_ms / np.log(np.maximum(pool.beta, 1e-12)) for pool in (before, after)]
    bins = bin_edges(np.concatenate(taus), 40)
    for tau, colour, label in zip(taus, (ACCENT, WARM), ("before", "after"), strict=True):
        axis.stairs(np.histogram(tau, bins)[0], bins, fill=True, color=colour, alpha=0.55, label=label)
    axis.legend(fontsize=8)
    return panels([("Neurons by time constant", axis)])


def _adjacency(before: RecurrentPool, after: Selection) -> Markup:
    index = np.arange(before.size), after.indices
    extent = (0, before.size, before.size, 0)
    drawn: list[tuple[str, Any]] = []
    for pool, place, title in zip((before, after.pool), index, ("Before", "After"), strict=True):
        axis = panel("source neuron", "target neuron", height=3.2)
        density = _density(pool, place, before.size)
        axis.imshow(density, cmap="Greys", interpolation="nearest", vmin=0, extent=extent)
        drawn.append((title, axis))
    return panels(drawn)


def _iterations(records: Sequence[LnpRecord]) -> Table:
    return Table(
        "The pool after every iteration; row 0 is the pool as it came. Spikes and operations are those under "
        "noise, before the iteration; exponents and radius are empty where they were not measured.",
        (
            "iteration",
            "neurons",
            "synapses",
            "synapses given back",
            "spikes per neuron and step",
            "recurrent operations per step",
            "largest exponent per step",
            "spectral radius",
            "localisation of eigenvectors",
        ),
        [
            (
                record.iteration,
                f"{record.neurons:,}",
                f"{record.synapses:,}",
                f"{record.added:,}",
                f"{record.rate:.4f}",
                number(record.operations),
                *(
                    "" if value is None else f"{value:.4f}"
                    for value in (record.largest_exponent, record.spectral_radius, record.localisation)
                ),
            )
            for record in records
        ],
    )


def _density(pool: RecurrentPool, index: NDArray[np.int64], size: int) -> NDArray[np.floating[Any]]:
    """Return the share of present synapses per block of the original matrix."""
    blocks = min(_BLOCKS, size)
    targets, sources = pool.ends
    edges = np.linspace(0, size, blocks + 1)
    counts = np.histogram2d(index[targets], index[sources], bins=(edges, edges))[0]
    return counts / (size / blocks) ** 2
