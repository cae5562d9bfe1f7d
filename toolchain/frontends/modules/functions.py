"""What functions of PyTorch do to labels: most move numbers, some compute what a graph has operations for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toolchain.arrays import Floats, Pair
from toolchain.frontends.modules.ledger import ALWAYS, Labels
from toolchain.frontends.modules.neuron_kinds import as_array

if TYPE_CHECKING:
    from toolchain.frontends.modules.watch import Watch

UNSEEN: Final = frozenset(
    "shape size dim ndim numel nelement device dtype layout requires_grad is_leaf grad grad_fn __len__ is_cuda "
    "is_floating_point is_complex is_contiguous stride element_size zeros_like ones_like full_like empty_like "
    "new_zeros new_ones new_full new_empty new_tensor get_device is_sparse names requires_grad_ __repr__ __format__ "
    "__hash__ _version storage_offset data_ptr is_quantized is_meta backward register_hook retain_grad type "
    "result_type is_tensor is_nested is_mkldnn is_xpu __set__ named_buffers".split()
)
"""Functions whose result says nothing of the values."""
DATA: Final = frozenset(
    "__bool__ __int__ __float__ __index__ item tolist numpy __array__ nonzero __contains__ equal allclose "
    "is_nonzero argwhere unique".split()
)
"""Functions by which a program looks at values."""
RANDOM: Final = frozenset(
    "rand randn rand_like randn_like randint randint_like randperm bernoulli bernoulli_ poisson normal normal_ uniform_ "
    "multinomial dropout".split()
)


@final
@dataclass(frozen=True)
class Kernel:
    """A convolution or pooling."""

    weights: Tensor | None
    bias: Tensor | None
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    line: bool


@final
@dataclass(frozen=True, eq=False)
class Linear:
    """Any linear function of one step: what it does to `[K, *shape]` in float64.

    Attributes:
        apply: The function.
        shape: Shape of what it reads.
        key: What it is, to be compared between steps.
    """

    apply: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]
    key: tuple[Any, ...]


def _entered(watch: "Watch", result: Tensor, labels: Labels) -> None:
    watch.enter(result, labels.reshape(tuple(result.shape)))


def _moved(watch: "Watch", func: Any, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Do to the labels of the first argument what is done to its values."""
    first = args[0] if args else kwargs.get("input", kwargs.get("self"))
    rest = [*args[1:], *kwargs.values()]
    if any(watch.is_followed(value) for value in rest):
        watch.hide(result, func.__name__)
        return
    labels = torch.from_numpy(np.ascontiguousarray(watch.labels_or_constants(first)))
    moved = func(labels, *args[1:], **{key: value for key, value in kwargs.items() if value is not first})
    _both(watch, result, moved)


def _both(watch: "Watch", result: Any, moved: Any) -> None:  # noqa: ANN401
    if isinstance(result, Tensor):
        watch.enter(result, moved.numpy().copy())
        return
    for one, other in zip(result, moved, strict=True):
        watch.enter(one, other.numpy().copy())


def _alike(watch: "Watch", func: Any, args: Any, _: Any, result: Any) -> None:  # noqa: ANN401
    """Give a tensor of another type or place the same labels."""
    del func
    labels = watch.labels(args[0])
    if labels is None or not isinstance(result, Tensor):
        return
    watch.enter(result, np.broadcast_to(labels, tuple(result.shape)).copy())


