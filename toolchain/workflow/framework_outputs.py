"""What a framework itself computed on a stimulus, brought to the names and neurons of a graph."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.errors import ArgumentError, UnknownNameError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity.source_search import Expected
from toolchain.files.npz import read_arrays
from toolchain.intake import PathText, array_of, check_finite, described, path_of
from toolchain.ir import Graph, Population
from toolchain.ir.types import size_of

Outputs = PathText | Trace | Mapping[str, Any] | NDArray[Any]
"""What callers may give: a `.npz`, a trace, arrays by name, or the array of the last population."""
Records = Mapping[str, NDArray[Any]]
"""Arrays of a framework by their keys."""

ARGUMENT: Final = "outputs"
"""Name of the argument in errors."""
_OUTPUT: Final = "output"
_SPIKES: Final = "spikes"
_QUANTITIES: Final = (_SPIKES, "v")
_AXES: Final = 2
"""Batch and time."""


@final
@dataclass(frozen=True)
class FrameworkOutputs:
    """Records of a framework by the populations of a graph, and only of the neurons that the graph has.

    Attributes:
        spikes: Spikes or counts of a population, whole numbers `[batch, time, neurons]`.
        v: Membrane potentials `[batch, time, neurons]`, of the type in which they came.
        left_out: Neurons that a record had beyond those of the graph, by population; only where there are.
    """

    spikes: Mapping[str, NDArray[Any]]
    v: Mapping[str, NDArray[Any]]
    left_out: Mapping[str, int]

    @property
    def populations(self) -> frozenset[str]:
        """Names of the populations of which anything was recorded."""
        return frozenset((*self.spikes, *self.v))

    def of(self, name: str) -> Expected:
        """Return the records of one population."""
        return Expected(self.spikes.get(name), self.v.get(name))

    def take(self, index: slice | NDArray[Any]) -> "FrameworkOutputs":
        """Return the records of the selected samples."""
        spikes, v = ({name: each[index] for name, each in part.items()} for part in (self.spikes, self.v))
        return FrameworkOutputs(spikes, v, self.left_out)


def records_of(outputs: Outputs) -> Records:
    """Return what a caller gave as the records of a framework, by their keys.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not an archive of plain arrays.
        ArgumentError: Something is no array of numbers.
    """
    if isinstance(outputs, Trace):
        given: Mapping[str, Any] = outputs.by_key()
    elif isinstance(outputs, str | os.PathLike):
        given = read_arrays(path_of(outputs, ARGUMENT))
    else:
        given = outputs if isinstance(outputs, Mapping) else {_OUTPUT: outputs}
    return {
        str(key): array_of(values, f"{ARGUMENT}['{key}']")
        for key, values in given.items()
        # Currents, which traces hold, are measured otherwise in every framework.
        if not str(key).endswith(".u")
    }


def framework_outputs(
    graph: Graph, records: Records, stimulus: Stimulus, *, reduced: bool = False, partly: bool = False
) -> FrameworkOutputs:
    """Return what was recorded in a framework, by the populations of a graph.

    A key is `"<population>.spikes"` or `"<population>.v"`. For the name of a population stands the path of
    its module as well, or the end of it, where no other has the same. A name alone means the spikes, or the
    potentials of a population that never fires. `spikes`, `v`, `output`, `output.spikes` and `output.v` are
    those of the population that the network ends in.

    Args:
        graph: The network, in real numbers.
        records: Arrays `[batch, time, *features]` by key.
        stimulus: Samples on which they were recorded.
        reduced: Whether neurons may have been removed from the graph, so that a record holds more.
        partly: Whether the population that the network ends in may be missing.

    Raises:
        UnknownNameError: No population has such a name; lists those that there are.
        ArgumentError: A record is not of that shape, not of numbers, or not finite; two keys mean the same;
            or that of the last population is missing.
    """
    known = [node for node in graph.populations if (node.origin.elements >= 0).all()]
    by_quantity: dict[str, dict[str, NDArray[Any]]] = {quantity: {} for quantity in _QUANTITIES}
    came: dict[tuple[str, str], str] = {}
    left_out: dict[str, int] = {}
    for key, values in records.items():
        node, quantity = _place(graph, known, key)
        if (node.name, quantity) in came:
            raise ArgumentError(
                ARGUMENT,
                f"the {quantity} of '{node.name}' once",
                f"both '{came[node.name, quantity]}' and '{key}'",
                "leave one of them out",
            )
        came[node.name, quantity] = key
        flat = _flat(values, node, key, stimulus, reduced=reduced)
        if flat.shape[-1] > node.vth.size:
            left_out[node.name] = flat.shape[-1] - node.vth.size
        selected = flat[..., node.origin.elements]
        by_quantity[quantity][node.name] = _counts(selected, key) if quantity == _SPIKES else selected
    if not partly:
        _check_last(graph, came)
    return FrameworkOutputs(by_quantity[_SPIKES], by_quantity["v"], left_out)


def is_silent(node: Population) -> bool:
    """Return whether a population of real numbers never fires: a read-out."""
    return bool(np.isinf(node.vth).all())


def _place(graph: Graph, known: Iterable[Population], key: str) -> tuple[Population, str]:
    """Return the population and the quantity that a key names."""
    name, _, quantity = key.rpartition(".")
    if name and quantity in _QUANTITIES:
        return _population_or_last(graph, known, name, key), quantity
    if key in _QUANTITIES:
        return _last(graph, key), key
    node = _population_or_last(graph, known, key, key)
    return node, "v" if is_silent(node) else _SPIKES


def _population_or_last(graph: Graph, known: Iterable[Population], name: str, key: str) -> Population:
    """Return the population of a name, or the one that the network ends in where `output` names no other."""
    try:
        return _population(known, name)
    except UnknownNameError:
        if name != _OUTPUT:
            raise
        return _last(graph, key)


def _population(known: Iterable[Population], name: str) -> Population:
    """Return the population of a name, of a module's path, or of the end of one."""
    exact = [node for node in known if node.name == name]
    paths = exact or [node for node in known if node.origin.path == name]
    matching = paths or [
        node
        for node in known
        if any(_is_end(name, path) or _is_end(path, name) for path in {node.name, node.origin.path})
    ]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ArgumentError(
            ARGUMENT,
            f"one population for '{name}'",
            ", ".join(repr(node.name) for node in matching),
            "call it by its whole name",
        )
    raise UnknownNameError("population", name, (node.name for node in known))


