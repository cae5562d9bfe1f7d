"""The compiled loops over the neurons of a population.

Arrays of a block are `[steps, batch, size]`, C-contiguous. All arithmetic is int32, as in Lava. There is one
loop for each kind of `FiringRule`, so that no neuron pays for rules that its population does not have.

1,024 neurons that keep currents take 1.1 ns each where a spike sets zero, the same with another reset, 2.1
times that where spikes are remembered, and 3.2 times where they are counted; without currents 0.6 ns, and
1.1, 3.5 and 5.4 times that (state in the cache, one thread, AVX-512, by turns, 2026-11-26).
"""

from typing import Any, Final

import numpy as np

from targets.emulator.compiled.arithmetic import (
    NOTHING,
    after_spike,
    after_spikes,
    current_of,
    level_of,
    potential_of,
    rise_after,
    spikes_above,
    wait_after,
)
from targets.emulator.compiled.images import transpose_into
from targets.emulator.compiled.rules import (
    COUNTS,
    PLAIN,
    RESETS,
    FiringRule,
    GraphRecord,
    NeuronParameters,
    StateArrays,
    parameters_between,
    state_between,
)
from toolchain.arrays import Array
from toolchain.compiled import njit

_CHUNK: Final = 2048
"""Neurons whose state stays in the nearest cache while the steps of a block pass."""


@njit(nogil=True, cache=True)
def _update_plain(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    start: int,
    fired: Array,
) -> None:
    own, forgets = slice(start, start + fired.size), rule.forgets
    u, v = state.u[own], state.v[own]
    keep_u, keep_v = parameters.keep_u[own], parameters.keep_v[own]
    threshold, bias = parameters.threshold[own], parameters.bias[own]
    for i in range(fired.size):
        u[i] = current = current_of(a[i], factor, u[i], keep_u[i], forgets)
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
    start: int,
    fired: Array,
) -> None:
    own, forgets, mask = slice(start, start + fired.size), rule.forgets, np.int32(rule.mask)
    u, v = state.u[own], state.v[own]
    keep_u, keep_v = parameters.keep_u[own], parameters.keep_v[own]
    threshold, bias, change = parameters.threshold[own], parameters.bias[own], parameters.change[own]
    for i in range(fired.size):
        u[i] = current = current_of(a[i], factor, u[i], keep_u[i], forgets)
        potential = potential_of(v[i], keep_v[i], current, bias[i])
        spike = potential > threshold[i]
        v[i] = after_spike(potential, mask, change[i]) if spike else potential
        fired[i] = spike


@njit(nogil=True, cache=True)
def _update_remembering(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    start: int,
    fired: Array,
) -> None:
    forgets, mask = rule.forgets, np.int32(rule.mask)
    u, v, wait, rise = state_between(state, start, start + fired.size)
    keep_u, keep_v, threshold, bias, change, refractory, adaptation, keep_rise = parameters_between(
        parameters, start, start + fired.size
    )
    for i in range(fired.size):
        u[i] = current = current_of(a[i], factor, u[i], keep_u[i], forgets)
        active = wait[i] == 0
        potential = potential_of(v[i], keep_v[i], current, bias[i]) if active else v[i]
        spike = active & (potential > level_of(threshold[i], rise[i]))
        v[i] = after_spike(potential, mask, change[i]) if spike else potential
        wait[i] = wait_after(wait[i], spike, refractory[i])
        rise[i] = rise_after(rise[i], keep_rise[i], adaptation[i], spike)
        fired[i] = spike


@njit(nogil=True, cache=True, error_model="numpy")
def _update_counting(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    start: int,
    fired: Array,
) -> None:
    forgets, most = rule.forgets, np.int32(rule.most)
    u, v, wait, rise = state_between(state, start, start + fired.size)
    keep_u, keep_v, threshold, bias, change, refractory, adaptation, keep_rise = parameters_between(
        parameters, start, start + fired.size
    )
    for i in range(fired.size):
        u[i] = current = current_of(a[i], factor, u[i], keep_u[i], forgets)
        active = wait[i] == 0
        potential = potential_of(v[i], keep_v[i], current, bias[i]) if active else v[i]
        level = level_of(threshold[i], rise[i])
        fires = active & (potential > level)
        count = spikes_above(potential, level, change[i], most) if fires else NOTHING
        v[i] = after_spikes(potential, count, change[i])
        wait[i] = wait_after(wait[i], fires, refractory[i])
        rise[i] = rise_after(rise[i], keep_rise[i], adaptation[i], count)
        fired[i] = count


@njit(inline="always")
def update_neurons(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    start: int,
    fired: Array,
) -> None:
    """Advance the neurons from `start` on, as many as `fired` holds, of one sample by one step.

    The arrays of state and parameters are those of all neurons: each kind of rule takes only what it needs.
    """
    if rule.kind == PLAIN:
        _update_plain(a, factor, state, parameters, rule, start, fired)
    elif rule.kind == RESETS:
        _update_resets(a, factor, state, parameters, rule, start, fired)
    elif rule.kind == COUNTS:
        _update_counting(a, factor, state, parameters, rule, start, fired)
    else:
        _update_remembering(a, factor, state, parameters, rule, start, fired)


@njit(nogil=True, cache=True)
def _write(values: Array, first: int, out: Array) -> None:
    """Write numbers of neurons from `first` on, channels last, to `[channels, places]` of the graph.

    `out` is `[channels, places]`. Numbers come from the nearest cache: what is recorded passes memory once.
    """
    channels = len(out)
    if channels == 1:
        out[0, first : first + values.size] = values
    else:
        start = first // channels
        places = values.size // channels
        transpose_into(values.reshape(places, channels), out[:, start : start + places])


@njit(nogil=True, cache=True)
def advance_neurons(
    a: Array,
    gain: int,
    state: StateArrays,
    parameters: NeuronParameters,
    rule: FiringRule,
    spikes: Array,
    record: GraphRecord,
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
    passing = np.zeros(size, state.v.dtype)
    channels = max(record.u.shape[2], record.v.shape[2], 1)
    # A chunk holds whole places of an image.
    chunk = max(1, _CHUNK // channels) * channels
    for b in range(batch):
        u = passing if rule.forgets else state.u[b]
        sample = StateArrays(u, state.v[b], state.wait[b], state.rise[b])
        for first in range(0, size, chunk):
            last = min(size, first + chunk)
            for t in range(steps):
                at = a[t if a.shape[0] > 1 else 0, b, first:last]
                update_neurons(at, factor, sample, parameters, rule, first, spikes[t, b, first:last])
                if record.u.size:
                    _write(u[first:last], first, record.u[b, t])
                if record.v.size:
                    _write(sample.v[first:last], first, record.v[b, t])
