"""From a NIR graph to a float graph: what NIR says, in the steps of the framework that wrote it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import nir
import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.assembly import Assembly
from toolchain.interchange.nir.conventions import (
    CONVENTIONS,
    NIR,
    PRODUCER,
    READERS,
    Convention,
    Reset,
    convention,
    reader_convention,
)
from toolchain.interchange.nir.file import VERSION
from toolchain.interchange.nir.geometry import groups_of, kernels_of, window_of
from toolchain.interchange.nir.lowest_potentials import falling
from toolchain.interchange.nir.neurons import NEURONS, numbers
from toolchain.interchange.nir.shapes import Form, fitted, matrix_of
from toolchain.interchange.nir.structure import Leaf, Structure, flattened, steps_of
from toolchain.ir import Decode, Graph
from toolchain.ir.convolved_currents import convolved
from toolchain.ir.currents import Branch, Current, Sent, identity, multiplied, summed
from toolchain.ir.imported import Imported

Value = tuple[Sent, ...] | Current

_RESETS: Final = {item.value: item for item in Reset} | {"zero": Reset.TO_VALUE, "subtract": Reset.SUBTRACT}


def named_convention(graph: nir.NIRGraph, name: str | None = None, dt: float | None = None) -> Convention:
    """Return the convention of a graph: as asked, or as its metadata say, or NIR's own equations.

    Metadata may hold `convention`, `dt` and `reset` (`zero`, `to v_reset`, `subtract`), and hold all three in
    files of ours, which are meant as the framework they were written for reads them. `nir_version` is what
    `read_nir` found.

    Raises:
        UnknownNameError: No convention has that name.
        FrontendError: The metadata say something else, or the file is older than the convention.
    """
    metadata = cast("Mapping[str, object]", graph.metadata)
    written_here = str(metadata.get("producer", "")) == PRODUCER
    if written_here:
        _check_own(metadata)
    told = metadata.get("convention")
    chosen = name or (told if isinstance(told, str) and told in CONVENTIONS else NIR)
    if dt is None and "dt" in metadata:
        dt = _stated_step(metadata["dt"])
    ours = name is None and written_here
    found = reader_convention(chosen, dt) if ours else convention(chosen, dt)
    version = str(metadata.get(VERSION, ""))
    if version.startswith("0.") and np.isfinite(found.longest):
        raise FrontendError(
            f"the file was written by nir {version}, which is older than what '{found.name}' stands for",
            f"take `convention={found.otherwise}` and the dt of its cells as `dt`, or `dt={found.dt:g}` if "
            f"'{found.name}' is meant all the same",
        )
    if "reset" not in metadata:
        return found
    told_reset = str(metadata["reset"])
    if told_reset not in _RESETS:
        raise FrontendError(
            f"the metadata of the graph say reset = '{told_reset}', expected one of {', '.join(_RESETS)}"
        )
    # Who names a convention knows better, but not that a spike sets what the file says it subtracts.
    asked = name is not None and _RESETS[told_reset] is Reset.TO_VALUE
    return found if asked else replace(found, reset=_RESETS[told_reset])


def _check_own(metadata: Mapping[str, object]) -> None:
    """Raise if metadata that this toolchain wrote are not what it writes."""
    told = metadata.get("convention")
    if not (isinstance(told, str) and told in READERS):
        raise FrontendError(
            f"the metadata of the graph say convention = {told!r}, expected one of {', '.join(READERS)}, as "
            f"'{PRODUCER}' writes; the file was edited or is damaged"
        )
    for key in ("dt", "reset"):
        if key not in metadata:
            raise FrontendError(
                f"the metadata of the graph say no {key}, which '{PRODUCER}' always writes; the file was "
                "edited or is damaged"
            )


def _stated_step(told: object) -> float:
    values = numbers("graph", "dt", told)
    if values.size != 1 or np.asarray(told).dtype.kind == "b" or not values.ravel()[0] > 0:
        raise FrontendError(
            f"the metadata of the graph say dt = {told}, expected one number of more than 0",
            "state the step as `dt`",
        )
    return float(values.ravel()[0])


def from_nir(
    graph: nir.NIRGraph,
    chosen: Convention,
    *,
    peak: float | Mapping[str, float] | None = None,
    decode: Decode | None = None,
    classes: Sequence[str] = (),
    name: str = "nir",
) -> Imported:
    """Convert a NIR graph exactly, or say which node cannot be.

    Linear nodes between neurons become connections; parameters go through the convention; a loop without a
    `Delay` comes round one step later, as in every framework with a clock, where `nir_loops` says: over an
    edge that goes back, a spike arrives at least one step after it was fired. If a `Delay` on its way waits
    already, it waits no longer, element by element: delays of 0 and 2 steps in a loop are 1 and 2.

    Args:
        graph: With shapes of its inputs.
        chosen: What a step is; see `named_convention`.
        peak: Largest absolute value that enters, for inputs that are not spikes; by name, where they differ.
        decode: How outputs are read; by default spikes are counted and potentials averaged.
        classes: Names of the classes.
        name: Of the graph.

    Raises:
        FrontendError: Names the node and why.
    """
    # What is too large for a number is refused by the graph, by name.
    with np.errstate(all="ignore"):
        structure = flattened(graph, chosen.dt)
        assembly = Assembly(chosen)
        if isinstance(peak, Mapping) and len(peak) == len(structure.inputs) == 1:
            (peak,) = peak.values()
        values: dict[str, Value] = {}
        for leaf in structure.inputs:
            values[leaf] = (assembly.enter(leaf, structure.forms[leaf].shape, peak),)
        for leaf in structure.neurons:
            form = structure.forms[leaf]
            values[leaf] = (assembly.announce(leaf, form.shape, flat=form.flat),)
        for leaf in structure.linear_order():
            value = _joined(assembly, structure, values, leaf)
            values[leaf] = _linear(assembly, leaf, structure.nodes[leaf], value, structure.forms[leaf])
        for leaf in structure.neurons:
            node = structure.nodes[leaf]
            if isinstance(node, NEURONS):
                current = _current(leaf, _joined(assembly, structure, values, leaf))
                assembly.population(leaf, fitted(leaf, node, structure.forms[leaf]), current)
        for leaf in structure.outputs:
            value = _joined(assembly, structure, values, leaf)
            _leave(assembly, structure, leaf, value, decode, classes)
        converted = assembly.graph(name, chosen.step_ms or 1000 * chosen.dt)
        notes = [f"convention {chosen.sentence()}", *structure.notes, *assembly.notes]
        return Imported(converted, (*notes, *_unlimited(converted, chosen)))


def _unlimited(graph: Graph, chosen: Convention) -> list[str]:
    """Return what a limit of the framework, which is none here, may change."""
    if chosen.floor is None:
        return []
    names = falling(graph, chosen.floor)
    said = (
        f"potentials of {', '.join(map(repr, names))} may fall below {chosen.floor:g}, where {chosen.name} "
        "stops them by default (min_v_mem of from_model); here nothing does. If the network was run with "
        "that limit, its spikes differ: train or convert it with min_v_mem=None"
    )
    return [said] if names else []


def _joined(assembly: Assembly, structure: Structure, values: Mapping[str, Value], leaf: str) -> Value:
    """Return the sum of what reaches a node."""
    found = [
        _later(assembly, source, leaf, values[source]) if (source, leaf) in structure.back else values[source]
        for source in structure.sources(leaf)
    ]
    if len(found) == 1:
        return found[0]
    if all(not isinstance(value, Current) for value in found):
        return tuple(sent for value in found for sent in cast("tuple[Sent, ...]", value))
    return summed([_current(leaf, value) for value in found])


def _later(assembly: Assembly, source: str, leaf: str, value: Value) -> Value:
    """Return what comes over an edge that goes back; a linear node's bias is there from the first step."""
    assembly.notes.append(f"what '{source}' sends to '{leaf}' arrives one step later: it closes a loop")
    if isinstance(value, Current):
        branches = [replace(branch, source=assembly.later(branch.source)) for branch in value.branches]
        return replace(value, branches=tuple(branches))
    return tuple(assembly.later(sent) for sent in value)


