"""All steps of a layer of neurons as one operation of autograd: in compiled loops, or in PyTorch.

The compiled loops serve float32 and float64 on the CPU. Everything else, such as a GPU, takes the operations
of PyTorch, which are the reference: spikes and potentials of the two are equal, gradients up to rounding.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from toolchain.arrays import Array
from toolchain.models.integration_loops import (
    CHUNK,
    ChannelGrid,
    IntegrationRule,
    integrate,
    integrate_back,
)
from toolchain.models.surrogate_loops import in_loops
from toolchain.models.surrogates import Surrogate, derivative
from toolchain.threads import share

_KINDS: Final[dict[torch.dtype, Any]] = {torch.float32: np.float32, torch.float64: np.float64}
_PART: Final = 2**15
"""Neurons of a part that one thread takes. Sums of parts do not depend on the number of threads."""


@final
@dataclass(frozen=True)
class LayerRule:
    """What all neurons of a layer share.

    Attributes:
        vth: Threshold.
        keep: Share of the potential that stays at a step.
        retains: Whether a spike leaves what the potential was, and changes it.
        change: Amount that a spike adds to what it leaves.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.
    """

    vth: float
    keep: float
    retains: bool
    change: float
    surrogate: Surrogate
    slope: float

    def after(self, potential: Tensor, spikes: Tensor) -> Tensor:
        """Return potentials after the reset, from those before it and the spikes."""
        base = potential if self.retains else torch.zeros_like(potential)
        return torch.where(spikes > 0, base + self.change, potential)


@lru_cache(64)
def _in_loops(rule: LayerRule, kind: torch.dtype) -> IntegrationRule:
    """Return a rule in the precision of the compiled loops."""
    number = _KINDS[kind]
    surrogate, slope = in_loops(rule.surrogate, rule.slope)
    return IntegrationRule(
        number(rule.vth),
        number(rule.keep),
        rule.retains,
        number(rule.change),
        surrogate,
        number(slope),
    )


def integrate_steps(x: Tensor, rule: LayerRule, steps: int, sums: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return spikes and potentials before the reset, each `[T, N, C, ...]`, with gradients of the spikes.

    Args:
        x: Synaptic input `[T, N, C, ...]`, or `[1, N, C, ...]` for one that does not change.
        rule: What all neurons share.
        steps: Number of steps `T`.
        sums: Gets the sums of `|v|` after the reset and of the spikes over all but the channels, float64
            `[2, C]`; None if nobody wants them.
    """
    function = TensorIntegration if loops_obstacle(x) else LoopIntegration
    return function.apply(x, rule, steps, sums)


def loops_obstacle(x: Tensor) -> str | None:
    """Return why the compiled loops do not serve such numbers; None if they do."""
    if x.device.type != "cpu":
        return f"the network is on a device called {x.device.type}"
    return None if x.dtype in _KINDS else f"its numbers are {str(x.dtype).removeprefix('torch.')}"


@final
class TensorIntegration(torch.autograd.Function):
    """The steps one after the other, by operations of PyTorch: the reference."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        x: Tensor,
        rule: LayerRule,
        steps: int,
        sums: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return spikes and potentials."""
        potential, spikes = _like(x, steps), _like(x, steps)
        others = [i for i in range(x.dim() - 1) if i != 1]
        v = torch.zeros_like(x[0])
        for t in range(steps):
            torch.add(x[t if len(x) > 1 else 0], v, alpha=rule.keep, out=potential[t])
            torch.gt(potential[t], rule.vth, out=spikes[t])
            v = rule.after(potential[t], spikes[t])
            if sums is not None:
                sums[0] += v.abs().sum(dim=others)
                sums[1] += spikes[t].sum(dim=others)
        ctx.save_for_backward(potential, spikes)
        ctx.rule, ctx.still = rule, len(x) == 1
        ctx.mark_non_differentiable(potential)
        # Nobody needs zeros in place of the gradients that potentials have not.
        ctx.set_materialize_grads(False)
        return spikes, potential

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        """Return gradients with respect to the input."""
        potential, spikes = ctx.saved_tensors
        rule: LayerRule = ctx.rule
        smooth = derivative(potential.sub(rule.vth).div_(rule.vth), rule.surrogate, rule.slope)
        smooth = smooth.mul_(gradients[0]).div_(rule.vth)
        for t in range(len(potential) - 2, -1, -1):
            # v[t + 1] hears of v[t] only where it was not set to something else.
            heard = smooth[t + 1] if rule.retains else smooth[t + 1] * (1 - spikes[t])
            smooth[t].add_(heard, alpha=rule.keep)
        return (smooth.sum(0, keepdim=True) if ctx.still else smooth), None, None, None


