"""How the fields of a node stand in a file: a form of JSON for every type that a field can have.

An array is `{"array": key}`, a sparse matrix `{"csr": key, "shape": [r, c]}`, an origin `{"origin": path,
"elements": key}`, a member of an enumeration `{"enum": [class, value]}`; the rest is plain JSON. The forms of
a node follow from the types of its fields, so that there is no second list of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, final, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, create_model
from scipy.sparse import csr_array

from toolchain.errors import CorruptArtifactError
from toolchain.files.documents import Count, Document, Whole
from toolchain.ir.matrix import sources_of, targets_of
from toolchain.ir.node import Node
from toolchain.ir.types import Origin

Arrays = dict[str, NDArray[Any]]
_PARTS: Final = ("data", "indices", "indptr")
_PLAIN: Final[dict[Any, Any]] = {int: Whole, float: float, str: str, NoneType: None}


class ArrayForm(Document):
    """An array.

    Attributes:
        array: Key of the array in the archive.
    """

    array: str


class SparseForm(Document):
    """A sparse matrix.

    Attributes:
        csr: Beginning of the keys of its three parts in the archive.
        shape: Rows and columns.
    """

    csr: str
    shape: tuple[Count, Count]


class OriginForm(Document):
    """Where neurons come from.

    Attributes:
        origin: Path of the user's module.
        elements: Key of the indices of the neurons in it.
    """

    origin: str
    elements: str


class EnumForm(Document):
    """A member of an enumeration.

    Attributes:
        enum: Class, and value of the member.
    """

    enum: tuple[str, Any]


class NodeForm(Document):
    """A node: its kind, and the forms of its fields.

    Attributes:
        kind: Name of the operation.
    """

    kind: str


@cache
def node_form(node: type[Node]) -> type[NodeForm]:
    """Return what a node of some class looks like in a file."""
    forms: dict[str, Any] = {"kind": (Literal[node.kind], ...)}
    for item in fields(node):
        form = _form_of(_types(node)[item.name])
        forms[item.name] = (
            form,
            Field(default_factory=partial(getattr, node, item.name)) if item.name in node.later else ...,
        )
    documented = "\n".join(each.__doc__ for each in node.__mro__ if each.__doc__ and each is not object)
    return create_model(f"{node.__name__}Form", __base__=NodeForm, __doc__=documented, **forms)


def write_node(node: Node, arrays: Arrays) -> dict[str, Any]:
    """Return a node as JSON, and put its arrays among the others; their keys are `node/field`."""
    names = [item.name for item in fields(node) if not node.has_default(item.name)]
    values = {name: getattr(node, name) for name in names}
    return {"kind": node.kind} | {
        name: _write(value, f"{node.name}/{name}", arrays) for name, value in values.items()
    }


@final
@dataclass(frozen=True)
class StoredNodes:
    """Makes nodes of their forms.

    Attributes:
        arrays: Those that the forms name.
        path: The file that holds the forms, for errors.
    """

    arrays: Mapping[str, NDArray[Any]]
    path: Path

    def read(self, node: type[Node], form: NodeForm) -> Node:
        """Return a node.

        Raises:
            CorruptArtifactError: An array is missing, or not of the type that the field has.
        """
        given = {item.name: getattr(form, item.name) for item in fields(node)}
        name = cast("str", given["name"])
        values: dict[str, Any] = {
            key: self._value(value, _number_of(_types(node)[key]), f"{key} of node '{name}'")
            for key, value in given.items()
        }
        try:
            return node(**values)
        except ValueError as error:
            raise CorruptArtifactError(self.path, f"is not well formed: node '{name}': {error}") from None

    def _value(self, form: object, number: np.dtype[Any] | None, what: str) -> object:
        match form:
            case ArrayForm():
                return self._array(form.array, number, what)
            case SparseForm():
                return self._matrix(form, number, what)
            case OriginForm():
                return Origin(form.origin, self._array(form.elements, np.dtype(np.int64), what))
            case EnumForm():
                return form.enum[1]
            case _:
                return form

    def _array(self, key: str, number: np.dtype[Any] | None, what: str) -> NDArray[Any]:
        if key not in self.arrays:
            raise CorruptArtifactError(self.path, f"names an array '{key}' for {what}, which does not exist")
        array = self.arrays[key]
        if array.dtype != number:
            raise CorruptArtifactError(
                self.path, f"names an array '{key}' of {array.dtype} for {what}, expected {number}"
            )
        return array

    def _matrix(self, form: SparseForm, number: np.dtype[Any] | None, what: str) -> csr_array:
        separator = "/" if "/" in form.csr else "."
        keys = [f"{form.csr}{separator}{part}" for part in _PARTS]
        whole = np.dtype(np.int64)
        data, indices, starts = (
            self._array(key, of, what) for key, of in zip(keys, (number, whole, whole), strict=True)
        )
        problem = _problem(data, indices, starts, form.shape)
        if problem:
            raise CorruptArtifactError(self.path, f"holds a damaged sparse matrix for {what}: {problem}")
        return csr_array((data, indices, starts), shape=form.shape)


def _problem(
    data: NDArray[Any], indices: NDArray[np.int64], starts: NDArray[np.int64], shape: tuple[int, int]
) -> str:
    """Return what is wrong with the parts of a CSR matrix; SciPy believes what it is told."""
    rows, columns = shape
    if data.ndim != 1 or indices.shape != data.shape or starts.shape != (rows + 1,):
        return "its parts do not fit one another"
    inside = starts[0] == 0 and starts[-1] == data.size and starts.min() >= 0 and starts.max() <= data.size
    if not inside or (np.diff(starts) < 0).any():
        return "its rows do not follow one another"
    if data.size and (indices.min() < 0 or indices.max() >= columns):
        return "it has columns that do not exist"
    row = np.repeat(np.arange(rows), np.diff(starts))
    if ((np.diff(row) == 0) & (np.diff(indices) <= 0)).any():
        return "its columns are not in order, or stand twice"
    return ""


@cache
def _types(node: type[Node]) -> dict[str, Any]:
    return get_type_hints(node, include_extras=True)


def _form_of(annotation: Any) -> Any:  # noqa: ANN401 - types of any sort
    """Return how values of a type stand in a file."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        return _form_of(inner[0])
    if origin in {UnionType, Union}:
        return Union[tuple(map(_form_of, inner))]  # noqa: UP007 - made while it runs
    if origin is tuple:
        return tuple[tuple(each if each is ... else _form_of(each) for each in inner)]
    if origin is np.ndarray:
        return ArrayForm
    if annotation is csr_array:
        return SparseForm
    if annotation is Origin:
        return OriginForm
    member = cast("type[Enum]", annotation)
    return create_model(
        f"{member.__name__}Form",
        __base__=EnumForm,
        enum=(tuple[Literal[member.__name__], member], ...),  # pyright: ignore[reportInvalidTypeForm]
    )


def _number_of(annotation: Any) -> np.dtype[Any] | None:  # noqa: ANN401 - types of any sort
    """Return the type of the numbers in the arrays of a field: `float64` for `NDArray[np.float64] | int`."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return np.dtype(inner[1])
    if get_origin(annotation) is np.ndarray:
        return np.dtype(get_args(inner[1])[0])
    return next((number for each in inner if (number := _number_of(each)) is not None), None)


def _write(value: Any, key: str, arrays: Arrays) -> Any:  # noqa: ANN401 - values of any field
    match value:
        case csr_array():
            for part in _PARTS:
                arrays[f"{key}/{part}"] = getattr(value, part)
            return {"csr": key, "shape": [targets_of(value), sources_of(value)]}
        case np.ndarray():
            arrays[key] = value
            return {"array": key}
        case Origin():
            arrays[f"{key}/elements"] = value.elements
            return {"origin": value.path, "elements": f"{key}/elements"}
        case Enum():
            return {"enum": [type(value).__name__, value.value]}
        case tuple():
            return list(value)
        case _:
            return value
