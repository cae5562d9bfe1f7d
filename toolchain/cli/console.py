"""How commands speak: results on stdout, progress and errors on stderr, JSON for machines."""

import json
import math
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from toolchain.errors import ToolchainError
from toolchain.progress import StageProgress

_PIPED: Final = 10_000
"""Columns of what is no terminal: whoever reads it there cuts lines themselves."""

# There is no standard output where it was closed before the start.
_terminal = sys.__stdout__ is not None and sys.__stdout__.isatty()
out = Console(highlight=False, width=None if _terminal else _PIPED)
err = Console(stderr=True, highlight=False)


@contextmanager
def stages(*, quiet: bool) -> Generator[StageProgress, None, None]:
    """Yield a progress callback that draws one bar per stage on stderr.

    Args:
        quiet: Draw nothing, as with `--json`.
    """
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
                if not quiet and not err.is_terminal:
                    print(f"{stage} ...", file=sys.stderr, flush=True)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def print_json(value: object) -> None:
    """Print one JSON object; numbers that JSON cannot hold become null."""
    print(json.dumps(_plain(value), indent=2, allow_nan=False))


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out.print(table)


def print_error(error: ToolchainError) -> None:
    """Print what was expected, what came and what to do; notes say where."""
    err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        err.print(f"  {note}", markup=False, soft_wrap=True)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
