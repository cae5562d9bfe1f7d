"""Functions of PyTorch that compute what a graph has operations for."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Floats
from toolchain.frontends.modules import maps
from toolchain.frontends.modules.moves import names
from toolchain.frontends.modules.neuron_kinds import as_array
from toolchain.frontends.modules.operations import (
    Call,
    Follows,
    Handler,
    axis_of_steps,
    by_rows,
    elementwise,
    generic,
)

_MATRIX: Final = 2
_FEW: Final = 4
"""Most rows that are added as such, not as a sum over features."""
_EPS: Final = 1e-5
"""What PyTorch adds to a variance, if nothing is said."""


def _added(sign: float, watch: Follows, call: Call) -> None:
    reads = [watch.labels_or_constants(call.first), watch.labels_or_constants(call.get(1, "other"))]
    elementwise(watch, "sum", call.result, reads, (1.0, sign * float(call.kwargs.get("alpha", 1))))


def _subtracted_from(watch: Follows, call: Call) -> None:
    reads = [watch.labels_or_constants(call.first), watch.labels_or_constants(call.get(1, "other"))]
    elementwise(watch, "sum", call.result, reads, (-1.0, 1.0))


def _negated(watch: Follows, call: Call) -> None:
    elementwise(watch, "sum", call.result, [watch.labels_or_constants(call.first)], (-1.0,))


def _multiplied(watch: Follows, call: Call) -> None:
    one, other = call.first, call.get(1, "other")
    if watch.is_followed(other):
        one, other = other, one
    _scaled(watch, call, one, other)


def _divided(watch: Follows, call: Call) -> None:
    _scaled(watch, call, call.first, call.get(1, "other"), power=-1.0)


def _scaled(watch: Follows, call: Call, values: object, factor: object, power: float = 1.0) -> None:
    """Write down a product with what is constant, or with a power of that."""
    if watch.is_followed(factor) or not watch.is_followed(values):
        watch.hide(call.result, f"{call.name} of two values that depend on the data")
        return
    number = as_array(factor) if isinstance(factor, Tensor) else np.asarray(factor, np.float64)
    factors = np.broadcast_to(number**power, tuple(call.result.shape))

    def of_row(axis: int | None, place: int) -> Floats:
        return (factors if axis is None else np.moveaxis(factors, axis, 0)[place]).ravel()

    elementwise(watch, "scale", call.result, [watch.labels_or_constants(values)], of_row)


def _linear(watch: Follows, call: Call) -> None:
    weight, bias = call.get(1, "weight"), call.get(2, "bias")
    if watch.is_followed(weight):
        watch.hide(call.result, "linear with weights that depend on the data")
        return
    by_rows(watch, "linear", call, 1, (weight, bias))


def _matrix_product(watch: Follows, call: Call) -> None:
    weight = call.get(1, "other", "mat2")
    if watch.is_followed(weight) or not isinstance(weight, Tensor) or weight.ndim != _MATRIX:
        watch.hide(call.result, f"{call.name} of two values, as in attention")
        return
    by_rows(watch, "linear", call, 1, (weight.t(), None))


def _normalised(watch: Follows, call: Call) -> None:
    mean, variance = call.get(1, "running_mean"), call.get(2, "running_var")
    weight, bias = call.get(3, "weight"), call.get(4, "bias")
    if call.get(5, "training", otherwise=False) or mean is None:
        watch.hide(call.result, "batch_norm of the running batch, without running statistics")
        return
    scale = 1 / np.sqrt(as_array(variance) + float(call.get(7, "eps", otherwise=_EPS)))
    scale = scale if weight is None else scale * as_array(weight)
    offset = -as_array(mean) * scale if bias is None else as_array(bias) - as_array(mean) * scale
    by_rows(watch, "affine", call, call.first.ndim - 1, (scale, offset))


def _dropped(watch: Follows, call: Call) -> None:
    """Write down dropout, which does nothing in evaluation."""
    if call.get(2, "training", otherwise=True) and float(call.get(1, "p", otherwise=0.5)):
        watch.hide(call.result, "dropout with training=True")
        return
    watch.enter(call.result, watch.labels_or_constants(call.first))


def _reduced(kind: str, watch: Follows, call: Call) -> None:
    """Write down sums, means and maxima: over the steps they are read-outs, over maps they are poolings."""
    given = call.get(1, "dim", "axis")
    if isinstance(given, Tensor):
        watch.hide(call.result, f"{kind} of two values")
        return
    labels = watch.labels_or_constants(call.first)
    listed = range(labels.ndim) if given is None else ([given] if isinstance(given, int) else given)
    axes = tuple(axis % labels.ndim for axis in listed)
    steps = axis_of_steps(watch, labels)
    if steps is not None and axes == (steps,):
        rows = [row.ravel() for row in np.moveaxis(labels, steps, 0)]
        factors = (1 / len(rows) if kind == "mean" else 1.0,) * len(rows)
        name = "max" if kind == "max" else "sum"
        made = watch.ledger.add(name, rows[0].size, watch.ledger.time(*rows), watch.place(), rows, factors)
        result: Tensor = call.result if isinstance(call.result, Tensor) else call.result[0]
        watch.enter(result, made.labels.reshape(tuple(result.shape)))
        return
    if any(labels.shape[axis] == 1 for axis in axes if axis == (1 if steps == 0 else 0)):
        watch.hide(call.result, f"{kind} over the samples")
        return
    if kind == "sum" and steps is None and len(axes) == 1 and labels.shape[axes[0]] <= _FEW:
        # What was stacked to be added, such as the branches of a loop.
        parts = list(np.moveaxis(labels, axes[0], 0))
        shape = tuple(call.result.shape)
        elementwise(watch, "sum", call.result, [part.reshape(shape) for part in parts], (1.0,) * len(parts))
        return
    if kind == "max" or (steps is not None and steps in axes) or 0 in axes:
        watch.hide(call.result, f"{kind} over axes {list(axes)}")
        return
    first, keep = min(axes), bool(call.get(2, "keepdim", otherwise=False))
    later = tuple(1 + axis - first for axis in axes)
    generic(watch, call, labels.ndim - first, partial(_over, kind, later, keep), later, keep)


def _over(kind: str, axes: tuple[int, ...], keep: bool, x: Tensor) -> Tensor:  # noqa: FBT001 - bound by place
    function = torch.mean if kind == "mean" else torch.sum
    return function(x, axes, keepdim=keep)


def _ranked(watch: Follows, call: Call) -> None:
    """Write down functions of scores that leave the largest the largest, at the end of a network."""
    labels, axis = watch.labels_or_constants(call.first), call.get(1, "dim")
    steps = axis_of_steps(watch, labels)
    if call.name != "sigmoid":
        # Without an axis PyTorch takes one by the number of axes.
        axis = (0 if labels.ndim in {0, 1, 3} else 1) if axis is None else axis % labels.ndim
        together = labels.size if steps is None else labels.size // labels.shape[steps]
        if steps == axis or labels.shape[axis] != together:
            over = "the steps" if steps == axis else "a part of the scores, or over the samples"
            watch.hide(call.result, f"{call.name} over {over}")
            return
    elementwise(watch, "score", call.result, [labels], call.name)


FUNCTIONS: Final[Mapping[str, Handler]] = {
    **maps.FUNCTIONS,
    **dict.fromkeys(names("add __add__ __radd__ add_ __iadd__"), partial(_added, 1.0)),
    **dict.fromkeys(names("sub subtract __sub__ sub_ __isub__"), partial(_added, -1.0)),
    **dict.fromkeys(names("rsub __rsub__"), _subtracted_from),
    **dict.fromkeys(names("neg __neg__ negative"), _negated),
    **dict.fromkeys(names("mul multiply __mul__ __rmul__ mul_ __imul__"), _multiplied),
    **dict.fromkeys(names("div divide true_divide __truediv__ div_ __itruediv__"), _divided),
    "linear": _linear,
    **dict.fromkeys(names("matmul __matmul__ mm"), _matrix_product),
    "batch_norm": _normalised,
    **dict.fromkeys(names("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout"), _dropped),
    "sum": partial(_reduced, "sum"),
    "mean": partial(_reduced, "mean"),
    **dict.fromkeys(names("max amax"), partial(_reduced, "max")),
    **dict.fromkeys(names("softmax log_softmax sigmoid"), _ranked),
}
"""Functions that compute, and what writes them down."""

_PER_SAMPLE: Final = "it divides by what each sample holds, and weights are the same for all samples"
_PRODUCT: Final = "it multiplies what depends on the data with what depends on the data, and neurons only add"
_COMPARISON: Final = "it compares values, which only the neurons of a framework do"
_ACTIVATION: Final = "it makes real numbers, and only spikes travel between neurons"
REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        names("layer_norm rms_norm group_norm instance_norm local_response_norm normalize"), _PER_SAMPLE
    ),
    **dict.fromkeys(
        names("scaled_dot_product_attention multi_head_attention_forward bmm einsum baddbmm"), _PRODUCT
    ),
    **dict.fromkeys(
        names("relu relu_ relu6 leaky_relu elu gelu silu tanh softplus hardtanh hardswish clamp abs exp"),
        _ACTIVATION,
    ),
    **dict.fromkeys(names("lstm gru rnn_tanh rnn_relu lstm_cell gru_cell"), _PRODUCT),
    **dict.fromkeys(names("gt lt ge le eq ne where heaviside __gt__ __lt__ __ge__ __le__"), _COMPARISON),
}
"""Why functions have no counterpart."""
