"""What became of a task: carried from worker to driver so that our own errors arrive as they were."""

import traceback
from dataclasses import dataclass
from typing import Any, cast, final

from toolchain.errors import OutOfMemoryError, ToolchainError


class RemoteError(Exception):
    """A task raised what it should not: a bug, with the traceback of the worker as its text."""


@final
@dataclass(frozen=True)
class Outcome:
    """A task that has ended.

    Attributes:
        key: Key that it was submitted with.
        result: What its function returned; None if it failed.
        error: Why it failed: an error of the toolchain, or a `RemoteError`; None if it did not.
        worker: Where it ran, as host and process.
    """

    key: str
    result: Any = None
    error: Exception | None = None
    worker: str = ""


@final
@dataclass(frozen=True)
class CarriedError:
    """An error as plain data, since its own constructor takes other arguments than its text.

    Attributes:
        kind: Class of the error.
        arguments: What `Exception` was given: the text.
        state: Further attributes, without those that only a process can have.
    """

    kind: type[Exception]
    arguments: tuple[object, ...]
    state: dict[str, Any]

    def restored(self) -> Exception:
        """Return the error."""
        error = self.kind.__new__(self.kind)
        error.args = self.arguments
        error.__dict__.update(self.state)
        return error


def carried(error: BaseException) -> CarriedError:
    """Return what is carried of an error that a task raised."""
    if isinstance(error, OSError):
        error = ToolchainError(str(error))
    elif isinstance(error, MemoryError):
        error = OutOfMemoryError("a task on a worker", str(error), "run fewer workers on this machine")
    if isinstance(error, ToolchainError):
        state = {name: value for name, value in vars(error).items() if _is_plain(value)}
        return CarriedError(type(error), error.args, state)
    text = "".join(traceback.format_exception(error)).rstrip()
    return CarriedError(RemoteError, (text,), {})


def _is_plain(value: object) -> bool:
    """Return whether a value is one that every process understands."""
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value)
        return all(_is_plain(key) and _is_plain(each) for key, each in pairs.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in cast("list[object]", value))
    return value is None or isinstance(value, str | bytes | bool | int | float) or hasattr(value, "parts")
