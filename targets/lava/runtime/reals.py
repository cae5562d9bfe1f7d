"""The rules of neurons in real numbers, as Lava's `floating_pt` models have them, in double precision."""

import numpy as np

from .firing import Array, Firing, PopulationState


def lif_step(
    before: PopulationState, a: Array, firing: Firing, *, du: Array, dv: Array, vth: Array, bias: Array
) -> tuple[PopulationState, Array]:
    r"""Advance leaky integrate-and-fire neurons by one step.

    .. math::
        u' = (1 - d_u) u + a \qquad v' = (1 - d_v) v + u' + b \qquad n = [v' > \theta + h]

    What a spike does is as in `integers.lif_step`.

    Args:
        before: State before the step.
        a: Synaptic input of this step, summed over connections.
        firing: What a spike does.
        du: Decay of the current, 0 .. 1.
        dv: Decay of the potential, 0 .. 1.
        vth: Threshold.
        bias: Bias that is added to `v` in every step.

    Returns:
        The state after the step, and the spikes: bool, or uint8 where a neuron may send several.
    """
    u = (1 - du) * before.u + a
    v = firing.held((1 - dv) * before.v + u + bias, before)
    spikes = fire(firing, v, vth, before)
    after = PopulationState(
        u,
        firing.reset_potential(v, spikes),
        firing.next_wait(before, spikes),
        next_rise(firing, before, spikes),
    )
    return after, spikes


def fire(firing: Firing, v: Array, vth: Array, before: PopulationState) -> Array:
    """Return spikes, or how many: as often as `v` is above its threshold while amounts are taken away."""
    threshold = vth + before.rise
    spikes = firing.ready(v > threshold, before)
    if firing.max_spikes == 1 or firing.reset_amount is None:
        return spikes
    whole = np.floor(np.where(spikes, v - threshold, 0.0) / firing.reset_amount)
    count = whole + (v - whole * firing.reset_amount > threshold)
    return np.where(spikes, np.minimum(count, firing.max_spikes), 0).astype(np.uint8)


def next_rise(firing: Firing, before: PopulationState, spikes: Array) -> Array:
    """Return what adaptation adds to the thresholds of the next step."""
    if firing.adaptation is None or firing.adaptation_decay is None:
        return before.rise
    return (1 - firing.adaptation_decay) * before.rise + firing.adaptation * spikes
