"""An interrupt at every place where Python can raise one, one after the other."""

import dis
import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from toolchain import interrupts

_CHECKED = ("RESUME", "CALL", "JUMP_BACKWARD")
"""The instructions after which CPython looks for signals."""


def interruptions(action: Callable[[], object]) -> Iterator[str]:
    """Run an action again and again, each time with an interrupt at the next place; yield where it came.

    It ends with the run that was over before its interrupt came. An interrupt that must wait comes at the
    first place where it need not.
    """
    place = 0
    while (where := _run(action, place)) is not None:
        yield where
        place += 1


def _run(action: Callable[[], object], place: int) -> str | None:
    """Run an action with an interrupt at a place; return where that is, or None if there are fewer."""
    passed = -1
    wanted: str | None = None
    before: dict[FrameType, str] = {}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal passed, wanted
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "call":
            before[frame] = "RESUME"
        if event != "opcode":
            return trace
        checked = before.get(frame, "").startswith(_CHECKED)
        before[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if not checked:
            return trace
        passed += 1
        if passed >= place:
            wanted = wanted or f"{frame.f_code.co_qualname}:{frame.f_lineno}"
            if not interrupts._must_wait(frame):
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    told = sys.unraisablehook
    # Files that were just opened are closed by the garbage collector, which says so.
    sys.unraisablehook = deque(maxlen=0).append
    # Python 3.12 traces instructions only if a frame asked for them before.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
        sys.unraisablehook = told
    return wanted
