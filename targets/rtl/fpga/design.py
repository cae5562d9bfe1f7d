"""A network's design for a board: the core as large as the network needs it, and its serial line."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, final

from targets.rtl.export import printable
from targets.rtl.fpga.board import BoardProfile
from targets.rtl.image import MemoryImage
from targets.rtl.layout import MessageSender
from toolchain.errors import DoesNotFitError, TargetError

TOP: Final = "top"
_CODE_BITS: Final = 20
"""Most bits of a code that the serial line carries."""
_OUTPUTS: Final = 4
"""Most populations that the serial line tells apart."""
_BLOCK_BITS: Final[Mapping[bool, int]] = {True: 4096, False: 18432}
"""Bits of a block memory of iCE40, and of ECP5."""
_LARGE_BITS: Final = 2**18
_QUEUE_BITS: Final[Mapping[bool, int]] = {True: 9, False: 11}
"""Address bits of a queue of bytes that fills one block memory of iCE40, and of ECP5."""
_TOP: Final = """\
// {title}: the core as large as a network of {neurons:,} neurons needs it.
// What it is loaded with is in `image.bin`.
module {top} (
    input  wire clock,
    input  wire rx,
    output wire tx
);

    board #(
{parameters}
    ) the_board (
        .clock(clock),
        .rx(rx),
        .tx(tx)
    );

endmodule
"""


@final
@dataclass(frozen=True)
class BoardDesign:
    """A design in Verilog, whose top module is `top`.

    Attributes:
        sources: Text of each file, by its name.
        parameters: Parameters of the module `board`.
    """

    sources: Mapping[str, str]
    parameters: Mapping[str, int]

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait beyond the step that runs."""
        return 1 << self.parameters["QUEUE_BITS"]


def design_of(image: MemoryImage, board: BoardProfile) -> BoardDesign:
    """Return the design of a network for a board.

    Args:
        image: What the core is loaded with.
        board: The board.

    Raises:
        TargetError: The serial line cannot tell its inputs or outputs apart.
    """
    parameters = _parameters(image, board)
    package = files("targets.rtl").joinpath("verilog")
    sources = {
        entry.name: entry.read_text("ascii") for entry in package.iterdir() if entry.name.endswith(".v")
    }
    lines = ",\n".join(f"        .{name}({value})" for name, value in parameters.items())
    neurons = sum(sender.size for sender in image.layout.senders.values() if not sender.is_input)
    top = _TOP.format(title=printable(board.title), neurons=neurons, top=TOP, parameters=lines)
    return BoardDesign(dict(sorted(sources.items())) | {f"{TOP}.v": top}, parameters)


def check_memory(image: MemoryImage, board: BoardProfile) -> None:
    """Raise before any tool runs if the memories of a board are too small for a network.

    Raises:
        DoesNotFitError: Names the memories, with the bits that are needed and those there are.
    """
    is_ice40 = board.device.value.is_ice40
    needed = memory_bits(image)
    synapses = needed.pop("synapses")
    blocks = board.block_rams.value * _BLOCK_BITS[is_ice40]
    large = board.large_rams.value * _LARGE_BITS
    remedy = "prune it, or take a larger board"
    if synapses + sum(needed.values()) > blocks + large:
        total = synapses + sum(needed.values())
        raise DoesNotFitError(
            "", f"bits of memory ({synapses:,} of them synapses)", total, blocks + large, remedy
        )
    if sum(needed.values()) > blocks:
        named = ", ".join(f"{name} {bits:,}" for name, bits in needed.items())
        raise DoesNotFitError("", f"bits of block memory ({named})", sum(needed.values()), blocks, remedy)


def memory_bits(image: MemoryImage) -> dict[str, int]:
    """Return the bits of every memory of the core."""
    size = image.size
    state = size.current_bits + 24 + (35 if size.rules else 0)
    columns = 10 if size.rules else 4
    return {
        "synapses": size.lanes * size.synapse_depth * 16,
        "tables": size.table_columns * size.table_depth * 16,
        "messages": size.message_depth * (16 * size.table_columns + size.value_bits),
        "sums": size.lanes * size.sum_depth * size.sum_bits,
        "states": size.lanes * size.state_depth * state,
        "parameters": size.lanes * size.parameter_depth * columns * 16,
    }


def _parameters(image: MemoryImage, board: BoardProfile) -> dict[str, int]:
    outputs = output_senders(image)
    if len(outputs) > _OUTPUTS:
        raise TargetError(
            f"the serial line tells {_OUTPUTS} populations apart, and {len(outputs)} are read as outputs",
            "leave some of the outputs out",
        )
    inputs = [sender for sender in image.layout.senders.values() if sender.is_input]
    bits = max(int(sender.codes.max()).bit_length() for sender in (*inputs, *outputs))
    if bits > _CODE_BITS:
        raise TargetError(
            f"the serial line carries codes of {_CODE_BITS} bits, and an input or output needs {bits}",
            "make that input or output smaller",
        )
    line = {
        "DIVISOR": board.divisor,
        "QUEUE_BITS": _QUEUE_BITS[board.device.value.is_ice40],
        "CODE_BITS": max(bits, 1),
    }
    return line | image.size.parameters


def output_senders(image: MemoryImage) -> list[MessageSender]:
    """Return the populations that outputs read, in the order of their numbers."""
    names = dict.fromkeys(output.inputs[0] for output in image.graph.outputs)
    return [image.layout.senders[name] for name in names]
