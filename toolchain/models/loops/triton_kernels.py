"""A block of steps on a GPU: kernels of Triton, one launch for all steps of a direction.

Forward and backward, a sample is one program's own: it goes through the steps, and at each through the layers,
and nobody else touches what is the sample's. So nothing is summed in an order that changes from run to run.
What one thread has written, others read only behind a barrier. Rows of numbers and states, and the columns of
the table of layers, are those of `neurons`; places of synapses are counted as in `passes`.

Forward, the operations stand in the order of `NeuronDynamics.step`: started without fused multiplications
(`enable_fp_fusion=False`), and without pipelines that load too early (`num_stages=1`), spikes are equal.
"""

# pyright: basic, reportMissingImports=false
# ruff: noqa: ANN001, ANN201, ANN202, N803 - Triton types its arguments, and names of constants are constants
import triton
import triton.language as tl

from toolchain.models.loops import neurons

_KEEP_U = tl.constexpr(neurons.KEEP_U)
_KEEP_V = tl.constexpr(neurons.KEEP_V)
_VTH = tl.constexpr(neurons.VTH)
_BIAS = tl.constexpr(neurons.BIAS)
_AMOUNT = tl.constexpr(neurons.AMOUNT)
_KEEP_RISE = tl.constexpr(neurons.KEEP_RISE)
_ADAPTATION = tl.constexpr(neurons.ADAPTATION)
_REFRACTORY = tl.constexpr(neurons.REFRACTORY)
_NUMBERS = tl.constexpr(neurons.NUMBERS)
_U = tl.constexpr(neurons.U)
_V = tl.constexpr(neurons.V)
_RISE = tl.constexpr(neurons.RISE)
_WAIT = tl.constexpr(neurons.WAIT)
_STATES = tl.constexpr(neurons.STATES)
_START = tl.constexpr(neurons.START)
_STOP = tl.constexpr(neurons.STOP)
_KEEPS = tl.constexpr(neurons.KEEPS)
_MOST = tl.constexpr(neurons.MOST)
_SURROGATE = tl.constexpr(neurons.SURROGATE)
_COLUMNS = tl.constexpr(neurons.COLUMNS)
_FAST_SIGMOID = tl.constexpr(neurons.FAST_SIGMOID)
_ARCTAN = tl.constexpr(neurons.ARCTAN)
_LEARNS_KEEP_U = tl.constexpr(1 << neurons.KEEP_U)
_LEARNS_KEEP_V = tl.constexpr(1 << neurons.KEEP_V)
_LEARNS_VTH = tl.constexpr(1 << neurons.VTH)
_LEARNS_BIAS = tl.constexpr(1 << neurons.BIAS)
_LEARNS_AMOUNT = tl.constexpr(1 << neurons.AMOUNT)
_LEARNS_KEEP_RISE = tl.constexpr(1 << neurons.KEEP_RISE)
_LEARNS_ADAPTATION = tl.constexpr(1 << neurons.ADAPTATION)
_NEVER = tl.constexpr(float("inf"))
"""Threshold of what is no neuron."""
_WHOLE_32 = tl.constexpr(1.5 * 2**23)
_WHOLE_64 = tl.constexpr(1.5 * 2**52)
"""Added and taken away again, they leave the nearest whole number, the even one of two."""


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
    """Run a sample over a block of steps; arguments as of `passes.advance`, and these.

    Args:
        events: Scratch, `[B, 3, N]`: of each neuron that fires, where its synapses begin and end, and how
            many spikes it sends.
        first: Where the synapses of each neuron begin, no two of a neuron reach the same place.
        steps: T.
        ahead: D.
        size: N.
        layers: Number of layers.
        shown: First neuron whose potentials are asked for.
        rows: R.
        RECORDS: Whether currents are asked for.
        WAITS: Whether any neuron has a refractory period; like the next two, of all layers.
        RISES: Whether any adapts.
        NEURONS: Neurons that are computed at once.
        SYNAPSES: Synapses of a neuron that are followed at once.
    """
    b = tl.program_id(0).to(tl.int64)
    a += b * steps * size
    tail += b * ahead * size
    state += b * _STATES * size
    sent += b * steps * size
    v_rows += b * steps * rows
    u_rows += b * steps * rows
    events += b * 3 * size
    for t in range(steps):
        here = t * size.to(tl.int64)
        for k in range(layers):
            start, stop = tl.load(table + k * _COLUMNS + _START), tl.load(table + k * _COLUMNS + _STOP)
            keeps, most = tl.load(table + k * _COLUMNS + _KEEPS), tl.load(table + k * _COLUMNS + _MOST)
            fired = 0
            for low in range(start, stop, NEURONS):
                n = low + tl.arange(0, NEURONS)
                own = n < stop
                u, v, count = _advance(
                    a + here, state, numbers, n, own, keeps, most, size=size, WAITS=WAITS, RISES=RISES
                )
                tl.store(sent + here + n, count.to(tl.uint8), mask=own)
                asked = own & (n >= shown) & (n < shown + rows)
                tl.store(v_rows + t * rows + n - shown, v, mask=asked)
                if RECORDS:
                    tl.store(u_rows + t * rows + n - shown, u, mask=asked)
                begin, end = tl.load(first + n, mask=own, other=0), tl.load(first + n + 1, mask=own, other=0)
                does = ((count > 0) & (begin < end)).to(tl.int32)
                at = events + fired + tl.cumsum(does, 0) - does
                tl.store(at, begin, mask=does > 0)
                tl.store(at + size, end, mask=does > 0)
                tl.store(at + 2 * size, count.to(begin.dtype), mask=does > 0)
                fired += tl.sum(does, 0)
            tl.debug_barrier()
            for event in range(fired):
                begin, end = tl.load(events + event), tl.load(events + size + event)
                count = tl.load(events + 2 * size + event).to(a.dtype.element_ty)
                for group in range(begin, end, SYNAPSES):
                    s = group + tl.arange(0, SYNAPSES)
                    place = here + tl.load(places + s, mask=s < end, other=0)
                    brought = count * tl.load(weights + s, mask=s < end, other=0.0)
                    within = (s < end) & (place < steps * size)
                    behind = (s < end) & (place >= steps * size)
                    late = place - steps * size
                    was, will = tl.load(a + place, mask=within), tl.load(tail + late, mask=behind)
                    tl.store(a + place, was + brought, mask=within)
                    tl.store(tail + late, will + brought, mask=behind)
                tl.debug_barrier()


