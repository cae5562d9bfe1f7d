"""Digits on a microcontroller: a pruned network as C beside a main function that looks like firmware.

`python examples/digits_firmware.py -o firmware` trains the network of the demo, a minute or several; with
`--build pumice-demo/build` it takes the one that `pumice demo` left. The folder then holds `net_hrsnn.c`,
`net_hrsnn.h`, `digits.h` and `main.c`, for any compiler. It is also built and run here, and what it says of
every picture is compared with what the emulator says.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import toolchain
from toolchain.workflow.experiment import parse_experiment

MAIN = Path(__file__).parent / "firmware" / "main.c"


def trained(epochs: int) -> toolchain.Build:
    """Train, prune and compile the network of the demo."""
    experiment = parse_experiment({"training": {"epochs": epochs}, "pruning": {"baseline": False}})
    with tempfile.TemporaryDirectory() as folder:
        toolchain.train(experiment, Path(folder) / "run")
        return toolchain.compile_run(Path(folder) / "run", target="c")


def table(ctype: str, name: str, numbers: list[int]) -> str:
    """Return a constant table of C."""
    lines = [", ".join(map(str, numbers[i : i + 20])) for i in range(0, len(numbers), 20)]
    rows = ",\n    ".join(lines)
    return f"static const {ctype} {name}[{len(numbers)}] = {{\n    {rows}\n}};\n"


def pictures(samples: toolchain.Stimulus) -> str:
    """Return a header with pictures: for every step the numbers of the pixels that spike."""
    spikes, labels = samples.values["input"], samples.labels
    if labels is None:
        raise SystemExit("the samples of this build have no labels: take a build of `pumice demo`")
    count, steps = spikes.shape[:2]
    events = [np.flatnonzero(step).tolist() for sample in spikes for step in sample]
    starts = np.cumsum([0, *map(len, events)]).tolist()
    return (
        "/* Handwritten digits as spikes, made by examples/digits_firmware.py. */\n"
        '#ifndef DIGITS_H\n#define DIGITS_H\n\n#include "net_hrsnn.h"\n\n'
        f"#define DIGITS {count}u\n#define DIGITS_STEPS {steps}u\n\n"
        + table("uint32_t", "digits_starts", starts)
        + table("net_hrsnn_index", "digits_events", [number for each in events for number in each])
        + table("uint8_t", "digits_labels", [int(label) for label in labels])
        + "\n#endif\n"
    )


def write_firmware(build: toolchain.Build, folder: Path, digits: int) -> list[int]:
    """Write the firmware to a folder; return the classes that the emulator gives its pictures."""
    samples = build.stimulus_for(None).take(slice(0, digits))
    toolchain.export(build, folder, "c")
    (folder / "digits.h").write_text(pictures(samples))
    shutil.copy(MAIN, folder)
    return [int(number) for number in toolchain.predict(build, samples).classes]


def main(build: Path | None, folder: Path, digits: int, epochs: int, compiler: str) -> None:
    """Write the firmware, run it here, and compare it with the emulator."""
    loaded = trained(epochs) if build is None else toolchain.load(build)
    expected = write_firmware(loaded, folder, digits)
    command = [compiler, "-std=c99", "-O2", "-o", "firmware", "main.c", "net_hrsnn.c"]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - a compiler that the caller chose
    program = [folder.resolve() / "firmware"]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    *classes, verdict = said.splitlines()
    if [int(word) for line in classes for word in line.split()] != expected:
        raise SystemExit("the firmware and the emulator do not say the same")
    print(f"the firmware says of {len(expected)} digits what the emulator says: {verdict}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, help="a build of `pumice demo`; by default one is trained")
    parser.add_argument("-o", "--output", type=Path, default=Path("digits-firmware"))
    parser.add_argument("--digits", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--compiler", default="cc")
    given = parser.parse_args()
    main(given.build, given.output, given.digits, given.epochs, given.compiler)
