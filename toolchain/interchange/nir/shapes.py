"""The shape of everything in a NIR graph: what arrives, what a node declares, what its parameters fit."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, final

import nir
import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.neurons import NEURONS, Neuron
from toolchain.interchange.nir.parameters import (
    Windowed,
    groups_of,
    kernels_of,
    matrix_of,
    numbers,
    whole_numbers,
    window_of,
)
from toolchain.ir.currents import check_size, check_window, spread
from toolchain.ir.types import size_of

Shape = tuple[int, ...]

_LINE: Final = 2
_IMAGE: Final = 3
_OF_ALL_NODES: Final = frozenset({"input_type", "output_type", "metadata"})


@final
@dataclass(frozen=True)
class Form:
    """What a node sends.

    Attributes:
        shape: Shape of one step as it is here, `[N]` or `[C, H, W]`.
        flat: Whether feature maps were flattened.
        line: Whether the file says `[C, L]`, which is `[C, 1, L]` here.
    """

    shape: Shape
    flat: bool = False
    line: bool = False

    @property
    def features(self) -> Shape:
        """The shape as the file has it."""
        if self.flat:
            return (size_of(self.shape),)
        return (self.shape[0], self.shape[2]) if self.line else self.shape

    def fit(self, name: str, parameter: str, values: object) -> Floats:
        """Return a parameter with a value for every element, of the shape that it has here.

        One value is meant for all; every other shape is broadcast as NumPy does.

        Raises:
            FrontendError: It has another shape.
        """
        array = numbers(name, parameter, values)
        row = self.line and array.ndim == _IMAGE
        return np.array(
            spread(array, self.shape if row else self.features, f"node '{name}': {parameter}")
        ).reshape(self.shape)


def fitted(name: str, node: Neuron, form: Form) -> Neuron:
    """Return neurons whose every parameter has a value per neuron.

    Raises:
        FrontendError: A parameter does not fit; names it and both shapes.
    """
    whole = copy.copy(node)
    for item in fields(node):
        if item.name not in _OF_ALL_NODES:
            setattr(whole, item.name, form.fit(name, item.name, getattr(node, item.name)))
    return whole


def infer_forms(
    nodes: Mapping[str, nir.NIRNode], edges: Sequence[tuple[str, str]], order: Sequence[str]
) -> dict[str, Form]:
    """Return what every node sends, once all that reaches it is known.

    Loops are gone round until nothing changes.

    Raises:
        FrontendError: Shapes do not fit each other or what a node declares.
    """
    sources: dict[str, list[str]] = {name: [] for name in order}
    readers: dict[str, list[str]] = {name: [] for name in order}
    for source, target in edges:
        sources[target].append(source)
        readers[source].append(target)
    forms: dict[str, Form] = {}
    arriving: dict[str, Form] = {}
    changed = True
    while changed:
        changed = False
        for name in order:
            known = {source: forms[source] for source in sources[name] if source in forms}
            if sources[name] and not known:
                continue
            form = _joined(name, known) if known else _entered(name, nodes, readers)
            if arriving.get(name) != form:
                arriving[name], forms[name], changed = form, _sent(name, nodes[name], form), True
                check_size(name, *forms[name].shape)
    check_size(
        "all neurons", sum(size_of(forms[name].shape) for name in order if isinstance(nodes[name], NEURONS))
    )
    return forms


def _joined(name: str, known: Mapping[str, Form]) -> Form:
    """Return the form of a sum."""
    (first, form), *others = known.items()
    for other, its in others:
        if its.features != form.features:
            raise FrontendError(
                f"node '{name}' adds {form.features} of '{first}' and {its.features} of '{other}', "
                "expected the same shape"
            )
        if its.shape != form.shape:
            form = Form(form.features)
    return form


def _entered(name: str, nodes: Mapping[str, nir.NIRNode], readers: Mapping[str, Sequence[str]]) -> Form:
    """Return the shape of an input; a line of samples per channel becomes an image of one row.

    Some exporters leave a batch of one in front.
    """
    node = nodes[name]
    declared = node.input_type.get("input") if isinstance(node, nir.Input) else None
    if declared is None:
        raise FrontendError(f"input '{name}' has no shape; write the file with one")
    shape = whole_numbers(name, "shape", declared)
    lines = len(shape) == _LINE and _reaches_line(name, nodes, readers)
    if shape[:1] == (1,) and (len(shape) == _IMAGE + 1 or (len(shape) == _LINE and not lines)):
        shape = shape[1:]
    if not 1 <= len(shape) <= _IMAGE or min(shape) < 1:
        raise FrontendError(f"input '{name}' has shape {shape}, expected [N], [C, L] or [C, H, W]")
    return Form((shape[0], 1, shape[1]), line=True) if len(shape) == _LINE else Form(shape)


def _reaches_line(name: str, nodes: Mapping[str, nir.NIRNode], readers: Mapping[str, Sequence[str]]) -> bool:
    """Return whether values reach a convolution of lines before their shape changes."""
    visited, frontier = {name}, [name]
    while frontier:
        for reader in readers[frontier.pop()]:
            if isinstance(nodes[reader], nir.Conv1d):
                return True
            if reader not in visited and not isinstance(nodes[reader], nir.Affine | nir.Linear | nir.Flatten):
                visited.add(reader)
                frontier.append(reader)
    return False


def _sent(name: str, node: nir.NIRNode, known: Form) -> Form:
    match node:
        case nir.Affine() | nir.Linear():
            weights = matrix_of(name, node)
            if known.features != (weights.shape[1],):
                raise FrontendError(
                    f"node '{name}' reads {weights.shape[1]} values, but {known.features} come"
                )
            return Form((len(weights),))
        case nir.Conv1d() | nir.Conv2d():
            return _convolved(name, node, known)
        case nir.SumPool2d() | nir.AvgPool2d():
            return _mapped(name, node, known, known.shape[0])
        case nir.Flatten():
            _check_declared(name, "input_type", node.input_type.get("input"), known)
            return _flat(name, node, known)
        case nir.Input():
            _check_declared(name, "shape", node.input_type.get("input"), known)
            return known
        case nir.Output():
            _check_declared(name, "shape", node.output_type.get("output"), known)
            return known
        case _:
            return known


def _convolved(name: str, node: nir.Conv1d | nir.Conv2d, known: Form) -> Form:
    kernels, groups = kernels_of(name, node), groups_of(name, node)
    form = _mapped(name, node, known, len(kernels))
    if kernels.shape[1] * groups != known.shape[0]:
        raise FrontendError(
            f"convolution '{name}' of {kernels.shape[1] * groups} channels cannot read {known.features}"
        )
    declared = node.input_shape
    extents = known.shape[2:] if isinstance(node, nir.Conv1d) else known.shape[1:]
    if declared is not None and whole_numbers(name, "input_shape", declared) != extents:
        raise FrontendError(
            f"convolution '{name}' declares input_shape {whole_numbers(name, 'input_shape', declared)}, but "
            f"{known.features} come"
        )
    return form


def _mapped(name: str, node: Windowed, known: Form, channels: int) -> Form:
    line = isinstance(node, nir.Conv1d)
    if known.flat or len(known.shape) != _IMAGE or (known.line != line and (not line or known.shape[1] != 1)):
        maps = "lines [C, L]" if line else "feature maps [C, H, W]"
        raise FrontendError(f"node '{name}' reads {known.features}, expected {maps}")
    window = window_of(name, node)
    rows, columns = window.positions((known.shape[1], known.shape[2]))
    if rows < 1 or columns < 1:
        raise FrontendError(f"node '{name}' reads {known.features}, which is smaller than its window")
    check_window(name, known.shape, window)
    check_size(name, channels, rows, columns)
    return Form((channels, rows, columns), line=known.line)


def _flat(name: str, node: nir.Flatten, known: Form) -> Form:
    """Return the flattened form: all features, in the order C, H, W."""
    (start,), (end,) = (whole_numbers(name, "its dimensions", n)[:1] for n in (node.start_dim, node.end_dim))
    extents = known.features
    first, last = (n + len(extents) if n < 0 else n for n in (start, end))
    # A batch of one may stay in front.
    whole = last == len(extents) - 1 and (first == 0 or (first == 1 and extents[0] == 1))
    if not whole and not (len(extents) == 1 and first in {0, 1}):
        raise FrontendError(
            f"node '{name}' flattens dimensions {start} .. {end} of {extents}, expected all of them (0 .. -1)"
        )
    return Form(known.shape) if len(extents) == 1 and not known.flat else Form(known.shape, flat=True)


def _check_declared(name: str, what: str, declared: object, known: Form) -> None:
    """Raise if a node declares another shape than what arrives, but for a batch and a time of one."""
    if declared is None or np.size(np.asarray(declared)) == 0:
        return
    shape = whole_numbers(name, what, declared)
    expected = {(*ones, *known.features) for ones in ((), (1,), (1, 1))}
    if known.line:
        expected.add(known.shape)
    if shape not in expected:
        raise FrontendError(f"node '{name}' declares {what} {shape}, but {known.features} come")
