"""How the command ends: with which exit code, and what is said."""

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, final

from toolchain.cli.console import WrongUsage, err, print_error, print_traceback, print_usage
from toolchain.errors import ToolchainError, UsageError
from toolchain.intake import check_working_folder
from toolchain.interrupts import INTERRUPTS, Deferring
from toolchain.memory import enough_memory

_BUG: Final = 1
_UNMAPPED: Final = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
"""How the loader of libraries tells that there was no memory for one."""
_SIGNALLED: Final = 128
"""What shells add to the number of the signal that ended a process."""


def exit_code_of(command: Callable[[], object], debug: Callable[[], bool]) -> int:
    """Run a command, say why it ended early if it did, and return its exit code.

    Args:
        command: What to run.
        debug: Asked afterwards whether tracebacks of errors are shown.
    """
    with _interruptible() as interrupts:
        code = _attempt(check_working_folder, interrupts, debug) or _attempt(command, interrupts, debug)
        if not interrupts.first:
            # What is still to be printed is written while it can be told that there is no room for it.
            code = _attempt(sys.stdout.flush, interrupts, debug) or code
    # Also where one was lost on its way, in somebody's `except:`.
    return _SIGNALLED + interrupts.first if interrupts.first else code


@final
class _Interrupted(SystemExit):
    """A signal asks for the end: everything unwinds, so that children end and half-written files go."""


@final
class _Interrupts:
    """The signals that have come.

    Attributes:
        first: Number of the first; 0 before it comes.
        unwound: Whether everything has unwound; what comes then is late.
    """

    def __init__(self) -> None:
        self.first = 0
        self.unwound = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        del frame
        if not self.unwound:
            self.first = self.first or number
            raise _Interrupted(_SIGNALLED + number)


@contextmanager
def _interruptible() -> Generator[_Interrupts, None, None]:
    """Raise the signals that come, each where it may be raised.

    What this process was started to ignore, as `nohup` does, it ignores.
    """
    interrupts = _Interrupts()
    ignored = {signal.SIG_IGN, None}
    before = {
        number: handler for number in INTERRUPTS if (handler := signal.getsignal(number)) not in ignored
    }
    try:
        for number in before:
            signal.signal(number, Deferring(interrupts.interrupt))
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _attempt(step: Callable[[], object], interrupts: _Interrupts, debug: Callable[[], bool]) -> int:
    """Take a step and return the exit code that it gives, or the one for what became of it."""
    try:
        with enough_memory("this command"):
            code = step()
    except BaseException as error:  # noqa: BLE001 - this is the last who can tell it
        interrupts.unwound = interrupts.first > 0
        if interrupts.unwound:
            _tell_interrupt(interrupts.first, error)
            return _SIGNALLED + interrupts.first
        return _told(error, debug=debug())
    return code if isinstance(code, int) else 0


def _told(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong, and return the exit code for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0
    if isinstance(error, WrongUsage):
        print_usage(error)
        return UsageError.exit_code
    known = _machines_fault(error)
    if debug or known is None:
        print_traceback(error)
    if known is None:
        err.print(
            "error: this is a bug of pumice. Report it to its maintainers with the lines above, the command, "
            "and what 'pumice doctor' prints",
            style="red",
            soft_wrap=True,
        )
        return _BUG
    print_error(known)
    return known.exit_code


def _machines_fault(error: BaseException) -> ToolchainError | None:
    """Return an error as one of ours; None for a bug."""
    match error:
        case ToolchainError():
            return error
        case ImportError() if any(sign in str(error) for sign in _UNMAPPED):
            return ToolchainError(
                f"there is not enough memory to load a library ({error}); raise 'ulimit -v'"
            )
        case RecursionError():
            return ToolchainError("something is nested too deeply to be followed; make it flatter")
        case OSError():
            return ToolchainError(str(error))
        case _:
            return None


def _tell_interrupt(number: int, error: BaseException) -> None:
    name = signal.Signals(number).name
    err.print(f"interrupted ({name}); the same command continues where it can", soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        err.print(f"  {note}", soft_wrap=True)
