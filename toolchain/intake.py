"""The one place where values from a Python caller become ours.

A caller may give a path as text, samples as nested lists, arrays of any number type or tensors that need a
gradient, labels as a list, counts as NumPy integers. Every public function sends such values through here.
Each function returns one canonical form, so that everything behind it knows what it holds, or raises an
`ArgumentError` that names the argument, what was expected, what came and what to do.

Nothing is copied that has the canonical form already; in particular a memory-mapped array stays on disk.
Tensors are recognised by what they can do, so that PyTorch is not imported here.
"""

import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import ArgumentError, UnknownNameError
from toolchain.working_folder import check_working_folder

PathText = str | os.PathLike[str]
"""A path as callers may give it."""
Axes = tuple[str | int, ...]
"""An expected shape: a number is that extent, a word any extent of at least 1."""

_AT_ONCE: Final = 2**20
"""Numbers that are looked at together when an array is searched for what is not finite."""
_UNREADABLE: Final = (TypeError, ValueError, RuntimeError, OverflowError)
"""What NumPy and tensors raise about values that are no array."""

_LONGEST_NAME: Final = 255
"""Bytes of a file's name, on all common file systems."""
MAX_SEED: Final = 2**32 - 1
"""Largest seed that scikit-learn takes."""

_SHOWN: Final = 60
"""Characters of a value that a message shows."""

Choice = TypeVar("Choice", bound=Enum)
Options = TypeVar("Options")


def path_of(value: object, name: str) -> Path:
    """Return a path from text or a path object.

    Raises:
        ArgumentError: It is something else, empty, or nothing that a file system could hold.
        UsageError: It is relative to a working folder that was deleted.
    """
    try:
        text = os.fspath(cast("PathText", value))
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise ArgumentError(name, "a path (text or pathlib.Path)", _kind(value))
    if not text or "\0" in text:
        raise ArgumentError(name, "a path", "an empty text" if not text else f"{text!r} with a NUL in it")
    try:
        longest = max(len(os.fsencode(part)) for part in Path(text).parts or (text,))
    except UnicodeEncodeError:
        raise ArgumentError(name, "a path that a file system can hold", ascii(text[:_SHOWN])) from None
    if longest > _LONGEST_NAME:
        raise ArgumentError(name, f"names of at most {_LONGEST_NAME} bytes in a path", f"one of {longest}")
    path = Path(text)
    if not path.is_absolute():
        check_working_folder()
    return path


def array_of(value: object, name: str) -> NDArray[Any]:
    """Return an array of bool, integers or real numbers in the byte order of this machine.

    Args:
        value: An array, a tensor, nested sequences of numbers, or a sequence of such arrays.
        name: Name of the argument.

    Raises:
        ArgumentError: It holds something else, hides elements behind a mask, or its parts differ in shape.
    """
    array = _as_numpy(value, name)
    if array.dtype.kind not in "biuf":
        got = _kind(value) if array.ndim == 0 else f"{array.dtype} {list(array.shape)}"
        raise ArgumentError(name, "numbers (bool, integer or float)", got)
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        # Nothing computes in extended precision. What float64 cannot hold becomes infinite, and is found so.
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def samples_of(value: object, name: str, *forms: Axes) -> NDArray[Any]:
    """Return an array of finite numbers of one of the expected shapes; see `array_of`, `check_shape`."""
    array = array_of(value, name)
    check_shape(array.shape, name, *forms)
    check_finite(array, name)
    return array


def labels_of(
    value: object, name: str, *, samples: int | None = None, classes: int | None = None
) -> NDArray[np.int64]:
    """Return class labels as an int64 vector.

    Args:
        value: Whole numbers, one per sample.
        name: Name of the argument.
        samples: How many there must be; None if that is not known yet.
        classes: How many classes there are; None if that is not known yet.

    Raises:
        ArgumentError: They are not whole numbers, not one per sample, or not among the classes.
    """
    array = array_of(value, name)
    expected = f"one class per sample, whole numbers [{'samples' if samples is None else samples}]"
    if array.ndim != 1 or array.dtype.kind == "f":
        raise ArgumentError(name, expected, described(array), _label_advice(array))
    if samples is not None and len(array) != samples:
        raise ArgumentError(name, expected, described(array), "give as many labels as samples")
    highest = np.iinfo(np.int64).max if classes is None else classes - 1
    # Signed and unsigned numbers of 64 bits meet in Python, where none wraps.
    if len(array) and (int(array.max()) > highest or (classes is not None and int(array.min()) < 0)):
        outside = (array > highest) | (array < 0)
        place = int(outside.argmax())
        raise ArgumentError(
            name, f"classes 0 .. {highest}", f"{array[place]} for sample {place}", "number the classes from 0"
        )
    return array.astype(np.int64, copy=False)


