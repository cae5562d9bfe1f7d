"""Operations on numbers, written down step by step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, final

import numpy as np
from torch import Tensor

from toolchain.arrays import Floats, Pair
from toolchain.frontends.modules.ledger import ALWAYS, Labels, Ledger, Untyped
from toolchain.frontends.modules.neuron_kinds import as_array

_MOST_AXES: Final = 2


class Follows(Protocol):
    """Who follows numbers through a run, as the functions that write operations down need it."""

    ledger: Ledger
    steps: int | None

    @property
    def path(self) -> str:
        """Path of the module that runs."""
        ...

    def place(self) -> str:
        """Return the line of the user's code that runs."""
        ...

    def enter(self, tensor: Tensor, labels: Labels) -> None:
        """Take a tensor as one that is followed."""
        ...

    def hide(self, result: object, name: str) -> None:
        """Mark a result as something that cannot be followed."""
        ...

    def is_followed(self, value: object) -> bool:
        """Return whether a value is a tensor that is followed."""
        ...

    def labels_or_constants(self, value: object) -> Labels:
        """Return the labels of a tensor or number, which may be constant."""
        ...


@final
@dataclass(frozen=True)
class Call:
    """A call of a function of PyTorch.

    Attributes:
        name: Name of the function.
        function: The function.
        args: Its arguments by position.
        kwargs: Its arguments by name.
        result: What it returned.
    """

    name: str
    function: Callable[..., Untyped]
    args: tuple[Untyped, ...]
    kwargs: Mapping[str, Untyped]
    result: Untyped

    def get(self, place: int, *names: str, otherwise: Untyped = None) -> Untyped:
        """Return an argument that stands at a place or has one of some names."""
        if len(self.args) > place:
            return self.args[place]
        return next((self.kwargs[name] for name in names if name in self.kwargs), otherwise)

    @property
    def first(self) -> Untyped:
        """The first argument."""
        return self.get(0, "input", "self")


@final
@dataclass(frozen=True)
class Kernel:
    """A convolution, or without weights a pooling, of feature maps; a line of samples is maps of one row.

    Attributes:
        weights: Kernels; None for a pooling.
        bias: Constant of each channel, if there is one.
        kernel: Rows and columns.
        stride: Distance between positions.
        padding: Zeros on both sides.
        dilation: Distance between elements.
        groups: Number of groups of channels.
    """

    weights: Tensor | None
    bias: Tensor | None
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    groups: int = 1


@final
@dataclass(frozen=True, eq=False)
class Linear:
    """Any linear function of one step.

    Attributes:
        apply: What it does to `[K, *shape]` in float64.
        shape: Shape of what it reads.
        key: What it is, to be compared between steps.
    """

    apply: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]
    key: tuple[Untyped, ...]


def axis_of_steps(watch: Follows, *labels: Labels) -> int | None:
    """Return the axis of the steps, of tensors of one shape; None if all is of one step."""
    times = np.stack([watch.ledger.times(each) for each in labels]).max(axis=0)
    for axis in range(min(_MOST_AXES, times.ndim)):
        extent = times.shape[axis]
        if extent < _MOST_AXES or (watch.steps is not None and extent != watch.steps):
            continue
        rows = np.moveaxis(times, axis, 0).reshape(extent, -1)
        least = np.where(rows == ALWAYS, np.iinfo(np.int64).max, rows).min(axis=1)
        most = rows.max(axis=1)
        whole = most > ALWAYS
        if whole.any() and (least[whole] == most[whole]).all() and (np.diff(most[whole]) == 1).all():
            return axis
    return None


def elementwise(watch: Follows, kind: str, result: Tensor, reads: list[Labels], what: Untyped) -> None:
    """Write down an operation on elements.

    Args:
        watch: The run.
        kind: What the operation is.
        result: What it returned.
        reads: Labels of what it reads, which may be broadcast.
        what: Its parameters, or a function that returns them for a row of the axis of the steps.
    """
    shape = tuple(result.shape)
    spread = [np.broadcast_to(each, shape) for each in reads]
    axis = axis_of_steps(watch, *spread)
    parts = [[each] if axis is None else list(np.moveaxis(each, axis, 0)) for each in spread]
    rows: list[Labels] = []
    values: Floats | None = None
    for number, row in enumerate(zip(*parts, strict=True)):
        if all(watch.ledger.is_constant(each) for each in row):
            values = as_array(result) if values is None else values
            mine = values if axis is None else np.moveaxis(values, axis, 0)[number]
            rows.append(watch.ledger.constants(mine, watch.place()))
            continue
        made = watch.ledger.add(
            kind,
            row[0].size,
            watch.ledger.time(*row),
            watch.place(),
            [each.ravel() for each in row],
            what(axis, number) if callable(what) else what,
        )
        rows.append(made.labels)
    if axis is None:
        watch.enter(result, rows[0].reshape(shape))
        return
    inner = [extent for place, extent in enumerate(shape) if place != axis]
    watch.enter(result, np.moveaxis(np.stack([row.reshape(inner) for row in rows]), 0, axis))


def by_rows(watch: Follows, kind: str, call: Call, inner: int, what: Untyped) -> None:
    """Write down an operation that does the same for every place in all but the last axes.

    Args:
        watch: The run.
        kind: What the operation is.
        call: Its call.
        inner: Number of the last axes, that it reads as a whole.
        what: Its parameters.
    """
    labels, result = watch.labels_or_constants(call.first), call.result
    outer = labels.ndim - inner
    flat = labels.reshape(-1, int(np.prod(labels.shape[outer:], dtype=np.int64)))
    size = int(np.prod(result.shape[outer:], dtype=np.int64))
    values: Floats | None = None
    rows: list[Labels] = []
    for number, row in enumerate(flat):
        if watch.ledger.is_constant(row):
            values = as_array(result).reshape(len(flat), -1) if values is None else values
            rows.append(watch.ledger.constants(values[number], watch.place()))
            continue
        place = watch.path or watch.place()
        rows.append(watch.ledger.add(kind, size, watch.ledger.time(row), place, [row], what).labels)
    watch.enter(result, np.stack(rows).reshape(tuple(result.shape)))


def generic(watch: Follows, call: Call, inner: int, apply: Callable[[Tensor], Tensor], *key: Untyped) -> None:
    """Write down a linear function that the graph has no operation for: it becomes a matrix."""
    shape = tuple(call.first.shape)
    function = Linear(apply, shape[len(shape) - inner :], (call.name, *key))
    by_rows(watch, "matrix", call, inner, function)


Handler = Callable[[Follows, Call], None]
"""What writes down a function."""
