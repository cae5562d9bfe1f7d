"""A block of steps backward, in kernels of Triton; see `triton_forward`.

A sample is one program's own on its way back through the steps. Gradients of weights are a kernel of their
own, in which a source neuron is one program's: it looks for its spikes, and sums over them in their order.
"""

# pyright: basic, reportMissingImports=false, reportOperatorIssue=false, reportGeneralTypeIssues=false
# ruff: noqa: ANN001, ANN201, ANN202, N803, PLR0917 - Triton types arguments, and writes constants in capitals
import triton
import triton.language as tl

from toolchain.models.loops import neurons, triton_layers
from toolchain.models.loops.triton_forward import (
    ADAPTATION,
    AMOUNT,
    BIAS,
    COLUMNS,
    KEEP_RISE,
    KEEP_U,
    KEEP_V,
    KEEPS,
    LEARNS_KEEP_U,
    MOST,
    NEVER,
    RISE,
    START,
    STATES,
    STOP,
    VTH,
    U,
    V,
    add,
    discharge,
)
from toolchain.models.surrogates import Surrogate

NUMBERS = tl.constexpr(neurons.NUMBERS)
SURROGATE = tl.constexpr(triton_layers.SURROGATE)
FAST_SIGMOID = tl.constexpr(triton_layers.SHAPES[Surrogate.FAST_SIGMOID][0])
ARCTAN = tl.constexpr(triton_layers.SHAPES[Surrogate.ARCTAN][0])
LEARNS_KEEP_V = tl.constexpr(1 << neurons.KEEP_V)
LEARNS_VTH = tl.constexpr(1 << neurons.VTH)
LEARNS_BIAS = tl.constexpr(1 << neurons.BIAS)
LEARNS_AMOUNT = tl.constexpr(1 << neurons.AMOUNT)
LEARNS_KEEP_RISE = tl.constexpr(1 << neurons.KEEP_RISE)
LEARNS_ADAPTATION = tl.constexpr(1 << neurons.ADAPTATION)
WHOLE_32 = tl.constexpr(1.5 * 2**23)
WHOLE_64 = tl.constexpr(1.5 * 2**52)
"""Added and taken away again, they leave the nearest whole number, the even one of two."""


