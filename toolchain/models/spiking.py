"""A layer of integrate-and-fire neurons that sees all steps of a batch at once."""

from typing import Any, Final, Protocol, final

import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.intake import choice_of, real_of
from toolchain.models.integration import LayerRule, integrate_steps
from toolchain.models.surrogates import Surrogate, spike
from toolchain.options import LARGEST_FACTOR, SMALLEST_FACTOR
from toolchain.reset import Reset

Results = Any
"""Spikes of one step, or spikes and potentials of all."""
_HALVES: Final = frozenset({torch.bfloat16, torch.float16})


class Meter(Protocol):
    """Takes what the channels of a layer did in a batch."""

    def add(self, sums: Tensor, neurons: int, channels: Tensor | None = None) -> None:
        """Add a batch; see `ActivityMeter.add`."""
        ...


@final
class ActivityMeter:
    r"""Running means of what the channels of a layer do, over the batches since the last reset.

    `potential` is the channel activity of SCA: with a reset to zero, `S theta + |V|` is the magnitude of the
    potential before the reset, cut off at the threshold from above. Where a spike takes the threshold away,
    it is that magnitude itself; for other resets it is no such thing, and SCA refuses them.

    Args:
        channels: Number of channels.
        vth: Threshold of all neurons.

    Attributes:
        potential: Mean of `theta * S + |V|`, V after the reset, per channel `[C]`.
        rate: Mean spikes per neuron and step, per channel `[C]`.
        batches: Number of batches since the reset.
    """

    def __init__(self, channels: int, vth: float) -> None:
        # Where the network is: nothing waits for a GPU until somebody reads.
        self._sums = torch.zeros(2, channels, dtype=torch.float64)
        self._vth = vth
        self.batches = 0

    @property
    def potential(self) -> Tensor:
        """Mean polarisation per channel, on the CPU."""
        return (self._sums[0] + self._vth * self._sums[1]).cpu() / max(self.batches, 1)

    @property
    def rate(self) -> Tensor:
        """Mean rate per channel, on the CPU."""
        return self._sums[1].cpu() / max(self.batches, 1)

    def reset(self) -> None:
        """Forget everything."""
        self._sums.zero_()
        self.batches = 0

    def add(self, sums: Tensor, neurons: int, channels: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            sums: Sums of |V| and of the spikes over samples, steps and positions, float64 `[2, C]`.
            neurons: Number of samples, steps and positions that were summed.
            channels: Numbers of the channels, if the others did nothing.
        """
        self._sums = self._sums.to(sums.device)
        if channels is None:
            self._sums.add_(sums, alpha=1 / neurons)
        else:
            self._sums.index_add_(1, channels.to(sums.device), sums, alpha=1 / neurons)
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
        self.kept: Tensor | None = None
        """Potentials after the last step, where it is called step by step."""
        self.meter: Meter | None = None
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
    def rule(self) -> LayerRule:
        """The equations in numbers."""
        amount = self.effective_amount or 0.0
        return LayerRule(
            self.vth,
            1.0 - self.dv,
            self.reset in {Reset.SUBTRACT, Reset.NONE},
            -amount if self.reset is Reset.SUBTRACT else amount,
            self.surrogate,
            self.slope,
        )

    def after(self, potential: Tensor, spikes: Tensor) -> Tensor:
        """Return potentials after the reset, from those before it and the spikes."""
        return self.rule.after(potential, spikes)

    def forward(self, x: Tensor, steps: int | None = None) -> Results:
        """Run all steps of a network, or one step.

        Args:
            x: Synaptic input `[T, N, ...]`, or `[1, N, ...]` for one that does not change; or without `steps`
                that of one step, `[N, ...]`.
            steps: Number of steps `T`; None for one step of a network that is called step by step, such as an
                `nn.Sequential`: potentials are kept until `begin`.

        Returns:
            Spikes and potentials before the reset, each `[T, N, ...]`; or the spikes of one step.
        """
        if x.dtype in _HALVES and torch.is_autocast_enabled(x.device.type):
            # What a convolution made under autocast; potentials add up in float32.
            x = x.float()
        return self._one_step(x) if steps is None else self._all_steps(x, steps)

    def begin(self) -> None:
        """Put the neurons to rest, where they are called step by step."""
        self.kept = None

    def _one_step(self, x: Tensor) -> Tensor:
        rule, before = self.rule, self.kept
        if before is None or before.shape != x.shape:
            before = torch.zeros_like(x)
        potential = rule.keep * before + x
        spikes = spike((potential - self.vth) / self.vth, self.surrogate, self.slope)
        self.kept = rule.after(potential, spikes.detach())
        return spikes

    def _all_steps(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        meter = self.meter if self.training else None
        sums = None if meter is None else x.new_zeros(2, x.shape[2], dtype=torch.float64)
        spikes, potential = integrate_steps(x, self.rule, steps, sums)
        if meter is not None and sums is not None:
            meter.add(sums, spikes.numel() // spikes.shape[2])
        return spikes, potential


def begin(module: nn.Module) -> None:
    """Put all `Spiking` in a module to rest, before it is called step by step on other samples."""
    for child in module.modules():
        if isinstance(child, Spiking):
            child.begin()