def _current(leaf: str, value: Value) -> Current:
    """Return what reaches neurons as a current: spikes without a connection go one to one."""
    if isinstance(value, Current):
        return value
    # Flattened feature maps go on as maps, so that they can meet others.
    parts = [
        replace(identity(f"{leaf}.from.{sent.node}", replace(sent, flat=False)), flat=sent.flat)
        for sent in value
    ]
    return parts[0] if len(parts) == 1 else summed(parts)


def _linear(assembly: Assembly, leaf: str, node: Leaf, value: Value, form: Form) -> Value:
    match node:
        case nir.Affine() | nir.Linear():
            weights = matrix_of(leaf, node)
            bias = (
                numbers(leaf, "bias", node.bias) if isinstance(node, nir.Affine) else np.zeros(len(weights))
            )
            return _affine(leaf, value, weights, Form((len(weights),)).fit(leaf, "bias", bias))
        case nir.Scale():
            return _scaled(leaf, value, node, form)
        case nir.Conv1d() | nir.Conv2d():
            return _convolution(leaf, node, value)
        case nir.SumPool2d() | nir.AvgPool2d():
            return _pooling(assembly, leaf, node, value)
        case nir.Flatten():
            if isinstance(value, Current):
                return replace(value, flat=True)
            return tuple(replace(sent, flat=True) for sent in value)
        case nir.Delay():
            return _delayed(assembly, leaf, node, value, form)
        case _:
            return value


