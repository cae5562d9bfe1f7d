"""From a NIR graph to a float graph: what NIR says, in the steps of the framework that wrote it."""

from collections.abc import Mapping, Sequence
from typing import cast

import nir
import numpy as np

from toolchain.interchange.nir.arrivals import arrivals
from toolchain.interchange.nir.assembly import assembled
from toolchain.interchange.nir.conventions import Convention
from toolchain.interchange.nir.lowest_potentials import falling
from toolchain.interchange.nir.neurons import NEURONS, Dynamics, dynamics
from toolchain.interchange.nir.shapes import fitted
from toolchain.interchange.nir.structure import Structure, flattened
from toolchain.ir import Decode, Graph, verify
from toolchain.ir.imported import Imported


def from_nir(
    graph: nir.NIRGraph,
    convention: Convention,
    *,
    peak: float | Mapping[str, float] | None = None,
    decode: Decode | None = None,
    classes: Sequence[str] = (),
    name: str = "nir",
) -> Imported:
    """Convert a NIR graph exactly, or say which node cannot be.

    Linear nodes between neurons become connections, and parameters go through the convention. A loop without
    a `Delay` comes round one step later, as in every framework with a clock; `nir.loops` says over which
    edge. A spike arrives over that edge at least one step after it was fired. If a `Delay` on its way waits
    already, it waits no longer, element by element: delays of 0 and 2 steps in a loop are 1 and 2.

    Args:
        graph: A graph whose inputs have shapes.
        convention: What a step is; see `named_convention`.
        peak: Largest absolute value that enters, for inputs that are not spikes; by name, where they differ.
        decode: How outputs are read; by default spikes are counted and potentials averaged.
        classes: Names of the classes.
        name: Name of the new graph.

    Raises:
        FrontendError: Names the node and why.
    """
    # What is too large for a number is refused by the graph, by name.
    with np.errstate(all="ignore"):
        structure = flattened(graph, convention.dt)
        if isinstance(peak, Mapping) and len(peak) == len(structure.inputs) == 1:
            (peak,) = peak.values()
        arriving = arrivals(structure, convention.dt, peak)
        steps = _dynamics(structure, convention)
        decodes = {leaf: decode or _stated_decode(structure, leaf) for leaf in structure.outputs}
        nodes, notes = assembled(arriving, steps, decodes, tuple(classes))
        network = Graph(nodes, dt_ms=convention.step_ms or 1000 * convention.dt, name=name)
        verify(network)
        notes = (
            f"convention {convention.sentence()}",
            *structure.notes,
            *arriving.notes,
            *notes,
            *_note_on_floor(network, convention),
        )
        return Imported(network, notes)


def _dynamics(structure: Structure, convention: Convention) -> dict[str, Dynamics]:
    """Return what a step does to the neurons of every node that has some."""
    steps: dict[str, Dynamics] = {}
    for leaf in structure.neurons:
        node, form = structure.nodes[leaf], structure.forms[leaf]
        if isinstance(node, NEURONS):
            steps[leaf] = dynamics(leaf, fitted(leaf, node, form), form.shape, convention)
    return steps


def _stated_decode(structure: Structure, leaf: str) -> Decode | None:
    """Return how a file of ours says that an output is read."""
    # A file may hold anything in place of metadata.
    metadata = cast("object", structure.nodes[leaf].metadata)
    stated = str(metadata.get("decode", "")) if isinstance(metadata, dict) else ""
    return {decode.value: decode for decode in Decode}.get(stated)


def _note_on_floor(graph: Graph, convention: Convention) -> list[str]:
    """Return what a limit of the framework, which is none here, may change."""
    if convention.floor is None:
        return []
    names = falling(graph, convention.floor)
    sentence = (
        f"potentials of {', '.join(map(repr, names))} may fall below {convention.floor:g}, where "
        f"{convention.name} stops them by default (min_v_mem of from_model); here nothing does. If the "
        "network was run with that limit, its spikes differ: train or convert it with min_v_mem=None"
    )
    return [sentence] if names else []
