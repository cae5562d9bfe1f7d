"""All single mutations of an archive of arrays: one array gets another type, values, shape or name."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
_TYPES = (
    *(">f4", ">i8", "bool", "int8", "uint8", "int16", "int64", "uint64", "float16", "float32", "float64"),
    *("longdouble", "complex64", "complex128", "U3", "S3", "V4", "datetime64[ns]", "timedelta64[s]"),
)
_VALUES = (
    *(-1, 0, 1, 2, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 0.5),
    *(1e30, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
)


def array_mutations(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, Arrays]]:
    """Yield what was changed, and the arrays; always in the same order."""
    for name, array in sorted(arrays.items()):
        for how, changed in (*_of_type(array), *_of_values(array), *_of_shape(array)):
            yield f"{name} {how}", dict(arrays) | {name: changed}
        others = {key: each for key, each in arrays.items() if key != name}
        yield f"{name} is missing", others
        for new in ("", "x", f"{name}x", "labels", "lengths", "a/b", "../x", "x.v", "\x1b[31m", "a\nb"):
            yield f"{name} is called {new!r}", others | {new: array}
    yield "another array", dict(arrays) | {"unknown": np.zeros(3)}
    yield "nothing", {}


def _of_type(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    for kind in _TYPES:
        changed = np.zeros(array.shape, kind)
        if np.dtype(kind).kind in "biufc":
            with np.errstate(all="ignore"):
                changed = array.astype(kind)
        yield f"as {kind}", changed
    yield "as records", np.zeros(array.shape, [("a", "f4"), ("b", "i8")])


def _of_values(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    for value in _VALUES:
        for whole in (False, True):
            changed = array.astype(np.asarray(value).dtype)
            changed.reshape(-1)[: None if whole else 1] = value
            yield f"{'all' if whole else 'begins with'} {value}", changed


def _of_shape(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "of no axes", array.reshape(-1)[0].copy() if array.size else np.zeros(())
    yield "of one axis more", array[None]
    yield "flat", array.reshape(-1)
    yield "turned", np.ascontiguousarray(array.T)
    for axis in range(array.ndim):
        for how, index in (("none", slice(0)), ("one", slice(1)), ("one less", slice(-1))):
            yield f"with {how} along axis {axis}", array[(slice(None),) * axis + (index,)]
        yield f"twice along axis {axis}", np.concatenate([array, array], axis)
