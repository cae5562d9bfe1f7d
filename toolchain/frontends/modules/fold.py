"""The steps of a run as one graph."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.sparse import csr_array
from torch import nn

from toolchain import ir
from toolchain.errors import FrontendError
from toolchain.frontends.modules.ledger import Labels, Untyped
from toolchain.frontends.modules.neuron_kinds import NeuronKind, OwnConnection
from toolchain.frontends.modules.readouts import Read, reads_of
from toolchain.frontends.modules.sinabs import note_on_floor
from toolchain.frontends.modules.structure import Steps
from toolchain.frontends.modules.values import FlatNeuronsError, Values
from toolchain.frontends.modules.watch import RunWatch
from toolchain.interchange.nir.arrivals import Arrivals
from toolchain.interchange.nir.assembly import assembled
from toolchain.interchange.nir.neurons import Dynamics
from toolchain.interchange.nir.routes import Names
from toolchain.ir import Decode, Graph, verify
from toolchain.ir.currents import Branch, Current, summed
from toolchain.ir.imported import Imported
from toolchain.ir.types import size_of

Neurons = Mapping[str, tuple[nn.Module, NeuronKind]]
Shape = tuple[int, ...]
Inputs = Mapping[str, tuple[Shape, float | None]]
_DT_MS: Final = 1.0


def folded(
    watch: RunWatch,
    neurons: Neurons,
    inputs: Inputs,
    results: Mapping[str, Labels],
    *,
    classes: tuple[str, ...],
    name: str,
) -> tuple[Imported, Mapping[str, Read]]:
    """Return the graph of a run, and how each of its outputs reads what the module returned.

    Args:
        watch: The run.
        neurons: Modules of neurons by path.
        inputs: Shape, and largest value where they are not spikes, of what enters.
        results: Labels of what the module returned.
        classes: Names of the classes.
        name: Name of the graph.

    Raises:
        FrontendError: Steps differ, or something has no counterpart.
    """
    calls = {path: made for path, made in watch.calls.items() if made}
    last = len(next(iter(calls.values()))) - 1
    steps = Steps(watch.ledger, last)
    for made in calls.values():
        steps.check(made)
    reads, left_out = reads_of(watch.ledger, results, last)
    flat: set[str] = set()
    while True:
        try:
            made, by_output = _assembled(watch, neurons, inputs, reads, flat, classes, name)
        except FlatNeuronsError as error:
            if error.path in flat:
                raise FrontendError(f"'{error.path}' is driven by maps and by what is none") from None
            flat.add(error.path)
        else:
            return replace(made, notes=(*made.notes, *left_out)), by_output


def _assembled(
    watch: RunWatch,
    neurons: Neurons,
    inputs: Inputs,
    reads: list[Read],
    flat: set[str],
    classes: tuple[str, ...],
    name: str,
) -> tuple[Imported, dict[str, Read]]:
    names = Names(inputs)
    paths = [path for path, made in watch.calls.items() if made]
    shapes = {path: _shape(watch, neurons, path, flat) for path in paths}
    populations = {path: names.new(path or "neurons") for path in paths}
    dynamics = {path: neurons[path][1].dynamics(neurons[path][0], shapes[path]) for path in paths}
    last = len(watch.calls[paths[0]]) - 1
    values = Values(
        watch.ledger,
        last,
        {path: (populations[path], shapes[path]) for path in paths},
        inputs,
        frozenset(path for path in paths if dynamics[path].firing.most > 1),
    )
    currents = {
        path: _current(
            values, watch.calls[path][last].reads[0], path, neurons[path], shapes[path], populations[path]
        )
        for path in paths
    }
    outputs, refusals = _outputs(reads, populations, values)
    reads = [_with_rest(read, dynamics) for read in reads if read.name in outputs]
    arrivals = Arrivals(populations, currents, outputs, values.routes.nodes, ())
    decodes: dict[str, Decode | None] = {read.name: read.decode for read in reads}
    made = assembled(arrivals, dynamics, decodes, ())
    # Outputs stand in the order of what is read, and may be called otherwise where a name was in use.
    by_output = dict(
        zip((node.name for node in made.nodes if isinstance(node, ir.Output)), reads, strict=True)
    )
    graph = Graph(tuple(_with_weights(node, by_output) for node in made.nodes), dt_ms=_DT_MS, name=name)
    graph = _with_classes(graph, classes)
    verify(graph)
    imported = Imported(
        graph,
        (*_notes(reads, dynamics), *refusals, *made.notes),
        warnings=tuple(filter(None, (note_on_floor(neurons[path][0]) for path in paths))),
        rests={populations[path]: each.rest for path, each in dynamics.items() if each.rest.any()},
    )
    return imported, by_output


def _with_classes(graph: Graph, classes: tuple[str, ...]) -> Graph:
    """Return a graph whose first output has names of classes, and so has every other of as many scores."""

    def named(node: ir.AnyNode) -> ir.AnyNode:
        if isinstance(node, ir.Output) and (
            node is graph.outputs[0] or graph.scores_of(node) == len(classes)
        ):
            return replace(node, classes=classes)
        return node

    return graph.map(named) if classes else graph


def _outputs(
    reads: list[Read], populations: Mapping[str, str], values: Values
) -> tuple[dict[str, str | Current], list[str]]:
    """Return what the outputs read, and notes on results behind the first that cannot be read."""
    outputs: dict[str, str | Current] = {}
    notes: list[str] = []
    for read in reads:
        if read.path is not None:
            outputs[read.name] = populations[read.path]
        elif read.labels is not None:
            try:
                outputs[read.name] = values.current(read.labels.ravel(), (read.labels.size,))
            except FrontendError as error:
                if not outputs:
                    raise
                notes.append(f"the result '{read.name}' is left out, because it cannot be read out: {error}")
    return outputs, notes


def _with_rest(read: Read, dynamics: Mapping[str, Dynamics]) -> Read:
    """Return a read-out of potentials with where they begin: a number, or what each adds on the host."""
    if read.path is None or not read.decode.reads_potential:
        return read
    rest = dynamics[read.path].rest.ravel()
    if not rest.any():
        return read
    if (rest == rest[0]).all():
        return replace(read, rest=float(rest[0]))
    return replace(read, weights=np.eye(rest.size), bias=rest)


def _shape(watch: RunWatch, neurons: Neurons, path: str, flat: set[str]) -> Shape:
    """Return the shape of the neurons of a module."""
    kind, module = neurons[path][1], neurons[path][0]
    weights = kind.weights(module)
    if weights is not None:
        return (len(weights),)
    shape = watch.shapes[path]
    if len(shape) == 2:
        shape = (shape[0], 1, shape[1])
    if len(shape) == 3 and path not in flat:
        return shape
    return (size_of(shape),)


def _current(
    values: Values, labels: Labels, path: str, neurons: tuple[nn.Module, NeuronKind], shape: Shape, name: str
) -> Current:
    """Return all that drives the neurons of a module, their own connections included."""
    module, kind = neurons
    weights = kind.weights(module)
    if weights is None:
        current = values.current(labels, shape)
    else:
        current = values.value_through(labels, weights, path)
    own = kind.recurrent(module)
    if own is not None:
        current = summed([current, _own(values, own, path, name, shape)])
    if current.shape != shape:
        if len(shape) == 3 and len(current.shape) == 1:
            raise FlatNeuronsError(path)
        raise FrontendError(f"'{path}' has neurons {list(shape)}, but {list(current.shape)} arrive")
    return current


def _own(values: Values, own: OwnConnection, path: str, name: str, shape: Shape) -> Current:
    """Return what neurons send to themselves, one step later."""
    sent = values.one_step_late(path)
    size, label = size_of(shape), f"{path or name}.recurrent"
    bias = np.zeros(1) if own.bias is None else own.bias
    if own.kernel:
        branch = Branch(label, sent, own.weights, padding=own.padding)
        return Current((branch,), np.broadcast_to(bias, len(own.weights)).copy(), shape)
    if own.weights.ndim == 1:
        if len(shape) == 3 and own.weights.size == 1:
            kernels = np.full((shape[0], 1, 1, 1), own.weights[0])
            return Current((Branch(label, sent, kernels, groups=shape[0]),), np.zeros(shape[0]), shape)
        diagonal = np.broadcast_to(own.weights, size)
        weights: Untyped = csr_array((diagonal, np.arange(size), np.arange(size + 1)), shape=(size, size))
    else:
        weights = own.weights
    return Current(
        (Branch(label, replace(sent, flat=True), weights),), np.broadcast_to(bias, size).copy(), (size,)
    )


def _with_weights(node: ir.AnyNode, reads: Mapping[str, Read]) -> ir.AnyNode:
    """Return an output with the weights that are applied on the host."""
    if isinstance(node, ir.Output) and reads[node.name].weights is not None:
        return replace(node, weights=reads[node.name].weights, bias=reads[node.name].bias)
    return node


def _notes(reads: list[Read], dynamics: Mapping[str, Dynamics]) -> list[str]:
    return [
        f"'{read.name}' reads the potentials of neurons that fire, after their reset"
        for read in reads
        if read.path and read.decode.reads_potential and not dynamics[read.path].silent
    ]
