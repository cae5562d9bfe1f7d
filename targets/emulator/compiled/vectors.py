"""The innermost loops over vector registers, written in LLVM's language because Numba has no type for them.

All loops in LLVM's language are in this file; `by_number.py` alone uses Numba's internals beside it. The same
loops in plain Numba take, on one thread and measured by turns (`python -m tests.benchmarks.vectors`), 4.5
times as long as `add_pairs` on a convolution of 64 to 64 channels, at 10 and at 50 % of spikes, and 8 times
as long as `sum_lanes` on 1,024 recurrent neurons (AVX-512, 2026-11-26): plain Numba keeps a sum of many lanes
in memory between two rows; here it stays in registers.

All arithmetic is that of whole numbers of stated widths, or of double precision, which LLVM turns into
instructions of any machine. No instruction of one processor is named, and none that saturates, or that rounds
a product and a sum only once, can be chosen, since LLVM keeps the meaning of an addition. Places are not
checked: callers pass only places that they computed themselves.
"""

# ruff: noqa: PLR0917 - an intrinsic takes plain arrays
# pyright: reportCallIssue=false
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

BLOCK: Final = 64
"""Target neurons whose integer weights lie side by side in one row."""
REGISTER_BLOCKS: Final = (8, 16, 32)
"""The same for weights as wide as their sums: more would not stay in registers, and fewer fit few targets."""
_LANE: Final = ir.IntType(16)


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    return make_array(kind)(context, builder, value).data


