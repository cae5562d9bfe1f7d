"""A network as what the memories of the core hold, and how large they must be for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from targets.rtl.declared import CAPABILITIES
from targets.rtl.instructions import LENGTH, Flag, Instruction, Operation, Ring
from targets.rtl.layout import (
    MessageLayout,
    MessageReading,
    MessageSender,
    Reader,
    lay_out_messages,
    sends_values,
)
from targets.rtl.parameters import PLAIN_COLUMNS, RULED_COLUMNS, firing_flags, parameters_of
from targets.rtl.rows import rows_of_matrix
from targets.rtl.size import CoreSize
from targets.rtl.weights import WeightScale, reach_of, scale_of
from targets.rtl.windows import KernelWindow, Offsets, window_of
from toolchain import ir
from toolchain.errors import TargetError
from toolchain.fixedpoint import INPUT_LIMIT
from toolchain.ir import Graph, Pooling
from toolchain.target.acceptance import check_graph

_WORD: Final = 2**16
_BLOCK: Final = _WORD - 1
"""Words of a block of the load stream."""
_LEAST_SUM_BITS: Final = 10
_MOST_BITS: Final = 32
LANES: Final = (1, 2, 4, 8, 16)
"""Numbers of lanes that a core may have."""


@final
@dataclass(frozen=True)
class MemoryImage:
    """What the core is loaded with for a network.

    Attributes:
        graph: The network.
        layout: Its messages.
        size: The smallest core for it.
        tables: Program and tables.
        synapses: Words of synapses, `[lanes, words]`.
        parameters: Columns of parameters, `[groups, lanes, columns]`.
        states: Number of the first state of every population, in groups.
    """

    graph: Graph
    layout: MessageLayout
    size: CoreSize
    tables: NDArray[np.int64]
    synapses: NDArray[np.int64]
    parameters: NDArray[np.int64]
    states: Mapping[str, int]

    @property
    def groups(self) -> int:
        """Groups of neurons."""
        return sum(self.layout.senders[name].groups for name in self.states)

    def load_words(self, size: CoreSize) -> NDArray[np.uint16]:
        """Return the load stream for a core, which has this size at least."""
        columns = RULED_COLUMNS if size.rules else PLAIN_COLUMNS
        blocks = [
            block
            for column in range(size.table_columns)
            for block in _blocks(1, column, 0, self.tables >> 16 * column)
        ]
        for lane in range(size.lanes):
            blocks += _blocks(2, 0, lane, self.synapses[lane])
            for column in range(columns):
                blocks += _blocks(3, column, lane, self.parameters[:, lane, column])
        return np.concatenate([*blocks, np.zeros(1, np.int64)]).astype(np.uint16)


def _blocks(kind: int, column: int, lane: int, words: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(words), _BLOCK):
        part = words[start : start + _BLOCK]
        head = np.array([kind << 12 | column << 8 | lane, start & _BLOCK, start >> 16, len(part)])
        yield np.concatenate([head, part & _BLOCK])


def memory_image(graph: Graph, lanes: int) -> MemoryImage:
    """Return a network as what the memories of a core hold.

    Args:
        graph: A fixed graph.
        lanes: Lanes of the core.

    Raises:
        VerifyError: The graph is not well formed.
        TargetError: It holds real numbers, or addresses take more than 32 bits.
    """
    check_graph(graph, CAPABILITIES)
    return _ImageWriter(graph, lanes).image()


@final
class _ImageWriter:
    """Writes the memories one after the other.

    Args:
        graph: A verified fixed graph.
        lanes: Lanes of the core.
    """

    def __init__(self, graph: Graph, lanes: int) -> None:
        self._graph, self._lanes = graph, lanes
        self._layout = lay_out_messages(graph, lanes)
        self._scales = {node.name: scale_of(graph, node) for node in graph if isinstance(node, Reader)}
        readings = [each for reads in self._layout.readings.values() for each in reads]
        folds = sum(self._scales[each.node.name].folds for each in readings)
        turns = len(self._layout.senders) + len(readings) + folds
        self._tables: list[int] = []
        self._start = LENGTH * (turns + 2)
        self._synapses: list[NDArray[np.int64]] = []
        self._synapse_words = 0
        self._parameters: list[NDArray[np.int64]] = []
        self._parameter_places: dict[bytes, int] = {}
        self._kernels: dict[str, int] = {}
        self._windows: dict[str, Instruction] = {}
        self._rings = _rings(self._layout)
        self._states: dict[str, int] = {}
        self._sums = 0

    def image(self) -> MemoryImage:
        """Return the memories."""
        program = [instruction for name in self._layout.readings for instruction in self._turn(name)]
        receives = [
            Instruction(Operation.RECEIVE).opening(self._rings[node.name]) for node in self._graph.inputs
        ]
        messages = max(ring.end for ring in self._rings.values())
        states = sum(self._layout.senders[name].groups for name in self._states)
        clear = Instruction(Operation.CLEAR, groups=max(messages, states, self._sums))
        whole = [clear, *receives, *program, Instruction(Operation.END)]
        words = [word for instruction in whole for word in instruction.words]
        tables = np.array(words + self._tables, np.int64)
        synapses = np.concatenate([np.zeros((self._lanes, 1), np.int64), *self._synapses], axis=1)
        parameters = np.concatenate(self._parameters)
        codes = [int(sender.codes.max()) for sender in self._layout.senders.values()]
        # Weights of kernels are counted one group at a time, and two lie in a word.
        weights = synapses.shape[1] * (2 if self._windows else 1)
        largest = max(int(tables.max()), messages, weights, *codes)
        if largest >= 2**_MOST_BITS:
            raise TargetError(
                f"graph '{self._graph.name}' needs addresses up to {largest}, the core has 32 bits",
                "prune it, or run it on another target",
            )
        size = CoreSize(
            lanes=self._lanes,
            table_columns=1 if largest < _WORD and len(tables) <= _WORD else 2,
            table_depth=len(tables),
            message_depth=messages,
            synapse_depth=max(synapses.shape[1], 2),
            sum_depth=max(self._sums, 2),
            state_depth=max(states, 2),
            parameter_depth=max(len(parameters), 2),
            value_bits=self._value_bits(),
            **self._sum_widths(),
            rules=any(not node.is_plain for node in self._graph.populations),
            images=bool(self._windows),
        )
        return MemoryImage(self._graph, self._layout, size, tables, synapses, parameters, self._states)

    def _turn(self, name: str) -> Iterator[Instruction]:
        """Yield what a population or pooling does in a step: those whose sums change come first."""
        sender = self._layout.senders[name]
        readings = self._layout.readings[name]
        apart = [each for each in readings if self._scales[each.node.name].folds]
        others = [each for each in readings if not self._scales[each.node.name].folds]
        self._sums = max(self._sums, sender.groups * (2 if len(apart) > 1 else 1))
        for i, reading in enumerate(apart):
            scale, parts = self._scales[reading.node.name], sender.groups if i else 0
            yield self._delivery(reading, sender, scale, parts)
            flags = (Flag.WRAPS if scale.wraps else 0) | (0 if i else Flag.IN_PLACE)
            yield Instruction(
                Operation.FOLD | flags, sums=parts, groups=sender.groups, table=0, scale=scale.drops
            )
        for reading in others:
            yield self._delivery(reading, sender, self._scales[reading.node.name], 0)
        yield self._sweep(sender)

    def _delivery(
        self, reading: MessageReading, target: MessageSender, scale: WeightScale, sums: int
    ) -> Instruction:
        flags = (Flag.UNSIGNED if scale.unsigned else 0) | (Flag.NEGATED if scale.negated else 0)
        sender, ring = self._layout.senders[reading.sender], self._rings[reading.sender]
        if isinstance(reading.node, ir.FixedDense) and reading.weights is not None:
            rows = rows_of_matrix(reading.node, reading.weights, sender)
            table = self._put(rows.starts + self._put_synapses(rows.words))
            return Instruction(Operation.DELIVER | flags, sums=sums, table=table, scale=scale.shift).opening(
                ring, reading.steps
            )
        window = self._window(reading, sender, target)
        return replace(
            window, operation=Operation.CONVOLVE | flags, sums=sums, scale=window.scale | scale.shift
        ).opening(ring, reading.steps)

    def _window(self, reading: MessageReading, sender: MessageSender, target: MessageSender) -> Instruction:
        """Return the tables of a window, which is written once, however many populations read it."""
        node = reading.node
        if isinstance(node, ir.FixedDense):
            raise TypeError("a matrix has no window")
        if node.name not in self._windows:
            window = window_of(node, sender, target.channels)
            first = self._put_kernels("" if isinstance(node, Pooling) else node.name, window)
            channels = window.channels + np.array([first, 0])
            self._windows[node.name] = Instruction(
                Operation.CONVOLVE,
                groups=window.groups,
                table=self._put(channels.ravel()),
                rows=self._put_offsets(window.rows),
                columns=self._put_offsets(window.columns),
                scale=sender.channel_bits << 4 | sender.column_bits << 8,
            )
        return self._windows[node.name]

    def _sweep(self, sender: MessageSender) -> Instruction:
        across, down, skip, leap = sender.jumps
        shared = Instruction(
            Operation.POOL, groups=sender.groups, across=across, down=down, skip=skip, leap=leap
        ).opening(self._rings[sender.node.name])
        node = sender.node
        if not isinstance(node, ir.FixedLif):
            return replace(shared, operation=shared.operation | (0 if self._counts(sender) else Flag.JOINS))
        table, period = self._put_parameters(parameters_of(node, sender))
        state = self._states[node.name] = sum(self._layout.senders[name].groups for name in self._states)
        sources = list(dict.fromkeys(output.inputs[0] for output in self._graph.outputs))
        flags = firing_flags(node)
        if node.name in sources:
            shows = any(each.reads_potential for each in self._graph.outputs if node.name in each.inputs)
            flags |= Flag.SENDS | (Flag.SHOWS if shows else 0)
        return replace(
            shared,
            operation=Operation.FIRE | flags,
            table=table,
            rows=state,
            columns=period,
            scale=node.max_spikes,
            source=sources.index(node.name) if node.name in sources else 0,
        )

    def _counts(self, sender: MessageSender) -> bool:
        return sends_values(self._graph, sender)

    def _put(self, words: NDArray[np.int64] | Sequence[int]) -> int:
        """Append words to the tables; return the address of the first."""
        place = self._start + len(self._tables)
        self._tables += [int(word) for word in words]
        return place

    def _put_offsets(self, lists: Offsets) -> int:
        """Append lists: for each where it begins and ends, then their entries."""
        entries = self._start + len(self._tables) + 2 * len(lists)
        ends = np.cumsum([2 * len(each) for each in lists])
        bounds = np.stack([np.concatenate(([0], ends[:-1])), ends], axis=1) + entries
        return self._put([*bounds.ravel(), *(word for each in lists for pair in each for word in pair)])

    def _put_synapses(self, words: NDArray[np.int64]) -> int:
        """Append words of all lanes to the synapses; return the address of the first."""
        # A word at 0 is kept free, so that a core without synapses has a memory, too.
        place = 1 + self._synapse_words
        self._synapses.append(words)
        self._synapse_words += words.shape[1]
        return place

    def _put_kernels(self, name: str, window: KernelWindow) -> int:
        """Append kernels, two groups of weights a word; return where they begin, in groups."""
        if name not in self._kernels:
            padded = np.concatenate(
                [window.weights, np.zeros((len(window.weights) % 2, self._lanes), np.int64)]
            )
            words = padded[::2] | padded[1::2] << 8
            self._kernels[name] = 2 * self._put_synapses(words.T)
        return self._kernels[name]

    def _put_parameters(self, table: NDArray[np.int64]) -> tuple[int, int]:
        """Append parameters unless they are there; return where they begin, and their period."""
        key = table.tobytes()
        if key not in self._parameter_places:
            self._parameter_places[key] = sum(map(len, self._parameters))
            self._parameters.append(table)
        return self._parameter_places[key], len(table)

    def _value_bits(self) -> int:
        graph = self._graph
        if not any(sends_values(graph, sender) for sender in self._layout.senders.values()):
            return 0
        readers = (*graph.synapses, *graph.poolings)
        sums = [node.window.area * graph.largest_message(node) for node in graph.poolings]
        sent = [node.max_spikes for node in graph.populations] + [2**node.bits - 1 for node in graph.inputs]
        largest = max([graph.largest_message(node) for node in readers] + sums + sent)
        return min(largest.bit_length() + 1, _MOST_BITS)

    def _sum_widths(self) -> dict[str, int]:
        """Return bits of sums and currents within which nothing is lost, or those of the reference."""
        reaches = [reach_of(self._graph, each) for each in self._graph if isinstance(each, Reader)]
        whole = [
            sum(
                reach_of(self._graph, each)
                for each in map(self._graph.__getitem__, node.inputs)
                if isinstance(each, ir.FixedDense | ir.FixedConv2d)
            )
            for node in self._graph.populations
        ]
        bits = max([*reaches, *whole, 1]).bit_length() + 1
        return {
            "sum_bits": min(max(bits, _LEAST_SUM_BITS), _MOST_BITS),
            "current_bits": 25 if max(whole) <= INPUT_LIMIT else _MOST_BITS,
        }


def _rings(layout: MessageLayout) -> dict[str, Ring]:
    rings: dict[str, Ring] = {}
    start = 0
    for name, sender in layout.senders.items():
        rings[name] = Ring(start, sender.stride, sender.slots)
        start = rings[name].end
    return rings
