"""Convolutions and dense layers with a mask, computed by lists of their weights where those are few.

The compiled loops serve float32 and float64 on the CPU, dense layers, and convolutions of stride 1. Whatever
they do not know, and a layer that has many weights, is computed by PyTorch, weights of zero and all. Both
give the same numbers up to the order of summation; the loops give absent weights no gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from toolchain.arrays import Ints
from toolchain.models.masked_layer_loops import PlaneShape, WeightLists, run_sparse, run_sparse_back
from toolchain.threads import PARTS, parts, share

_MOST_CONVOLVED, _MOST_DENSE = 0.25, 0.06
"""Share of the weights up to which lists of them are faster than all of them in PyTorch."""
_NUMBERS: Final = 2**18
"""Numbers of a chunk of samples: about what the second cache of a core holds."""
_SHORTEST: Final = 64
"""Places of a row that are worth the while of going to it."""
_KINDS: Final = frozenset({torch.float32, torch.float64})


@final
class MaskedLayer:
    """A convolution or dense layer with a mask, outside of which its weights are zero.

    The layer remains as it is, with weights of zero, for its optimizer and whoever saves it.

    Args:
        module: The layer. Its weights that are zero already are absent.

    Attributes:
        mask: Whether each weight is present, of the shape of the weights; None if all are.
    """

    def __init__(self, module: nn.Conv2d | nn.Linear) -> None:
        self._module = module
        present = (module.weight.detach() != 0).contiguous()
        self.mask: Tensor | None = None if bool(present.all()) else present
        self._known: tuple[Tensor, object, _LayerLists | None] | None = None

    @property
    def weight(self) -> nn.Parameter:
        """The weights, `[targets, sources]` or `[targets, sources, rows, columns]`."""
        return cast("nn.Parameter", self._module.weight)

    def __call__(self, x: Tensor) -> Tensor:
        """Return what the layer makes of a batch `[N, C, H, W]` or `[N, C]`."""
        lists = self._lists_for(x)
        if lists is None:
            return cast("Tensor", self._module(x))
        made: Tensor = _SparseLayer.apply(x.reshape(lists.entering(len(x))), self.weight, lists)
        bias = dict(self._module.named_parameters()).get("bias")
        made = made if bias is None else made + bias[:, None, None]
        return made.flatten(1) if x.dim() == 2 else made

    def _lists_for(self, x: Tensor) -> "_LayerLists | None":
        """Return lists of the weights, new ones if the mask has changed; None where they do not serve."""
        mask, device = self.mask, x.device.type
        if mask is None or device != "cpu" or x.dtype not in _KINDS or torch.is_autocast_enabled(device):
            return None
        known, state = self._known, (mask._version, x.shape[1:])  # noqa: SLF001 - torch has no other name
        if known is None or known[0] is not mask or known[1] != state:
            most = _MOST_CONVOLVED if isinstance(self._module, nn.Conv2d) else _MOST_DENSE
            few = int(mask.sum()) <= most * mask.numel()
            known = (mask, state, _LayerLists.of(self._module, mask, x.shape[1:]) if few else None)
            self._known = known
        return known[2]


@final
@dataclass(frozen=True, eq=False)
class _LayerLists:
    """Where the weights of a layer stand, for what enters in one size.

    Attributes:
        index: Places of the weights that are present, flat.
        by_target: As in `WeightLists`, without values.
        by_source: The same by source.
        order: Places of the weights by source among those by target.
        shape: Sizes of the images.
        sizes: Channels, rows and columns of what enters.
        leaving: Those of what comes out.
    """

    index: Tensor
    by_target: tuple[Ints, Ints, Ints]
    by_source: tuple[Ints, Ints, Ints]
    order: Ints
    shape: PlaneShape
    sizes: tuple[int, int, int]
    leaving: tuple[int, int, int]

    @classmethod
    def of(cls, module: nn.Conv2d | nn.Linear, mask: Tensor, entering: Sequence[int]) -> "_LayerLists | None":
        """Return the lists; None for a convolution that the loops do not know."""
        channels, height, width = (*entering, 1, 1)[:3]
        margins, spread = (0, 0), (1, 1)
        if isinstance(module, nn.Conv2d):
            plain = module.stride == (1, 1) and module.groups == 1 and module.padding_mode == "zeros"
            if not plain or isinstance(module.padding, str):
                return None
            margins = cast("tuple[int, int]", module.padding)
            spread = cast("tuple[int, int]", module.dilation)
        kernel = mask.reshape(*mask.shape[:2], *(*mask.shape[2:], 1, 1)[:2])
        target, source, row, column = (each.numpy() for each in torch.nonzero(kernel, as_tuple=True))
        rows, columns = height + 2 * margins[0], width + 2 * margins[1]
        reach = [(size - 1) * step for size, step in zip(kernel.shape[2:], spread, strict=True)]
        shifts = spread[0] * row * columns + spread[1] * column
        order, longest = np.argsort(source, kind="stable"), reach[0] * columns + reach[1]
        return cls(
            index=torch.nonzero(mask.reshape(-1)).reshape(-1),
            by_target=(np.searchsorted(target, np.arange(len(mask) + 1)), source, shifts),
            by_source=(
                np.searchsorted(source[order], np.arange(channels + 1)),
                target[order],
                longest - shifts[order],
            ),
            order=order,
            shape=PlaneShape(*margins, rows, columns, longest),
            sizes=(channels, height, width),
            leaving=(len(mask), rows - reach[0], columns - reach[1]),
        )

    def with_values(self, values: Tensor) -> tuple[WeightLists, WeightLists]:
        """Return the weights that are present, by target and by source."""
        listed = values.numpy()
        return WeightLists(*self.by_target, listed), WeightLists(*self.by_source, listed[self.order])

    def entering(self, samples: int) -> tuple[int, int, int, int]:
        """Return the shape of so many samples."""
        return samples, *self.sizes

    def parts(self, samples: int) -> list[tuple[int, int, int]]:
        """Return parts of so many samples: the first, the one behind the last, and the size of a chunk."""
        plane = self.shape.rows * self.shape.columns
        chunk = max(_NUMBERS // ((2 * self.sizes[0] + self.leaving[0]) * plane), -(-_SHORTEST // plane), 1)
        cut = parts(samples, min(PARTS, max(1, samples // chunk)))
        return [(start, stop, min(chunk, stop - start)) for start, stop in cut if stop > start]


@final
class _SparseLayer(torch.autograd.Function):
    """A convolution of the weights that are present, shared by as many threads as PyTorch uses."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        x: Tensor,
        weight: Tensor,
        lists: _LayerLists,
    ) -> Tensor:
        """Return what comes out, with the channels last in memory."""
        values = weight.detach().reshape(-1)[lists.index]
        shape = (len(x), *lists.leaving)
        result = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        entering, out, listed = x.detach().numpy(), result.numpy(), lists.with_values(values)[0]

        def work(part: tuple[int, int, int]) -> None:
            run_sparse(entering, listed, lists.shape, part, out)

        share(work, lists.parts(len(x)), torch.get_num_threads())
        ctx.save_for_backward(x, values)
        ctx.lists, ctx.shape = lists, weight.shape
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - the decorator hides the signature
        ctx: Any,  # noqa: ANN401 - torch's context
        *gradients: Tensor,
    ) -> tuple[Tensor | None, Tensor, None]:
        """Return gradients with respect to what entered and to the weights, those of absent ones zero."""
        x, values = ctx.saved_tensors
        lists: _LayerLists = ctx.lists
        wanted = ctx.needs_input_grad[0]
        form = (len(x), *lists.sizes) if wanted else (0, 0, 0, 0)
        back = torch.empty(form, dtype=x.dtype, memory_format=torch.channels_last)
        listed, cut = lists.with_values(values), lists.parts(len(x))
        # Sums of parts do not depend on the number of threads.
        partial = np.zeros((len(cut), len(values)), listed[0].values.dtype)
        entering, above, below = x.detach().numpy(), gradients[0].numpy(), back.numpy()

        def work(i: int) -> None:
            run_sparse_back(entering, listed, lists.shape, cut[i], above, below, partial[i])

        share(work, range(len(cut)), torch.get_num_threads())
        by_weight = torch.zeros(ctx.shape, dtype=x.dtype)
        by_weight.view(-1)[lists.index] = torch.from_numpy(partial.sum(0))
        return (back if wanted else None), by_weight, None
