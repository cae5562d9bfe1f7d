"""The update of a population in training: its forward pass is exact, its backward pass smooth."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, assert_never, final

import torch
from torch import Tensor

from toolchain import fixedpoint
from toolchain.models.surrogates import Surrogate, derivative
from toolchain.reset import Reset
from toolchain.training.integer_rules import replaced


class UpdateState(NamedTuple):
    """The state of a population between two steps, each tensor `[batch, *features]`; zero at rest.

    Attributes:
        u: Synaptic currents.
        v: Membrane potentials.
        wait: Steps for which neurons are still refractory; None if none ever is.
        rise: What adaptation adds to the thresholds; None without adaptation.
    """

    u: Tensor
    v: Tensor
    wait: Tensor | None
    rise: Tensor | None


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronUpdate:
    r"""The update of a population, in integers or in real numbers in the same units.

    .. math::
        u' = wrap(tz(k_u u) + c\, a), \quad v' = saturate(tz(k_v v) + u' + b), \quad
        n = [v' > \theta + h], \quad v' \leftarrow reset(v', n), \quad h' = min(tz(k_h h) + k n, 2^{23} - 1)

    with `tz` and the limits of the register only where their rule is on. Refractory neurons keep their
    potential and send nothing, and a neuron that may send `m` spikes a step sends as many as it takes to
    bring the potential down to the threshold, as `fixedpoint.lif_step` says.

    In the backward pass the derivative of a spike is the surrogate's, at the distance to the threshold
    as it is at that step, in units of :math:`\theta`. The derivative of a number of spikes is a ramp of
    slope :math:`1 / r` from the first threshold to the last one, as rounding passed straight through, with
    the two halves of the surrogate at its ends, there in units of :math:`r`. (With a surrogate of unit
    area, as the default is, that is the mean of the surrogates at all multiples of :math:`r`.) What a spike
    adds to the threshold carries gradients through time (Bellec et al. 2018); what the reset does to the
    potential carries none. Everything else passes straight through.

    Attributes:
        keep_u: Share of the current that stays, of the population's shape.
        keep_v: Share of the potential that stays.
        threshold: Threshold of each neuron; infinite for a read-out.
        unit: Factor `c` of the input: 64 in integers, 1 in real numbers.
        truncates: Whether decays round toward zero.
        saturates: Whether u wraps, and v and h saturate.
        wide: Whether input can be so large that 32 bits overflow, as they then do in Lava.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.
        reset: Effect of a spike on the potential.
        reset_amount: Potential that a spike sets, or the `r` that it takes away; None if it needs no number.
        refractory: Steps after a spike for which a neuron is refractory, int32; None for none.
        adaptation: Amount `k` that a spike adds to the threshold; None for none.
        keep_rise: Share of what was added to the threshold that stays; None without adaptation.
        max_spikes: Most spikes that a neuron sends in one step.
    """

    keep_u: Tensor
    keep_v: Tensor
    threshold: Tensor
    unit: float
    truncates: bool
    saturates: bool
    wide: bool
    surrogate: Surrogate
    slope: float
    reset: Reset = Reset.ZERO
    reset_amount: Tensor | None = None
    refractory: Tensor | None = None
    adaptation: Tensor | None = None
    keep_rise: Tensor | None = None
    max_spikes: int = 1

    @cached_property
    def forgets(self) -> bool:
        """Whether nothing of a current stays until the next step."""
        return bool((self.keep_u == 0).all())

    def rest(self, batch: int) -> UpdateState:
        """Return the state of a batch at rest."""
        zero = self.threshold.new_zeros(batch, *self.threshold.shape)
        wait = None if self.refractory is None else zero.to(torch.int32)
        return UpdateState(zero, zero, wait, None if self.adaptation is None else zero)

    def step(self, a: Tensor, state: UpdateState, bias: Tensor) -> tuple[Tensor, UpdateState]:
        """Return the spikes, or how many of them, and the state after the reset."""
        active = None if state.wait is None else state.wait == 0
        result: Any = _Step.apply(a, state.u, state.v, bias, state.rise, active, self)
        sent, u, v = result
        wait = state.wait
        if wait is not None and self.refractory is not None:
            wait = torch.where(sent.detach() > 0, self.refractory, (wait - 1).clamp_min_(0))
        return sent, UpdateState(u, v, wait, self._risen(state.rise, sent))

    def decay(self, x: Tensor, keep: Tensor) -> Tensor:
        """Return what stays of a state. In float64 the product of 24 and 12 bits is exact."""
        product = x * keep
        return product.trunc_() if self.truncates else product

    def count(self, potential: Tensor, top: Tensor, fired: Tensor) -> Tensor:
        """Return how many spikes each neuron sends.

        The quotient of two integers below 2^24 has the right whole part in float32 already: it is at
        least `1 / r` below the next whole number or equal to it, and rounding moves it by less.
        """
        if self.max_spikes == 1 or self.reset_amount is None:
            return fired.to(potential.dtype)
        excess = (potential - top).masked_fill_(~fired, 0.0)
        whole = torch.floor(excess / self.reset_amount)
        more = potential - whole * self.reset_amount > top
        return (whole + more).clamp_max_(self.max_spikes).masked_fill_(~fired, 0.0)

    def after(self, potential: Tensor, sent: Tensor, fired: Tensor) -> Tensor:
        """Return the potential after the reset."""
        amount = 0.0 if self.reset_amount is None else self.reset_amount
        match self.reset:
            case Reset.ZERO:
                return potential.masked_fill(fired, 0.0)
            case Reset.VALUE:
                return torch.where(fired, amount, potential)
            case Reset.SUBTRACT:
                return potential - sent * amount
            case Reset.NONE:
                return potential
            case _:
                assert_never(self.reset)

    def smooth(self, potential: Tensor, rise: Tensor | None) -> Tensor:
        """Return the derivative of the spikes with respect to the potential."""
        if rise is not None:
            potential = potential - rise
        if self.max_spikes == 1 or self.reset_amount is None:
            # A threshold that was rounded to zero is as far as the smallest one above it.
            reach = torch.where(self.threshold > 0, self.threshold, self.unit)
            return derivative(potential / reach - 1, self.surrogate, self.slope).div_(reach)
        excess = potential - self.threshold
        last = (self.max_spikes - 1) * self.reset_amount
        outside = (excess - torch.minimum(excess.clamp_min(0), last)).div_(self.reset_amount)
        return derivative(outside, self.surrogate, self.slope).div_(self.reset_amount)

    def _risen(self, rise: Tensor | None, sent: Tensor) -> Tensor | None:
        """Return what adaptation adds to the thresholds of the next step."""
        if rise is None or self.adaptation is None or self.keep_rise is None:
            return None
        risen = self.keep_rise * rise + self.adaptation * sent
        if not (self.truncates or self.saturates):
            return risen
        with torch.no_grad():
            exact = self.decay(rise, self.keep_rise) + self.adaptation * sent
            if self.saturates:
                exact.clamp_max_(fixedpoint.STATE_LIMIT - 1)
        return replaced(risen, exact)


def _overflowed(x: Tensor) -> Tensor:
    """Return integers as 32 bits hold them."""
    return torch.remainder(x + 2.0**31, 2.0**32) - 2.0**31


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd takes what it follows by position
        ctx: Any,  # noqa: ANN401 - torch's context
        a: Tensor,
        u: Tensor,
        v: Tensor,
        bias: Tensor,
        rise: Tensor | None,
        active: Tensor | None,
        neurons: NeuronUpdate,
    ) -> tuple[Tensor, Tensor, Tensor]:
        limit = fixedpoint.STATE_LIMIT
        current = a * neurons.unit
        if not neurons.forgets:
            current += neurons.decay(u, neurons.keep_u)
        if neurons.wide:
            current = _overflowed(current)
        if neurons.saturates:
            current = torch.where(current > limit, current - 2 * limit, current)
            current = torch.where(current <= -limit, current + 2 * limit, current)
        potential = neurons.decay(v, neurons.keep_v).add_(current).add_(bias)
        if neurons.wide:
            potential = _overflowed(potential)
        if neurons.saturates:
            potential.clamp_(-(limit - 1), limit - 1)
        top = neurons.threshold if rise is None else neurons.threshold + rise
        if active is None:
            fired = potential > top
        else:
            potential = torch.where(active, potential, v)
            fired = active & (potential > top)
        sent = neurons.count(potential, top, fired)
        ctx.save_for_backward(potential, fired, rise, active)
        ctx.neurons, ctx.bias_shape = neurons, bias.shape
        return sent, current, neurons.after(potential, sent, fired)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        potential, fired, rise, active = ctx.saved_tensors
        neurons: NeuronUpdate = ctx.neurons
        of_spikes, of_u, of_v = gradients
        by_spikes = neurons.smooth(potential, rise).mul_(of_spikes)
        if active is not None:
            by_spikes.masked_fill_(~active, 0.0)
        forgotten = neurons.reset in {Reset.ZERO, Reset.VALUE}
        at_potential = by_spikes + (of_v.masked_fill(fired, 0.0) if forgotten else of_v)
        driven = at_potential if active is None else at_potential.masked_fill(~active, 0.0)
        at_v = driven * neurons.keep_v
        at_current = driven + of_u
        return (
            at_current * neurons.unit,
            at_current * neurons.keep_u,
            at_v if active is None else torch.where(active, at_v, at_potential),
            driven.sum_to_size(ctx.bias_shape),
            None if rise is None else -by_spikes,
            None,
            None,
        )
