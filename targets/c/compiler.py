"""The compiler of the system, as a child process: from a network's source to a program that runs samples."""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from targets.c.source import NetworkCode
from toolchain.child_process import problem_of
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.files.temporary import temporary_folder

PROGRAM: Final = "program"
HOST_OPTIONS: Final = ("-O3", "-march=native")
"""Options of programs that run here."""
_PLAIN_OPTIONS: Final = ("-O2",)
"""The same where a compiler does not take those."""
_DRIVER: Final = "driver.c"
_UNIT: Final = "unit.c"
_LOG: Final = "log.txt"
_LINES: Final = 12
"""Lines of a compiler's message that are shown."""
_WIDTH: Final = 200
_PATIENCE_S: Final = 900.0


def find_compiler(command: Sequence[str]) -> None:
    """Raise unless a compiler can be called.

    Raises:
        TargetUnavailableError: There is no program of that name.
    """
    if not command or shutil.which(command[0]) is None:
        named = f"'{command[0]}'" if command else "no compiler"
        raise TargetUnavailableError(
            "c",
            f"there is no C compiler {named}, and CC names no other",
            "apt-get install gcc",
        )


def write_source(code: NetworkCode, folder: Path, *, driver: bool) -> list[Path]:
    """Write a network as files of C; return those that a compiler is given.

    Args:
        code: The network.
        folder: Folder for the files.
        driver: Whether the program that runs samples is written, too.
    """
    (folder / f"{code.prefix}.h").write_text(code.header(), encoding="ascii")
    sources = {f"{code.prefix}.c": code.source()} | ({_DRIVER: code.driver()} if driver else {})
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="ascii")
    return [folder / name for name in sources]


def compile_driver(code: NetworkCode, command: Sequence[str]) -> bytes:
    """Return the program that runs a network's samples.

    Args:
        code: The network.
        command: The compiler and its first arguments.

    Raises:
        TargetUnavailableError: There is no such compiler.
        TargetError: It fails; its message is shown, and the source kept.
    """
    trace = (f"-D{code.prefix.upper()}_TRACE", "-o", PROGRAM)
    with suppress(TargetError):
        return _compile(code, command, (*HOST_OPTIONS, *trace), driver=True, keep=False)
    return _compile(code, command, (*_PLAIN_OPTIONS, *trace), driver=True)


def compile_object(code: NetworkCode, command: Sequence[str], options: Sequence[str]) -> bytes:
    """Return the object of a network and of one state, as firmware has it.

    Args:
        code: The network.
        command: The compiler and its first arguments.
        options: Further arguments.

    Raises:
        TargetUnavailableError: There is no such compiler.
        TargetError: It fails; its message is shown, and the source kept.
    """
    return _compile(code, command, (*options, "-c", "-o", PROGRAM), driver=False)


def _compile(
    code: NetworkCode, command: Sequence[str], options: Sequence[str], *, driver: bool, keep: bool = True
) -> bytes:
    find_compiler(command)
    with temporary_folder("c") as folder:
        sources = write_source(code, folder, driver=driver)
        if not driver:
            sources = [folder / _UNIT]
            text = f'#include "{code.prefix}.c"\n\n{code.prefix}_state {code.prefix}_the_state;\n'
            sources[0].write_text(text, encoding="ascii")
        # Paths may begin with a dash, or hold what a compiler reads as something else: names do not.
        called = [*command, "-std=c99", *options, *(source.name for source in sources)]
        problem = problem_of(
            called, folder, folder / _LOG, patience_s=_PATIENCE_S, environment={"TMPDIR": str(folder)}
        )
        program = folder / PROGRAM
        if problem or not program.is_file():
            problem = problem or "it wrote no program"
            raise _failure(command, folder, problem) if keep else TargetError(problem)
        return program.read_bytes()


def _failure(command: Sequence[str], folder: Path, problem: str) -> TargetError:
    """Return the error for a compiler that failed, and keep what it was given."""
    copies = Path(tempfile.mkdtemp(prefix="pumice_c_"))
    for source in (*folder.glob("*.c"), *folder.glob("*.h"), folder / _LOG):
        shutil.copy(source, copies)
    error = TargetError(
        f"the compiler '{' '.join(command)}' does not take the source: {problem}",
        f"what it was given, and all that it said, is in '{copies}'; or set CC to another compiler",
    )
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    error.add_note("\n".join(line[:_WIDTH] for line in lines[:_LINES]) or "the compiler said nothing")
    return error
