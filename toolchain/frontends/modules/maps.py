"""Functions of PyTorch on feature maps: convolutions, poolings, and what becomes a matrix."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, cast

from torch import Tensor
from torch.nn import functional

from toolchain.arrays import Pair
from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.operations import Call, Follows, Handler, Kernel, by_rows, generic

_LINE: Final = 2
"""Axes of a line of samples per channel."""
_MAPS: Final = 3
"""Axes of feature maps."""


def _pair(value: Untyped, inner: int, across: int) -> Pair:
    """Return an extent as rows and columns; a line is one row, whose own extent is `across`."""
    numbers = (value,) if isinstance(value, int) else tuple(int(n) for n in value)
    return (across, numbers[0]) if inner == _LINE else (numbers[0], numbers[-1])


def _own(pair: Pair, inner: int) -> tuple[int, ...]:
    """Return rows and columns as the functions of lines or maps take them."""
    return pair[-1:] if inner == _LINE else pair


def _convolved(inner: int, watch: Follows, call: Call) -> None:
    weight, bias = call.get(1, "weight"), call.get(2, "bias")
    if watch.is_followed(weight):
        watch.hide(call.result, "a convolution whose weights depend on the data")
        return
    stride = _pair(call.get(3, "stride", otherwise=1), inner, 1)
    padding = call.get(4, "padding", otherwise=0)
    dilation = _pair(call.get(5, "dilation", otherwise=1), inner, 1)
    groups = int(call.get(6, "groups", otherwise=1))
    extents: Pair = (1, weight.shape[2]) if inner == _LINE else (weight.shape[2], weight.shape[3])
    total = [d * (k - 1) for k, d in zip(extents, dilation, strict=True)]
    if padding == "same" and any(extent % 2 for extent in total):
        given = {
            "stride": _own(stride, inner),
            "padding": "same",
            "dilation": _own(dilation, inner),
            "groups": groups,
        }
        function = functional.conv1d if inner == _LINE else functional.conv2d
        generic(watch, call, inner, partial(_with_weights, function, weight, bias, given), weight, bias)
        return
    pads: Pair = (total[0] // 2, total[1] // 2) if padding == "same" else (0, 0)
    if not isinstance(padding, str):
        pads = _pair(padding, inner, 0)
    _put(watch, "convolution", call, inner, Kernel(weight, bias, extents, stride, pads, dilation, groups))


def _with_weights(
    function: Callable[..., Tensor],
    weight: Tensor,
    bias: Tensor | None,
    given: Mapping[str, Untyped],
    x: Tensor,
) -> Tensor:
    return function(x, weight.detach().double(), None if bias is None else bias.detach().double(), **given)


def _transposed(inner: int, watch: Follows, call: Call) -> None:
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    given = {name: call.get(3 + n, name, otherwise=defaults[name]) for n, name in enumerate(defaults)}
    weight, bias = call.get(1, "weight"), call.get(2, "bias")
    function = functional.conv_transpose1d if inner == _LINE else functional.conv_transpose2d
    generic(watch, call, inner, partial(_with_weights, function, weight, bias, given), weight, bias)


def _geometry(call: Call, inner: int) -> Kernel:
    """Return the window of a pooling."""
    kernel = _pair(call.get(1, "kernel_size"), inner, 1)
    stride = call.get(2, "stride")
    moved = kernel if stride is None or stride == [] else _pair(stride, inner, 1)
    return Kernel(None, None, kernel, moved, _pair(call.get(3, "padding", otherwise=0), inner, 0))


def _put(watch: Follows, kind: str, call: Call, inner: int, window: Kernel) -> None:
    shape = tuple(call.first.shape)
    by_rows(watch, kind, call, inner, (window, shape[len(shape) - inner :]))


def _largest(inner: int, watch: Follows, call: Call) -> None:
    dilation = _pair(call.get(4, "dilation", otherwise=1), inner, 1)
    if call.get(5, "ceil_mode", otherwise=False) or dilation != (1, 1):
        watch.hide(call.result, "max_pool with ceil_mode or dilation")
        return
    _put(watch, "max_pool", call, inner, _geometry(call, inner))


def _averaged(inner: int, watch: Follows, call: Call) -> None:
    window = _geometry(call, inner)
    ceil = bool(call.get(4, "ceil_mode", otherwise=False))
    counts = bool(call.get(5, "count_include_pad", otherwise=True))
    divisor = call.get(6, "divisor_override")
    if not ceil and divisor is None and (counts or window.padding == (0, 0)):
        _put(watch, "sum_pool", call, inner, window)
        return
    own = [_own(pair, inner) for pair in (window.kernel, window.stride, window.padding)]
    more = [] if inner == _LINE else [divisor]
    function = functional.avg_pool1d if inner == _LINE else functional.avg_pool2d
    apply = partial(_after, cast("Callable[..., Tensor]", function), (*own, ceil, counts, *more), {})
    generic(watch, call, inner, apply, own, ceil, counts, divisor)


def _after(
    function: Callable[..., Tensor], args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], x: Tensor
) -> Tensor:
    return function(x, *args, **kwargs)


def _resized(inner: int, function: Callable[..., Tensor], watch: Follows, call: Call) -> None:
    """Write down a function of the last axes that takes the same arguments for any number of samples."""
    rest = {key: value for key, value in call.kwargs.items() if key != "input"}
    apply = partial(_after, function, call.args[1:], rest)
    generic(watch, call, inner, apply, str(call.args[1:]), str(sorted(rest.items(), key=str)))


def _summed(watch: Follows, call: Call) -> None:
    """Write down a pooling by powers where the power is one, as sinabs sums spikes: none is negative."""
    if float(call.get(1, "norm_type")) != 1:
        watch.hide(call.result, "lp_pool2d with another power than one")
        return
    _resized(_MAPS, functional.lp_pool2d, watch, call)


FUNCTIONS: Final[Mapping[str, Handler]] = {
    "conv1d": partial(_convolved, _LINE),
    "conv2d": partial(_convolved, _MAPS),
    "conv_transpose1d": partial(_transposed, _LINE),
    "conv_transpose2d": partial(_transposed, _MAPS),
    "avg_pool1d": partial(_averaged, _LINE),
    "avg_pool2d": partial(_averaged, _MAPS),
    "lp_pool2d": _summed,
    "max_pool1d": partial(_largest, _LINE),
    "max_pool2d": partial(_largest, _MAPS),
    "adaptive_avg_pool1d": partial(_resized, _LINE, functional.adaptive_avg_pool1d),
    "adaptive_avg_pool2d": partial(_resized, _MAPS, functional.adaptive_avg_pool2d),
    "interpolate": partial(_resized, _MAPS, functional.interpolate),
}
"""Functions on feature maps, and what writes them down."""
