"""Functions of PyTorch that only move numbers: what they do to values, they do to labels."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.operations import Call, Follows, Handler


def names(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


UNSEEN: Final = names(
    """
    shape size dim ndim numel nelement device dtype layout requires_grad is_leaf grad grad_fn __len__ is_cuda
    is_floating_point is_complex is_contiguous stride element_size zeros_like ones_like full_like empty_like
    new_zeros new_ones new_full new_empty new_tensor get_device is_sparse names requires_grad_ __repr__
    __format__ __hash__ _version storage_offset data_ptr is_quantized is_meta backward register_hook
    retain_grad type result_type is_tensor is_nested is_mkldnn is_xpu __set__ named_buffers
    """
)
"""Functions whose result says nothing of the values."""
DATA: Final = names(
    """
    __bool__ __int__ __float__ __index__ item tolist numpy __array__ nonzero __contains__ equal allclose
    is_nonzero argwhere unique
    """
)
"""Functions by which a program looks at values."""
RANDOM: Final = names(
    """
    rand randn rand_like randn_like randint randint_like randperm bernoulli bernoulli_ poisson normal normal_
    uniform_ multinomial
    """
)
"""Functions that draw by chance."""
_IN_NAME_ONLY: Final = names("detach_ requires_grad_ __iter__ __index__ __int__ __invert__")


def changes(name: str) -> bool:
    """Return whether a function changes its first argument in place."""
    if name in _IN_NAME_ONLY:
        return False
    return (name.endswith("_") and not name.startswith("_")) or name.startswith(("__setitem__", "__i"))


def _labels(watch: Follows, value: Untyped) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(watch.labels_or_constants(value)))


def _enter(watch: Follows, result: Untyped, moved: Untyped) -> None:
    if isinstance(result, Tensor):
        watch.enter(result, moved.numpy().copy())
        return
    for one, other in zip(result, moved, strict=True):
        watch.enter(one, other.numpy().copy())


def _moved(watch: Follows, call: Call) -> None:
    """Do to the labels of the first argument what is done to its values."""
    first = call.first
    others = {key: value for key, value in call.kwargs.items() if value is not first}
    if any(watch.is_followed(value) for value in (*call.args[1:], *others.values())):
        watch.hide(call.result, f"{call.name} at places that depend on the data")
        return
    _enter(watch, call.result, call.function(_labels(watch, first), *call.args[1:], **others))


def _alike(watch: Follows, call: Call) -> None:
    """Give a tensor of another type, or in another place, the same labels."""
    if watch.is_followed(call.first) and isinstance(call.result, Tensor):
        shape = tuple(call.result.shape)
        watch.enter(call.result, np.broadcast_to(watch.labels_or_constants(call.first), shape).copy())


def _shaped_like(watch: Follows, call: Call) -> None:
    labels, shape = watch.labels_or_constants(call.first), tuple(call.result.shape)
    same = labels.size == call.result.numel()
    watch.enter(call.result, labels.reshape(shape) if same else np.broadcast_to(labels, shape).copy())


def _gathered(watch: Follows, call: Call) -> None:
    """Put labels of several tensors together."""
    labels = [_labels(watch, each) for each in call.get(0, "tensors")]
    others = {key: value for key, value in call.kwargs.items() if key != "tensors"}
    _enter(watch, call.result, call.function(labels, *call.args[1:], **others))


def _assigned(watch: Follows, call: Call) -> None:
    """Put labels into a part of a tensor that is changed in place."""
    target, index, value = call.args
    if any(watch.is_followed(place) for place in (index if isinstance(index, tuple | list) else (index,))):
        watch.hide(target, "an assignment at places that depend on the data")
        return
    filled = _labels(watch, target).clone()
    filled[index] = _labels(watch, value)
    watch.enter(target, filled.numpy())


def _padded(watch: Follows, call: Call) -> None:
    mode = call.get(2, "mode", otherwise="constant")
    if mode != "constant" or call.get(3, "value"):
        watch.hide(call.result, f"pad with mode='{mode}' or a value")
        return
    _enter(watch, call.result, functional.pad(_labels(watch, call.first), call.get(1, "pad")))


MOVES: Final[Mapping[str, Handler]] = {
    **dict.fromkeys(
        names(
            """
            view reshape flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ transpose permute movedim
            moveaxis swapaxes swapdims T mT H t expand repeat tile __getitem__ select narrow chunk split
            unbind split_with_sizes tensor_split roll flip index_select repeat_interleave unfold ravel
            __iter__ atleast_1d atleast_2d diagonal pixel_shuffle pixel_unshuffle broadcast_to channel_shuffle
            """
        ),
        _moved,
    ),
    **dict.fromkeys(
        names(
            """
            contiguous clone detach detach_ to float double type_as cpu cuda half bfloat16 data alias
            __deepcopy__ real positive
            """
        ),
        _alike,
    ),
    **dict.fromkeys(names("view_as reshape_as expand_as"), _shaped_like),
    **dict.fromkeys(
        names("cat concat concatenate stack hstack vstack dstack column_stack row_stack"), _gathered
    ),
    "__setitem__": _assigned,
    "pad": _padded,
}
"""Functions that move numbers, and what writes them down."""
