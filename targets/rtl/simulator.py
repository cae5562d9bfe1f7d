"""The core as a program: compiled once for every size by Verilator, or by Icarus where that is missing."""

import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from targets.rtl.size import CoreSize
from toolchain.child_process import problem_of
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.files.atomic import replacing_file
from toolchain.files.temporary import temporary_folder
from toolchain.user_folders import own_folder

VERILOG: Final = Path(__file__).parent / "verilog"
BENCH: Final = Path(__file__).parent / "bench"
CORE_FILES: Final = (
    "core.v",
    "loader.v",
    "sequencer.v",
    "lane.v",
    "synapses.v",
    "sums.v",
    "neuron.v",
    "decay.v",
    "ram.v",
    "ram_single.v",
)
"""The Verilog of the core."""
_LOG: Final = "log.txt"
_PROGRAM: Final = "program"
_LINES: Final = 12
_WIDTH: Final = 200
_PATIENCE_S: Final = 900.0
_VERSION_S: Final = 30.0
_FORM: Final = "after its digest"
"""How a program is kept."""


class Simulator(Enum):
    """What makes a program of Verilog."""

    VERILATOR = "verilator"
    """C++, compiled: fast, but ten seconds to compile."""
    ICARUS = "iverilog"
    """Code for an interpreter: slow, but there at once."""

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that it takes."""
        return ("verilator", "make", "g++") if self is Simulator.VERILATOR else ("iverilog", "vvp")

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of them that are not here."""
        return tuple(tool for tool in self.tools if shutil.which(tool) is None)


def find_simulator(chosen: Simulator | None = None) -> Simulator:
    """Return the chosen simulator, or the first that is here.

    Raises:
        TargetUnavailableError: It is not here, or none is.
    """
    choices = Simulator if chosen is None else (chosen,)
    for simulator in choices:
        if not simulator.missing:
            return simulator
    names = " nor ".join(f"'{simulator.value}'" for simulator in choices)
    raise TargetUnavailableError(
        "rtl",
        f"there is {'neither ' if chosen is None else 'no '}{names} with all that it needs",
        "apt-get install verilator make g++"
        if chosen is not Simulator.ICARUS
        else "apt-get install iverilog",
    )


@final
@dataclass(frozen=True)
class SimulatedCore:
    """A core as a program.

    Attributes:
        simulator: What made it.
        size: Its size.
        program: What is run, or what the interpreter is given.
    """

    simulator: Simulator
    size: CoreSize
    program: bytes


@lru_cache(8)
def simulated_core(simulator: Simulator, size: CoreSize) -> SimulatedCore:
    """Return a core of a size as a program, compiled unless it was before.

    It is kept in a folder of this user alone, by the hash of all that it is made of.

    Raises:
        TargetUnavailableError: The simulator is not here.
        TargetError: It fails; its message is shown, and the source kept.
    """
    find_simulator(simulator)
    place = _kept_program(simulator, size)
    before = None if place is None else _read_kept(place)
    if before is not None:
        return SimulatedCore(simulator, size, before)
    with temporary_folder("rtl") as folder:
        for source in sources(simulator):
            shutil.copy(source, folder)
        problem = problem_of(
            _command(simulator, size),
            folder,
            folder / _LOG,
            patience_s=_PATIENCE_S,
            environment={"TMPDIR": str(folder)},
        )
        program = folder / _PROGRAM
        if problem or not program.is_file():
            raise _failure(simulator, folder, problem or "it wrote no program")
        made = program.read_bytes()
    if place is not None:
        with suppress(OSError, TargetError), replacing_file(place) as temporary:
            temporary.write_bytes(sha256(made).digest() + made)
    return SimulatedCore(simulator, size, made)


def sources(simulator: Simulator) -> list[Path]:
    """Return the files that a program is made of."""
    bench = BENCH / ("bench.cpp" if simulator is Simulator.VERILATOR else "bench.v")
    return [*(VERILOG / name for name in CORE_FILES), bench]


def _kept_program(simulator: Simulator, size: CoreSize) -> Path | None:
    folder = own_folder()
    if folder is None:
        return None
    digest = sha256(
        "\0".join([_FORM, sys.platform, *_command(simulator, size), _version(simulator)]).encode()
    )
    for source in sources(simulator):
        digest.update(source.read_bytes())
    return folder / "rtl" / digest.hexdigest()


def _read_kept(place: Path) -> bytes | None:
    """Return a program that is kept; None if there is none, or if it was damaged."""
    try:
        whole = place.read_bytes()
    except OSError:
        return None
    length = sha256().digest_size
    return whole[length:] if sha256(whole[length:]).digest() == whole[:length] else None


@lru_cache
def _version(simulator: Simulator) -> str:
    flag = "-version" if simulator is Simulator.VERILATOR else "-V"
    try:
        said = subprocess.run(  # noqa: S603 - the user's own simulator, no shell
            [simulator.value, flag],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=_VERSION_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetError(
            f"'{simulator.value}' does not say its version: {error}",
            f"install it anew, or take '{shutil.which(simulator.value)}' out of PATH",
        ) from None
    return said.stdout


def _command(simulator: Simulator, size: CoreSize) -> list[str]:
    """Return how it is compiled, in a folder that holds the sources."""
    files = [source.name for source in sources(simulator)]
    if simulator is Simulator.ICARUS:
        parameters = [f"-Pbench.{name}={value}" for name, value in size.parameters.items()]
        return [
            "iverilog",
            "-g2005",
            "-Wall",
            "-Wno-timescale",
            "-s",
            "bench",
            *parameters,
            "-o",
            _PROGRAM,
            *files,
        ]
    parameters = [f"-G{name}={value}" for name, value in size.parameters.items()]
    macros = f"-DLANES={size.lanes} -DVALUE_WIDTH={max(size.value_bits, 1)}"
    return [
        *("verilator", "-cc", "-exe", "-build", "-Wall", "-O3", "-top-module", "core", "-GTRACE=1"),
        *("-x-assign", "unique", "-x-initial", "unique", "-Mdir", "made", "-o", f"../{_PROGRAM}"),
        *parameters,
        *("-CFLAGS", f"-O2 {macros}"),
        *files,
    ]


def _failure(simulator: Simulator, folder: Path, problem: str) -> TargetError:
    """Return the error for a simulator that failed, and keep what it said."""
    kept_log = Path(tempfile.mkdtemp(prefix="pumice_rtl_"))
    shutil.copy(folder / _LOG, kept_log)
    error = TargetError(
        f"'{simulator.value}' does not take the core: {problem}",
        f"all that it said is in '{kept_log}'; Verilator 5 and Icarus 11 are known to take it",
    )
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    error.add_note("\n".join(line[:_WIDTH] for line in lines[:_LINES]) or "it said nothing")
    return error