@triton.jit(
    do_not_specialize=[
        "steps",
        "ahead",
        "layers",
        "heard",
        "heard_rows",
        "shown",
        "shown_rows",
        "learnt",
    ]
)
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
    """Take the gradients of a sample back over a block of steps.

    Args:
        state: States before the block, `[B, 4, N]`.
        sent: Spikes, `[B, T, N]`.
        by_spikes: Gradients with respect to the spikes of neurons from `heard` on, `[B, T, R]`.
        by_v: Those with respect to the potentials of neurons from `shown` on, likewise.
        later: Gradients with respect to the state after the block, `[B, 4, N]`; become those before it.
        window: Potentials before resets, then the gradients with respect to the input of the steps after the
            block, `[B, T + D, N]`; each step's gradients replace its potentials.
        past_u: Currents before steps; see `recall_block`, also for the next two.
        past_rise: Amounts by which thresholds were raised.
        past_wait: Steps to wait.
        by_sent: Scratch `[B, N]`.
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
        WAITS: Whether any neuron has a refractory period.
        RISES: Whether any adapts.
        NEURONS: Neurons that are computed at once.
        SOURCES: Neurons whose synapses are followed at once.
        SYNAPSES: Synapses of each of them.
    """
    b = tl.program_id(0).to(tl.int64)
    for back in range(steps):
        t = steps - 1 - back
        row = window + (b * (steps + ahead) + t) * size
        for k in range(layers):
            layer = table + (layers - 1 - k) * COLUMNS
            start, stop = tl.load(layer + START), tl.load(layer + STOP)
            for low in range(start, stop, SOURCES):
                n = low + tl.arange(0, SOURCES)
                total = _fetch(row, first, places, weights, n, n < stop, SYNAPSES=SYNAPSES)
                tl.store(by_sent + b * size + n, total, mask=n < stop)
            tl.debug_barrier()
            for low in range(start, stop, NEURONS):
                n = low + tl.arange(0, NEURONS)
                by_count = tl.load(by_sent + b * size + n, mask=n < stop, other=0.0)
                _retreat(
                    by_count + _asked(by_spikes, b * steps + t, n, n < stop, heard, heard_rows),
                    _asked(by_v, b * steps + t, n, n < stop, shown, shown_rows),
                    row,
                    t,
                    n,
                    n < stop,
                    state=state + b * STATES * size,
                    sent=sent + b * steps * size,
                    later=later + b * STATES * size,
                    past_u=past_u + b * steps * size,
                    past_rise=past_rise + b * steps * size,
                    past_wait=past_wait + b * steps * size,
                    by_numbers=by_numbers + b * NUMBERS * size,
                    numbers=numbers,
                    layer=layer,
                    slope=tl.load(slopes + layers - 1 - k),
                    size=size.to(tl.int64),
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
        # Synapses come first: such a tile lies in registers as it is gathered, another would be turned.
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
    size,
    learnt,
    WAITS: tl.constexpr,
    RISES: tl.constexpr,
):
    """Take gradients of neurons one step back; `neurons.retreat_any` says the same in loops."""
    keeps, at = tl.load(layer + KEEPS), t * size + n
    amount = tl.load(numbers + AMOUNT * size + n, mask=own, other=0.0)
    potential = tl.load(row + n, mask=own, other=0.0)
    count = tl.load(sent + at, mask=own, other=0).to(potential.dtype)
    of_v = tl.load(later + V * size + n, mask=own, other=0.0) + by_v_shown
    over, sums = potential, by_numbers + n
    if RISES:
        old_rise = tl.load(past_rise + at, mask=own, other=0.0)
        of_rise = tl.load(later + RISE * size + n, mask=own, other=0.0)
        by_count += tl.load(numbers + ADAPTATION * size + n, mask=own, other=0.0) * of_rise
        over = potential - old_rise
    smooth, distance, nearest = _pass_on(by_count, over, numbers, amount, layer, slope, n, own=own, size=size)
    if WAITS:
        active = tl.load(past_wait + at, mask=own, other=0.0) == 0
        smooth = tl.where(active, smooth, 0.0)
    is_set = (count > 0) & (keeps == 0)
    driven = tl.where(is_set, 0.0, of_v) + smooth
    remaining = tl.load(numbers + KEEP_V * size + n, mask=own, other=0.0) * driven
    if WAITS:
        remaining, driven = tl.where(active, remaining, driven), tl.where(active, driven, 0.0)
    by_a = driven + tl.load(later + U * size + n, mask=own, other=0.0)
    if learnt != 0:
        taken = tl.where(keeps > 0, -count * of_v, tl.where(is_set, of_v, 0.0)) - nearest * smooth
        # Times the distance in thresholds and one: 0 for a threshold that is infinite.
        _learn_firing(sums, driven, -smooth * (distance + 1.0), taken, learnt, own, size=size)
    if learnt & LEARNS_KEEP_U:
        add(sums + KEEP_U * size, by_a * tl.load(past_u + at, mask=own, other=0.0), own)
    if learnt & LEARNS_KEEP_V:
        old_v = _old_v(row + n, state + V * size + n, sent + at, amount, keeps, t, own, size)
        add(sums + KEEP_V * size, driven * old_v, own)
    tl.store(row + n, by_a, mask=own)
    tl.store(later + U * size + n, tl.load(numbers + KEEP_U * size + n, mask=own) * by_a, mask=own)
    tl.store(later + V * size + n, remaining, mask=own)
    if RISES:
        keep = tl.load(numbers + KEEP_RISE * size + n, mask=own, other=0.0)
        tl.store(later + RISE * size + n, keep * of_rise - smooth, mask=own)
        if learnt & LEARNS_KEEP_RISE:
            add(sums + KEEP_RISE * size, of_rise * old_rise, own)
        if learnt & LEARNS_ADAPTATION:
            add(sums + ADAPTATION * size, of_rise * count, own)


@triton.jit
def _pass_on(by_count, over, numbers, amount, layer, slope, n, own, size):
    """Return the gradients that spikes pass to potentials, and from where these are measured.

    That is the distance to the nearest place where one more spike is sent, in thresholds, and its number.
    """
    vth, most = tl.load(numbers + VTH * size + n, mask=own, other=NEVER), tl.load(layer + MOST)
    nearest = tl.zeros_like(over)
    if most > 1:
        nearest = _nearest(over, vth, amount, most)
        over -= nearest * amount
    distance = over / vth - 1.0
    return by_count * _derive(distance, tl.load(layer + SURROGATE), slope) / vth, distance, nearest


