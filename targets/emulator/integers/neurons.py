"""The compiled loops over the neurons of a population.

Arrays of a block are `[steps, batch, size]`, C-contiguous. All arithmetic is int32, as in Lava. There is one
loop for each kind of `FiringRule`, so that no neuron pays for rules that its population does not have.

What the kinds take, for 1,024 neurons in the nearest cache (one thread, AVX-512): @@@
"""

from typing import Any, Final

import numpy as np

from targets.emulator.integers.rules import (
    ALIGNMENT,
    COUNTS,
    NOTHING,
    PLAIN,
    RESETS,
    FiringRule,
    NeuronParameters,
    StateArrays,
    StateRecord,
    after_spike,
    decayed,
    parameters_between,
    potential_of,
    rise_after,
    spikes_above,
    wait_after,
    wrapped,
)
from toolchain.arrays import Array
from toolchain.compiled import njit

_CHUNK: Final = 2048
"""Neurons whose state stays in the nearest cache while the steps of a block pass."""


@njit(inline="always")
def _driven(a: Any, factor: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return what synaptic input adds to a current."""
    return np.int32(np.int32(a * factor) << ALIGNMENT)


@njit(nogil=True, cache=True)
def _update_plain(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    fired: Array,
) -> None:
    u, v, forgets = state.u, state.v, rule.forgets
    keep_u, keep_v, threshold, bias = parameters[:4]
    for i in range(fired.size):
        current = _driven(a[i], factor)
        if not forgets:
            current = np.int32(current + decayed(u[i], keep_u[i]))
        u[i] = current = wrapped(current)
        potential = potential_of(v[i], keep_v[i], current, bias[i])
        spike = potential > threshold[i]
        v[i] = NOTHING if spike else potential
        fired[i] = spike


@njit(nogil=True, cache=True)
def _update_resets(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    fired: Array,
) -> None:
    u, v, forgets, kept = state.u, state.v, rule.forgets, np.int32(rule.kept)
    keep_u, keep_v, threshold, bias, change = parameters[:5]
    for i in range(fired.size):
        current = _driven(a[i], factor)
        if not forgets:
            current = np.int32(current + decayed(u[i], keep_u[i]))
        u[i] = current = wrapped(current)
        potential = potential_of(v[i], keep_v[i], current, bias[i])
        spike = potential > threshold[i]
        v[i] = after_spike(potential, kept, change[i]) if spike else potential
        fired[i] = spike


@njit(nogil=True, cache=True)
def _update_remembering(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    fired: Array,
) -> None:
    u, v, wait, rise = state
    forgets, kept = rule.forgets, np.int32(rule.kept)
    keep_u, keep_v, threshold, bias, change, refractory, adaptation, keep_rise = parameters
    for i in range(fired.size):
        current = _driven(a[i], factor)
        if not forgets:
            current = np.int32(current + decayed(u[i], keep_u[i]))
        u[i] = current = wrapped(current)
        active = wait[i] == 0
        potential = potential_of(v[i], keep_v[i], current, bias[i]) if active else v[i]
        spike = active & (potential > np.int32(threshold[i] + rise[i]))
        v[i] = after_spike(potential, kept, change[i]) if spike else potential
        wait[i] = wait_after(wait[i], spike, refractory[i])
        rise[i] = rise_after(rise[i], keep_rise[i], adaptation[i] if spike else NOTHING)
        fired[i] = spike


@njit(nogil=True, cache=True, error_model="numpy")
def _update_counting(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    fired: Array,
) -> None:
    u, v, wait, rise = state
    forgets, most = rule.forgets, np.int32(rule.most)
    keep_u, keep_v, threshold, bias, change, refractory, adaptation, keep_rise = parameters
    for i in range(fired.size):
        current = _driven(a[i], factor)
        if not forgets:
            current = np.int32(current + decayed(u[i], keep_u[i]))
        u[i] = current = wrapped(current)
        active = wait[i] == 0
        potential = potential_of(v[i], keep_v[i], current, bias[i]) if active else v[i]
        above = np.int32(potential - np.int32(threshold[i] + rise[i]))
        count = spikes_above(above, np.int32(-change[i]), most) if active & (above > 0) else NOTHING
        v[i] = np.int32(potential + np.int32(count * change[i]))
        wait[i] = wait_after(wait[i], count > 0, refractory[i])
        rise[i] = rise_after(rise[i], keep_rise[i], np.int32(adaptation[i] * count))
        fired[i] = count


@njit(nogil=True, cache=True)
def update_neurons(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    fired: Array,
) -> None:
    """Advance some neurons of one sample by one step; see `fixedpoint.lif_step`."""
    if rule.kind == PLAIN:
        _update_plain(a, factor, state, parameters, rule, fired)
    elif rule.kind == RESETS:
        _update_resets(a, factor, state, parameters, rule, fired)
    elif rule.kind == COUNTS:
        _update_counting(a, factor, state, parameters, rule, fired)
    else:
        _update_remembering(a, factor, state, parameters, rule, fired)


@njit(nogil=True, cache=True)
def advance_neurons(
    a: Array,
    gain: int,
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    spikes: Array,
    record: StateRecord,
) -> None:
    """Advance a population over the steps of a block; see `fixedpoint.lif_step`.

    One pass over memory: every number of `a` is read once, every spike is written once, and the state
    of a chunk of neurons stays in the cache for all steps.

    Args:
        a: Synaptic input, int32; one step of it serves all steps.
        gain: Factor of the synaptic input.
        state: State `[batch, size]`, updated in place; no current if the population forgets it at once.
        parameters: Parameters of the neurons.
        rule: What is the same for all of them.
        spikes: Spikes `[steps, batch, size]`, uint8, written.
        record: State after every step, written where it is not empty.
    """
    steps, batch, size = spikes.shape
    factor = np.int32(gain)
    passing = np.zeros(min(size, _CHUNK), np.int32)
    for b in range(batch):
        for first in range(0, size, _CHUNK):
            last = min(size, first + _CHUNK)
            chunk = StateArrays(
                passing[: last - first] if rule.forgets else state.u[b, first:last],
                state.v[b, first:last],
                state.wait[b, first:last],
                state.rise[b, first:last],
            )
            of_chunk = parameters_between(parameters, first, last)
            for t in range(steps):
                at = a[t if a.shape[0] > 1 else 0, b, first:last]
                update_neurons(at, factor, chunk, of_chunk, rule, spikes[t, b, first:last])
                if record.u.size:
                    record.u[t, b, first:last] = chunk.u
                if record.v.size:
                    record.v[t, b, first:last] = chunk.v
