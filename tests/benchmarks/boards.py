"""Networks on the FPGAs of boards: `python -m tests.benchmarks.boards NAME=BUILD[:BOARD[:LANES]] ...`.

Each build is placed and routed for a board, or for all, and simulated on its own test samples: cycles are
those of the simulation, and every spike and potential is compared with the reference. It writes the table in
`targets/rtl/fpga/README.md`.
"""

import datetime as dt
import sys
from pathlib import Path
from typing import Final

import numpy as np

from targets.rtl.fpga.fitting import fit_graph
from targets.rtl.fpga.implementation import BLOCK_RAMS, LARGE_RAMS, LUTS, MULTIPLIERS, REGISTERS
from targets.rtl.program import CoreSimulation, RtlProgram
from targets.rtl.target import RtlTarget
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.target.board_fit import BoardFit
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import observed_activity
from toolchain.workflow.load import load

PAGE: Final = Path(__file__).parents[2] / "targets" / "rtl" / "fpga" / "README.md"
_HEAD: Final = (
    "| network | board | lanes | LUTs | flip-flops | block RAMs | SPRAMs | multipliers | highest clock, MHz "
    "| cycles a step | µs a step | samples a second |\n|" + "---|" * 12
)
_RESOURCES: Final = (LUTS, REGISTERS, BLOCK_RAMS, LARGE_RAMS, MULTIPLIERS)


def simulated_cycles(build: Build, lanes: int, samples: int) -> float:
    """Mean cycles of a step; everything that the neurons did is compared with the reference."""
    stimulus = build.stimulus_for(None).take(slice(0, samples))
    seen = RtlProgram(build.fixed_graph, CoreSimulation(lanes=lanes, exact=True)).observe(
        stimulus, record=QUANTITIES
    )
    mismatch = first_mismatch(reference.run(build.fixed_graph, stimulus, record=QUANTITIES), seen.trace)
    assert mismatch is None, mismatch
    return float(np.mean(seen.cycles))


def row(name: str, fit: BoardFit, cycles: float) -> str:
    """One line of the table."""
    counts = [
        f"{fit.used[each]:,} of {fit.limits[each].value:,.0f}" if each in fit.limits else "-"
        for each in _RESOURCES
    ]
    seconds = cycles / fit.clock.value
    highest = (
        "no place"
        if fit.highest is None
        else f"{fit.highest / 1e6:.1f} (the board's: {fit.clock.value / 1e6:g})"
    )
    numbers = (
        *counts,
        highest,
        f"{cycles:,.0f}",
        f"{1e6 * seconds:,.0f}",
        f"{1 / (fit.steps * seconds):,.0f}",
    )
    return f"| {name} | {fit.board} | {fit.parameters['LANES']} | {' | '.join(numbers)} |"


def main(arguments: list[str]) -> None:
    """Measure, and write the page."""
    lines = [_HEAD]
    tools: tuple[str, ...] = ()
    for argument in arguments:
        name, _, rest = argument.partition("=")
        folder, board, lanes = (*rest.split(":"), "", "")[:3]
        build, width = load(Path(folder)), int(lanes or 1)
        activity = observed_activity(build, None, None)
        cycles = simulated_cycles(build, width, 540)
        for each in [board] if board else RtlTarget().boards:
            fit = fit_graph(each, build.fixed_graph, activity, width)
            lines.append(row(name, fit, cycles))
            tools = tuple(dict.fromkeys((*tools, *fit.tools)))
            sys.stdout.write(f"{lines[-1]}\n")
            sys.stdout.flush()
    text = "\n".join(lines) + f"\n\n({', '.join(tools)}; {dt.datetime.now(tz=dt.UTC).date()})"
    page = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- boards: begin -->", "<!-- boards: end -->"
    before, rest = page.split(begin)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