def count_of(value: object, name: str, *, least: int = 0, most: int | None = None) -> int:
    """Return a whole number in `least .. most`; True and 2.0 are none.

    Raises:
        ArgumentError: It is not.
    """
    number = None
    if not isinstance(value, bool | np.bool_):
        try:
            number = operator.index(cast("int", value))
        except _UNREADABLE:
            number = None
    if number is None or number < least or (most is not None and number > most):
        limits = f"{least} or more" if most is None else f"{least} .. {most}"
        raise ArgumentError(name, f"a whole number, {limits}", _kind(value))
    return int(number)


def real_of(
    value: object,
    name: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    infinite: bool = False,
) -> float:
    """Return a real number as a float.

    Args:
        value: A number of any type.
        name: Name of the argument.
        least: Smallest value that is allowed.
        most: Largest value that is allowed.
        above: It must be larger than this.
        infinite: Whether positive infinity is allowed.

    Raises:
        ArgumentError: It is not a number, NaN, or outside the limits.
    """
    number = math.nan
    if not isinstance(value, bool | np.bool_ | str | bytes) and getattr(value, "ndim", 0) == 0:
        try:
            number = float(cast("float", value))
        except _UNREADABLE:
            number = math.nan
    finite = number < math.inf or infinite
    if not (least <= number <= most and above < number and finite):
        raise ArgumentError(name, f"a number{_limits(least, most, above)}", _kind(value))
    return number


def names_of(value: object, name: str) -> tuple[str, ...]:
    """Return texts from a sequence of texts; a single text is not a sequence of its letters.

    Raises:
        ArgumentError: It is a single text, not a sequence, or holds something else.
    """
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(listed, str) or not isinstance(listed, Sequence):
        remedy = f"write ({listed!r},)" if isinstance(listed, str) else ""
        raise ArgumentError(name, "a sequence of texts", _kind(value), remedy)
    for item in cast("Sequence[object]", listed):
        if not isinstance(item, str):
            raise ArgumentError(name, "a sequence of texts", f"{_kind(item)} in it")
    return tuple(str(item) for item in cast("Sequence[str]", listed))


def choice_of(value: object, name: str, kind: type[Choice]) -> Choice:
    """Return a member of an enumeration, given itself or its text.

    Raises:
        UnknownNameError: There is no such member.
    """
    if isinstance(value, kind):
        return value
    for item in kind:
        if isinstance(value, str) and item.value == value:
            return item
    raise UnknownNameError(name, str(value), [str(item.value) for item in kind])


def name_of(value: object, name: str) -> str:
    """Return a text.

    Raises:
        ArgumentError: It is something else.
    """
    if not isinstance(value, str):
        raise ArgumentError(name, "a text", _kind(value))
    return str(value)


def check_shape(shape: Iterable[int], name: str, *forms: Axes) -> None:
    """Raise unless a shape is one of the expected ones.

    Args:
        shape: As it came.
        name: Name of the argument.
        forms: The shapes that are allowed.

    Raises:
        ArgumentError: Says what is missing or empty.
    """
    got = tuple(shape)
    if any(_fits(got, form) for form in forms):
        return
    expected = " or ".join(f"[{', '.join(map(str, form))}]" for form in forms)
    raise ArgumentError(name, expected, str(list(got)), _shape_advice(got, forms))


