"""Four innermost loops over vector registers, written in LLVM's language because Numba has no type for them.

Everything that is written through Numba's internals stands in this one file. What it is worth, one thread,
beside the same loop in plain Numba in one process (`python -m tests.benchmarks.vectors`): `add_rows` 2.4
times on a convolution of 64 to 64 channels with 10 % of spikes and 3.3 times with 50 %, `sum_lanes` 8 times
on 1,024 recurrent neurons (AVX-512, 2026-11-26). Plain Numba keeps a sum of many lanes in memory between two
rows; here it stays in registers.

All arithmetic is that of whole numbers of stated widths, from which LLVM makes instructions of any machine.
No instruction of one processor is named, and none that saturates can be chosen: LLVM keeps the meaning of an
addition. Places are not checked here: callers pass only places that they made themselves.
"""

# ruff: noqa: PLR0917 - a compiled loop has no objects to group its arrays in
# pyright: reportCallIssue=false
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

BLOCK: Final = 64
"""Target neurons whose weights lie side by side in one row."""
_LANE: Final = ir.IntType(16)


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    return make_array(kind)(context, builder, value).data


def _spread(builder: Any, number: Any, vector: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return a vector with one number in all its lanes."""
    place = ir.IntType(32)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(place, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(place, vector.count), None))


def _add_listed(context: Any, builder: Any, call: Any, values: Any, *, scaled: bool) -> Any:  # noqa: ANN401
    """Write the loop of `add_rows` and `add_scaled_rows`."""
    rows, shift, places, numbers, start, stop, sums, row = range(8)
    if not scaled:
        numbers, start, stop, sums, row = -1, 3, 4, 5, 6
    lane = ir.IntType(call.args[sums].dtype.bitwidth)
    vector = ir.VectorType(lane, BLOCK)
    stored = ir.VectorType(ir.IntType(call.args[rows].dtype.bitwidth), BLOCK)
    index = values[start].type
    weights = builder.bitcast(_data(context, builder, call.args[rows], values[rows]), stored.as_pointer())
    weights = builder.gep(weights, [values[shift]])
    listed = _data(context, builder, call.args[places], values[places])
    messages = _data(context, builder, call.args[numbers], values[numbers]) if scaled else None
    target = builder.bitcast(_data(context, builder, call.args[sums], values[sums]), vector.as_pointer())
    target = builder.gep(target, [values[row]])
    total = cgutils.alloca_once(builder, vector)
    builder.store(builder.load(target, align=2), total)
    with cgutils.loop_nest(builder, [builder.sub(values[stop], values[start])], index) as steps:
        place = builder.add(values[start], *steps)
        source = builder.zext(builder.load(builder.gep(listed, [place])), index)
        brought = builder.load(builder.gep(weights, [source]), align=1)
        brought = brought if stored == vector else builder.sext(brought, vector)
        if scaled:
            number = builder.load(builder.gep(messages, [place]))
            brought = builder.mul(brought, _spread(builder, number, vector))
        builder.store(builder.add(builder.load(total), brought), total)
    builder.store(builder.load(total), target, align=2)
    return context.get_dummy_value()


@intrinsic
def add_rows(
    typing: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    places: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    row: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Add to row `row` of `sums`, int16, the weights of the rows `shift + places[start .. stop - 1]`.

    `rows` is flat, int8 or int16, `BLOCK` weights a row; `places` is uint32.
    """
    del typing
    signature = types.void(rows, shift, places, start, stop, sums, row)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        return _add_listed(context, builder, call, values, scaled=False)

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
    row: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Do the same with rows multiplied by messages, int32; `sums` is int32 and counts modulo 2^32."""
    del typing
    signature = types.void(rows, shift, places, messages, start, stop, sums, row)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        return _add_listed(context, builder, call, values, scaled=True)

    return signature, generate


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
            chosen = builder.bitcast(builder.load(builder.gep(words, [source])), mask)
            builder.store(builder.add(builder.load(total), builder.select(chosen, weight, nothing)), total)
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
        seen = builder.load(builder.gep(rows, [values[2]]), align=1)
        bits = builder.icmp_unsigned("!=", seen, ir.Constant(vector, None))
        word = builder.gep(_data(context, builder, call.args[1], values[1]), [values[2]])
        builder.store(builder.bitcast(bits, ir.IntType(width)), word)
        return context.get_dummy_value()

    return signature, generate