def _affine(leaf: str, value: Value, weights: Floats, bias: Floats) -> Current:
    if isinstance(value, Current):
        return multiplied(leaf, value, weights).affine(np.ones(len(bias)), bias)
    branches = tuple(Branch(leaf, sent, weights) for sent in value)
    return Current(branches, bias, (len(weights),))


def _scaled(leaf: str, value: Value, node: nir.Scale, form: Form) -> Value:
    scale = form.fit(leaf, "scale", node.scale)
    if isinstance(value, Current):
        return value.affine(value.channels(scale.reshape(value.shape), leaf), np.zeros(len(value.bias)))
    return tuple(sent.scaled(scale) for sent in value)


def _convolution(leaf: str, node: nir.Conv1d | nir.Conv2d, value: Value) -> Current:
    kernels, window, groups = kernels_of(leaf, node), window_of(leaf, node), groups_of(leaf, node)
    bias = Form((len(kernels),)).fit(leaf, "bias", node.bias)
    if isinstance(value, Current):
        if window.padding != (0, 0):
            raise FrontendError(
                f"convolution '{leaf}' pads what is not yet spikes; put neurons before it, or do not pad"
            )
        stream = convolved(
            leaf, value, kernels, stride=window.stride, dilation=window.dilation, groups=groups
        )
        return stream.affine(np.ones(len(bias)), bias)
    branches: list[Branch] = []
    rows = columns = 0
    for sent in value:
        rows, columns = window.positions((sent.shape[1], sent.shape[2]))
        branches.append(Branch(leaf, sent, kernels, window.stride, window.padding, window.dilation, groups))
    return Current(tuple(branches), bias, (len(kernels), rows, columns))


def _pooling(assembly: Assembly, leaf: str, node: nir.SumPool2d | nir.AvgPool2d, value: Value) -> Value:
    window = window_of(leaf, node)
    factor = 1.0 / window.area if isinstance(node, nir.AvgPool2d) else 1.0
    if isinstance(value, Current):
        if window.padding != (0, 0):
            raise FrontendError(f"pooling '{leaf}' pads what is not yet spikes; put neurons before it")
        kernels = np.full((value.shape[0], 1, *window.kernel), factor)
        return convolved(leaf, value, kernels, stride=window.stride, groups=value.shape[0])
    return tuple(assembly.pool(leaf, sent, window, factor) for sent in value)


def _delayed(assembly: Assembly, leaf: str, node: nir.Delay, value: Value, form: Form) -> Value:
    whole = form.fit(leaf, "delay", steps_of(leaf, node, assembly.convention.dt)).astype(np.int64)
    if not isinstance(value, Current):
        return tuple(assembly.wait(leaf, sent, whole.reshape(sent.shape)) for sent in value)
    if (whole != whole.ravel()[0]).any() or value.bias.any():
        raise FrontendError(
            f"delay '{leaf}' follows a linear layer with a bias, or differs per target; delay the spikes "
            "instead"
        )
    branches = [
        replace(
            branch,
            source=assembly.wait(leaf, branch.source, np.full(branch.source.shape, int(whole.ravel()[0]))),
        )
        for branch in value.branches
    ]
    return replace(value, branches=tuple(branches))


def _leave(
    assembly: Assembly,
    structure: Structure,
    leaf: str,
    value: Value,
    decode: Decode | None,
    classes: Sequence[str],
) -> None:
    """Read a population; what is not one goes through neurons that hold a value for one step."""
    # A file may hold anything in its place.
    metadata = cast("object", structure.nodes[leaf].metadata)
    told = str(metadata.get("decode", "")) if isinstance(metadata, dict) else ""
    known = {item.value: item for item in Decode}
    asked = decode or known.get(told)
    if not isinstance(value, Current) and len(value) == 1 and value[0].plain:
        population = value[0].node
        if assembly.is_population(population):
            assembly.leave(leaf, population, asked, classes)
            return
    population = assembly.hold(f"{leaf}.readout", _current(leaf, value))
    assembly.leave(leaf, population, asked, classes)
