"""How a population advances by one step: the equations of `toolchain.ir.Lif` on batches, with gradients."""

from dataclasses import dataclass
from typing import Final, NamedTuple, assert_never, cast, final

import torch
from torch import Tensor

from toolchain.errors import ArgumentError
from toolchain.models.surrogates import Surrogate, spike
from toolchain.reset import Reset

_RUN_AXES: Final = 3
"""Axes of a run: samples, steps and neurons."""


class LayerState(NamedTuple):
    """What a population remembers from one step to the next, `[batch, N]` each.

    Attributes:
        u: Currents.
        v: Potentials after the reset.
        wait: Steps for which a neuron is still refractory; None where none ever is.
        rise: Amounts by which thresholds are raised; None where none adapts.
    """

    u: Tensor
    v: Tensor
    wait: Tensor | None = None
    rise: Tensor | None = None


@final
@dataclass(frozen=True)
class NeuronDynamics:
    """The numbers of a population, read once for all steps of a run.

    What is learnt is computed from its parameters when this is made, so gradients of all steps meet there.

    Attributes:
        keep_u: Share of the current that stays at a step, `[N]` like all others.
        keep_v: Share of the potential that stays at a step.
        vth: Thresholds at rest.
        bias: What is added to the potential every step.
        reset: Effect of a spike on the potential.
        amount: Potential that a spike sets, or takes away; None if the reset needs none.
        refractory: Refractory periods in steps; None for none.
        adaptation: Amounts by which a spike raises the threshold; None for none.
        keep_rise: Share of what was added to a threshold that stays at a step; None without adaptation.
        max_spikes: Most spikes that a neuron sends in one step.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.
    """

    keep_u: Tensor
    keep_v: Tensor
    vth: Tensor
    bias: Tensor
    reset: Reset
    amount: Tensor | None
    refractory: Tensor | None
    adaptation: Tensor | None
    keep_rise: Tensor | None
    max_spikes: int
    surrogate: Surrogate
    slope: float

    def rest(self, zero: Tensor) -> LayerState:
        """Return the state at rest.

        Args:
            zero: Zeros `[batch, N]`.
        """
        return LayerState(
            zero,
            zero,
            None if self.refractory is None else zero,
            None if self.adaptation is None else zero,
        )

    def run(self, x: Tensor, *, fires: bool) -> Tensor:
        """Run all steps from rest.

        Args:
            x: Synaptic input `[batch, time, N]`.
            fires: Whether any neuron fires.

        Returns:
            Spikes, or how many of them, of the same shape; the potentials of a population that never fires.

        Raises:
            ArgumentError: The input has another shape.
        """
        size = self.vth.numel()
        if x.ndim != _RUN_AXES or x.shape[2] != size:
            raise ArgumentError("x", f"synaptic input [batch, time, {size}]", str(list(x.shape)))
        state, rows = self.rest(torch.zeros_like(x[:, 0])), list[Tensor]()
        for current in x.unbind(1):
            spikes, state = self.step(current, state)
            rows.append(spikes if fires else state.v)
        return torch.stack(rows, 1)

    def step(self, a: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance one step.

        Args:
            a: Synaptic input `[batch, N]`.
            state: State before the step.

        Returns:
            Spikes `[batch, N]`, or how many of them, and the state after the step.
        """
        u, v = self.charge(a, state)
        count, nearest = self.count(v.detach(), state)
        spikes = self._spikes(v, state, count, nearest)
        return spikes, self.discharge(u, v, count, spikes, state)

    def charge(self, a: Tensor, state: LayerState) -> tuple[Tensor, Tensor]:
        """Return currents, and potentials before any reset.

        Args:
            a: Synaptic input.
            state: State before the step.
        """
        u = self.keep_u * state.u + a
        v = self.keep_v * state.v + u + self.bias
        return u, v if state.wait is None else torch.where(state.wait == 0, v, state.v)

    def count(self, v: Tensor, state: LayerState) -> tuple[Tensor, Tensor | None]:
        """Return how many spikes are sent, bool where it is one at most, and the nearest place of one more.

        The n-th spike (from 0) is sent above `threshold + n amount`; the derivative is that of the nearest of
        these places, whose `n` is returned; None where there is one.

        Args:
            v: Potentials before the reset, without gradient.
            state: State before the step.
        """
        threshold = self.vth.detach() if state.rise is None else self.vth.detach() + state.rise.detach()
        fired = v > threshold
        if state.wait is not None:
            fired = fired & (state.wait == 0)
        if self.max_spikes == 1:
            return fired, None
        amount = cast("Tensor", self.amount).detach()
        whole = torch.floor(torch.where(fired, v - threshold, 0) / amount)
        count = whole + (v - whole * amount > threshold)
        count = torch.where(fired, count.clamp(max=self.max_spikes), 0)
        return count, torch.round((v - threshold) / amount).clamp(0, self.max_spikes - 1)

    def distance(self, v: Tensor, state: LayerState, nearest: Tensor | None) -> Tensor:
        """Return potentials as distances to the threshold: 0 there, measured in thresholds.

        For an infinite threshold it is -1 and passes no gradient.

        Args:
            v: Potentials before the reset.
            state: State before the step.
            nearest: Number of the nearest place where a spike is sent; None where there is one.
        """
        over = v if state.rise is None else v - state.rise
        if nearest is not None:
            over = over - nearest * cast("Tensor", self.amount)
        return over / self.vth - 1

    def discharge(self, u: Tensor, v: Tensor, count: Tensor, spikes: Tensor, state: LayerState) -> LayerState:
        """Return the state after a step.

        Args:
            u: Currents.
            v: Potentials before the reset.
            count: How many spikes are sent.
            spikes: The same with a derivative.
            state: State before the step.
        """
        fired = count > 0
        match self.reset:
            case Reset.ZERO:
                v = torch.where(fired, torch.zeros_like(v), v)
            case Reset.VALUE:
                v = torch.where(fired, cast("Tensor", self.amount), v)
            case Reset.SUBTRACT:
                v = v - count.to(v.dtype) * cast("Tensor", self.amount)
            case Reset.NONE:
                pass
            case _:
                assert_never(self.reset)
        wait = state.wait
        if wait is not None:
            wait = torch.where(fired, cast("Tensor", self.refractory), (wait - 1).clamp(min=0))
        rise = state.rise
        if rise is not None:
            rise = cast("Tensor", self.keep_rise) * rise + cast("Tensor", self.adaptation) * spikes
        return LayerState(u, v, wait, rise)

    def _spikes(self, v: Tensor, state: LayerState, count: Tensor, nearest: Tensor | None) -> Tensor:
        """Return the spikes with their surrogate derivative: the comparison decides, it lends its slope."""
        smooth = spike(self.distance(v, state, nearest), self.surrogate, self.slope)
        if state.wait is not None:
            # A refractory neuron cannot fire, however near its threshold it is.
            smooth = smooth * (state.wait == 0)
        return count.to(v.dtype) + smooth - smooth.detach()
