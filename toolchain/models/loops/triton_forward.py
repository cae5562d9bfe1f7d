"""A block of steps forward, in kernels of Triton: one launch for all steps.

A sample is one program's own, which goes through the steps, and at each through the layers; nobody else
touches what is the sample's, so nothing is summed in an order that changes from run to run. What one thread
has written, others read behind a barrier only. Rows of numbers and states are those of `neurons`, columns of
the table of layers those of `triton_layers`, and places of synapses are counted as in `passes`.

Operations stand in the order of `NeuronDynamics.step`, and multiplications are not fused with additions: so
spikes are equal.
"""

# pyright: basic, reportMissingImports=false, reportGeneralTypeIssues=false
# ruff: noqa: ANN001, ANN201, ANN202, N803, PLR0917 - Triton types arguments, and writes constants in capitals
import triton
import triton.language as tl

from toolchain.models.loops import neurons, triton_layers

KEEP_U = tl.constexpr(neurons.KEEP_U)
KEEP_V = tl.constexpr(neurons.KEEP_V)
VTH = tl.constexpr(neurons.VTH)
BIAS = tl.constexpr(neurons.BIAS)
AMOUNT = tl.constexpr(neurons.AMOUNT)
KEEP_RISE = tl.constexpr(neurons.KEEP_RISE)
ADAPTATION = tl.constexpr(neurons.ADAPTATION)
REFRACTORY = tl.constexpr(neurons.REFRACTORY)
U = tl.constexpr(neurons.U)
V = tl.constexpr(neurons.V)
RISE = tl.constexpr(neurons.RISE)
WAIT = tl.constexpr(neurons.WAIT)
STATES = tl.constexpr(neurons.STATES)
START = tl.constexpr(triton_layers.START)
STOP = tl.constexpr(triton_layers.STOP)
KEEPS = tl.constexpr(triton_layers.KEEPS)
MOST = tl.constexpr(triton_layers.MOST)
COLUMNS = tl.constexpr(triton_layers.COLUMNS)
LEARNS_KEEP_U = tl.constexpr(1 << neurons.KEEP_U)
NEVER = tl.constexpr(float("inf"))
"""Threshold of what is no neuron."""


