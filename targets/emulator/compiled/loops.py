"""The compiled loops from spike to spike: one connection, and populations that feed each other.

Arrays of a block are `[steps, batch, size]`, C-contiguous. Integers are int32, as in Lava. Real numbers are
float64, and their sums are those of the reference bit for bit: the sources of one delay from the first to the
last, then one delay and one connection after the other.
"""

from typing import NamedTuple

import numpy as np

from targets.emulator.compiled.arithmetic import dropped
from targets.emulator.compiled.neurons import update_neurons
from targets.emulator.compiled.rules import (
    NeuronParameters,
    StateArrays,
    StateRecord,
    rule_of,
)
from toolchain.arrays import Array
from toolchain.compiled import njit


class SynapseList(NamedTuple):
    """Synapses of one connection by source.

    Attributes:
        dense: Whether `weights` holds whole rows `[sources * targets]`; otherwise they are CSR.
        indptr: Where the synapses of each source begin, `[sources + 1]`; unused if dense.
        indices: Targets; empty if dense.
        weights: int16 with a positive exponent folded in, or float64.
    """

    dense: bool
    indptr: Array
    indices: Array
    weights: Array


class SlotTable(NamedTuple):
    """One column per property of a slot, that is of the synapses of one delay between two populations.

    Attributes:
        source: Population that sends.
        delay: Steps from a spike to its effect.
        dense: 1 if the weights are whole rows.
        left: Bits by which a sum moves to the left.
        right: Bits that a sum drops.
        apart: 1 if the sum is formed apart before it is added: bits are dropped, or its order matters.
        pointer: Where the slot's part of `indptr` begins.
        place: Where the slot's part of `indices` and `weights` begins, to which its `indptr` refers.
    """

    source: Array
    delay: Array
    dense: Array
    left: Array
    right: Array
    apart: Array
    pointer: Array
    place: Array


class LoopSynapses(NamedTuple):
    """Synapses of a loop of populations, which stand one after the other in arrays of `size` neurons.

    Attributes:
        first: First neuron of each population, `[populations + 1]`.
        first_slot: First slot of each population that receives, `[populations + 1]`.
        slots: Properties of every slot.
        indptr: Where the synapses of a neuron begin, for all slots one after the other.
        indices: Neurons at the other end, counted within their population; as long as `weights`.
        weights: int16 or float64.
    """

    first: Array
    first_slot: Array
    slots: SlotTable
    indptr: Array
    indices: Array
    weights: Array


class LoopNeurons(NamedTuple):
    """Neurons of all populations of a loop, one after the other.

    Attributes:
        parameters: Their parameters.
        rules: The `FiringRule` of every population, `[populations, 4]`; none of them counts spikes.
        state: State of a batch, updated in place, with all currents.
    """

    parameters: NeuronParameters
    rules: Array
    state: StateArrays


class SpikeRing(NamedTuple):
    """Spikes of the last steps of one sample, as indices; step `t` stands in row `t % span`.

    Attributes:
        events: Indices within each population, from its first neuron on, `[span, size]`.
        counts: Number of spikes of each population, `[span, populations]`.
    """

    events: Array
    counts: Array


@njit(nogil=True, cache=True)
def _add_rows(a: Array, sources: Array, synapses: SynapseList, pointer: int, place: int) -> None:
    """Add to `a` what one spike of each of the `sources` brings.

    They may stand in longer arrays: `indptr` begins at `pointer`, `indices` and `weights` at `place`.
    """
    dense, indptr, indices, weights = synapses
    if dense:
        for j in sources:
            row = weights[place + j * a.size : place + (j + 1) * a.size]
            for i in range(a.size):
                a[i] += row[i]
    else:
        for j in sources:
            # An unsigned index is not tested for counting from the end: that saves a third of the time.
            start, stop = place + indptr[pointer + j], place + indptr[pointer + j + 1]
            for p in range(np.uint64(start), np.uint64(stop)):
                a[indices[p]] += weights[p]


@njit(nogil=True, cache=True)
def _move(total: Array, right: int, a: Array) -> None:
    """Add a sum that was formed apart to `a`, without the bits that it drops, and clear it."""
    for i in range(a.size):
        a[i] += dropped(total[i], right)
        total[i] = 0


@njit(nogil=True, cache=True)
def _list_spikes(fired: Array, events: Array) -> int:
    """Write the indices of the neurons that fired; return how many."""
    count = 0
    for i in range(fired.size):
        # The index is written always and counts only if the neuron fired: no branch to guess.
        events[count] = i
        count += fired[i]
    return count


@njit(nogil=True, cache=True)
def add_events(
    x: Array,
    out: Array,
    synapses: SynapseList,
    right: int,
    counts: bool,  # noqa: FBT001
) -> None:
    """Add to `out` the weights of every source that spikes: the work is spikes times fan-out.

    Args:
        x: Spikes `[rows, sources]`, uint8; a number above 1 counts as so many spikes.
        out: Sums `[rows, targets]`, int32.
        synapses: The weights by source.
        right: Bits that a negative exponent drops from the sum.
        counts: Whether `x` may hold more than 1.
    """
    rows, sources = x.shape
    total = np.zeros(out.shape[1] if right else 0, np.int32)
    events = np.empty(sources, np.int32)
    for row in range(rows):
        sent, a = x[row], out[row]
        goal = total if right else a
        most = sent.max() if counts else 1
        # A number above 1 is so many spikes: one round for each.
        for already in range(most):
            count = 0
            for j in range(sources):
                events[count] = j
                count += sent[j] > already
            _add_rows(goal, events[:count], synapses, 0, 0)
        if right:
            _move(total, right, a)


