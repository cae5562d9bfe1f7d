"""How the command ends: with which exit code, and what it prints then."""

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, final

from toolchain.cli.console import (
    WrongUsage,
    print_answer,
    print_bug,
    print_error,
    print_interrupt,
    print_traceback,
    print_usage,
)
from toolchain.errors import ToolchainError, UsageError
from toolchain.interrupts import INTERRUPTS, Deferring
from toolchain.memory import enough_memory
from toolchain.working_folder import check_working_folder

_BUG: Final = 1
_UNMAPPED: Final = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
"""Words of the loader of libraries where there was no memory for one."""
_SIGNALLED: Final = 128
"""Number that shells add to that of the signal that ended a process."""


def exit_code_of(command: Callable[[], object], debug: Callable[[], bool], *, as_json: bool = False) -> int:
    """Run a command, print why it ended early if it did, and return its exit code.

    Args:
        command: The command.
        debug: Function that says afterwards whether the tracebacks of errors are shown.
        as_json: Whether the command answers with a JSON document, however it ends.
    """
    with _interruptible() as interrupts:
        code = _attempt(check_working_folder, interrupts, debug) or _attempt(command, interrupts, debug)
        code = _attempt(lambda: print_answer(wanted=as_json), interrupts, debug) or code
        if not interrupts.first:
            # Written here, where an error can still be printed if the disk is full.
            code = _attempt(sys.stdout.flush, interrupts, debug) or code
    # Also where an interrupt was lost on its way, in somebody's `except:`.
    return _SIGNALLED + interrupts.first if interrupts.first else code


@final
class _Interrupted(SystemExit):
    """A signal asks for the end: everything unwinds, so that children end and half-written files go."""


@final
class _Interrupts:
    """The signals that have come.

    Attributes:
        first: Number of the first signal; 0 before it comes.
        unwound: Whether everything has unwound; a signal that comes then changes nothing.
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

    Signals that this process was started to ignore, as by `nohup`, stay ignored.
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
    """Take a step and return its exit code, or the one for the error that ended it."""
    try:
        with enough_memory("this command"):
            code = step()
    except BaseException as error:  # noqa: BLE001 - nobody else prints it
        interrupts.unwound = interrupts.first > 0
        if interrupts.unwound:
            code = _SIGNALLED + interrupts.first
            print_interrupt(signal.Signals(interrupts.first).name, error, code)
            return code
        return _print_end(error, debug=debug())
    return code if isinstance(code, int) else 0


def _print_end(error: BaseException, *, debug: bool) -> int:
    """Print what went wrong, and return the exit code for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0
    if isinstance(error, WrongUsage):
        print_usage(error)
        return UsageError.exit_code
    known = _known_error(error)
    if debug or known is None:
        print_traceback(error)
    if known is None:
        print_bug(error, _BUG)
        return _BUG
    print_error(known)
    return known.exit_code


def _known_error(error: BaseException) -> ToolchainError | None:
    """Return an error as one of ours where a user or the machine is its cause; None for a bug."""
    match error:
        case ToolchainError():
            return error
        case ImportError() | OSError() if (unmapped := _unmapped(error)) is not None:
            return ToolchainError(
                f"there is not enough memory to load a library ({unmapped})", "raise 'ulimit -v'"
            )
        case RecursionError():
            return ToolchainError("something is nested too deeply to be followed", "make it flatter")
        case OSError():
            return ToolchainError(str(error))
        case _:
            return None


def _unmapped(error: BaseException | None) -> BaseException | None:
    """Return what the loader said of a library for which there was no memory, if an error comes from that.

    A library that loads another says of that only that it was not found. The loader's own errors have no
    number; those of files and processes have one.
    """
    while error is not None and (
        getattr(error, "errno", None) is not None or not any(sign in str(error) for sign in _UNMAPPED)
    ):
        error = error.__cause__ or error.__context__
    return error