@triton.jit
def _advance(
    a,
    state,
    numbers,
    n,
    own,
    keeps,
    most,
    size,
    WAITS: tl.constexpr,
    RISES: tl.constexpr,
):
    """Advance neurons by a step, and return their currents, potentials after the reset, and spikes."""
    vth = tl.load(numbers + _VTH * size + n, mask=own, other=_NEVER)
    amount = tl.load(numbers + _AMOUNT * size + n, mask=own, other=0.0)
    u, v, wait = _charge(a, state, numbers, n, own, size, WAITS=WAITS)
    threshold = vth
    if RISES:
        rise = tl.load(state + _RISE * size + n, mask=own, other=0.0)
        threshold = vth + rise
    fired = own & (v > threshold)
    if WAITS:
        fired = fired & (wait == 0)
    count = fired.to(v.dtype)
    if most > 1:
        count = _count(v, threshold, amount, fired, most)
    v = _discharge(v, count, amount, keeps)
    tl.store(state + _U * size + n, u, mask=own)
    tl.store(state + _V * size + n, v, mask=own)
    if WAITS:
        longest = tl.load(numbers + _REFRACTORY * size + n, mask=own, other=0.0)
        tl.store(state + _WAIT * size + n, tl.where(fired, longest, tl.maximum(wait - 1, 0.0)), mask=own)
    if RISES:
        keep = tl.load(numbers + _KEEP_RISE * size + n, mask=own, other=0.0)
        more = tl.load(numbers + _ADAPTATION * size + n, mask=own, other=0.0)
        tl.store(state + _RISE * size + n, keep * rise + more * count, mask=own)
    return u, v, count


