"""Six innermost loops over vector registers, written in LLVM's language because Numba has no type for them.

Plain Numba keeps a sum of many lanes in memory between two rows; here it stays in registers. A vector of
`ROW_BYTES` is a row of weights, one of `LINE_BYTES` a neuron's value in several samples. Products and sums
may be fused into one instruction where the processor has it. Places are not checked: callers pass only places
that they computed themselves.
"""

# ruff: noqa: PLR0917 - an intrinsic takes plain arrays
# pyright: reportCallIssue=false
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

ROW_BYTES: Final = 256
"""Bytes of weights that lie side by side in one row: 64 numbers of float32."""
LINE_BYTES: Final = 64
"""Bytes of a neuron's values in samples that advance together: 16 numbers of float32."""
WIDE: Final = 8
"""Rows of weights that are used at once; a line holds a multiple of it."""
_SUMS: Final = 4
"""Sums that are formed beside one another, since each must wait for its last addition."""
_FUSED: Final = ("contract", "nsz")


def _number(kind: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    return ir.FloatType() if kind == types.float32 else ir.DoubleType()


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    return make_array(kind)(context, builder, value).data


def _vectors(context: Any, builder: Any, kind: Any, value: Any, width: int) -> Any:  # noqa: ANN401
    """Return a pointer to the vectors that an array consists of."""
    vector = ir.VectorType(_number(kind.dtype), width // (kind.dtype.bitwidth // 8))
    return builder.bitcast(_data(context, builder, kind, value), vector.as_pointer())


def _spread(builder: Any, number: Any, count: int) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return a vector with one number in all its lanes."""
    place = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(place, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(place, count), None))


def _place(builder: Any, places: Any, p: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    return builder.zext(builder.load(builder.gep(places, [p])), p.type)


@intrinsic
def add_rows(
    typing: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    places: Any,  # noqa: ANN401
    factors: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    position: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Add `factors[p]` times row `shift + places[p]`, for p of `start .. stop - 1`, to row `position`.

    `rows` and `sums` are flat, a row being `ROW_BYTES` long; `places` is unsigned, of at most 32 bits;
    `factors` is None where all are 1.
    """
    del typing
    signature = types.void(rows, shift, places, factors, start, stop, sums, position)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        weights = _vectors(context, builder, call.args[0], values[0], ROW_BYTES)
        weights = builder.gep(weights, [values[1]])
        listed = _data(context, builder, call.args[2], values[2])
        target = builder.gep(_vectors(context, builder, call.args[6], values[6], ROW_BYTES), [values[7]])
        count = target.type.pointee.count
        total = cgutils.alloca_once_value(builder, builder.load(target, align=4))
        with cgutils.loop_nest(builder, [builder.sub(values[5], values[4])], values[4].type) as steps:
            p = builder.add(values[4], *steps)
            row = builder.load(builder.gep(weights, [_place(builder, listed, p)]), align=4)
            if not isinstance(call.args[3], types.NoneType):
                factor = builder.load(builder.gep(_data(context, builder, call.args[3], values[3]), [p]))
                row = builder.fmul(row, _spread(builder, factor, count), flags=_FUSED)
            builder.store(builder.fadd(builder.load(total), row, flags=_FUSED), total)
        builder.store(builder.load(total), target, align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sum_lines(
    typing: Any,  # noqa: ANN401
    lines: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    places: Any,  # noqa: ANN401
    weights: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    position: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Write the sum of `weights[p]` times line `shift + places[p]`, for p of `start .. stop - 1`, to a line.

    `lines` and `sums` are flat, a line being `LINE_BYTES` long; `places` is uint32.
    """
    del typing
    signature = types.void(lines, shift, places, weights, start, stop, sums, position)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        sources = builder.gep(_vectors(context, builder, call.args[0], values[0], LINE_BYTES), [values[1]])
        listed, numbers = (_data(context, builder, call.args[k], values[k]) for k in (2, 3))
        target = builder.gep(_vectors(context, builder, call.args[6], values[6], LINE_BYTES), [values[7]])
        vector = target.type.pointee
        totals = [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in range(_SUMS)]

        def add(total: Any, p: Any) -> None:  # noqa: ANN401
            line = builder.load(builder.gep(sources, [_place(builder, listed, p)]), align=4)
            weight = _spread(builder, builder.load(builder.gep(numbers, [p])), vector.count)
            product = builder.fmul(line, weight, flags=_FUSED)
            builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)

        index = values[4].type
        length = builder.sub(values[5], values[4])
        whole = builder.udiv(length, ir.Constant(index, _SUMS))
        with cgutils.loop_nest(builder, [whole], index) as groups:
            first = builder.add(values[4], builder.mul(*groups, ir.Constant(index, _SUMS)))
            for k, total in enumerate(totals):
                add(total, builder.add(first, ir.Constant(index, k)))
        done = builder.mul(whole, ir.Constant(index, _SUMS))
        with cgutils.loop_nest(builder, [builder.sub(length, done)], index) as rest:
            add(totals[0], builder.add(builder.add(values[4], done), *rest))
        total = builder.load(totals[0])
        for other in totals[1:]:
            total = builder.fadd(total, builder.load(other))
        builder.store(total, target, align=4)
        return context.get_dummy_value()

    return signature, generate


def _turned(builder: Any, vectors: list[Any]) -> list[Any]:  # noqa: ANN401 - Numba ships no types
    """Return the columns of a square of numbers, given its rows; halves are interleaved several times."""
    count = len(vectors)
    index = ir.VectorType(ir.IntType(32), count)
    low = ir.Constant(index, [k // 2 + count * (k % 2) for k in range(count)])
    high = ir.Constant(index, [(k + count) // 2 + count * (k % 2) for k in range(count)])
    for _ in range(count.bit_length() - 1):
        pairs = [(vectors[k], vectors[k + count // 2]) for k in range(count // 2)]
        vectors = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in (low, high)]
    return vectors


@intrinsic
def turn(
    typing: Any,  # noqa: ANN401
    source: Any,  # noqa: ANN401
    start: Any,  # noqa: ANN401
    stride: Any,  # noqa: ANN401
    target: Any,  # noqa: ANN401
    place: Any,  # noqa: ANN401
    step: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Copy a square of numbers, a line wide, turned: its rows become columns.

    Args:
        typing: Typing context of Numba.
        source: Numbers, flat.
        start: Where the first row begins.
        stride: From one row to the next.
        target: Place for the numbers, flat.
        place: Where the first column begins.
        step: From one column to the next.
    """
    del typing
    signature = types.void(source, start, stride, target, place, step)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        count = LINE_BYTES // (call.args[0].dtype.bitwidth // 8)
        vector = ir.VectorType(_number(call.args[0].dtype), count)

        def line(array: int, begin: Any, stride: Any, k: int) -> Any:  # noqa: ANN401
            offset = builder.add(begin, builder.mul(stride, ir.Constant(stride.type, k)))
            numbers = _data(context, builder, call.args[array], values[array])
            return builder.bitcast(builder.gep(numbers, [offset]), vector.as_pointer())

        rows = [builder.load(line(0, values[1], values[2], k), align=4) for k in range(count)]
        for k, column in enumerate(_turned(builder, rows)):
            builder.store(column, line(3, values[4], values[5], k), align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_wide_lines(
    typing: Any,  # noqa: ANN401
    lines: Any,  # noqa: ANN401
    shift: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    begin: Any,  # noqa: ANN401
    length: Any,  # noqa: ANN401
    sums: Any,  # noqa: ANN401
    position: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Add to `WIDE` lines from `position` on the lines from `shift` on, weighted by as many rows.

    Row k of `length` weights begins at `begin + k length`; all arrays are flat. A line is loaded once for all
    rows.
    """
    del typing
    signature = types.void(lines, shift, rows, begin, length, sums, position)

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        sources = builder.gep(_vectors(context, builder, call.args[0], values[0], LINE_BYTES), [values[1]])
        numbers = builder.gep(_data(context, builder, call.args[2], values[2]), [values[3]])
        target = _vectors(context, builder, call.args[5], values[5], LINE_BYTES)
        index, vector = values[4].type, target.type.pointee
        places = [
            builder.gep(target, [builder.add(values[6], ir.Constant(values[6].type, k))]) for k in range(WIDE)
        ]
        totals = [cgutils.alloca_once_value(builder, builder.load(place, align=4)) for place in places]
        weights = [builder.gep(numbers, [builder.mul(values[4], ir.Constant(index, k))]) for k in range(WIDE)]
        with cgutils.loop_nest(builder, [values[4]], index) as targets:
            line = builder.load(builder.gep(sources, [*targets]), align=4)
            for total, row in zip(totals, weights, strict=True):
                weight = _spread(builder, builder.load(builder.gep(row, [*targets])), vector.count)
                product = builder.fmul(line, weight, flags=_FUSED)
                builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)
        for total, place in zip(totals, places, strict=True):
            builder.store(builder.load(total), place, align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def which_of_64(typing: Any, numbers: Any, start: Any) -> Any:  # noqa: ANN401
    """Return which of the 64 numbers from `start` on are not zero, the first one in the lowest bit."""
    del typing

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        vector = ir.VectorType(_number(call.args[0].dtype), 64)
        place = builder.gep(_data(context, builder, call.args[0], values[0]), [values[1]])
        chunk = builder.load(builder.bitcast(place, vector.as_pointer()), align=4)
        return builder.bitcast(builder.fcmp_unordered("!=", chunk, ir.Constant(vector, None)), ir.IntType(64))

    return types.uint64(numbers, start), generate


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:  # noqa: ANN401
    """Return the place of the lowest bit of a number that is not zero."""
    del typing

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        del context, call
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(bits), generate


@intrinsic
def fetch_row(typing: Any, rows: Any, position: Any) -> Any:  # noqa: ANN401
    """Ask for a row of `ROW_BYTES`, which will be needed soon, from wherever it is into the first cache."""
    del typing

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        line = ir.ArrayType(ir.IntType(8), LINE_BYTES)
        data = builder.bitcast(_data(context, builder, call.args[0], values[0]), line.as_pointer())
        index = values[1].type
        first = builder.mul(values[1], ir.Constant(index, ROW_BYTES // LINE_BYTES))
        place, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), (place, number, number, number))
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place], kind)
        for k in range(ROW_BYTES // LINE_BYTES):
            at = builder.gep(data, [builder.add(first, ir.Constant(index, k))])
            # To be read, to stay in all caches, data.
            flags = [ir.Constant(number, flag) for flag in (0, 3, 1)]
            builder.call(prefetch, [builder.bitcast(at, place), *flags])
        return context.get_dummy_value()

    return types.void(rows, position), generate