@triton.jit(do_not_specialize=["steps", "ahead", "layers", "shown", "rows"])
def advance_block(
    a,
    tail,
    state,
    sent,
    v_rows,
    u_rows,
    events,
    numbers,
    table,
    first,
    places,
    weights,
    steps,
    ahead,
    size,
    layers,
    shown,
    rows,
    RECORDS: tl.constexpr,
    WAITS: tl.constexpr,
    RISES: tl.constexpr,
    NEURONS: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    """Run a sample over a block of steps.

    Args:
        a: Input `[B, T, N]`; what synapses bring is added to it.
        tail: Gets what they bring after the block, `[B, D, N]`, added to what is there.
        state: States `[B, 4, N]`, changed in place.
        sent: Gets the spikes, uint8 `[B, T, N]`.
        v_rows: Gets the potentials after the reset of neurons from `shown` on, `[B, T, R]`.
        u_rows: Gets their currents, `[B, T, R]`, if RECORDS.
        events: Scratch `[B, 3, N]`: of each neuron that fires, where its synapses begin and end, and how many
            spikes it sends.
        numbers: Numbers of the neurons, `[8, N]`.
        table: Table of the layers.
        first: Where the synapses of each neuron begin; no two of a neuron reach the same place.
        places: Places that they reach.
        weights: Their weights.
        steps: T.
        ahead: D.
        size: N.
        layers: Number of layers.
        shown: First neuron whose potentials are asked for.
        rows: R.
        RECORDS: Whether currents are asked for.
        WAITS: Whether any neuron has a refractory period.
        RISES: Whether any adapts.
        NEURONS: Neurons that are computed at once.
        SYNAPSES: Synapses of a neuron that are served at once.
    """
    b = tl.program_id(0).to(tl.int64)
    end = steps * size.to(tl.int64)
    a += b * end
    tail += b * ahead * size
    sent += b * end
    state += b * STATES * size
    events += b * 3 * size
    for t in range(steps):
        here = t * size.to(tl.int64)
        for k in range(layers):
            layer, fired = table + k * COLUMNS, 0
            start, stop = tl.load(layer + START), tl.load(layer + STOP)
            for low in range(start, stop, NEURONS):
                n = low + tl.arange(0, NEURONS)
                u, v, count = _advance(
                    a + here, state, numbers, layer, n, n < stop, size=size, WAITS=WAITS, RISES=RISES
                )
                tl.store(sent + here + n, count.to(tl.uint8), mask=n < stop)
                asked = (n < stop) & (n >= shown) & (n < shown + rows)
                at = (b * steps + t) * rows - shown + n
                tl.store(v_rows + at, v, mask=asked)
                tl.store(u_rows + at, u, mask=asked & RECORDS)
                fired += _list(events + fired, first, count, n, n < stop, size)
            tl.debug_barrier()
            _send(
                events,
                fired,
                a,
                tail,
                here,
                end,
                places=places,
                weights=weights,
                size=size,
                SYNAPSES=SYNAPSES,
            )


@triton.jit
def _advance(a, state, numbers, layer, n, own, size, WAITS: tl.constexpr, RISES: tl.constexpr):
    """Advance neurons by a step, and return their currents, potentials after the reset, and spikes."""
    keep_u = tl.load(numbers + KEEP_U * size + n, mask=own, other=0.0)
    keep_v = tl.load(numbers + KEEP_V * size + n, mask=own, other=0.0)
    bias = tl.load(numbers + BIAS * size + n, mask=own, other=0.0)
    vth = tl.load(numbers + VTH * size + n, mask=own, other=NEVER)
    amount = tl.load(numbers + AMOUNT * size + n, mask=own, other=0.0)
    old = tl.load(state + V * size + n, mask=own, other=0.0)
    u = keep_u * tl.load(state + U * size + n, mask=own, other=0.0) + tl.load(a + n, mask=own, other=0.0)
    v = keep_v * old + u + bias
    if WAITS:
        wait = tl.load(state + WAIT * size + n, mask=own, other=0.0)
        v = tl.where(wait == 0, v, old)
    if RISES:
        rise = tl.load(state + RISE * size + n, mask=own, other=0.0)
        vth += rise
    fired = own & (v > vth)
    if WAITS:
        fired = fired & (wait == 0)
    count, most = fired.to(v.dtype), tl.load(layer + MOST)
    if most > 1:
        count = _count(v, vth, amount, fired, most)
    v = discharge(v, count, amount, tl.load(layer + KEEPS))
    tl.store(state + U * size + n, u, mask=own)
    tl.store(state + V * size + n, v, mask=own)
    if WAITS:
        longest = tl.load(numbers + REFRACTORY * size + n, mask=own, other=0.0)
        tl.store(state + WAIT * size + n, tl.where(fired, longest, tl.maximum(wait - 1, 0.0)), mask=own)
    if RISES:
        keep = tl.load(numbers + KEEP_RISE * size + n, mask=own, other=0.0)
        more = tl.load(numbers + ADAPTATION * size + n, mask=own, other=0.0)
        tl.store(state + RISE * size + n, keep * rise + more * count, mask=own)
    return u, v, count


@triton.jit
def _count(v, threshold, amount, fired, most):
    """Return how many spikes are sent; see `NeuronDynamics.count`."""
    over = tl.where(fired, v - threshold, 0.0)
    # A quotient that decides something must be rounded correctly.
    quotient = tl.div_rn(over, amount) if v.dtype == tl.float32 else over / amount
    whole = tl.floor(quotient)
    whole += (v - whole * amount > threshold).to(v.dtype)
    return tl.where(fired, tl.minimum(whole, most.to(v.dtype)), 0.0)


@triton.jit
def discharge(v, count, amount, keeps):
    """Return potentials after the reset."""
    return tl.where(count > 0, tl.where(keeps > 0, v - count * amount, amount), v)


@triton.jit
def _list(events, first, count, n, own, size):
    """List the neurons that send spikes to others, and return how many they are."""
    begin, end = tl.load(first + n, mask=own, other=0), tl.load(first + n + 1, mask=own, other=0)
    does = (count > 0) & (begin < end)
    one = does.to(tl.int32)
    at = events + tl.cumsum(one, 0) - one
    tl.store(at, begin, mask=does)
    tl.store(at + size, end, mask=does)
    tl.store(at + 2 * size, count.to(begin.dtype), mask=does)
    return tl.sum(one, 0)


@triton.jit
def _send(events, fired, a, tail, here, end, places, weights, size, SYNAPSES: tl.constexpr):
    """Bring the spikes of listed neurons to where they arrive, one neuron after the other.

    What the next one brings is read meanwhile, and where the synapses of the one after it begin.
    """
    low, high, count = _event(events, 0, fired, size)
    place, brought = _outgoing(low, high, count, places, weights, SYNAPSES=SYNAPSES)
    next_low, next_high, next_count = _event(events, 1, fired, size)
    for event in range(fired):
        exists = low + tl.arange(0, SYNAPSES) < high
        within, behind = exists & (here + place < end), exists & (here + place >= end)
        was = tl.load(a + here + place, mask=within, other=0.0)
        will = tl.load(tail + here + place - end, mask=behind, other=0.0)
        next_place, next_brought = _outgoing(
            next_low, next_high, next_count, places, weights, SYNAPSES=SYNAPSES
        )
        last_low, last_high, last_count = _event(events, event + 2, fired, size)
        tl.store(a + here + place, was + brought, mask=within)
        tl.store(tail + here + place - end, will + brought, mask=behind)
        for group in range(low + SYNAPSES, high, SYNAPSES):
            more, much = _outgoing(group, high, count, places, weights, SYNAPSES=SYNAPSES)
            exists = group + tl.arange(0, SYNAPSES) < high
            add(a + here + more, much, exists & (here + more < end))
            add(tail + here + more - end, much, exists & (here + more >= end))
        tl.debug_barrier()
        low, high, count, place, brought = next_low, next_high, next_count, next_place, next_brought
        next_low, next_high, next_count = last_low, last_high, last_count


@triton.jit
def _event(events, event, fired, size):
    """Return where the synapses of a listed neuron begin and end, and its spikes; nothing behind the last."""
    exists = event < fired
    low = tl.load(events + event, mask=exists, other=0)
    high = tl.load(events + size + event, mask=exists, other=0)
    return low, high, tl.load(events + 2 * size + event, mask=exists, other=0)


@triton.jit
def _outgoing(low, high, count, places, weights, SYNAPSES: tl.constexpr):
    """Return the places that some synapses reach, and what they bring there."""
    s = low + tl.arange(0, SYNAPSES)
    weight = tl.load(weights + s, mask=s < high, other=0.0)
    return tl.load(places + s, mask=s < high, other=0), count.to(weight.dtype) * weight


@triton.jit
def add(sums, values, where):
    """Add values to what stands in different places."""
    tl.store(sums, tl.load(sums, mask=where, other=0.0) + values, mask=where)


@triton.jit(do_not_specialize=["steps", "ahead", "learnt"])
def recall_block(
    a,
    state,
    sent,
    window,
    past_u,
    past_rise,
    past_wait,
    numbers,
    table,
    steps,
    ahead,
    size,
    learnt,
    WAITS: tl.constexpr,
    RISES: tl.constexpr,
    NEURONS: tl.constexpr,
):
    """Run some neurons of a layer of a sample again, and note what the way back needs.

    Args:
        a: Input with what synapses brought, `[B, T, N]`.
        state: States before the block, `[B, 4, N]`.
        sent: Spikes, `[B, T, N]`.
        window: Gets the potentials before resets, `[B, T + D, N]`.
        past_u: Gets currents before steps, `[B, T, N]`, if a gradient of what stays of them is wanted.
        past_rise: Gets by how much thresholds were raised before steps, `[B, T, N]`, if RISES.
        past_wait: Gets for how long neurons had to wait, `[B, T, N]`, if WAITS.
        numbers: Numbers of the neurons.
        table: Table of the layers.
        steps: T.
        ahead: D.
        size: N.
        learnt: A bit for each row of numbers whose gradients are wanted.
        WAITS: Whether any neuron has a refractory period.
        RISES: Whether any adapts.
        NEURONS: Neurons of a program.
    """
    b, layer = tl.program_id(0).to(tl.int64), table + tl.program_id(1) * COLUMNS
    keeps = tl.load(layer + KEEPS)
    n = tl.load(layer + START) + tl.program_id(2) * NEURONS + tl.arange(0, NEURONS)
    own = n < tl.load(layer + STOP)
    state += b * STATES * size
    keep_u = tl.load(numbers + KEEP_U * size + n, mask=own, other=0.0)
    keep_v = tl.load(numbers + KEEP_V * size + n, mask=own, other=0.0)
    bias = tl.load(numbers + BIAS * size + n, mask=own, other=0.0)
    amount = tl.load(numbers + AMOUNT * size + n, mask=own, other=0.0)
    longest = tl.load(numbers + REFRACTORY * size + n, mask=own, other=0.0)
    keep = tl.load(numbers + KEEP_RISE * size + n, mask=own, other=0.0)
    more = tl.load(numbers + ADAPTATION * size + n, mask=own, other=0.0)
    u, v = tl.load(state + U * size + n, mask=own), tl.load(state + V * size + n, mask=own)
    rise, wait = tl.load(state + RISE * size + n, mask=own), tl.load(state + WAIT * size + n, mask=own)
    for t in range(steps):
        at = (b * steps + t) * size + n
        count = tl.load(sent + at, mask=own, other=0).to(u.dtype)
        if learnt & LEARNS_KEEP_U:
            tl.store(past_u + at, u, mask=own)
        u = keep_u * u + tl.load(a + at, mask=own, other=0.0)
        driven = keep_v * v + u + bias
        if WAITS:
            tl.store(past_wait + at, wait, mask=own)
            driven = tl.where(wait == 0, driven, v)
            wait = tl.where(count > 0, longest, tl.maximum(wait - 1, 0.0))
        if RISES:
            tl.store(past_rise + at, rise, mask=own)
            rise = keep * rise + more * count
        tl.store(window + (b * (steps + ahead) + t) * size + n, driven, mask=own)
        v = discharge(driven, count, amount, keeps)