@triton.jit
def _charge(a, state, numbers, n, own, size, WAITS: tl.constexpr):
    """Return currents, potentials before the reset, and the steps that were still to wait."""
    keep_u = tl.load(numbers + _KEEP_U * size + n, mask=own, other=0.0)
    keep_v = tl.load(numbers + _KEEP_V * size + n, mask=own, other=0.0)
    bias = tl.load(numbers + _BIAS * size + n, mask=own, other=0.0)
    old = tl.load(state + _V * size + n, mask=own, other=0.0)
    u = keep_u * tl.load(state + _U * size + n, mask=own, other=0.0) + tl.load(a + n, mask=own, other=0.0)
    v, wait = keep_v * old + u + bias, keep_u
    if WAITS:
        wait = tl.load(state + _WAIT * size + n, mask=own, other=0.0)
        v = tl.where(wait == 0, v, old)
    return u, v, wait


@triton.jit
def _count(v, threshold, amount, fired, most):
    """Return how many spikes are sent; see `NeuronDynamics.count`."""
    over = tl.where(fired, v - threshold, 0.0)
    whole = tl.floor(_divide(over, amount))
    whole += (v - whole * amount > threshold).to(v.dtype)
    return tl.where(fired, tl.minimum(whole, most.to(v.dtype)), 0.0)


@triton.jit
def _divide(x, y):
    """Return a quotient that is rounded correctly."""
    if x.dtype == tl.float32:
        return tl.div_rn(x, y)
    else:  # noqa: RET505 - only then it is not compiled
        return x / y