def _spread(builder: Any, number: Any, vector: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return a vector with one number in all its lanes."""
    place = ir.IntType(32)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(place, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(place, vector.count), None))


def _over_rows(
    context: Any,  # noqa: ANN401
    builder: Any,  # noqa: ANN401
    call: Any,  # noqa: ANN401
    values: Any,  # noqa: ANN401
    row: Any,  # noqa: ANN401
    total: Any,  # noqa: ANN401
) -> tuple[Any, Any, Any, Any, Any]:
    """Return the values with which all loops over listed rows begin.

    The first arguments of such a loop are rows, shift and places, the last start, stop, sums and position.

    Args:
        context: As Numba gives it.
        builder: As Numba gives it.
        call: As Numba gives it.
        values: The arguments of the loop.
        row: Vector of a row.
        total: Vector of a sum.

    Returns:
        Pointers to the row `shift`, to the listed places and to the sum, then start and stop.
    """
    start, stop, sums, position = range(len(values) - 4, len(values))
    weights = builder.bitcast(_data(context, builder, call.args[0], values[0]), row.as_pointer())
    target = _data(context, builder, call.args[sums], values[sums])
    target = builder.bitcast(target, total.as_pointer())
    return (
        builder.gep(weights, [values[1]]),
        _data(context, builder, call.args[2], values[2]),
        builder.gep(target, [values[position]]),
        values[start],
        values[stop],
    )


def _listed_row(builder: Any, weights: Any, places: Any, place: Any, align: int = 2) -> Any:  # noqa: ANN401
    source = builder.zext(builder.load(builder.gep(places, [place])), place.type)
    return builder.load(builder.gep(weights, [source]), align=align)


@intrinsic
def list_word(typing: Any, word: Any, table: Any, base: Any, places: Any, end: Any) -> Any:  # noqa: ANN401
    """Write `base + k` to `places[end ...]` for every byte `k` of a word that is 1; return the end.

    There is no branch to guess: eight places are always written, and `end` moves on by as many as count.

    Args:
        typing: Typing context of Numba.
        word: Bytes of 0 or 1, uint64.
        table: Places of the ones of every pattern of eight bits, `[256, 8]`, uint32.
        base: Place of the first byte, int64.
        places: List of places, uint32, with room for eight more.
        end: Where the list ends so far, int64.
    """
    del typing
    signature = types.int64(word, table, base, places, end)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        long, byte = ir.IntType(64), ir.Constant(ir.IntType(64), 56)
        vector = ir.VectorType(ir.IntType(32), 8)
        # The product has bit 0 of byte k in bit 56 + k; no two of its terms meet, so nothing is carried.
        bits = builder.lshr(builder.mul(values[0], ir.Constant(long, 0x0102040810204080)), byte)
        known = builder.bitcast(_data(context, builder, call.args[1], values[1]), vector.as_pointer())
        ones = builder.load(builder.gep(known, [bits]), align=4)
        target = builder.gep(_data(context, builder, call.args[3], values[3]), [values[4]])
        target = builder.bitcast(target, vector.as_pointer())
        offset = _spread(builder, builder.trunc(values[2], vector.element), vector)
        builder.store(builder.add(ones, offset), target, align=4)
        return builder.add(values[4], builder.ctpop(bits))

    return signature, generate


@intrinsic
def add_pairs(
    typing: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    places: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    position: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Add the rows `shift + places[start .. stop - 1]`, two weights of one byte in every word.

    `rows` is flat, int16, half a `BLOCK` of words a row. `sums[position]`, int16, gets in its first half the
    words, and in its second half the words shifted right by eight bits: half the loads of `add_rows`.
    """
    del typing
    signature = types.void(rows, shift, places, start, stop, sums, position)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        half = ir.VectorType(_LANE, BLOCK // 2)
        whole = ir.VectorType(_LANE, BLOCK)
        weights, listed, target, first, last = _over_rows(context, builder, call, values, half, whole)
        halves = builder.bitcast(target, half.as_pointer())
        targets = [builder.gep(halves, [ir.Constant(ir.IntType(32), k)]) for k in range(2)]
        totals = [cgutils.alloca_once(builder, half) for _ in targets]
        for total, place in zip(totals, targets, strict=True):
            builder.store(builder.load(place, align=2), total)
        eight = ir.Constant(half, [8] * (BLOCK // 2))
        with cgutils.loop_nest(builder, [builder.sub(last, first)], first.type) as steps:
            words = _listed_row(builder, weights, listed, builder.add(first, *steps))
            for total, brought in zip(totals, (words, builder.ashr(words, eight)), strict=True):
                builder.store(builder.add(builder.load(total), brought), total)
        for total, place in zip(totals, targets, strict=True):
            builder.store(builder.load(total), place, align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_rows(
    typing: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    places: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    position: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Add the rows `shift + places[start .. stop - 1]` to `sums[position]`, int16.

    `rows` is flat, int16, `BLOCK` weights a row; `places` is uint32.
    """
    del typing
    signature = types.void(rows, shift, places, start, stop, sums, position)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        vector = ir.VectorType(_LANE, BLOCK)
        weights, listed, target, first, last = _over_rows(context, builder, call, values, vector, vector)
        total = cgutils.alloca_once_value(builder, builder.load(target, align=2))
        with cgutils.loop_nest(builder, [builder.sub(last, first)], first.type) as steps:
            row = _listed_row(builder, weights, listed, builder.add(first, *steps))
            builder.store(builder.add(builder.load(total), row), total)
        builder.store(builder.load(total), target, align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_scaled_rows(
    typing: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    places: Any,  # noqa: ANN401
    messages: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    position: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Add the same rows multiplied by messages, int32; `sums` is int32 and counts modulo 2^32."""
    del typing
    signature = types.void(rows, shift, places, messages, start, stop, sums, position)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        numbers = _data(context, builder, call.args[3], values[3])
        vector, narrow = ir.VectorType(ir.IntType(32), BLOCK), ir.VectorType(_LANE, BLOCK)
        weights, listed, target, first, last = _over_rows(context, builder, call, values, narrow, vector)
        total = cgutils.alloca_once_value(builder, builder.load(target, align=2))
        with cgutils.loop_nest(builder, [builder.sub(last, first)], first.type) as steps:
            place = builder.add(first, *steps)
            row = builder.sext(_listed_row(builder, weights, listed, place), vector)
            number = _spread(builder, builder.load(builder.gep(numbers, [place])), vector)
            builder.store(builder.add(builder.load(total), builder.mul(row, number)), total)
        builder.store(builder.load(total), target, align=2)
        return context.get_dummy_value()

    return signature, generate


def _wide_rows(lanes: int, *, weighed: bool) -> Any:  # noqa: ANN401
    """Return the loop that adds listed rows of weights as wide as their sums, multiplied if they are weighed.

    It takes what `add_scaled_rows` takes; rows, messages and sums are all float64, or all int32 and count
    modulo 2^32. Every row of real numbers is rounded and added by itself, in the order of the list.
    """

    @intrinsic
    def add(
        typing: Any,  # noqa: ANN401
        rows: Any,  # noqa: ANN401
        shift: Any,  # noqa: ANN401
        places: Any,  # noqa: ANN401
        messages: Any,  # noqa: ANN401
        start: Any,  # noqa: ANN401
        stop: Any,  # noqa: ANN401
        sums: Any,  # noqa: ANN401
        position: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        del typing
        real, align = rows.dtype == types.float64, rows.dtype.bitwidth // 8
        number = ir.DoubleType() if real else ir.IntType(32)
        signature = types.void(rows, shift, places, messages, start, stop, sums, position)

        def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
            plus, times = (builder.fadd, builder.fmul) if real else (builder.add, builder.mul)
            vector = ir.VectorType(number, lanes)
            weights, listed, target, first, last = _over_rows(context, builder, call, values, vector, vector)
            factors = _data(context, builder, call.args[3], values[3])
            total = cgutils.alloca_once_value(builder, builder.load(target, align=align))
            with cgutils.loop_nest(builder, [builder.sub(last, first)], first.type) as steps:
                place = builder.add(first, *steps)
                row = _listed_row(builder, weights, listed, place, align=align)
                if weighed:
                    factor = _spread(builder, builder.load(builder.gep(factors, [place])), vector)
                    row = times(row, factor)
                builder.store(plus(builder.load(total), row), total)
            builder.store(builder.load(total), target, align=align)
            return context.get_dummy_value()

        return signature, generate

    return add


add_8, add_16, add_32 = (_wide_rows(lanes, weighed=False) for lanes in REGISTER_BLOCKS)
add_scaled_8, add_scaled_16, add_scaled_32 = (_wide_rows(lanes, weighed=True) for lanes in REGISTER_BLOCKS)


@intrinsic
def sum_lanes(typing: Any, bits: Any, sources: Any, weights: Any, start: Any, stop: Any, out: Any) -> Any:  # noqa: ANN401
    """Write to `out` (int16) per bit the summed weights of the synapses whose source has that bit set."""
    del typing
    width = bits.dtype.bitwidth
    signature = types.void(bits, sources, weights, start, stop, out)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        vector, mask = ir.VectorType(_LANE, width), ir.VectorType(ir.IntType(1), width)
        index, nothing = values[3].type, ir.Constant(ir.VectorType(_LANE, width), None)
        words, origins, numbers, target = (
            _data(context, builder, call.args[k], values[k]) for k in (0, 1, 2, 5)
        )
        total = cgutils.alloca_once_value(builder, nothing)
        with cgutils.loop_nest(builder, [builder.sub(values[4], values[3])], index) as places:
            p = builder.add(values[3], *places)
            source = builder.zext(builder.load(builder.gep(origins, [p])), index)
            weight = _spread(builder, builder.load(builder.gep(numbers, [p])), vector)
            active = builder.bitcast(builder.load(builder.gep(words, [source])), mask)
            builder.store(builder.add(builder.load(total), builder.select(active, weight, nothing)), total)
        builder.store(builder.load(total), builder.bitcast(target, vector.as_pointer()), align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def pack_row(typing: Any, flags: Any, words: Any, row: Any) -> Any:  # noqa: ANN401
    """Write word `row`: a bit for every byte that is not 0 in that row of `flags`."""
    del typing
    width = words.dtype.bitwidth
    signature = types.void(flags, words, row)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        vector = ir.VectorType(ir.IntType(8), width)
        rows = builder.bitcast(_data(context, builder, call.args[0], values[0]), vector.as_pointer())
        row_flags = builder.load(builder.gep(rows, [values[2]]), align=1)
        bits = builder.icmp_unsigned("!=", row_flags, ir.Constant(vector, None))
        word = builder.gep(_data(context, builder, call.args[1], values[1]), [values[2]])
        builder.store(builder.bitcast(bits, ir.IntType(width)), word)
        return context.get_dummy_value()

    return signature, generate
