"""Networks on emulated processors: a cross compiler, QEMU, and a start without a C library."""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import pytest
from numpy.typing import NDArray

from targets.c.compiler import write_source
from targets.c.messages import RESET, STEP, answer_bytes, input_bytes, read_answers
from targets.c.source import NetworkCode
from tests.targets.c.strict import WARNINGS
from toolchain.execution import reference
from toolchain.execution.stimulus import fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.files.temporary import temporary_folder
from toolchain.ir import Graph, print_graph

BOARD: Final = Path(__file__).parent / "board"
_PATIENCE_S: Final = 300


@final
@dataclass(frozen=True)
class Machine:
    """An emulated processor.

    Attributes:
        name: As typed on the command line; its linker script is called so, too.
        compiler: Its compiler, with the choice of the core.
        emulator: QEMU, with the choice of the machine, and the power of 2 of ns that an instruction takes.
        packages: The packages of Debian that hold both.
    """

    name: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...]
    packages: str

    @property
    def missing(self) -> str:
        """What to install; empty if everything is there."""
        there = shutil.which(self.compiler[0]) and shutil.which(self.emulator[0])
        return "" if there else f"no {self.name} here: apt-get install {self.packages}"


CORTEX_M4: Final = Machine(
    "cortex-m4",
    ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
    ("qemu-system-arm", "-machine", "mps2-an386", "-icount", "shift=5"),
    "gcc-arm-none-eabi qemu-system-arm",
)
RISCV32: Final = Machine(
    "riscv32",
    ("riscv64-unknown-elf-gcc", "-march=rv32imac", "-mabi=ilp32", "-mcmodel=medany"),
    ("qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-icount", "shift=0"),
    "gcc-riscv64-unknown-elf qemu-system-misc",
)
MACHINES: Final = {machine.name: machine for machine in (CORTEX_M4, RISCV32)}


def link(machine: Machine, sources: Iterable[str], folder: Path, options: Iterable[str] = ()) -> None:
    """Compile and link what lies in a folder to the program `firmware`, every warning an error."""
    command = [
        *machine.compiler,
        *WARNINGS,
        *("-std=c99", "-O2", "-ffreestanding", "-nostdlib", "-ffunction-sections", "-Wl,--gc-sections"),
        *("-isystem", str(BOARD), "-T", str(BOARD / f"{machine.name}.ld"), "-o", "firmware"),
        *options,
        *sources,
    ]
    # Semihosting is written in assembly, which C99 alone does not have.
    start = [*machine.compiler, "-O2", "-ffreestanding", "-fno-builtin", "-isystem", str(BOARD), "-c"]
    for each in ([*start, str(BOARD / "start.c"), "-o", "start.o"], [*command, "start.o", "-lgcc"]):
        compiled = subprocess.run(each, cwd=folder, capture_output=True, text=True, check=False)
        assert compiled.returncode == 0, compiled.stderr


def emulate(machine: Machine, folder: Path, asked: bytes, arguments: Iterable[str] = ()) -> bytes:
    """Run `firmware` of a folder, and return what it answers."""
    (folder / "asked").write_bytes(asked)
    host = ",".join(f"arg={word}" for word in ("firmware", *arguments))
    command = [
        *machine.emulator,
        *("-nographic", "-monitor", "none", "-serial", "none"),
        *("-semihosting-config", f"enable=on,target=native,{host}", "-kernel", "firmware"),
    ]
    ended = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, f"status {ended.returncode}: {ended.stderr.decode()}"
    return (folder / "answered").read_bytes()


def check_equal_on(machine: Machine, graph: Graph, stimuli: Any) -> None:
    """u, v and spikes of every population at every step, with `==`."""
    mismatch = first_mismatch(reference.run(graph, stimuli), _trace_on(machine, graph, stimuli))
    assert mismatch is None, f"{machine.name}: {mismatch}\n{print_graph(graph)}"


def require(machine: Machine) -> None:
    """Skip a test where a machine is missing."""
    if machine.missing:
        pytest.skip(machine.missing)


def _trace_on(machine: Machine, graph: Graph, stimuli: Any) -> Trace:
    code = NetworkCode(graph)
    entering = input_bytes(code, fit_stimulus(graph, stimuli).values)
    samples, steps, _ = entering.shape
    letters: NDArray[np.uint8] = np.full((samples, steps, 1), STEP[0], np.uint8)
    letters[:, :1] = RESET[0]
    asked = np.concatenate([letters, entering], axis=2).tobytes()
    with temporary_folder("emulated") as folder:
        sources = [path.name for path in write_source(code, folder, driver=True)]
        link(machine, sources, folder, [f"-D{code.prefix.upper()}_TRACE"])
        answers = emulate(machine, folder, asked, ("1", "1", "1"))
    size = answer_bytes(code, QUANTITIES)
    assert len(answers) == samples * steps * size
    numbers = np.frombuffer(answers, np.uint8).reshape(samples, steps, size)
    return Trace(**read_answers(code, numbers, QUANTITIES))
