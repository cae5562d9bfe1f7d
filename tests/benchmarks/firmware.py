"""The demo's network as C on emulated processors: `python -m tests.benchmarks.firmware FOLDER`.

FOLDER is that of `pumice demo`. Flash and RAM come from the sections of an object, instructions are counted
by QEMU. Each network is also written as a loop over dense matrices, with the same integers; potentials of
both are compared with the reference after every sample. It writes the tables in `targets/README.md`.
"""

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from targets.c.compiler import write_source
from targets.c.measuring import OBJECT_OPTIONS
from targets.c.sections import ObjectBytes, object_bytes
from targets.c.source import NetworkCode
from tests.benchmarks.c_speed import NAMES, measure
from tests.benchmarks.dense_c import dense_source
from tests.targets.c.counting import count_instructions
from tests.targets.c.emulated import CORTEX_M4, MACHINES, Machine
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.files.temporary import temporary_folder
from toolchain.ir import Graph
from toolchain.workflow.compile import compile_trained
from toolchain.workflow.run_folder import TrainedRun

PAGE: Final = Path(__file__).parents[2] / "targets" / "README.md"
SAMPLES: Final = 20
_DENSE: Final = "as a dense loop"


def networks(folder: Path) -> tuple[dict[str, Graph], Stimulus]:
    """The integers of the pruned and of the unpruned network, and test digits."""
    trained = TrainedRun.load(folder / "run")
    arms = {"pruned": trained.network, "unpruned": trained.unpruned or trained.network}
    graphs = {
        name: compile_trained(replace(trained, network=network, unpruned=None), "c").fixed_graph
        for name, network in arms.items()
    }
    return graphs, trained.stimulus.take(slice(0, SAMPLES))


def memory(machine: Machine, code: NetworkCode, source: str | None) -> ObjectBytes:
    """Flash and RAM of an object, with one state of the network unless it has its own."""
    with temporary_folder("firmware") as folder:
        (written,) = write_source(code, folder, driver=False)
        if source is not None:
            written.write_text(source)
        else:
            written.write_text(f"{written.read_text()}\n{code.prefix}_state one_state;\n")
        options = ("-std=c99", *OBJECT_OPTIONS, "-c", "-o", "object", written.name)
        subprocess.run([*machine.compiler, *options], cwd=folder, check=True)
        return object_bytes((folder / "object").read_bytes())


def rows(graphs: dict[str, Graph], stimulus: Stimulus) -> dict[str, tuple[ObjectBytes, list[float]]]:
    """Memory on a Cortex-M4, and instructions of a step on every machine, by network and form."""
    found: dict[str, tuple[ObjectBytes, list[float]]] = {}
    for name, graph in graphs.items():
        code = NetworkCode(graph)
        (output,) = graph.outputs
        expected = reference.run(graph, stimulus, record=("spikes", "v")).v[output.inputs[0]][:, -1]
        for form, source in ((name, None), (f"{name}, {_DENSE}", dense_source(code))):
            counts: list[float] = []
            for machine in MACHINES.values():
                count, potentials = count_instructions(machine, code, stimulus, source)
                assert np.array_equal(potentials, expected), f"{form} differs on {machine.name}"
                counts.append(count)
            found[form] = memory(CORTEX_M4, code, source), counts
    return found


def table(graphs: dict[str, Graph], stimulus: Stimulus) -> str:
    """What networks take, in Markdown."""
    measured = rows(graphs, stimulus)
    lines = [
        "| network of the demo | flash, bytes | RAM, bytes | instructions a step, Cortex-M4 | RISC-V 32 |",
        "|---|---|---|---|---|",
    ]
    for name, (each, counts) in measured.items():
        flash = each.code + each.constants
        lines.append(f"| {name} | {flash:,} | {each.data:,} | {counts[0]:,.0f} | {counts[1]:,.0f} |")
    sparse, dense = measured["pruned"], measured[f"pruned, {_DENSE}"]
    before, first = measured["unpruned"], measured[f"unpruned, {_DENSE}"]
    code = NetworkCode(graphs["pruned"])
    synapses = sum(t.bytes for each in code.connections.values() for t in each.tables)
    flash = sparse[0].code + sparse[0].constants
    ratios = [[other[1][i] / sparse[1][i] for i in range(len(MACHINES))] for other in (dense, before, first)]
    compiler = subprocess.run(
        [CORTEX_M4.compiler[0], "-dumpversion"], capture_output=True, text=True, check=True
    ).stdout.strip()
    said = (
        f"Against its own dense loop the pruned network takes {ratios[0][0]:.1f} times fewer instructions "
        f"on the Cortex-M4 and {ratios[0][1]:.1f} on RISC-V, {ratios[1][0]:.1f} and {ratios[1][1]:.1f} "
        f"times fewer than the unpruned network, and {ratios[2][0]:.0f} and {ratios[2][1]:.0f} times "
        f"fewer than that one's dense loop. Its weights and indices take {synapses:,} bytes; flash is "
        f"{flash / synapses - 1:.1%} more. (gcc {compiler} -O2, {SAMPLES} test digits of "
        f"{stimulus.steps} steps, {dt.datetime.now(tz=dt.UTC).date()})"
    )
    return "\n".join(lines) + f"\n\n{wrapped(said)}"


def speed(turns: int) -> str:
    """Time on this machine beside the emulator's, in Markdown."""
    lines = [
        "| network, 10 % of its neurons spike | emulator, µs a step | C, µs | ratio |",
        "|---|---|---|---|",
    ]
    for name in NAMES:
        emulated, c, ratio = measure(name, turns)
        lines.append(f"| {name} | {emulated:,.1f} | {c:,.1f} | {ratio:.2f} |")
    return "\n".join(lines)


def wrapped(text: str, width: int = 100) -> str:
    """Text in lines of a page."""
    lines, line = list[str](), ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > width:
            lines.append(line)
            line = ""
        line += f"{' ' if line else ''}{word}"
    return "\n".join([*lines, line])


def main() -> None:
    """Measure, and write the page."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in {"firmware": table(*networks(Path(sys.argv[1]))), "c-speed": speed(9)}.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"
        sys.stdout.write(f"{text}\n")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
