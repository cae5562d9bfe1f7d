"""From a NIR graph to a float graph: what NIR says, in the steps of the framework that wrote it."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import cast

import nir
import numpy as np

from toolchain.errors import FrontendError
from toolchain.interchange.nir.arrivals import arrivals
from toolchain.interchange.nir.assembly import assembled
from toolchain.interchange.nir.conventions import Convention
from toolchain.interchange.nir.lowest_potentials import falling
from toolchain.interchange.nir.neurons import NEURONS, SILENT, Dynamics, dynamics
from toolchain.interchange.nir.resets import UNNAMED, NirReset, StatedReset
from toolchain.interchange.nir.shapes import fitted
from toolchain.interchange.nir.structure import Structure, flattened
from toolchain.ir import Decode, Graph, verify
from toolchain.ir.imported import Imported


class NirReadout(Enum):
    """What leaves a population that an output reads."""

    SPIKES = "spikes"
    MEMBRANE = "membrane"
    """Its potential; it never fires."""


def from_nir(
    graph: nir.NIRGraph,
    convention: Convention,
    *,
    peak: float | Mapping[str, float] | None = None,
    decode: Decode | None = None,
    classes: Sequence[str] = (),
    name: str = "nir",
    readout: NirReadout | None = None,
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
        readout: What leaves the populations that outputs read; by default spikes if they fire.

    Raises:
        FrontendError: Names the node and why.
    """
    # What is too large for a number is refused by the graph, by name.
    with np.errstate(all="ignore"):
        structure = flattened(graph, convention.dt)
        if isinstance(peak, Mapping) and len(peak) == len(structure.inputs) == 1:
            (peak,) = peak.values()
        read = _read_out(structure)
        membranes = read if readout is NirReadout.MEMBRANE else frozenset[str]()
        steps = _dynamics(structure, convention, membranes)
        if readout is NirReadout.SPIKES:
            _check_fire(structure, steps, read)
        arriving = arrivals(structure, steps, convention.dt, peak)
        decodes = {leaf: decode or _stated_decode(structure, leaf) for leaf in structure.outputs}
        nodes, notes, warnings = assembled(arriving, steps, decodes, tuple(classes))
        network = Graph(nodes, dt_ms=convention.step_ms or 1000 * convention.dt, name=name)
        verify(network)
        notes = (
            f"convention {convention.sentence()}",
            *_on_resets(steps),
            *_on_membranes(membranes),
            *structure.notes,
            *arriving.notes,
            *notes,
            *_note_on_floor(network, convention),
        )
        rests = {arriving.populations[leaf]: step.rest for leaf, step in steps.items() if step.rest.any()}
        warnings = (*_on_guesses(steps), *structure.warnings, *warnings)
        return Imported(network, notes, warnings=warnings, rests=rests)


def _read_out(structure: Structure) -> frozenset[str]:
    """Return the neurons that outputs read through nothing that computes."""
    neurons, looked = set[str](), list(structure.outputs)
    while looked:
        for source in structure.sources(looked.pop()):
            if isinstance(structure.nodes[source], NEURONS):
                neurons.add(source)
            elif isinstance(structure.nodes[source], nir.Input | nir.Output):
                looked.append(source)
    return frozenset(neurons)


def _check_fire(structure: Structure, steps: Mapping[str, Dynamics], read: frozenset[str]) -> None:
    """Raise if an output reads what does not fire."""
    silent = sorted(leaf for leaf in read if steps[leaf].silent)
    if silent or not read:
        what = f"'{silent[0]}', which never fires" if silent else "weights, behind which nothing fires"
        raise FrontendError(f"output '{structure.outputs[0]}' reads {what}", "leave out `readout`")


def _on_resets(steps: Mapping[str, Dynamics]) -> Iterator[str]:
    """Yield what a spike does, once for all populations of which the same is said."""
    said: dict[StatedReset, list[str]] = {}
    for leaf, step in steps.items():
        if step.firing.stated is not None:
            said.setdefault(step.firing.stated, []).append(leaf)
    for stated, leaves in said.items():
        yield f"reset of {', '.join(map(repr, leaves))}: {stated.sentence()}"
        if stated.kind is NirReset.LATE_SUBTRACT:
            yield (
                "a threshold that leaves one step later, after the decay, is threshold / (1 - decay) that "
                "leaves at once: spikes are equal, potentials are those after the subtraction"
            )
    late = [leaf for leaf, step in steps.items() if step.firing.later is not None]
    if late:
        yield f"{', '.join(map(repr, late))} forget their potential, so the threshold comes back as a current"
    waiting = [leaf for leaf, step in steps.items() if step.firing.refractory is not None]
    if waiting:
        yield (
            f"the step that {', '.join(map(repr, waiting))} lose behind a spike is a refractory one: spikes "
            "are equal, potentials are those after the reset"
        )
    behind = [leaf for leaf, step in steps.items() if step.late]
    if behind:
        yield f"spikes of {', '.join(map(repr, behind))} travel one step late; outputs read them before"


def _on_guesses(steps: Mapping[str, Dynamics]) -> Iterator[str]:
    leaves = [leaf for leaf, step in steps.items() if step.firing.stated == UNNAMED]
    if leaves:
        yield (
            f"nobody says what a spike of {', '.join(map(repr, leaves))} does: by NIR's own equations it "
            "sets the potential to v_reset, and most frameworks subtract the threshold instead; name yours "
            "as `convention`, or say it as `reset`"
        )


def _on_membranes(leaves: frozenset[str]) -> Iterator[str]:
    if leaves:
        yield f"{', '.join(map(repr, sorted(leaves)))}: read as a membrane, which never fires (you said so)"


def _dynamics(structure: Structure, convention: Convention, membranes: frozenset[str]) -> dict[str, Dynamics]:
    """Return what a step does to the neurons of every node that has some."""
    steps: dict[str, Dynamics] = {}
    for leaf in structure.neurons:
        node, form = structure.nodes[leaf], structure.forms[leaf]
        if isinstance(node, NEURONS):
            steps[leaf] = dynamics(
                leaf,
                fitted(leaf, node, form),
                form.shape,
                convention,
                recurrent=structure.feeds_itself(leaf),
                membrane=leaf in membranes and not isinstance(node, SILENT),
            )
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
