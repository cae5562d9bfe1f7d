"""A layer of integrate-and-fire neurons that sees all steps of a batch at once."""

from typing import Any, assert_never, cast, final

import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.intake import choice_of, real_of
from toolchain.models.surrogates import Surrogate, derivative
from toolchain.options import LARGEST_FACTOR, SMALLEST_FACTOR
from toolchain.reset import Reset


@final
class ActivityMeter:
    r"""Running means of what the channels of a layer do, over the batches since the last reset.

    `potential` is the channel activity of SCA: with a reset to zero, `S theta + |V|` is the magnitude of the
    potential before the reset, cut off at the threshold from above. Where a spike takes the threshold away,
    it is that magnitude itself; for other resets it is no such thing, and SCA refuses them.

    Attributes:
        potential: Mean of `theta * S + |V|`, V after the reset, per channel `[C]`.
        rate: Mean spikes per neuron and step, per channel `[C]`.
        batches: Number of batches since the reset.
    """

    def __init__(self, channels: int) -> None:
        # Where the network is: nothing waits for a GPU until somebody reads.
        self._sums = torch.zeros(2, channels, dtype=torch.float64)
        self.batches = 0

    @property
    def potential(self) -> Tensor:
        """Mean polarisation per channel, on the CPU."""
        return self._sums[0].cpu() / max(self.batches, 1)

    @property
    def rate(self) -> Tensor:
        """Mean rate per channel, on the CPU."""
        return self._sums[1].cpu() / max(self.batches, 1)

    def reset(self) -> None:
        """Forget everything."""
        self._sums.zero_()
        self.batches = 0

    def add(self, magnitude: Tensor, spikes: Tensor, vth: float) -> None:
        """Add a batch.

        Args:
            magnitude: Sum of |V| over samples and positions at every step, `[T, C]`.
            spikes: Spikes `[T, N, C, ...]`.
            vth: Threshold of all neurons.
        """
        others = [i for i in range(spikes.dim()) if i != 2]
        count = spikes.sum(dim=others)
        neurons = spikes.numel() // spikes.shape[2]
        self._sums = self._sums.to(count.device)
        self._sums[0] += (magnitude.sum(0) + vth * count).double() / neurons
        self._sums[1] += count.double() / neurons
        self.batches += 1


