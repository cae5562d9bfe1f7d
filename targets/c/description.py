"""Sentences about a network for the comments of its source: what its layers are, and what takes memory."""

from collections.abc import Iterator, Sequence

from targets.c.connections import ConnectionCode
from targets.c.layout import Sender
from targets.c.memory import Member
from targets.c.names import comment
from targets.c.tables import ConstTable
from toolchain import ir
from toolchain.ir import Graph


def describe_sender(graph: Graph, sender: Sender) -> str:
    """Return what sends messages, and what it reads, in a line."""
    node, shape = sender.node, " x ".join(map(str, sender.shape))
    match node:
        case ir.Input():
            what = f"values of up to {sender.limit}" if sender.values else "spikes"
            return f"'{node.name}': input, {shape} {what}"
        case ir.MaxPool2d() | ir.SumPool2d():
            what = "largest" if isinstance(node, ir.MaxPool2d) else "sums"
            return (
                f"'{node.name}': {what} over windows of {_pair(node.kernel)} of '{node.inputs[0]}', {shape}"
            )
        case _:
            read = ", ".join(f"'{graph.source(name)[0].name}'" for name in node.inputs)
            rule = node.reset.value
            return f"'{node.name}' ({comment(node.origin.path)}): {shape} neurons, reset '{rule}', by {read}"


def describe_connection(connection: ConnectionCode) -> str:
    """Return what a connection does, in a line."""
    node = connection.node
    sender = f"of '{connection.sender.node.name}'"
    match node:
        case ir.FixedDense():
            synapses = 0 if connection.fanout is None else connection.fanout.synapses
            late = f" of delays {_range(connection.waits)}" if any(connection.waits) else ""
            return f"{synapses:,} synapses{late} on {connection.size} neurons {sender}"
        case ir.FixedConv2d():
            kernel = " x ".join(map(str, node.weights.shape))
            return f"convolution {sender} with {kernel} weights, stride {_pair(node.stride)}"
        case _:
            return f"windows of {_pair(node.kernel)} {sender}, stride {_pair(node.stride)}"


def memory_map(members: Sequence[Member], tables: Sequence[ConstTable]) -> Iterator[str]:
    """Yield a line for every table and member of the state, with its bytes."""
    sizes = [(table.bytes, table.name, table.meaning) for table in tables]
    yield f"{sum(size for size, _, _ in sizes):>9,}  tables"
    for size, name, meaning in sizes:
        yield f"{size:>9,}    {name}: {meaning}"
    sizes = [(member.bytes, member.name, member.meaning) for member in members]
    yield f"{sum(size for size, _, _ in sizes):>9,}  state"
    for size, name, meaning in sizes:
        yield f"{size:>9,}    {name}: {meaning}"


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]} x {pair[1]}"


def _range(waits: Sequence[int]) -> str:
    return str(waits[0]) if len(waits) == 1 else f"{waits[0]} to {waits[-1]}"
