"""What Python callers give: the same numbers in many forms, and what is no array of numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
KINDS += ("float16", "float32", "float64", "longdouble")


def as_given(array: np.ndarray, form: str, folder: Path) -> Any:
    """The same numbers as a caller may have them."""
    return FORMS[form](array, folder)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array.astype(np.float64))


def _frozen(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _mapped(array: np.ndarray, folder: Path) -> np.ndarray:
    mapped = np.memmap(folder / "mapped", array.dtype, "w+", shape=array.shape or (1,))
    mapped[...] = array
    return mapped if array.ndim else mapped[0]


FORMS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "array": lambda array, _: array,
    "list": lambda array, _: array.tolist(),
    "tuple": lambda array, _: tuple(array.tolist()) if array.ndim else array.tolist(),
    "list of arrays": lambda array, _: list(array) if array.ndim else array,
    "list of tensors": lambda array, _: [_tensor(row) for row in array] if array.ndim else _tensor(array),
    "tensor": lambda array, _: _tensor(array),
    "tensor with gradient": lambda array, _: _tensor(array).requires_grad_(),
    "bfloat16": lambda array, _: _tensor(array).bfloat16(),
    "reversed": lambda array, _: array[::-1].copy()[::-1] if array.ndim else array,
    "strided": lambda array, _: np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array,
    "fortran": lambda array, _: np.asfortranarray(array) if array.ndim else array,
    "read-only": lambda array, _: _frozen(array),
    "memory-mapped": _mapped,
}

NO_NUMBERS: tuple[Any, ...] = (
    None,
    "text",
    b"bytes",
    object(),
    {"input": [1.0]},
    {1, 2},
    ["a", "b"],
    [1, None],
    [[1, 2], [3]],
    [np.zeros((2, 3)), np.zeros((2, 4))],
    [torch.zeros(2), torch.zeros(3)],
    (item for item in (1, 2)),
    np.array([1 + 2j]),
    np.array(["2020-01-01"], "datetime64[D]"),
    np.zeros(3, [("t", "i4"), ("x", "f4")]),
    np.array([1, 2], object),
    np.ma.masked_array([1, 2], mask=[True, False]),
    torch.zeros(2, 2).to_sparse(),
    torch.zeros(2, dtype=torch.complex64),
    torch.zeros(2, device="meta"),
    Path("a"),
    2**80,
)
