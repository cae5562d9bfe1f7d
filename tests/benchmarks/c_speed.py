"""Generated C against the emulator, one sample, one core: `python -m tests.benchmarks.c_speed [TURNS]`.

By turns, in the processor time of each, with the compiler and the options of a run.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.c.compiler import HOST_OPTIONS, write_source
from targets.c.source import NetworkCode
from targets.emulator.target import EmulatorTarget
from tests.benchmarks.networks import NETWORKS, at_rate, stimulus
from toolchain.files.temporary import temporary_folder
from toolchain.ir import Graph

RATE: Final = 0.1
STEPS: Final = 100
NAMES: Final = ("recurrent 1024, 5 %", "HRSNN 5000, 2 %", "conv 64-64, 32x32", "VGG, 32x32")

_MAIN: Final = """
#include <stdio.h>
#include <time.h>
#include "{prefix}.h"

static {prefix}_state state;
static {prefix}_index events[{room}];
static uint32_t starts[{steps} + 1];

static double pass(void)
{{
    const clock_t before = clock();
    uint32_t step;
    {prefix}_reset(&state);
    for (step = 0; step < {steps}u; step++) {{
        {prefix}_input input;
        {prefix}_output output;
        input.{entry}_events = &events[starts[step]];
        input.{entry}_count = starts[step + 1] - starts[step];
        if ({prefix}_step(&state, &input, &output) != 0) {{
            return -1;
        }}
    }}
    return 1e6 * (double)(clock() - before) / CLOCKS_PER_SEC / {steps};
}}

int main(void)
{{
    if (fread(starts, sizeof starts, 1, stdin) != 1 || fread(events, sizeof events, 1, stdin) != 1) {{
        return 1;
    }}
    pass();
    printf("%f", pass());
    return 0;
}}
"""


def build_timed(graph: Graph, x: NDArray[np.bool_], folder: Path, command: tuple[str, ...]) -> bytes:
    """Compile a program that times a sample; return what it reads.

    Args:
        graph: A network of one input of spikes.
        x: One sample, `[time, *features]`.
        folder: Where the program is written.
        command: The compiler and its options.
    """
    code = NetworkCode(graph)
    entry = code.names[graph.inputs[0].name]
    rows = [np.flatnonzero(step) for step in x.reshape(len(x), -1)]
    starts = np.cumsum([0, *map(len, rows)]).astype(np.uint32)
    index = {256: np.uint8, 65536: np.uint16}
    largest = max(sender.size for sender in code.layout.senders.values())
    number = next((kind for most, kind in index.items() if largest <= most), np.uint32)
    main = _MAIN.format(prefix=code.prefix, entry=entry, room=int(starts[-1]), steps=len(x))
    names = [path.name for path in write_source(code, folder, driver=False)]
    (folder / "main.c").write_text(main)
    called = [*command, "-std=c99", *HOST_OPTIONS, "-o", "timed", "main.c", *names]
    subprocess.run(called, cwd=folder, check=True)
    return starts.tobytes() + np.concatenate(rows).astype(number).tobytes()


def time_c(folder: Path, asked: bytes) -> float:
    """Microseconds of a step."""
    said = subprocess.run([folder / "timed"], input=asked, capture_output=True, check=True).stdout
    return float(said)


def measure(name: str, turns: int) -> tuple[float, float, float]:
    """Least microseconds of a step of the emulator and of C, and the median of their ratios."""
    graph = at_rate(NETWORKS[name](), RATE)
    x = stimulus(graph, 1, STEPS)
    program = EmulatorTarget().build(graph)
    program.run(x)
    times: list[tuple[float, float]] = []
    with temporary_folder("speed") as folder:
        asked = build_timed(graph, x[0], folder, ("cc",))
        for _ in range(turns):
            start = time.thread_time()
            program.run(x)
            emulated = (time.thread_time() - start) * 1e6 / STEPS
            times.append((emulated, time_c(folder, asked)))
    least = np.min(times, axis=0)
    return float(least[0]), float(least[1]), float(np.median([c / emulated for emulated, c in times]))


def main() -> None:
    """Print one line per network."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    for name in NAMES:
        emulated, c, ratio = measure(name, turns)
        sys.stdout.write(f"{name}: emulator {emulated:.1f} us, C {c:.1f} us, {ratio:.2f} times\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