@njit(nogil=True, cache=True)
def add_messages(x: Array, out: Array, synapses: SynapseList) -> None:
    """Add to `out` the weights of every source times what it sends, in real numbers.

    Args:
        x: Spikes, counts or messages `[rows, sources]`.
        out: Sums `[rows, targets]`, float64; to each is added one sum over the sources in their order.
        synapses: The weights by source.
    """
    rows, sources = x.shape
    dense, indptr, indices, weights = synapses
    total = np.zeros(out.shape[1])
    active = np.empty(sources, np.int32)
    for row in range(rows):
        sent = x[row]
        count = 0
        for j in range(sources):
            active[count] = j
            count += sent[j] != 0
        for j in active[:count]:
            message = np.float64(sent[j])
            if dense:
                row_weights = weights[j * total.size : (j + 1) * total.size]
                for i in range(total.size):
                    total[i] += row_weights[i] * message
            else:
                for p in range(np.uint64(indptr[j]), np.uint64(indptr[j + 1])):
                    total[indices[p]] += weights[p] * message
        _move(total, 0, out[row])


@njit(nogil=True, cache=True)
def _remember_spikes(ring: SpikeRing, row: int, first: Array, fired: Array) -> None:
    """List the spikes of all populations at one step."""
    for population in range(first.size - 1):
        start, stop = first[population], first[population + 1]
        ring.counts[row, population] = _list_spikes(fired[start:stop], ring.events[row, start:stop])


@njit(inline="always")
def _add_slot(synapses: LoopSynapses, slot: int, ring: SpikeRing, t: int, total: Array, a: Array) -> None:
    """Add to `a` what the synapses of one slot bring at step `t`; `total` is zero before and after."""
    slots = synapses.slots
    source, apart = slots.source[slot], slots.apart[slot]
    then, base = (t - slots.delay[slot]) % len(ring.events), synapses.first[source]
    sent = ring.events[then, base : base + ring.counts[then, source]]
    listed = SynapseList(slots.dense[slot] == 1, synapses.indptr, synapses.indices, synapses.weights)
    _add_rows(total if apart else a, sent, listed, slots.pointer[slot], slots.place[slot])
    if apart:
        _move(total, slots.right[slot], a)


@njit(nogil=True, cache=True)
def run_loop(
    drive: Array,
    late: Array,
    synapses: LoopSynapses,
    neurons: LoopNeurons,
    recent: Array,
    spikes: Array,
    record: StateRecord,
) -> None:
    """Advance populations that feed each other over the steps of a block, event by event.

    Args:
        drive: Input from outside the loop, `[steps, batch, size]`, int32 or float64; destroyed.
        late: Input from outside that is added after that of the loop, one part after the other,
            `[parts, steps, batch, size]`.
        synapses: Synapses by source; `left` is 0, since weights hold a positive exponent.
        neurons: All neurons, and their state.
        recent: Spikes of the steps before the block, `[span, batch, size]`, the latest last.
        spikes: Spikes `[steps, batch, size]`, uint8, written.
        record: State after every step, written where it is not empty.
    """
    steps, batch, size = drive.shape
    first, first_slot = synapses.first, synapses.first_slot
    parameters, rules, state = neurons
    span, populations = len(recent), first.size - 1
    total = np.zeros(size, drive.dtype)
    ring = SpikeRing(np.empty((span, size), np.int32), np.empty((span, populations), np.int32))
    for b in range(batch):
        sample = StateArrays(state.u[b], state.v[b], state.wait[b], state.rise[b])
        for then in range(span):
            _remember_spikes(ring, then, first, recent[then, b])
        for t in range(steps):
            a, fired, now = drive[t, b], spikes[t, b], t % span
            for population in range(populations):
                start, stop = first[population], first[population + 1]
                for slot in range(first_slot[population], first_slot[population + 1]):
                    _add_slot(synapses, slot, ring, t, total[: stop - start], a[start:stop])
                for part in range(len(late)):
                    a[start:stop] += late[part, t, b, start:stop]
                update_neurons(
                    a[start:stop],
                    np.int32(1),
                    sample,
                    parameters,
                    rule_of(rules, population),
                    start,
                    fired[start:stop],
                )
                ring.counts[now, population] = _list_spikes(fired[start:stop], ring.events[now, start:stop])
            if record.u.size:
                record.u[t, b] = sample.u
            if record.v.size:
                record.v[t, b] = sample.v


@njit(nogil=True, cache=True)
def add_scaled(product: Array, gain: int, out: Array) -> None:
    """Add `gain * product` to `out`, both int32, or both float64 with a gain of 1."""
    factor = np.int32(gain)
    for row in range(len(product)):
        summand, a = product[row], out[row]
        for i in range(summand.size):
            a[i] += summand[i] * factor