@triton.jit
def _discharge(v, count, amount, keeps):
    """Return potentials after the reset."""
    return tl.where(count > 0, tl.where(keeps > 0, v - count * amount, amount), v)


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
        state: States before the block.
        sent: Spikes.
        window: Gets the potentials before resets, `[B, T + D, N]`.
        past_u: Gets currents before steps, `[B, T, N]`, if their shares are learnt.
        past_rise: Gets by how much thresholds were raised before them, if RISES.
        past_wait: Gets for how long was to wait, if WAITS.
        numbers: Numbers of the neurons.
        table: Table of the layers.
        steps: T.
        ahead: D.
        size: N.
        learnt: As of `retreat_block`.
        WAITS: As of `advance_block`.
        RISES: Likewise.
        NEURONS: Neurons of a program.
    """
    b, layer = tl.program_id(0).to(tl.int64), table + tl.program_id(1) * _COLUMNS
    start, stop, keeps = tl.load(layer + _START), tl.load(layer + _STOP), tl.load(layer + _KEEPS)
    n = start + tl.program_id(2) * NEURONS + tl.arange(0, NEURONS)
    own = n < stop
    state += b * _STATES * size
    keep_u = tl.load(numbers + _KEEP_U * size + n, mask=own, other=0.0)
    keep_v = tl.load(numbers + _KEEP_V * size + n, mask=own, other=0.0)
    bias = tl.load(numbers + _BIAS * size + n, mask=own, other=0.0)
    amount = tl.load(numbers + _AMOUNT * size + n, mask=own, other=0.0)
    u, v = tl.load(state + _U * size + n, mask=own), tl.load(state + _V * size + n, mask=own)
    rise, wait = tl.load(state + _RISE * size + n, mask=own), tl.load(state + _WAIT * size + n, mask=own)
    longest = tl.load(numbers + _REFRACTORY * size + n, mask=own, other=0.0)
    keep = tl.load(numbers + _KEEP_RISE * size + n, mask=own, other=0.0)
    more = tl.load(numbers + _ADAPTATION * size + n, mask=own, other=0.0)
    for t in range(steps):
        row = (b * steps + t) * size + n
        count = tl.load(sent + row, mask=own, other=0).to(u.dtype)
        if learnt & _LEARNS_KEEP_U:
            tl.store(past_u + row, u, mask=own)
        u = keep_u * u + tl.load(a + row, mask=own, other=0.0)
        driven = keep_v * v + u + bias
        if WAITS:
            tl.store(past_wait + row, wait, mask=own)
            driven = tl.where(wait == 0, driven, v)
            wait = tl.where(count > 0, longest, tl.maximum(wait - 1, 0.0))
        if RISES:
            tl.store(past_rise + row, rise, mask=own)
            rise = keep * rise + more * count
        tl.store(window + (b * (steps + ahead) + t) * size + n, driven, mask=own)
        v = _discharge(driven, count, amount, keeps)


@triton.jit(do_not_specialize=["steps", "ahead", "layers", "heard", "heard_rows", "shown", "shown_rows", "learnt"])
def retreat_block(
    state,
    sent,
    by_spikes,
    by_v,
    later,
    window,
    past_u,
    past_rise,
    past_wait,
    by_sent,
    by_numbers,
    numbers,
    table,
    slopes,
    first,
    places,
    weights,
    steps,
    ahead,
    size,
    layers,
    heard,
    heard_rows,
    shown,
    shown_rows,
    learnt,
    WAITS: tl.constexpr,
    RISES: tl.constexpr,
    NEURONS: tl.constexpr,
    SOURCES: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    """Take the gradients of a sample back over a block of steps; arguments as of `recall_block`, and these.

    Args:
        state: States before the block.
        sent: Spikes.
        by_spikes: Gradients with respect to the spikes of neurons from `heard` on, `[B, T, R]`.
        by_v: Those with respect to the potentials of neurons from `shown` on, likewise.
        later: Gradients with respect to the state after the block, `[B, 4, N]`; become those before it.
        window: Potentials, then the gradients with respect to the input of the steps after the block;
            potentials are replaced by the gradients of their steps.
        past_u: As `recall_block` left it, like the next two.
        past_rise: See there.
        past_wait: See there.
        by_sent: Scratch, `[B, N]`.
        by_numbers: Gradients with respect to the numbers, `[B, 8, N]`, added up.
        numbers: Numbers of the neurons.
        table: Table of the layers.
        slopes: Sharpness of the surrogate derivative of each.
        first: Where the synapses of each neuron begin.
        places: Places that they reach.
        weights: Their weights.
        steps: T.
        ahead: D.
        size: N.
        layers: Number of layers.
        heard: First neuron of `by_spikes`.
        heard_rows: Number of those.
        shown: First neuron of `by_v`.
        shown_rows: Number of those.
        learnt: A bit for each row of numbers whose gradients are wanted.
        WAITS: As of `advance_block`, like the next two.
        RISES: See there.
        NEURONS: Neurons that are computed at once.
        SOURCES: Neurons whose synapses are followed at once.
        SYNAPSES: Synapses of each of them.
    """
    b = tl.program_id(0).to(tl.int64)
    window += b * (steps + ahead) * size
    by_sent += b * size
    for back in range(steps):
        t = steps - 1 - back
        row = window + t * size.to(tl.int64)
        for k in range(layers):
            layer = layers - 1 - k
            start = tl.load(table + layer * _COLUMNS + _START)
            stop = tl.load(table + layer * _COLUMNS + _STOP)
            for low in range(start, stop, SOURCES):
                n = low + tl.arange(0, SOURCES)
                total = _fetch(row, first, places, weights, n, n < stop, SYNAPSES=SYNAPSES)
                tl.store(by_sent + n, total, mask=n < stop)
            tl.debug_barrier()
            for low in range(start, stop, NEURONS):
                n = low + tl.arange(0, NEURONS)
                own = n < stop
                by_count = tl.load(by_sent + n, mask=own, other=0.0)
                by_count += _asked(by_spikes, b * steps + t, n, own, heard, heard_rows)
                by_v_shown = _asked(by_v, b * steps + t, n, own, shown, shown_rows)
                _retreat(
                    by_count,
                    by_v_shown,
                    row,
                    b,
                    t,
                    n,
                    own,
                    state=state,
                    sent=sent,
                    later=later,
                    past_u=past_u,
                    past_rise=past_rise,
                    past_wait=past_wait,
                    by_numbers=by_numbers,
                    numbers=numbers,
                    layer=table + layer * _COLUMNS,
                    slope=tl.load(slopes + layer),
                    steps=steps,
                    size=size,
                    learnt=learnt,
                    WAITS=WAITS,
                    RISES=RISES,
                )
            tl.debug_barrier()


@triton.jit
def _fetch(row, first, places, weights, n, own, SYNAPSES: tl.constexpr):
    """Return what the spikes of neurons get back from their synapses."""
    begin, end = tl.load(first + n, mask=own, other=0), tl.load(first + n + 1, mask=own, other=0)
    total = tl.zeros((SYNAPSES, n.shape[0]), weights.dtype.element_ty)
    for low in range(0, tl.max(end - begin, 0), SYNAPSES):
        # Synapses come first: such a tile lies in registers as one gathers it, others are turned first.
        s = (begin + low)[None, :] + tl.arange(0, SYNAPSES)[:, None]
        exists = s < end[None, :]
        place = tl.load(places + s, mask=exists, other=0)
        weight = tl.load(weights + s, mask=exists, other=0.0)
        total += weight * tl.load(row + place, mask=exists, other=0.0)
    return tl.sum(total, 0)


@triton.jit
def _asked(values, step, n, own, start, rows):
    """Return the values of a step, `[R]` from neuron `start` on, at neurons; zero elsewhere."""
    asked = own & (n >= start) & (n < start + rows)
    return tl.load(values + step * rows + n - start, mask=asked, other=0.0)


@triton.jit
def _retreat(
    by_count,
    by_v_shown,
    row,
    b,
    t,
    n,
    own,
    state,
    sent,
    later,
    past_u,
    past_rise,
    past_wait,
    by_numbers,
    numbers,
    layer,
    slope,
    steps,
    size,
    learnt,
    WAITS: tl.constexpr,
    RISES: tl.constexpr,
):
    """Take gradients of neurons one step back; `neurons.retreat_any` says the same in loops."""
    keeps, most = tl.load(layer + _KEEPS) > 0, tl.load(layer + _MOST)
    step = (b * steps + t) * size + n
    later += b * _STATES * size
    by_numbers += b * _NUMBERS * size
    vth = tl.load(numbers + _VTH * size + n, mask=own, other=_NEVER)
    amount = tl.load(numbers + _AMOUNT * size + n, mask=own, other=0.0)
    potential, count = tl.load(row + n, mask=own, other=0.0), tl.load(sent + step, mask=own, other=0)
    count = count.to(potential.dtype)
    of_v = tl.load(later + _V * size + n, mask=own, other=0.0) + by_v_shown
    over = potential
    if RISES:
        old_rise = tl.load(past_rise + step, mask=own, other=0.0)
        of_rise = tl.load(later + _RISE * size + n, mask=own, other=0.0)
        more = tl.load(numbers + _ADAPTATION * size + n, mask=own, other=0.0)
        over, by_count = potential - old_rise, by_count + more * of_rise
    nearest = tl.zeros_like(over)
    if most > 1:
        nearest = _nearest(over, vth, amount, most)
        over -= nearest * amount
    smooth = by_count * _derive(over / vth - 1.0, tl.load(layer + _SURROGATE), slope) / vth
    if WAITS:
        active = tl.load(past_wait + step, mask=own, other=0.0) == 0
        smooth = tl.where(active, smooth, 0.0)
    is_set = (count > 0) & (keeps == 0)
    driven = tl.where(is_set, 0.0, of_v) + smooth
    remaining = tl.load(numbers + _KEEP_V * size + n, mask=own, other=0.0) * driven
    if WAITS:
        remaining, driven = tl.where(active, remaining, driven), tl.where(active, driven, 0.0)
    by_a = driven + tl.load(later + _U * size + n, mask=own, other=0.0)
    tl.store(row + n, by_a, mask=own)
    tl.store(later + _U * size + n, tl.load(numbers + _KEEP_U * size + n, mask=own) * by_a, mask=own)
    tl.store(later + _V * size + n, remaining, mask=own)
    if RISES:
        keep = tl.load(numbers + _KEEP_RISE * size + n, mask=own, other=0.0)
        tl.store(later + _RISE * size + n, keep * of_rise - smooth, mask=own)
        if learnt & _LEARNS_KEEP_RISE:
            _add(by_numbers + _KEEP_RISE * size + n, of_rise * old_rise, own)
        if learnt & _LEARNS_ADAPTATION:
            _add(by_numbers + _ADAPTATION * size + n, of_rise * count, own)
    if learnt & _LEARNS_KEEP_U:
        _add(by_numbers + _KEEP_U * size + n, by_a * tl.load(past_u + step, mask=own, other=0.0), own)
    if learnt & _LEARNS_KEEP_V:
        old_v = _old_v(row, state + b * _STATES * size, sent, amount, keeps, step, n, own, t=t, size=size)
        _add(by_numbers + _KEEP_V * size + n, driven * old_v, own)
    if learnt & _LEARNS_BIAS:
        _add(by_numbers + _BIAS * size + n, driven, own)
    if learnt & _LEARNS_VTH:
        # Times the distance in thresholds and one: 0 for a threshold that is infinite.
        _add(by_numbers + _VTH * size + n, -smooth * (over / vth), own)
    if learnt & _LEARNS_AMOUNT:
        taken = tl.where(keeps, -count * of_v, tl.where(is_set, of_v, 0.0))
        _add(by_numbers + _AMOUNT * size + n, taken - nearest * smooth, own)


@triton.jit
def _add(sums, values, own):
    tl.store(sums, tl.load(sums, mask=own, other=0.0) + values, mask=own)


@triton.jit
def _old_v(row, state, sent, amount, keeps, step, n, own, t, size):
    """Return potentials before a step: after the reset of the one before, whose potentials still stand."""
    if t > 0:
        count = tl.load(sent + step - size, mask=own, other=0).to(amount.dtype)
        old_v = _discharge(tl.load(row - size + n, mask=own, other=0.0), count, amount, keeps)
    else:
        old_v = tl.load(state + _V * size + n, mask=own, other=0.0)
    return old_v


@triton.jit
def _nearest(over, vth, amount, most):
    """Return the number of the nearest place where one more spike is sent."""
    last = (most - 1).to(over.dtype)
    n = tl.minimum(tl.maximum((over - vth) / amount, 0.0), last)
    if over.dtype == tl.float32:
        return (n + _WHOLE_32) - _WHOLE_32
    else:  # noqa: RET505 - only then it is not compiled
        return (n + _WHOLE_64) - _WHOLE_64


@triton.jit
def _derive(x, surrogate, slope):
    """Return the surrogate's derivative at distances; see `neurons.derive`."""
    if surrogate == _FAST_SIGMOID:
        reach = 1.0 + slope * tl.abs(x)
        y = 1.0 / (reach * reach)
    elif surrogate == _ARCTAN:
        reach = slope * x
        y = 1.0 / (1.0 + reach * reach)
    else:
        part = 1.0 / (1.0 + tl.exp(slope * tl.abs(x)))
        y = 4.0 * part * (1.0 - part)
    return y