def _is_end(end: str, path: str) -> bool:
    return path.endswith(f".{end}")


def _last(graph: Graph, key: str) -> Population:
    """Return the population that the network ends in."""
    names = _last_names(graph)
    node = graph[names[0]] if len(names) == 1 else None
    if isinstance(node, ir.Lif):
        return node
    raise ArgumentError(
        ARGUMENT,
        f"the name of a population, because the network has {len(names)} outputs",
        f"'{key}'",
        f"name it: {', '.join(f'{name}.spikes' for name in names)}",
    )


def _last_names(graph: Graph) -> list[str]:
    return list(dict.fromkeys(output.inputs[0] for output in graph.outputs))


def _check_last(graph: Graph, came: Iterable[tuple[str, str]]) -> None:
    """Raise unless what the network ends in was recorded: without it nothing is proved."""
    recorded = {name for name, _ in came}
    for name in _last_names(graph):
        if name not in recorded:
            node = graph[name]
            quantity = "v" if isinstance(node, ir.Lif) and is_silent(node) else _SPIKES
            raise ArgumentError(
                ARGUMENT,
                f"an array '{name}.{quantity}', of the population that the network ends in",
                ", ".join(repr(each) for each in sorted(recorded)) or "nothing",
                f"record it, [batch, time, {node.vth.size if isinstance(node, ir.Lif) else 'features'}]",
            )


def _flat(
    values: NDArray[Any], node: Population, key: str, stimulus: Stimulus, *, reduced: bool
) -> NDArray[Any]:
    """Return a record with its features in one axis.

    Raises:
        ArgumentError: Its samples or steps are not those of the stimulus, or it has too few neurons.
    """
    samples, steps = stimulus.extent
    shape = "x".join(map(str, node.vth.shape))
    expected = f"'{key}' of shape [{samples}, {steps}, {shape}]"
    remedy = ""
    if values.shape[:_AXES] == (steps, samples):
        remedy = "time stands first there: swap the first two axes"
    elif values.ndim >= _AXES and values.shape[:_AXES] != (samples, steps):
        remedy = "record all steps of the very samples that are compared, batch first"
    # A record of one neuron may lack its axis.
    features = size_of(values.shape[_AXES:])
    least = int(node.origin.elements.max()) + 1
    fits = features >= max(least, node.vth.size) if reduced else features == node.vth.size
    if values.shape[:_AXES] != (samples, steps) or not fits:
        raise ArgumentError(ARGUMENT, expected, described(values), remedy)
    check_finite(values, f"{ARGUMENT}['{key}']")
    return values.reshape(samples, steps, features)


def _counts(values: NDArray[Any], key: str) -> NDArray[Any]:
    """Return spikes as whole numbers."""
    if values.dtype.kind == "b":
        return values
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values) or (whole < 0).any():
        wrong = values[(whole != values) | (whole < 0)]
        raise ArgumentError(
            ARGUMENT,
            f"spikes in '{key}': 0, 1 or how many",
            f"{float(wrong.flat[0]):g}",
            f"potentials belong to '{key.removesuffix('.spikes')}.v'",
        )
    return whole