def check_type(value: Any, name: str, kind: type[Options], remedy: str = "") -> Options:  # noqa: ANN401 - anything may come
    """Return a value if it is of the class that it has to be of.

    Args:
        value: Options, or a result.
        name: Name of the argument.
        kind: The class.
        remedy: What to do if it is of another one.

    Raises:
        ArgumentError: It is something else, such as a dictionary, or one of its numbers.
    """
    if not isinstance(value, kind):
        raise ArgumentError(name, f"{kind.__name__}(...)", type(value).__name__, remedy)
    return value


def check_finite(array: NDArray[Any], name: str) -> None:
    """Raise if an array holds NaN or infinity.

    It is looked at in pieces, so that one that is memory-mapped never lies in memory as a whole.

    Raises:
        ArgumentError: Names the first sample with such a value.
    """
    if array.dtype.kind != "f" or array.size == 0:
        return
    rows = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _AT_ONCE // max(1, rows[0].size))
    for start in range(0, len(rows), step):
        part = np.isfinite(rows[start : start + step])
        if not part.all():
            bad = ~part.reshape(len(part), -1).all(axis=1)
            raise not_finite(name, start + int(bad.argmax()))


def not_finite(name: str, sample: int) -> ArgumentError:
    """Return the error about a sample that holds NaN or infinity."""
    return ArgumentError(
        name, "finite numbers", f"NaN or infinity in sample {sample}", "replace or leave out such values"
    )


def described(array: NDArray[Any]) -> str:
    """Return type and shape of an array in words."""
    return f"{array.dtype} {list(array.shape)}"


def is_tensor(value: object) -> bool:
    """Return whether a value is a tensor of PyTorch, without importing it."""
    return all(hasattr(value, part) for part in ("detach", "cpu", "numpy"))


def _as_numpy(value: object, name: str) -> NDArray[Any]:
    if np.ma.is_masked(value):
        raise ArgumentError(name, "numbers", "masked elements", "fill them, such as by array.filled(0)")
    try:
        if is_tensor(value):
            return _from_tensor(value)
        if isinstance(value, list | tuple) and any(is_tensor(item) for item in value):
            return np.stack([_as_numpy(item, name) for item in cast("Sequence[object]", value)])
        return np.asarray(value)
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ArgumentError(name, "an array of numbers", f"{_kind(value)} that is none ({reason})") from None


def _from_tensor(value: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever can do what a tensor can
    plain = value.detach().cpu()
    try:
        return np.asarray(plain.numpy())
    except TypeError:
        # NumPy has no bfloat16 and no float8; float32 holds all of their values.
        return np.asarray(plain.float().numpy())


def _fits(shape: tuple[int, ...], form: Axes) -> bool:
    return len(shape) == len(form) and all(
        extent == axis if isinstance(axis, int) else extent > 0
        for extent, axis in zip(shape, form, strict=True)
    )


def _shape_advice(shape: tuple[int, ...], forms: Sequence[Axes]) -> str:
    if 0 in shape:
        return "it is empty"
    missing = {
        f"array[{':, ' * i}None] if {axis} is missing": None
        for form in forms
        for i, axis in enumerate(form)
        if isinstance(axis, str) and _fits(shape, (*form[:i], *form[i + 1 :]))
    }
    return f"an axis is missing; give {', or '.join(missing)}" if missing else ""


def _label_advice(array: NDArray[Any]) -> str:
    if array.ndim == 1:
        return "for whole numbers give labels.astype(int)"
    if array.ndim and array.size == len(array):
        return "labels in a column: give labels.reshape(-1)"
    one_hot = array.ndim > 1 and bool(np.isin(array, (0, 1)).all())
    return "one-hot labels: give labels.argmax(axis=-1)" if one_hot else ""


def _limits(least: float, most: float, above: float) -> str:
    if above >= least:
        least = -math.inf  # said by the other
    parts = [
        f"{word} {limit:g}"
        for word, limit in (("at least", least), ("above", above), ("at most", most))
        if math.isfinite(limit)
    ]
    return f" {' and '.join(parts)}" if parts else ""


def _kind(value: object) -> str:
    """Return what a value is, in a few words: small ones as they are, others by type and shape."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} {list(cast('tuple[int, ...]', shape))}"
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        text = repr(value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} of {len(cast('Mapping[object, object]', value))} entries"
    return f"a {type(value).__name__}"