@triton.jit
def _nearest(over, vth, amount, most):
    """Return the number of the nearest place where one more spike is sent."""
    n = tl.minimum(tl.maximum((over - vth) / amount, 0.0), (most - 1).to(over.dtype))
    return (n + WHOLE_32) - WHOLE_32 if over.dtype == tl.float32 else (n + WHOLE_64) - WHOLE_64


@triton.jit
def _derive(x, surrogate, slope):
    """Return the surrogate's derivative at distances; see `toolchain.models.surrogates`."""
    if surrogate == FAST_SIGMOID:
        reach = 1.0 + slope * tl.abs(x)
        y = 1.0 / (reach * reach)
    elif surrogate == ARCTAN:
        reach = slope * x
        y = 1.0 / (1.0 + reach * reach)
    else:
        part = 1.0 / (1.0 + tl.exp(slope * tl.abs(x)))
        y = 4.0 * part * (1.0 - part)
    return y


@triton.jit
def _learn_firing(sums, by_bias, by_vth, by_amount, learnt, own, size):
    """Add up the gradients of what decides about spikes."""
    if learnt & LEARNS_BIAS:
        add(sums + BIAS * size, by_bias, own)
    if learnt & LEARNS_VTH:
        add(sums + VTH * size, by_vth, own)
    if learnt & LEARNS_AMOUNT:
        add(sums + AMOUNT * size, by_amount, own)


@triton.jit
def _old_v(potentials, state, sent, amount, keeps, t, own, size):
    """Return potentials before a step: those of the step before, which still stand there, after its reset."""
    if t > 0:
        count = tl.load(sent - size, mask=own, other=0).to(amount.dtype)
        old_v = discharge(tl.load(potentials - size, mask=own, other=0.0), count, amount, keeps)
    else:
        old_v = tl.load(state, mask=own, other=0.0)
    return old_v


@triton.jit(do_not_specialize=["batch", "steps", "ahead"])
def learn_block(
    sent,
    window,
    by_weights,
    events,
    first,
    places,
    batch,
    steps,
    ahead,
    size,
    STEPS: tl.constexpr,
    EVENTS: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    """Add to the gradients of the synapses of a neuron what its spikes of a block would have changed.

    Args:
        sent: Spikes, `[B, T, N]`.
        window: Gradients with respect to the input of the block and of the steps after it, `[B, T + D, N]`.
        by_weights: Gradients with respect to the weights, added up.
        events: Scratch `[N, 2, STEPS]`: of each step at which the neuron fires, its row in the window, and
            how many spikes it sends.
        first: Where the synapses of each neuron begin.
        places: Places that they reach.
        batch: B.
        steps: T.
        ahead: D.
        size: N.
        STEPS: Steps, of all samples, that are searched for spikes at once.
        EVENTS: Steps with spikes that are served at once.
        SYNAPSES: Synapses that are served at once.
    """
    n = tl.program_id(0)
    begin, end = tl.load(first + n), tl.load(first + n + 1)
    events += n.to(tl.int64) * 2 * STEPS
    for step in range(0, tl.where(begin < end, batch * steps, 0), STEPS):
        r = step + tl.arange(0, STEPS)
        count = tl.load(sent + r * size.to(tl.int64) + n, mask=r < batch * steps, other=0).to(tl.int32)
        one = (count > 0).to(tl.int32)
        at = events + tl.cumsum(one, 0) - one
        tl.store(at, r // steps * (steps + ahead) + r % steps, mask=count > 0)
        tl.store(at + STEPS, count, mask=count > 0)
        fired = tl.sum(one, 0)
        tl.debug_barrier()
        for group in range(begin, end, SYNAPSES):
            s = group + tl.arange(0, SYNAPSES)
            place = tl.load(places + s, mask=s < end, other=0)
            total = tl.zeros((SYNAPSES, EVENTS), window.dtype.element_ty)
            for low in range(0, fired, EVENTS):
                e = low + tl.arange(0, EVENTS)
                row = window + tl.load(events + e, mask=e < fired, other=0) * size.to(tl.int64)
                times = tl.load(events + STEPS + e, mask=e < fired, other=0).to(total.dtype)
                exists = (s < end)[:, None] & (e < fired)[None, :]
                arriving = tl.load(row[None, :] + place[:, None], mask=exists, other=0.0)
                total += times[None, :] * arriving
            add(by_weights + s, tl.sum(total, 1), s < end)
        tl.debug_barrier()