@final
class LoopIntegration(torch.autograd.Function):
    """All steps in compiled loops, shared by as many threads as PyTorch uses."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        x: Tensor,
        rule: LayerRule,
        steps: int,
        sums: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return spikes and potentials."""
        potential, spikes = _like(x, steps), _like(x, steps)
        grid = _grid(potential)
        parts = _parts(potential, grid)
        partial = np.zeros((len(parts), 2, grid.channels if sums is not None else 0))
        entering, before, sent = (_flat(tensor) for tensor in (_laid_out(x, potential), potential, spikes))
        numbers = _in_loops(rule, x.dtype)

        def work(i: int) -> None:
            integrate(entering, before, sent, numbers, parts[i], grid, partial[i])

        share(work, range(len(parts)), torch.get_num_threads())
        if sums is not None:
            sums += torch.from_numpy(partial.sum(0))
        ctx.save_for_backward(potential)
        ctx.rule, ctx.still = rule, len(x) == 1
        ctx.mark_non_differentiable(potential)
        # Nobody needs zeros in place of the gradients that potentials have not.
        ctx.set_materialize_grads(False)
        return spikes, potential

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - the decorator hides the signature
        ctx: Any,  # noqa: ANN401 - torch's context
        *gradients: Tensor,
    ) -> tuple[Tensor, None, None, None]:
        """Return gradients with respect to the input."""
        (potential,) = ctx.saved_tensors
        result = _like(potential, 1 if ctx.still else len(potential))
        before, wanted, out = (
            _flat(tensor) for tensor in (potential, _laid_out(gradients[0], potential), result)
        )
        numbers = _in_loops(ctx.rule, potential.dtype)

        def work(part: tuple[int, int, int]) -> None:
            integrate_back(before, wanted, out, numbers, part)

        share(work, _parts(potential, ChannelGrid(1, 1)), torch.get_num_threads())
        return result, None, None, None


def _like(x: Tensor, steps: int) -> Tensor:
    """Return memory for `steps` steps, laid out like one of `x`: a convolution may want its channels last."""
    one = x[0]
    if one.is_contiguous():
        return x.new_empty((steps, *one.shape))
    last = one.dim() == 4 and one.is_contiguous(memory_format=torch.channels_last)
    if not last:
        return x.new_empty((steps, *one.shape))
    return x.new_empty_strided((steps, *one.shape), (one.numel(), *one.stride()))


def _laid_out(x: Tensor, like: Tensor) -> Tensor:
    """Return `x` with the memory of each step laid out as another tensor's: copied if it is not."""
    wanted = (like[0].numel(), *like.stride()[1:])
    if all(x.shape[i] == 1 or x.stride(i) == wanted[i] for i in range(x.dim())):
        return x
    return _like(like, len(x)).copy_(x)


def _flat(x: Tensor) -> Array:
    """Return the memory of a tensor that is dense, `[steps, neurons]`."""
    return x.detach().as_strided((len(x), x[0].numel()), (x[0].numel(), 1)).numpy()


def _grid(x: Tensor) -> ChannelGrid:
    channels = x.shape[2]
    inner = x[0, 0, 0].numel()
    last = x.dim() == 5 and x[0].is_contiguous(memory_format=torch.channels_last) and x.stride(2) == 1
    return ChannelGrid(channels, 1 if last else inner)


def _parts(x: Tensor, grid: ChannelGrid) -> list[tuple[int, int, int]]:
    """Return parts of the neurons, in chunks that end where a row of the grid does."""
    neurons = x[0].numel()
    chunk = max(1, CHUNK // grid.row) * grid.row
    size = max(1, _PART // chunk) * chunk
    return [(start, min(start + size, neurons), chunk) for start in range(0, neurons, size)]
