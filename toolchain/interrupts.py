"""Interrupts (Ctrl-C, a request to end, a closed terminal): where they may not come.

Python raises an interrupt between any two instructions of the main thread: also after a folder was made and
before the `try` that would remove it, and in the middle of the `finally` that does. So what must be undone is
`Held`, and what must not stop half-way is `uninterrupted`: an interrupt that comes there is raised as soon as
it is over. Both work in every thread; only the main thread is ever interrupted.
"""

import _thread
import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Generator
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, Generic, TypeVar, final

INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end: Ctrl-C, `kill` and every scheduler of jobs, a closed terminal."""
_AGAIN_S: Final = 0.002
_UNINTERRUPTED: Final[set[CodeType]] = set()
_COMING_AGAIN: Final[dict[int, float]] = {}
_LOST_S: Final = 0.5
"""A signal that was to come again and did not by then was lost: another came between note and sender."""
_BETWEEN: Final = (contextlib.__file__, weakref.__file__, "<frozen importlib.")
"""Files whose functions pass from a `with` to its generator, or lose what is raised in them."""
_CALLED_BACK: Final = f"{os.sep}llvmlite{os.sep}"
"""A package whose functions LLVM calls while it compiles: what is raised in them, or below, is lost."""

Handler = Callable[[int, FrameType | None], object]
Value = TypeVar("Value")
Function = TypeVar("Function", bound=Callable[..., Any])


def uninterrupted(function: Function) -> Function:
    """Let interrupts wait until a function, with all that it calls, has returned.

    This holds while anything is `Held`, and in the whole of the command `pumice`.
    """
    _UNINTERRUPTED.add(function.__code__)
    return function


@final
class Deferring:
    """A handler of signals that comes again where another must not be called now.

    Args:
        handler: The other.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Call the other handler now, or let the signal come again in a moment."""
        if not _must_wait(frame):
            self.handler(number, frame)
        elif time.monotonic() > _COMING_AGAIN.get(number, 0.0) + _LOST_S:
            _COMING_AGAIN[number] = time.monotonic()
            # Takes no lock of Python's: what was interrupted may hold it.
            _thread.start_new_thread(_send_again, (number,))


def _send_again(number: int) -> None:
    time.sleep(_AGAIN_S)
    _COMING_AGAIN.pop(number, None)
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def _must_wait(frame: FrameType | None) -> bool:
    if frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        return True
    return any(
        code in _UNINTERRUPTED or code.co_name == "__del__" or _CALLED_BACK in code.co_filename
        for code in _codes(frame)
    )


def _codes(frame: FrameType | None) -> Generator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


@final
class Held(Generic[Value]):
    """What is made on entry and removed on exit, whatever comes in between and whenever it comes.

    Args:
        make: Makes it and returns it. It must undo its own work where it raises.
        remove: Removes it.
    """

    def __init__(self, make: Callable[[], Value], remove: Callable[[Value], object]) -> None:
        self._make, self._remove = make, remove

    @uninterrupted
    def __enter__(self) -> Value:
        self._deferring = _HANDLERS.replace()
        try:
            self._value = self._make()
        except BaseException:
            _HANDLERS.restore(self._deferring)
            raise
        return self._value

    @uninterrupted
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._remove(self._value)
        finally:
            _HANDLERS.restore(self._deferring)


@final
class _Handlers:
    """The handlers of a program that uses the library: deferring while something is held, then its own."""

    def __init__(self) -> None:
        self._held = 0
        self._own: dict[int, Handler] = {}

    def replace(self) -> bool:
        """Make the handlers defer; return whether this thread is the one that is interrupted at all."""
        if threading.current_thread() is not threading.main_thread():
            return False
        try:
            for number in INTERRUPTS if self._held == 0 else ():
                handler = signal.getsignal(number)
                if callable(handler) and not isinstance(handler, Deferring):
                    self._own[number] = handler
                    signal.signal(number, Deferring(handler))
        except BaseException:
            self._put_back()
            raise
        self._held += 1
        return True

    def restore(self, replaced: bool) -> None:  # noqa: FBT001 - what `replace` returned
        """Put the handlers back when nothing is held any more."""
        self._held -= replaced
        # What is left to another thread by a generator is put back by the next that holds something.
        if replaced and self._held == 0 and threading.current_thread() is threading.main_thread():
            self._put_back()

    def _put_back(self) -> None:
        while self._own:
            number, handler = self._own.popitem()
            now = signal.getsignal(number)
            if isinstance(now, Deferring) and now.handler is handler:
                signal.signal(number, handler)


_HANDLERS: Final = _Handlers()