@triton.jit(do_not_specialize=["batch", "steps", "ahead"])
def learn_block(
    sent,
    window,
    by_weights,
    first,
    places,
    batch,
    steps,
    ahead,
    size,
    STEPS: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    """Add to the gradients of the synapses of a neuron what its spikes of a block would have changed.

    Args:
        sent: Spikes, `[B, T, N]`.
        window: Gradients with respect to the input of the block and of the steps after it, `[B, T + D, N]`.
        by_weights: Gradients with respect to the weights, added up.
        first: Where the synapses of each neuron begin.
        places: Places that they reach.
        batch: B.
        steps: T.
        ahead: D.
        size: N.
        STEPS: Steps that are looked at at once.
        SYNAPSES: Synapses whose gradients are summed at once.
    """
    n = tl.program_id(0)
    begin, end = tl.load(first + n), tl.load(first + n + 1)
    for low in range(begin, end, SYNAPSES):
        s = low + tl.arange(0, SYNAPSES)
        exists = s < end
        place = tl.load(places + s, mask=exists, other=0)
        total = tl.zeros((SYNAPSES, STEPS), window.dtype.element_ty)
        for step in range(0, batch * steps, STEPS):
            r = step + tl.arange(0, STEPS)
            count = tl.load(sent + r * size.to(tl.int64) + n, mask=r < batch * steps, other=0)
            row = window + (r // steps * (steps + ahead) + r % steps) * size.to(tl.int64)
            fired = exists[:, None] & (count > 0)[None, :]
            arriving = tl.load(row[None, :] + place[:, None], mask=fired, other=0.0)
            total += count.to(total.dtype)[None, :] * arriving
        _add(by_weights + s, tl.sum(total, 1), exists)
