"""A network of matrices as a straightforward loop of C: every weight is multiplied in every step.

It has the header of the generated network and the same integers, so that both can be put under one program.
What it takes is what somebody writes first: matrices of 16 bits, one product for each pair of neurons.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from targets.c.source import NetworkCode
from targets.c.tables import ConstTable
from toolchain import ir
from toolchain.fixedpoint import DECAY_UNITY
from toolchain.ir.matrix import delay_slots, sources_of

_HEAD: Final = """#include "{prefix}.h"
static int32_t decayed(int32_t x, int32_t kept)
{{
    const int32_t size = x < 0 ? -x : x;
    const int32_t left = (size >> 12) * kept + (((size & 4095) * kept) >> 12);
    return x < 0 ? -left : left;
}}
static int32_t wrapped(int32_t u)
{{
    return u > 8388608 ? u - 16777216 : u <= -8388608 ? u + 16777216 : u;
}}
static int32_t saturated(int32_t v)
{{
    return v > 8388607 ? 8388607 : v < -8388607 ? -8388607 : v;
}}
"""
_LAYER: Final = """
static int32_t {name}_v[{size}];
static int16_t {name}_now[{size}], {name}_before[{size}];
static void {name}_advance(void)
{{
    uint32_t i, j;
    for (i = 0; i < {size}u; i++) {{
        int32_t sum = 0, v;
{sums}        v = saturated(decayed({name}_v[i], {name}_keepv[i]) + wrapped(sum * 64));
        {name}_now[i] = v > {name}_vth[i] * 64;
        {name}_v[i] = {name}_now[i] ? 0 : v;
    }}
}}
"""
_SUM: Final = """        for (j = 0; j < {sources}u; j++) {{
            sum += {matrix}[i][j] * {read}[j];
        }}
"""
_STEP: Final = """
void {prefix}_reset({prefix}_state *state)
{{
    uint32_t i;
    (void)state;
{rest}}}
int {prefix}_step({prefix}_state *state, const {prefix}_input *input, {prefix}_output *output)
{{
    uint32_t i;
    for (i = 0; i < {entries}u; i++) {{
        {entry}_now[i] = 0;
    }}
    for (i = 0; i < input->{entry}_count; i++) {{
        {entry}_now[input->{entry}_events[i]] = 1;
    }}
{advance}    output->{leave}_events = state->{source}_events;
    output->{leave}_count = 0;
    output->{leave}_potentials = {source}_v;
    return 0;
}}
"""


def dense_source(code: NetworkCode) -> str:
    """The loop, for the header of a network whose currents are forgotten at once and whose spikes set zero.

    The number of spikes that it puts out is always 0: what is compared are potentials.
    """
    (entry,), (leave,) = code.graph.inputs, code.graph.outputs
    names, prefix = code.names, code.prefix
    rest, advance, layers = "", "", f"static int16_t {names[entry.name]}_now[{entry.shape[0]}];\n"
    for name, population in code.populations.items():
        node, size = population.node, population.sender.size
        assert (node.du == DECAY_UNITY - 1).all()
        layers += _tables(names[name], {"keepv": DECAY_UNITY - node.dv, "vth": node.vth}, size)
        sums = ""
        for (source, steps), matrix in _matrices(code, node).items():
            layers += _matrix(f"{names[name]}_{names[source]}_{steps}", matrix)
            read = f"{names[source]}_{'before' if steps else 'now'}"
            table = f"{names[name]}_{names[source]}_{steps}"
            sums += _SUM.format(sources=matrix.shape[1], matrix=table, read=read)
        layers += _LAYER.format(name=names[name], size=size, sums=sums)
        each = f"    for (i = 0; i < {size}u; i++) {{\n        {names[name]}_"
        advance += f"{each}before[i] = {names[name]}_now[i];\n    }}\n    {names[name]}_advance();\n"
        rest += f"{each}v[i] = {names[name]}_now[i] = 0;\n    }}\n"
    step = {"entry": names[entry.name], "entries": entry.shape[0], "leave": names[leave.name]}
    step |= {"prefix": prefix, "source": names[leave.inputs[0]], "rest": rest, "advance": advance}
    return _HEAD.format(prefix=prefix) + layers + _STEP.format(**step)


def _matrices(code: NetworkCode, node: ir.FixedLif) -> dict[tuple[str, int], NDArray[Any]]:
    """The sum of the matrices that read one source at one delay of at most a step, exponents included."""
    sums: dict[tuple[str, int], NDArray[Any]] = {}
    for name in node.inputs:
        connection = code.graph[name]
        assert isinstance(connection, ir.FixedDense)
        source, steps = code.graph.source(connection.inputs[0])
        for wait, part in delay_slots(connection.weights, connection.delays):
            matrix = part if isinstance(part, np.ndarray) else part.toarray()
            assert matrix.shape[1] == sources_of(part)
            assert connection.exponent >= 0
            key = (source.name, steps + wait)
            sums[key] = sums.get(key, 0) + (matrix.astype(np.int64) << connection.exponent)
    assert all(steps <= 1 for _, steps in sums)
    return sums


def _matrix(name: str, matrix: NDArray[Any]) -> str:
    assert np.abs(matrix).max() < 2**15
    lines = ["{" + "\n".join(ConstTable(name, "", row).lines()) + "}" for row in matrix.astype(np.int16)]
    rows = ",\n".join(lines)
    return f"static const int16_t {name}[{matrix.shape[0]}][{matrix.shape[1]}] = {{\n{rows}\n}};\n"


def _tables(name: str, values: dict[str, NDArray[Any]], size: int) -> str:
    text = ""
    for word, numbers in values.items():
        table = ConstTable(f"{name}_{word}", "", np.broadcast_to(numbers, (size,)).astype(np.int32))
        lines = "\n".join(table.lines())
        text += f"static const int32_t {table.name}[{size}] = {{\n{lines}\n}};\n"
    return text
