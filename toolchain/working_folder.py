"""The folder that relative paths are in: it can be deleted while a shell or a notebook still works in it."""

from pathlib import Path

from toolchain.errors import UsageError


def check_working_folder() -> None:
    """Raise `UsageError` if the working folder was deleted."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "the working folder was deleted", "change to one that exists, as 'cd' does"
        ) from None
