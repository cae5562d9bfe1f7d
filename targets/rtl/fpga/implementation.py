"""A design on an FPGA: what Yosys makes of it, where nextpnr puts it, and the bitstream."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from targets.rtl.fpga.board import BoardProfile
from targets.rtl.fpga.design import TOP, BoardDesign
from targets.rtl.fpga.tools import find_tool, run_tool, tool_version
from toolchain.errors import TargetError
from toolchain.files.temporary import temporary_folder
from toolchain.progress import Progress, no_progress

SEED: Final = 1
"""Seed of the placer: the same design gets the same place."""
_STAGES: Final = 3
LUTS, REGISTERS, BLOCK_RAMS, LARGE_RAMS, MULTIPLIERS = (
    "LUTs",
    "flip-flops",
    "block RAMs",
    "SPRAMs",
    "multipliers",
)
_UTILIZATION: Final[Mapping[str, Sequence[str]]] = {
    LUTS: ("ICESTORM_LC", "TRELLIS_COMB"),
    BLOCK_RAMS: ("ICESTORM_RAM", "DP16KD"),
    LARGE_RAMS: ("ICESTORM_SPRAM",),
    MULTIPLIERS: ("ICESTORM_DSP", "MULT18X18D"),
    REGISTERS: ("TRELLIS_FF",),
}
"""How nextpnr calls what it has placed. A logic cell of iCE40 is a LUT and a flip-flop."""
_FLIP_FLOPS: Final = ("SB_DFF", "TRELLIS_FF")
"""How the names of flip-flops begin in a netlist."""
_LOGIC: Final = ("SB_LUT4", "LUT4")
_MEMORIES: Final = {BLOCK_RAMS: ("SB_RAM40_4K", "DP16KD"), LARGE_RAMS: ("SB_SPRAM256KA",)}
_PRODUCTS: Final = ("SB_MAC16", "MULT18X18D")


@final
@dataclass(frozen=True)
class Implementation:
    """A design on an FPGA.

    Attributes:
        used: How many there are of each resource, after place and route where that was possible.
        hertz: Highest clock at which every path is in time; None where the design does not fit.
        problem: Why it has no place; empty if it has one.
        bitstream: What is written to the FPGA; empty where it has no place.
        tools: The tools and their versions.
    """

    used: Mapping[str, int]
    hertz: float | None
    problem: str
    bitstream: bytes
    tools: tuple[str, ...]


def implement(design: BoardDesign, board: BoardProfile, progress: Progress = no_progress) -> Implementation:
    """Synthesize a design for a board, place and route it, and make its bitstream.

    Args:
        design: The design.
        board: The board.
        progress: Told after each of three stages.

    Raises:
        TargetUnavailableError: A tool is missing.
        TargetError: A tool takes the design for wrong.
    """
    family = board.device.value.family
    find_tool(_packer(board))
    tools = tuple(tool_version(name) for name in ("yosys", f"nextpnr-{family}"))
    with temporary_folder("fpga") as folder:
        netlist = synthesize(design, board, folder)
        progress(1, _STAGES)
        try:
            report = _place(board, folder)
        except TargetError as error:
            notes = getattr(error, "__notes__", [""])
            return Implementation(netlist, None, notes[0].partition("\n")[0], b"", tools)
        progress(2, _STAGES)
        used = netlist | _placed(report)
        bitstream = _pack(board, folder)
        progress(_STAGES, _STAGES)
        return Implementation(used, _hertz(report), "", bitstream, tools)


def synthesize(design: BoardDesign, board: BoardProfile, folder: Path) -> dict[str, int]:
    """Write the netlist of a design into a folder, and return what it takes of each resource.

    Args:
        design: The design.
        board: The board.
        folder: Folder for `netlist.json`.

    Raises:
        TargetUnavailableError: Yosys is missing.
        TargetError: Yosys takes the design for wrong.
    """
    for name, text in design.sources.items():
        (folder / name).write_text(text, encoding="ascii")
    (folder / "run.ys").write_text(synthesis_script(design, board), encoding="ascii")
    run_tool("yosys", ("-q", "-s", "run.ys"), folder, "cells.json")
    cells = json.loads((folder / "cells.json").read_text("utf-8"))["design"]["num_cells_by_type"]
    return _counted({name.lstrip("\\"): int(number) for name, number in cells.items()})


def synthesis_script(design: BoardDesign, board: BoardProfile, folder: str = "") -> str:
    """Return what Yosys does with a design, whose sources lie in a folder such as `verilog/`."""
    sources = " ".join(folder + name for name in design.sources)
    options = "-dsp -spram " if board.device.value.is_ice40 else ""
    defined = "-DSYNTHESIS -DLARGE_RAMS" if board.large_rams.value else "-DSYNTHESIS"
    return "\n".join(
        (
            f"read_verilog {defined} {sources}",
            f"synth_{board.device.value.family} {options}-top {TOP} -json netlist.json",
            "tee -o cells.json stat -json",
            "",
        )
    )


def _counted(cells: Mapping[str, int]) -> dict[str, int]:
    def total(names: Sequence[str]) -> int:
        return sum(number for name, number in cells.items() if name.startswith(tuple(names)))

    memories = {name: total(kinds) for name, kinds in _MEMORIES.items()}
    logic = {LUTS: sum(cells.get(name, 0) for name in _LOGIC), REGISTERS: total(_FLIP_FLOPS)}
    return logic | memories | {MULTIPLIERS: total(_PRODUCTS)}


def _place(board: BoardProfile, folder: Path) -> dict[str, Any]:
    """Place and route a netlist; return the report of nextpnr."""
    device = board.device.value
    name, text = board.constraints()
    (folder / name).write_text(text, encoding="ascii")
    if device.is_ice40:
        own = ("--pcf", name, "--asc", "placed.txt")
    else:
        own = ("--lpf", name, "--textcfg", "placed.txt")
    run_tool(
        f"nextpnr-{device.family}",
        (
            f"--{device.value}",
            *("--package", board.package.value, "--json", "netlist.json", *own),
            *("--report", "report.json", "--seed", str(SEED), "--freq", f"{board.clock.value / 1e6:g}"),
            *("--timing-allow-fail", "--quiet"),
        ),
        folder,
        "placed.txt",
    )
    return json.loads((folder / "report.json").read_text("utf-8"))


def _placed(report: Mapping[str, Any]) -> dict[str, int]:
    """Return what nextpnr counts of each resource; it knows better than the netlist."""
    cells = report["utilization"]
    return {
        name: int(cells[kind]["used"])
        for name, kinds in _UTILIZATION.items()
        for kind in kinds
        if kind in cells
    }


def _hertz(report: Mapping[str, Any]) -> float:
    """Return the highest clock of the only clock that there is."""
    return min(float(clock["achieved"]) for clock in report["fmax"].values()) * 1e6


def _packer(board: BoardProfile) -> str:
    return "icepack" if board.device.value.is_ice40 else "ecppack"


def _pack(board: BoardProfile, folder: Path) -> bytes:
    run_tool(_packer(board), ("placed.txt", "board.bit"), folder, "board.bit")
    return (folder / "board.bit").read_bytes()