@final
class Spiking(nn.Module):
    r"""Integrate-and-fire neurons without current filter, leaky or not, for any shape of features.

    .. math::
        v_t = (1 - d_v)\, v_{t-1} + x_t, \qquad s_t = [v_t > \theta], \qquad
        v_t \leftarrow reset(v_t) \text{ where } s_t

    The order of operations is that of `toolchain.ir.Lif` with `du = 1` and no bias. All steps are one
    operation for autograd, whose backward pass goes through time by hand; the reset is not
    differentiated through. Neurons that are refractory, adapt or learn are `CubaLif`.

    Args:
        vth: Threshold of all neurons.
        dv: Decay of the potential per step; 0 means integrate-and-fire, `1 / tau` a leak.
        reset: What a spike does to the potential: `zero`, `value`, `subtract` or `none`.
        reset_amount: Potential that a spike sets or takes away; None where it takes away the threshold.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative, with the distance to threshold measured in thresholds.

    Raises:
        ArgumentError: A value is not a number within its limits.
    """

    def __init__(
        self,
        *,
        vth: float = 1.0,
        dv: float = 0.0,
        reset: Reset | str = Reset.ZERO,
        reset_amount: float | None = None,
        surrogate: Surrogate = Surrogate.SIGMOID,
        slope: float = 4.0,
    ) -> None:
        super().__init__()
        self.vth = real_of(vth, "vth", least=SMALLEST_FACTOR, most=LARGEST_FACTOR)
        self.dv = real_of(dv, "dv", least=0, most=1)
        self.reset = choice_of(reset, "reset", Reset)
        self.reset_amount = None if reset_amount is None else self._amount(reset_amount)
        if self.reset is Reset.VALUE and reset_amount is None:
            raise ArgumentError("reset_amount", "the value that a spike sets, since reset is 'value'", "None")
        self.surrogate = choice_of(surrogate, "surrogate", Surrogate)
        self.slope = real_of(slope, "slope", least=SMALLEST_FACTOR, most=LARGEST_FACTOR)
        self.meter: ActivityMeter | None = None
        """Set by whoever wants to know what the channels do; fed in training mode only."""

    def _amount(self, value: float) -> float:
        if not self.reset.has_amount:
            raise ArgumentError("reset_amount", f"None, since reset is '{self.reset.value}'", f"{value!r}")
        least = 0.0 if self.reset is Reset.SUBTRACT else -LARGEST_FACTOR
        return real_of(value, "reset_amount", least=least, most=LARGEST_FACTOR)

    @property
    def effective_amount(self) -> float | None:
        """Potential that a spike sets or takes away; None if the reset needs no number."""
        if self.reset is Reset.SUBTRACT and self.reset_amount is None:
            return self.vth
        return self.reset_amount

    @property
    def keeps(self) -> bool:
        """Whether what a potential was before a spike has an effect after it."""
        return self.reset in {Reset.SUBTRACT, Reset.NONE}

    def after(self, potential: Tensor, spikes: Tensor) -> Tensor:
        """Return potentials after the reset, from those before it and the spikes."""
        match self.reset:
            case Reset.ZERO:
                return torch.addcmul(potential, potential, spikes, value=-1.0)
            case Reset.VALUE:
                return torch.where(spikes > 0, cast("float", self.reset_amount), potential)
            case Reset.SUBTRACT:
                return potential - spikes * cast("float", self.effective_amount)
            case Reset.NONE:
                return potential.clone()
            case _:
                assert_never(self.reset)

    def forward(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Return spikes and potentials before the reset, each `[T, N, ...]`.

        Args:
            x: Synaptic input `[T, N, ...]`, or `[1, N, ...]` for one that does not change.
            steps: Number of steps `T`.
        """
        magnitude = None
        if self.meter is not None and self.training:
            magnitude = x.new_zeros(steps, x.shape[2])
        spikes, potential = _Integrate.apply(x, self, steps, magnitude)
        if self.meter is not None and magnitude is not None:
            self.meter.add(magnitude, spikes.detach(), self.vth)
        return spikes, potential


class _Integrate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        x: Tensor,
        layer: Spiking,
        steps: int,
        magnitude: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        keep = 1.0 - layer.dv
        potential, spikes = _like(x, steps), _like(x, steps)
        others = [i for i in range(x.dim() - 1) if i != 1]
        v = torch.zeros_like(x[0])
        for t in range(steps):
            torch.add(x[t if len(x) > 1 else 0], v, alpha=keep, out=potential[t])
            torch.gt(potential[t], layer.vth, out=spikes[t])
            if magnitude is not None and t > 0:
                # The potential of the step before is not needed any more: measured in place.
                magnitude[t - 1] = v.abs_().sum(dim=others)
            v = layer.after(potential[t], spikes[t])
        if magnitude is not None:
            magnitude[-1] = v.abs_().sum(dim=others)
        ctx.save_for_backward(potential, spikes)
        ctx.layer, ctx.still = layer, len(x) == 1
        ctx.mark_non_differentiable(potential)
        return spikes, potential

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        potential, spikes = ctx.saved_tensors
        layer: Spiking = ctx.layer
        smooth = derivative(potential.sub(layer.vth).div_(layer.vth), layer.surrogate, layer.slope)
        smooth = smooth.mul_(gradients[0]).div_(layer.vth)
        keep = 1.0 - layer.dv
        for t in range(len(potential) - 2, -1, -1):
            # v[t + 1] hears of v[t] only where it was not set to something else.
            heard = smooth[t + 1] if layer.keeps else smooth[t + 1] * (1 - spikes[t])
            smooth[t].add_(heard, alpha=keep)
        return (smooth.sum(0, keepdim=True) if ctx.still else smooth), None, None, None


def _like(x: Tensor, steps: int) -> Tensor:
    """Return memory for `steps` steps, laid out like one of `x`: a convolution may want its channels last."""
    one = x[0]
    flat = x.new_empty(steps * one.numel())
    dense = one.is_contiguous() or (one.dim() == 4 and one.is_contiguous(memory_format=torch.channels_last))
    strides = one.stride() if dense else torch.empty(one.shape).stride()
    return flat.as_strided((steps, *one.shape), (one.numel(), *strides))
