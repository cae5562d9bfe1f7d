"""How many instructions a step of a network takes on an emulated processor, and whether it is still right."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.c.compiler import write_source
from targets.c.source import NetworkCode
from tests.targets.c.emulated import Machine, emulate, link
from toolchain.execution.stimulus import Stimulus
from toolchain.files.temporary import temporary_folder

_MAIN: Final = """
#include "{prefix}.h"

#include <stdio.h>

#include "counter.h"

static {prefix}_state state;
static {prefix}_index events[{PREFIX}_{ENTRY}_SIZE];

/* Reads samples and steps, then the events of each step; answers with instructions and potentials. */
static uint32_t number(void)
{{
    uint32_t value = 0;
    return fread(&value, sizeof value, 1, stdin) == 1 ? value : 0;
}}

int main(void)
{{
    const uint32_t samples = number(), steps = number();
    uint32_t sample, step, i, before;
    counter_begin();
    for (sample = 0; sample < samples; sample++) {{
        uint32_t taken = 0;
        {prefix}_output output;
        {prefix}_reset(&state);
        for (step = 0; step < steps; step++) {{
            {prefix}_input input;
            int status;
            input.{entry}_events = events;
            input.{entry}_count = number();
            for (i = 0; i < input.{entry}_count; i++) {{
                events[i] = ({prefix}_index)number();
            }}
            before = counter_now();
            status = {prefix}_step(&state, &input, &output);
            taken += counter_between(before, counter_now());
            if (status != 0) {{
                return 1;
            }}
        }}
        fwrite(&taken, sizeof taken, 1, stdout);
        fwrite(output.{leave}_potentials, sizeof *output.{leave}_potentials, {PREFIX}_{LEAVE}_SIZE, stdout);
    }}
    return 0;
}}
"""


def count_instructions(
    machine: Machine,
    code: NetworkCode,
    stimulus: Stimulus,
    source: str | None = None,
    options: tuple[str, ...] = (),
) -> tuple[float, NDArray[np.int32]]:
    """Instructions of a step, and the potentials of the read-out after every sample.

    Args:
        machine: The processor.
        code: A network of one input of spikes and one output.
        stimulus: Samples.
        source: Another source with the same header; by default the network's.
        options: Further words for the compiler.
    """
    (entry,), (leave,) = code.graph.inputs, code.graph.outputs
    names = {"prefix": code.prefix, "entry": code.names[entry.name], "leave": code.names[leave.name]}
    names |= {"PREFIX": code.prefix.upper(), "ENTRY": names["entry"].upper(), "LEAVE": names["leave"].upper()}
    spikes = next(iter(stimulus.values.values())).reshape(stimulus.samples, stimulus.steps, -1)
    with temporary_folder("counted") as folder:
        sources = [path.name for path in write_source(code, folder, driver=False)]
        if source is not None:
            Path(folder, sources[0]).write_text(source)
        (folder / "main.c").write_text(_MAIN.format(**names))
        link(machine, [*sources, "main.c"], folder, options)
        answers = np.frombuffer(emulate(machine, folder, _asked(spikes)), np.int32)
    rows = answers.reshape(stimulus.samples, -1)
    return float(rows[:, 0].mean()) / stimulus.steps, rows[:, 1:]


def _asked(spikes: NDArray[np.bool_]) -> bytes:
    words = [np.array(spikes.shape[:2], np.uint32)]
    for step in spikes.reshape(-1, spikes.shape[2]):
        events = np.flatnonzero(step).astype(np.uint32)
        words += [np.array([events.size], np.uint32), events]
    return np.concatenate(words).tobytes()