def _shaped_like(watch: "Watch", func: Any, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    other = args[1] if len(args) > 1 else kwargs["other"]
    labels = watch.labels_or_constants(args[0])
    del func
    if labels.size == result.numel():
        watch.enter(result, labels.reshape(tuple(other.shape)))
    else:
        watch.enter(result, np.broadcast_to(labels, tuple(other.shape)).copy())


def _gathered(watch: "Watch", func: Any, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Put labels of several tensors together."""
    tensors = args[0] if args else kwargs["tensors"]
    labels = [torch.from_numpy(np.ascontiguousarray(watch.labels_or_constants(each))) for each in tensors]
    others = {key: value for key, value in kwargs.items() if key != "tensors"}
    _both(watch, result, func(labels, *args[1:], **others))


def _assigned(watch: "Watch", func: Any, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Put labels into a part of a tensor that is changed in place."""
    del func, kwargs, result
    target, index, value = args
    filled = torch.from_numpy(watch.labels_or_constants(target).copy())
    filled[index] = torch.from_numpy(watch.labels_or_constants(value))
    watch.enter(target, filled.numpy())


def _padded(watch: "Watch", func: Any, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    value = args[3] if len(args) > 3 else kwargs.get("value")
    widths = args[1] if len(args) > 1 else kwargs["pad"]
    if mode != "constant" or value:
        watch.hide(result, f"pad with mode='{mode}'")
        return
    labels = torch.from_numpy(np.ascontiguousarray(watch.labels_or_constants(args[0])))
    del func
    _both(watch, result, functional.pad(labels, widths))


def _split(watch: "Watch", *labels: Labels) -> int | None:
    """Return the axis of the steps, of tensors of one shape; None if all is of one step."""
    times = np.stack([watch.ledger.times(each) for each in labels]).max(axis=0)
    for axis in range(min(2, times.ndim)):
        extent = times.shape[axis]
        if extent < 2 or (watch.steps is not None and extent != watch.steps):
            continue
        rows = np.moveaxis(times, axis, 0).reshape(extent, -1)
        least = np.where(rows == ALWAYS, np.iinfo(np.int64).max, rows).min(axis=1)
        most = rows.max(axis=1)
        whole = most > ALWAYS
        if whole.any() and (least[whole] == most[whole]).all() and (np.diff(most[whole]) == 1).all():
            return axis
    return None


def _rows(labels: Labels, axis: int | None) -> list[Labels]:
    return [labels] if axis is None else list(np.moveaxis(labels, axis, 0))


def _rejoined(watch: "Watch", result: Tensor, rows: list[Labels], axis: int | None) -> None:
    shape = tuple(result.shape)
    if axis is None:
        watch.enter(result, rows[0].reshape(shape))
        return
    inner = [extent for place, extent in enumerate(shape) if place != axis]
    watch.enter(result, np.moveaxis(np.stack([row.reshape(inner) for row in rows]), 0, axis))


def _elementwise(watch: "Watch", kind: str, result: Tensor, reads: list[Labels], what: Any) -> None:  # noqa: ANN401
    """Write an operation on elements down, step by step."""
    shape = tuple(result.shape)
    spread = [np.broadcast_to(each, shape) for each in reads]
    axis = _split(watch, *spread)
    parts = [_rows(each, axis) for each in spread]
    rows: list[Labels] = []
    for number, row in enumerate(zip(*parts, strict=True)):
        mine = what(axis, number) if callable(what) else what
        if all(watch.ledger.is_constant(each) for each in row):
            rows.append(_computed(watch, result, axis, number))
            continue
        time = watch.ledger.time(*row)
        made = watch.ledger.add(kind, row[0].size, time, watch.place(), [each.ravel() for each in row], mine)
        rows.append(made.labels)
    _rejoined(watch, result, rows, axis)


def _computed(watch: "Watch", result: Tensor, axis: int | None, number: int) -> Labels:
    values = as_array(result)
    row = values if axis is None else np.moveaxis(values, axis, 0)[number]
    return watch.ledger.constants(row, watch.place())


def _added(sign: float, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    alpha = kwargs.get("alpha", 1)
    other = args[1] if len(args) > 1 else kwargs["other"]
    reads = [watch.labels_or_constants(args[0]), watch.labels_or_constants(other)]
    _elementwise(watch, "sum", result, reads, (1.0, sign * float(alpha)))


def _subtracted_from(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    del kwargs
    reads = [watch.labels_or_constants(args[0]), watch.labels_or_constants(args[1])]
    _elementwise(watch, "sum", result, reads, (-1.0, 1.0))


def _negated(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    del kwargs
    _elementwise(watch, "sum", result, [watch.labels_or_constants(args[0])], (-1.0,))


def _scaled(divides: bool, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401, FBT001
    other = args[1] if len(args) > 1 else kwargs["other"]
    first, factor = args[0], other
    if watch.is_followed(other):
        first, factor = other, first
        if divides or watch.is_followed(factor):
            watch.hide(result, "div" if divides else "mul of two values")
            return
    number = as_array(factor) if isinstance(factor, Tensor) else np.float64(factor)
    values = np.broadcast_to(1 / number if divides else number, tuple(result.shape))

    def row(axis: int | None, place: int) -> Floats:
        return (values if axis is None else np.moveaxis(values, axis, 0)[place]).ravel()

    _elementwise(watch, "scale", result, [watch.labels_or_constants(first)], row)


def _by_rows(
    watch: "Watch", kind: str, result: Tensor, labels: Labels, inner: int, what: Any  # noqa: ANN401
) -> None:
    """Write down an operation that reads the last axes and does the same for each place in the others."""
    outer = labels.shape[: labels.ndim - inner]
    made_shape = tuple(result.shape)[len(outer) :]
    flat = labels.reshape(-1, int(np.prod(labels.shape[labels.ndim - inner :], dtype=np.int64)))
    values: Floats | None = None
    rows: list[Labels] = []
    for number, row in enumerate(flat):
        if watch.ledger.is_constant(row):
            values = as_array(result).reshape(len(flat), -1) if values is None else values
            rows.append(watch.ledger.constants(values[number], watch.place()))
            continue
        made = watch.ledger.add(
            kind, int(np.prod(made_shape)), watch.ledger.time(row), watch.path or watch.place(), [row], what
        )
        rows.append(made.labels)
    watch.enter(result, np.stack(rows).reshape(tuple(result.shape)))


def _linear(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    names = ("input", "weight", "bias")
    x, weight, bias = (_argument(args, kwargs, place, name) for place, name in enumerate(names))
    if watch.is_followed(weight):
        watch.hide(result, "linear with weights that depend on the data")
        return
    _by_rows(watch, "linear", result, watch.labels_or_constants(x), 1, (weight, bias))


def _multiplied(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    x, weight = args[0], args[1] if len(args) > 1 else kwargs.get("other", kwargs.get("mat2"))
    if watch.is_followed(weight) or not isinstance(weight, Tensor) or weight.ndim != 2:
        watch.hide(result, "matmul of two values, as in attention")
        return
    _by_rows(watch, "linear", result, watch.labels_or_constants(x), 1, (weight.t(), None))


def _argument(args: Any, kwargs: Any, place: int, name: str, otherwise: Any = None) -> Any:  # noqa: ANN401
    return args[place] if len(args) > place else kwargs.get(name, otherwise)


def _pair(value: Any, line: bool) -> Pair:  # noqa: ANN401, FBT001
    numbers = (value,) if isinstance(value, int) else tuple(int(n) for n in value)
    if line:
        return (1, numbers[0])
    return (numbers[0], numbers[-1])


def _convolved(line: bool, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401, FBT001
    x, weight, bias = (_argument(args, kwargs, n, name) for n, name in enumerate(("input", "weight", "bias")))
    stride = _pair(_argument(args, kwargs, 3, "stride", 1), line)
    padding, dilation = _argument(args, kwargs, 4, "padding", 0), _pair(_argument(args, kwargs, 5, "dilation", 1), line)
    groups = int(_argument(args, kwargs, 6, "groups", 1))
    extents = (1, weight.shape[2]) if line else (int(weight.shape[2]), int(weight.shape[3]))
    inner = 2 if line else 3
    total = [d * (k - 1) for k, d in zip(extents, dilation, strict=True)]
    if padding == "same" and any(extent % 2 for extent in total):
        function = functional.conv1d if line else functional.conv2d
        given = {"stride": stride[-inner + 1 :], "padding": "same", "dilation": dilation[-inner + 1 :], "groups": groups}
        _generic(watch, partial(_with_weights, function, weight, bias, given), x, inner, result, (weight, bias))
        return
    if padding == "same":
        pads = (total[0] // 2, total[1] // 2)
    else:
        pads = (0, 0) if padding == "valid" else _pair(padding, line)
    if line:
        pads = (0, pads[1])
    kernel = Kernel(weight, bias, extents, stride, pads, dilation, groups, line)
    _by_rows(watch, "convolution", result, watch.labels_or_constants(x), inner, (kernel, tuple(x.shape[-inner:])))


def _with_weights(
    function: Callable[..., Tensor], weight: Tensor, bias: Tensor | None, given: Mapping[str, Any], x: Tensor
) -> Tensor:
    return function(x, weight.detach().double(), None if bias is None else bias.detach().double(), **given)


def _generic(
    watch: "Watch", apply: Callable[[Tensor], Tensor], x: Tensor, inner: int, result: Tensor, key: tuple[Any, ...]
) -> None:
    """Write down a linear function that the graph has no operation for: it becomes a matrix."""
    function = Linear(apply, tuple(x.shape[-inner:]), key)
    _by_rows(watch, "matrix", result, watch.labels_or_constants(x), inner, function)


def _transposed(line: bool, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401, FBT001
    x, weight, bias = (_argument(args, kwargs, n, name) for n, name in enumerate(("input", "weight", "bias")))
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    defaults = (1, 0, 0, 1, 1)
    given = {
        name: _argument(args, kwargs, 3 + place, name, default)
        for place, (name, default) in enumerate(zip(names, defaults, strict=True))
    }
    function = functional.conv_transpose1d if line else functional.conv_transpose2d
    apply = partial(_with_weights, function, weight, bias, given)
    _generic(watch, apply, x, 2 if line else 3, result, (weight, bias))


def _normalised(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    x, mean, variance, weight, bias, training = (_argument(args, kwargs, n, name) for n, name in enumerate(names[:6]))
    eps = float(_argument(args, kwargs, 7, "eps", 1e-5))
    if training or mean is None:
        watch.hide(result, "batch_norm of the running batch, without running statistics")
        return
    scale = (1.0 if weight is None else as_array(weight)) / np.sqrt(as_array(variance) + eps)
    offset = (0.0 if bias is None else as_array(bias)) - as_array(mean) * scale
    labels = watch.labels_or_constants(x)
    if labels.ndim < 2:
        watch.hide(result, "batch_norm of a single row")
        return
    what = (np.asarray(scale), np.broadcast_to(offset, np.shape(scale)))
    _by_rows(watch, "affine", result, labels, labels.ndim - 1, what)


def _pooled(kind: str, line: bool, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401, FBT001
    x = _argument(args, kwargs, 0, "input")
    kernel = _pair(_argument(args, kwargs, 1, "kernel_size"), line)
    given = _argument(args, kwargs, 2, "stride")
    stride = kernel if given is None or given == [] else _pair(given, line)
    padding = _pair(_argument(args, kwargs, 3, "padding", 0), line)
    padding = (0, padding[1]) if line else padding
    inner = 2 if line else 3
    maximum = kind == "max_pool"
    dilation = _pair(_argument(args, kwargs, 4, "dilation", 1), line) if maximum else (1, 1)
    ceil = bool(_argument(args, kwargs, 5 if maximum else 4, "ceil_mode", False))
    counts = True if maximum else bool(_argument(args, kwargs, 5, "count_include_pad", True))
    divisor = None if maximum else _argument(args, kwargs, 6, "divisor_override")
    plain = not ceil and dilation == (1, 1) and divisor is None and (counts or padding == (0, 0))
    if not plain and maximum:
        watch.hide(result, "max_pool with ceil_mode or dilation")
        return
    if not plain:
        function = functional.avg_pool1d if line else functional.avg_pool2d
        more = () if line else (divisor,)
        rest = (kernel[-inner + 1 :], stride[-inner + 1 :], padding[-inner + 1 :], ceil, counts, *more)
        _generic(watch, partial(_with_rest, function, rest), x, inner, result, rest)
        return
    geometry = Kernel(None, None, kernel, stride, padding, (1, 1), 1, line)
    _by_rows(watch, kind, result, watch.labels_or_constants(x), inner, (geometry, tuple(x.shape[-inner:])))


def _with_rest(function: Callable[..., Tensor], rest: tuple[Any, ...], x: Tensor) -> Tensor:
    return function(x, *rest)


def _resized(function: Callable[..., Tensor], inner: int, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Write down a function of the last axes that takes the same arguments for any number of samples."""
    x = _argument(args, kwargs, 0, "input")
    rest = {key: value for key, value in kwargs.items() if key != "input"}

    def apply(tensor: Tensor) -> Tensor:
        return function(tensor, *args[1:], **rest)

    key = (function, str(args[1:]), str(sorted(rest.items(), key=str)))
    _generic(watch, apply, x, inner, result, key)


def _kept(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Dropout: nothing in evaluation."""
    if bool(_argument(args, kwargs, 2, "training", True)) and float(_argument(args, kwargs, 1, "p", 0.5)):
        watch.hide(result, "dropout with training=True")
        return
    watch.enter(result, watch.labels_or_constants(_argument(args, kwargs, 0, "input")))


def _reduced(kind: str, watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Sums, means and maxima over axes: over the steps they are read-outs, over maps they are poolings."""
    x = _argument(args, kwargs, 0, "input")
    labels = watch.labels_or_constants(x)
    given = _argument(args, kwargs, 1, "dim", kwargs.get("axis"))
    if isinstance(given, Tensor):
        watch.hide(result, f"{kind} of two values")
        return
    axes = tuple(range(labels.ndim)) if given is None else ((given,) if isinstance(given, int) else tuple(given))
    axes = tuple(axis % labels.ndim for axis in axes)
    values = result if isinstance(result, Tensor) else result[0]
    over_time = _split(watch, labels)
    if over_time is not None and axes == (over_time,):
        rows = [row.ravel() for row in np.moveaxis(labels, over_time, 0)]
        factor = 1 / len(rows) if kind == "mean" else 1.0
        _put_together(watch, "max" if kind == "max" else "sum", values, rows, (factor,) * len(rows))
        return
    if kind == "max" or (over_time is not None and over_time in axes) or 0 in axes:
        watch.hide(result, f"{kind} over axes {list(axes)}")
        return
    first = min(axes)
    inner = labels.ndim - first
    keep = bool(_argument(args, kwargs, 2, "keepdim", False))
    function = torch.mean if kind == "mean" else torch.sum
    later = tuple(1 + axis - first for axis in axes)
    _generic(watch, partial(_over, function, later, keep), x, inner, values, (kind, later, keep))


def _over(function: Callable[..., Tensor], axes: tuple[int, ...], keep: bool, x: Tensor) -> Tensor:  # noqa: FBT001
    return function(x, axes, keepdim=keep)


def _put_together(watch: "Watch", kind: str, result: Tensor, rows: list[Labels], what: Any) -> None:  # noqa: ANN401
    time = watch.ledger.time(*rows)
    made = watch.ledger.add(kind, rows[0].size, time, watch.place(), rows, what)
    _entered(watch, result, made.labels)


def _summed(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    _reduced("sum", watch, args, kwargs, result)


def _ranked(watch: "Watch", args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
    """Functions that no largest score minds, at the end of a network."""
    del kwargs
    labels = watch.labels_or_constants(args[0])
    if result.shape != args[0].shape:
        watch.hide(result, "argmax")
        return
    _elementwise(watch, "score", result, [labels], None)


Moving = Callable[["Watch", Any, Any, Any, Any], None]
MOVES: Final[Mapping[str, Moving]] = {
    **dict.fromkeys(
        "view reshape flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ transpose permute movedim moveaxis "
        "swapaxes swapdims T mT H t expand repeat tile __getitem__ select narrow chunk split unbind split_with_sizes "
        "tensor_split roll flip index_select repeat_interleave unfold ravel __iter__ atleast_1d atleast_2d diagonal "
        "pixel_shuffle pixel_unshuffle broadcast_to channel_shuffle".split(),
        _moved,
    ),
    **dict.fromkeys(
        "contiguous clone detach detach_ to float double type_as cpu cuda half bfloat16 data alias requires_grad_ "
        "__deepcopy__ real positive".split(),
        _alike,
    ),
    **dict.fromkeys(("view_as", "reshape_as", "expand_as"), _shaped_like),
    **dict.fromkeys(
        ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack"), _gathered
    ),
    "__setitem__": _assigned,
    "pad": _padded,
}
"""Functions that move numbers."""

Computing = Callable[["Watch", Any, Any, Any], None]
FUNCTIONS: Final[Mapping[str, Computing]] = {
    **dict.fromkeys(("add", "__add__", "__radd__", "add_", "__iadd__"), partial(_added, 1.0)),
    **dict.fromkeys(("sub", "subtract", "__sub__", "sub_", "__isub__"), partial(_added, -1.0)),
    **dict.fromkeys(("rsub", "__rsub__"), _subtracted_from),
    **dict.fromkeys(("neg", "__neg__", "negative"), _negated),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__", "mul_", "__imul__"), partial(_scaled, False)),
    **dict.fromkeys(
        ("div", "divide", "true_divide", "__truediv__", "div_", "__itruediv__"), partial(_scaled, True)
    ),
    "linear": _linear,
    **dict.fromkeys(("matmul", "__matmul__", "mm"), _multiplied),
    "conv1d": partial(_convolved, True),
    "conv2d": partial(_convolved, False),
    "conv_transpose1d": partial(_transposed, True),
    "conv_transpose2d": partial(_transposed, False),
    "batch_norm": _normalised,
    "avg_pool1d": partial(_pooled, "sum_pool", True),
    "avg_pool2d": partial(_pooled, "sum_pool", False),
    "max_pool1d": partial(_pooled, "max_pool", True),
    "max_pool2d": partial(_pooled, "max_pool", False),
    "adaptive_avg_pool1d": partial(_resized, functional.adaptive_avg_pool1d, 2),
    "adaptive_avg_pool2d": partial(_resized, functional.adaptive_avg_pool2d, 3),
    "interpolate": partial(_resized, functional.interpolate, 3),
    "lp_pool2d": partial(_resized, functional.lp_pool2d, 3),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"), _kept),
    "sum": partial(_reduced, "sum"),
    "mean": partial(_reduced, "mean"),
    **dict.fromkeys(("max", "amax"), partial(_reduced, "max")),
    **dict.fromkeys(("softmax", "log_softmax", "sigmoid", "argmax"), _ranked),
}
"""Functions that compute what a graph has operations for."""
