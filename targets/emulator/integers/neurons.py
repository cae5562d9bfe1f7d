"""The compiled loop over neurons, and the arrays that all compiled loops share.

Arrays of a block are `[steps, batch, size]`, C-contiguous. All arithmetic is int32, as in Lava.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from toolchain import fixedpoint
from toolchain.arrays import Array
from toolchain.compiled import njit

ALIGNMENT: Final = np.int32(fixedpoint.ALIGNMENT_BITS)
_DECAY_BITS: Final = np.uint32(fixedpoint.DECAY_BITS)
_LOW_BITS: Final = np.uint32(fixedpoint.DECAY_UNITY - 1)
_SIGN: Final = np.int32(31)
_HALF: Final = np.int32(fixedpoint.STATE_LIMIT)
_FULL: Final = np.int32(2 * fixedpoint.STATE_LIMIT)
_CHUNK: Final = 2048
"""Neurons whose state stays in the nearest cache while the steps of a block pass."""


class NeuronParameters(NamedTuple):
    """Parameters of neurons, int32 `[size]`.

    Attributes:
        keep_u: Share of the current that stays, `4096 - (du + 1)`.
        keep_v: Share of the potential that stays, `4096 - dv`.
        threshold: Threshold in the units of the potential, `vth << 6`.
        bias: Number added to the potential at every step.
    """

    keep_u: Array
    keep_v: Array
    threshold: Array
    bias: Array


class StateArrays(NamedTuple):
    """Currents and potentials of neurons, int32.

    The state of a batch is `[batch, size]`, the record of a block `[steps, batch, size]`. An array that is
    not needed is empty: the current of neurons that forget it at once, or a quantity that nobody records.

    Attributes:
        u: Currents.
        v: Potentials.
    """

    u: Array
    v: Array


NO_RECORD: Final = np.zeros((0, 0, 0), np.int32)
"""The record of a quantity that nobody asked for."""


@njit(inline="always")
def parameters_between(parameters: NeuronParameters, start: int, stop: int) -> NeuronParameters:
    """Return the parameters of some of the neurons."""
    return NeuronParameters(
        parameters.keep_u[start:stop],
        parameters.keep_v[start:stop],
        parameters.threshold[start:stop],
        parameters.bias[start:stop],
    )


@njit(inline="always")
def state_between(state: StateArrays, start: int, stop: int) -> StateArrays:
    """Return views of the first axis of a state."""
    return StateArrays(state.u[start:stop], state.v[start:stop])


@njit(inline="always")
def decayed(x: Any, keep: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return `sign(x) * ((|x| * keep) >> 12)` without 64-bit products: `|x|` is split at bit 12."""
    sign = x >> _SIGN
    magnitude = np.uint32((x ^ sign) - sign)
    factor = np.uint32(keep)
    scaled = np.int32(
        (magnitude >> _DECAY_BITS) * factor + (((magnitude & _LOW_BITS) * factor) >> _DECAY_BITS)
    )
    return np.int32((scaled ^ sign) - sign)


@njit(inline="always")
def wrapped(current: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return a current after one wrap at 24 bits."""
    down = np.int32(current - _FULL) if current > _HALF else current
    return np.int32(down + _FULL) if down <= -_HALF else down


@njit(inline="always")
def potential_of(v: Any, keep: Any, current: Any, bias: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return the potential of the next step, saturated, before the reset."""
    total = np.int32(np.int32(decayed(v, keep) + current) + bias)
    return min(max(total, np.int32(1 - _HALF)), np.int32(_HALF - 1))


@njit(nogil=True, cache=True)
def update_neurons(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    state: StateArrays,
    parameters: NeuronParameters,
    forgets: bool,  # noqa: FBT001
    fired: Array,
) -> None:
    """Advance some neurons of one sample by one step; see `fixedpoint.lif_step`."""
    u, v = state.u, state.v
    keep_u, keep_v, threshold, bias = parameters
    for i in range(fired.size):
        current = np.int32(np.int32(a[i] * factor) << ALIGNMENT)
        if not forgets:
            current = np.int32(current + decayed(u[i], keep_u[i]))
        current = wrapped(current)
        u[i] = current
        potential = potential_of(v[i], keep_v[i], current, bias[i])
        spike = potential > threshold[i]
        v[i] = np.int32(0) if spike else potential
        fired[i] = spike


@njit(nogil=True, cache=True)
def advance_neurons(
    a: Array,
    gain: int,
    state: StateArrays,
    parameters: NeuronParameters,
    forgets: bool,  # noqa: FBT001
    spikes: Array,
    record: StateArrays,
) -> None:
    """Advance a population over the steps of a block; see `fixedpoint.lif_step`.

    One pass over memory: every number of `a` is read once, every spike is written once, and the state
    of a chunk of neurons stays in the cache for all steps.

    Args:
        a: Synaptic input, int32; one step of it serves all steps.
        gain: Factor of the synaptic input.
        state: State `[batch, size]`, updated in place; no current if the population forgets it at once.
        parameters: Parameters of the neurons.
        forgets: Whether `keep_u` is 0 everywhere.
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
                passing[: last - first] if forgets else state.u[b, first:last], state.v[b, first:last]
            )
            of_chunk = parameters_between(parameters, first, last)
            for t in range(steps):
                at = a[t if a.shape[0] > 1 else 0, b, first:last]
                update_neurons(at, factor, chunk, of_chunk, forgets, spikes[t, b, first:last])
                if record.u.size:
                    record.u[t, b, first:last] = chunk.u
                if record.v.size:
                    record.v[t, b, first:last] = chunk.v
