"""How the samples of an example lie, and how a graph takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from toolchain.frontends.modules.ledger import ALWAYS, Untyped
from toolchain.frontends.modules.watch import RunWatch

_LINE: Final = 2
_MAPS: Final = 3


@final
@dataclass(frozen=True)
class Layout:
    """How the samples of an example lie.

    Attributes:
        samples: Axis of the samples.
        time: Axis of the steps; None where one picture is shown at every step.
        by_step: Whether the module takes one step, so that it is called once for each.
        merged: Whether the module takes samples and steps in one axis, so that it is called for each sample.
    """

    samples: int
    time: int | None
    by_step: bool = False
    merged: bool = False

    def __str__(self) -> str:
        if self.time is None:
            return "[batch, ...], shown at every step"
        order = "[batch, time, ...]" if self.samples < self.time else "[time, batch, ...]"
        if self.merged:
            return f"{order}, one sample at a time"
        return f"{order}, one step at a time" if self.by_step else order


LAYOUTS: Final = (
    Layout(0, 1),
    Layout(1, 0),
    Layout(0, None),
    Layout(0, 1, by_step=True),
    Layout(0, 1, merged=True),
)
"""All that are tried, in this order."""


def arranged(array: NDArray[Untyped], layout: Layout, steps: int) -> NDArray[Untyped]:
    """Return samples as a graph takes them, `[batch, time, *features]`."""
    if layout.time is None:
        frames = array.reshape(len(array), 1, *features(array.shape[1:]))
        return np.broadcast_to(frames, (len(array), steps, *frames.shape[2:]))
    moved = np.moveaxis(array, (layout.samples, layout.time), (0, 1))
    return moved.reshape(*moved.shape[:2], *features(moved.shape[2:]))


def features(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which values enter a graph: numbers, or feature maps."""
    if len(shape) == _LINE:
        return (shape[0], 1, shape[1])
    return shape if len(shape) in {1, _MAPS} else (int(np.prod(shape, dtype=np.int64)),)


def input_name(name: str, arrays: Mapping[str, Untyped]) -> str:
    """Return how an input is called in the graph; a single one is called `input`."""
    return name if len(arrays) > 1 else "input"


def enter_input(
    watch: RunWatch, key: str, tensor: Tensor, layout: Layout, array: NDArray[Untyped], count: int
) -> tuple[tuple[int, ...], float | None]:
    """Give the elements of an input their labels; return its shape and largest value."""
    name = key if count > 1 else "input"
    shape = tuple(tensor.shape)
    if layout.time is None:
        made = watch.ledger.add("input", tensor.numel(), ALWAYS, name, what=name)
        watch.enter(tensor, made.labels.reshape(shape))
        inner = shape[1:]
    else:
        rest = [
            extent for axis, extent in enumerate(array.shape) if axis not in {layout.samples, layout.time}
        ]
        rows = [
            watch.ledger.add(
                "input", int(np.prod(rest, dtype=np.int64)), step, name, what=name
            ).labels.reshape(rest)
            for step in range(array.shape[layout.time])
        ]
        labels = np.stack(rows)
        if not layout.merged:
            labels = np.expand_dims(labels, layout.samples)
        watch.enter(tensor, labels)
        inner = tuple(rest)
    peak = None if np.isin(array, (0, 1)).all() else float(np.abs(array.astype(np.float64)).max())
    return features(inner), peak
