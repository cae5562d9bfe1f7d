"""Whether a network fits the FPGA of a board, how fast the design may run, and what a step takes."""

from pathlib import Path
from typing import Final

from targets.rtl.fpga.board import BoardProfile, load_board
from targets.rtl.fpga.cycles import count_cycles, line_bytes
from targets.rtl.fpga.design import BoardDesign, check_memory, design_of, memory_bits
from targets.rtl.fpga.exporting import write_design, write_guide, write_host_files
from targets.rtl.fpga.implementation import (
    BLOCK_RAMS,
    LARGE_RAMS,
    LUTS,
    MULTIPLIERS,
    REGISTERS,
    Implementation,
    implement,
)
from targets.rtl.image import MemoryImage, memory_image
from toolchain.errors import DoesNotFitError, TargetError
from toolchain.execution.activity import Activity
from toolchain.ir import Graph
from toolchain.progress import Progress, no_progress
from toolchain.target.board_fit import BoardFit
from toolchain.target.chip_fit import Fact

_BITS_OF_A_BYTE: Final = 10
"""On a serial line, with start and stop."""
_ENERGY: Final = "no energy is given: none of this design was measured, and no public figure is one of it"


def fit_graph(
    board: str | Path, graph: Graph, activity: Activity, lanes: int, progress: Progress = no_progress
) -> BoardFit:
    """Return what a network takes on the FPGA of a board.

    Args:
        board: Name of a board, or a TOML file of another one.
        graph: A fixed graph.
        activity: Events of its sources in a recorded run.
        lanes: Lanes of the core.
        progress: Told after every stage of the tools.

    Raises:
        ProfileError: The profile lacks a value, or holds an impossible one.
        TargetError: The graph holds real numbers, or a tool fails.
        DoesNotFitError: Its memories are larger than those of the FPGA.
        TargetUnavailableError: A tool is not installed.
    """
    profile = load_board(board)
    image = memory_image(graph, lanes)
    check_memory(image, profile)
    design = design_of(image, profile)
    made = implement(design, profile, progress)
    fit = _fit(profile, image, design, made, activity)
    return fit.advised(_advise(fit, image))


def write_graph(
    board: str | Path, graph: Graph, folder: Path, lanes: int, progress: Progress = no_progress
) -> tuple[str, ...]:
    """Write a network for a board: sources, constraints, bitstream, and what feeds it.

    Args:
        board: Name of a board, or a TOML file of another one.
        graph: A fixed graph.
        folder: Folder that exists.
        lanes: Lanes of the core.
        progress: Told after every stage of the tools.

    Returns:
        Notes for the user.

    Raises:
        ProfileError: The profile lacks a value, or holds an impossible one.
        TargetError: The graph holds real numbers, or a tool fails, or the design finds no place.
        DoesNotFitError: It is too large for the FPGA, or too slow for the clock of the board.
        TargetUnavailableError: A tool is not installed.
    """
    profile = load_board(board)
    image = memory_image(graph, lanes)
    check_memory(image, profile)
    design = design_of(image, profile)
    made = implement(design, profile, progress)
    _require(made, profile)
    write_host_files(folder, image, design, profile)
    write_design(folder, design, profile, made)
    write_guide(folder, image, profile, made)
    return ("the bitstream was tried on no board; README.md says how it comes to one",)


def _require(made: Implementation, profile: BoardProfile) -> None:
    remedy = "prune the network, or take a larger board"
    for name, fact in _limits(profile).items():
        if made.used[name] > fact.value:
            raise DoesNotFitError("", name, made.used[name], fact.value, remedy)
    if made.hertz is None:
        raise TargetError(f"the design found no place on the FPGA: {made.problem}", remedy)
    if made.hertz < profile.clock.value:
        raise DoesNotFitError("", "MHz", profile.clock.value / 1e6, made.hertz / 1e6, "take fewer lanes")


def _limits(profile: BoardProfile) -> dict[str, Fact]:
    facts = {
        LUTS: profile.luts,
        REGISTERS: profile.registers,
        BLOCK_RAMS: profile.block_rams,
        LARGE_RAMS: profile.large_rams,
        MULTIPLIERS: profile.multipliers,
    }
    return {name: sourced.fact() for name, sourced in facts.items() if sourced.value}


def _fit(
    profile: BoardProfile, image: MemoryImage, design: BoardDesign, made: Implementation, activity: Activity
) -> BoardFit:
    work = count_cycles(image, activity)
    bytes_a_step = line_bytes(image, activity, design.parameters["CODE_BITS"])
    limits = _limits(profile)
    return BoardFit(
        board=profile.name,
        title=profile.title,
        limits=limits,
        used={name: made.used[name] for name in limits},
        clock=profile.clock.fact(),
        highest=made.hertz,
        problem=made.problem,
        parameters=design.parameters,
        work=work,
        seconds=sum(work.values()) / profile.clock.value,
        line_seconds=bytes_a_step * _BITS_OF_A_BYTE / profile.baud.value,
        step_seconds=image.graph.dt_ms / 1e3,
        steps=activity.steps,
        tools=made.tools,
        notes=(f"made by {'; '.join(made.tools)}", _ENERGY),
        advice=(),
    )


def _advise(fit: BoardFit, image: MemoryImage) -> tuple[str, ...]:
    """Return what would make a network fit, or faster."""
    advice: list[str] = []
    if fit.used.get(BLOCK_RAMS, 0) > fit.limits[BLOCK_RAMS].value:
        needed = memory_bits(image)
        largest = max(needed, key=lambda name: needed[name])
        advice.append(f"of its memories '{largest}' is the largest, with {needed[largest]:,} bits")
    if fit.used[LUTS] > fit.limits[LUTS].value:
        advice.append("prune it to fewer neurons, or take fewer lanes")
    name, cycles = max(fit.work.items(), key=lambda pair: pair[1])
    remedies = {
        "synapses": "prune synapses, train for fewer spikes, or take more lanes",
        "events": "train for fewer spikes",
        "neurons and poolings": "prune neurons, or take more lanes",
    }
    share = cycles / max(fit.cycles, 1)
    advice.append(f"{remedies.get(name, 'leave out outputs')}: {name} take {share:.0%} of the cycles")
    return tuple(advice)
