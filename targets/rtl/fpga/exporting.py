"""A network as files for a board: sources, constraints, bitstream, what it is loaded with, and its host."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from targets.rtl.export import printable
from targets.rtl.fpga.board import BoardProfile
from targets.rtl.fpga.design import BoardDesign, output_senders
from targets.rtl.fpga.implementation import Implementation, synthesis_script
from targets.rtl.image import MemoryImage
from toolchain import ir
from toolchain.files.documents import Document, write_document
from toolchain.files.npz import write_arrays
from toolchain.fixedpoint import ALIGNMENT_BITS

HOST: Final = "host.py"
_GUIDE: Final = "board_guide.md"
"""What `README.md` of an export is made of."""


class HostInput(Document):
    """An input of a network, for its host.

    Attributes:
        name: Its name.
        graded: Whether values enter, not spikes.
        scale: Integers per unit of a value.
        bits: Magnitude bits of the integer.
    """

    name: str
    graded: bool
    scale: float
    bits: int


class HostOutput(Document):
    """An output of a network, for its host.

    Attributes:
        name: Its name.
        number: Number of the population that it reads.
        potentials: Whether it reads potentials, not spikes.
        decode: What is read over the steps of a sample.
        units: How many units of a potential are one of the model, for each neuron.
        weights: Weights of an affine read-out; none if there is none.
        bias: Its offset.
        classes: Names of the classes.
    """

    name: str
    number: int
    potentials: bool
    decode: str
    units: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...] | None
    bias: tuple[float, ...] | None
    classes: tuple[str, ...]


class HostNetwork(Document):
    """What the host knows of a network: `network.json` beside its bitstream.

    Attributes:
        name: Name of the network.
        board: Name of the board.
        baud: Bits a second of the serial line.
        queue: Bytes that the board keeps beyond the step that runs.
        code_bits: Bits of a code.
        value_bits: Bits of the value of an event, sign included.
        inputs: Its inputs.
        outputs: Its outputs.
    """

    name: str
    board: str
    baud: int
    queue: int
    code_bits: int
    value_bits: int
    inputs: tuple[HostInput, ...]
    outputs: tuple[HostOutput, ...]


def write_host_files(folder: Path, image: MemoryImage, design: BoardDesign, board: BoardProfile) -> None:
    """Write what the host needs, and the host.

    Args:
        folder: Folder that exists.
        image: What the core is loaded with.
        design: Its design.
        board: The board.
    """
    (folder / "image.bin").write_bytes(image.load_words(image.size).astype(">u2").tobytes())
    write_document(folder / "network.json", _host_network(image, design, board))
    senders = image.layout.senders
    codes = {f"input{i}": senders[node.name] for i, node in enumerate(image.graph.inputs)}
    codes |= {f"output{i}": sender for i, sender in enumerate(output_senders(image))}
    arrays = {name: sender.codes.reshape(sender.shape).astype(np.uint32) for name, sender in codes.items()}
    write_arrays(folder / "codes.npz", arrays)
    (folder / HOST).write_bytes(files("targets.rtl.fpga").joinpath(HOST).read_bytes())


def write_design(folder: Path, design: BoardDesign, board: BoardProfile, made: Implementation) -> None:
    """Write the sources, how the bitstream is made of them, and the bitstream.

    Args:
        folder: Folder that exists.
        design: The design.
        board: The board.
        made: What the tools made of it.
    """
    (folder / "verilog").mkdir()
    for name, text in design.sources.items():
        (folder / "verilog" / name).write_text(text, encoding="ascii")
    constraints, text = board.constraints()
    (folder / constraints).write_text(text, encoding="ascii")
    (folder / "run.ys").write_text(synthesis_script(design, board, "verilog/"), encoding="ascii")
    (folder / "board.bit").write_bytes(made.bitstream)


def write_guide(folder: Path, image: MemoryImage, board: BoardProfile, made: Implementation) -> None:
    """Write `README.md`: what the files are, and how they come to the board."""
    is_ice40 = board.device.value.is_ice40
    text = (
        files("targets.rtl.fpga")
        .joinpath(_GUIDE)
        .read_text("utf-8")
        .format(
            graph=printable(image.graph.name),
            title=board.title,
            loader="iceprog writes it to the flash of the board" if is_ice40 else "openFPGALoader writes it",
            load="iceprog board.bit"
            if is_ice40
            else f"openFPGALoader -b {board.name.partition('-')[0]} board.bit",
            constraints=board.constraints()[0],
            highest=f"{(made.hertz or 0) / 1e6:.1f}",
            clock=board.clock.value / 1e6,
            tools="; ".join(made.tools),
        )
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _host_network(image: MemoryImage, design: BoardDesign, board: BoardProfile) -> HostNetwork:
    graph = image.graph
    numbers = {sender.node.name: number for number, sender in enumerate(output_senders(image))}
    return HostNetwork(
        name=graph.name,
        board=board.name,
        baud=board.baud.value,
        queue=design.queue_bytes,
        code_bits=design.parameters["CODE_BITS"],
        value_bits=max(image.size.value_bits, 1),
        inputs=tuple(
            HostInput(name=n.name, graded=n.edge is ir.EdgeKind.GRADED, scale=n.scale, bits=n.bits)
            for n in graph.inputs
        ),
        outputs=tuple(_host_output(graph, output, numbers[output.inputs[0]]) for output in graph.outputs),
    )


def _host_output(graph: ir.Graph, output: ir.Output, number: int) -> HostOutput:
    node = graph[output.inputs[0]]
    scale = node.scale if isinstance(node, ir.FixedLif) else np.ones(1)
    return HostOutput(
        name=output.name,
        number=number,
        potentials=output.reads_potential,
        decode=output.decode.value,
        units=tuple(
            _plain(np.broadcast_to(scale * 2.0**ALIGNMENT_BITS, graph.types[node.name].shape).ravel())
        ),
        weights=None if output.weights is None else tuple(tuple(_plain(row)) for row in output.weights),
        bias=None if output.bias is None else tuple(_plain(output.bias)),
        classes=output.classes,
    )


def _plain(values: Any) -> list[float]:  # noqa: ANN401 - any array
    return np.asarray(values, np.float64).tolist()
