"""How commands speak: results on stdout, progress and errors on stderr, JSON for machines.

All that a command prints goes through here, because it may hold names from files of strangers. Each piece
of text is made visible before it is laid out and coloured, and none is taken for markup. JSON is pure ASCII.
"""

import json
import math
import sys
import traceback
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast, final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from toolchain.cli.spelling import spell, spell_error
from toolchain.progress import StageProgress
from toolchain.visible import visible

_PIPED: Final = 10_000
"""Columns of what is no terminal: whoever reads it there cuts lines themselves."""

WrongUsage: Final = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""What typer raises about arguments; it has no public name there."""


@final
class Terminal(Console):
    """A console that shows every text, and obeys none.

    Attributes:
        commands: Commands by whose options a message of the library is spelled, the one that runs first.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        # There is none where it was closed before the start.
        piped = stream is None or not stream.isatty()
        self.commands: Sequence[Any] = ()
        super().__init__(
            stderr=stderr, highlight=False, markup=False, emoji=False, width=_PIPED if piped else None
        )

    @property
    def encoding(self) -> str:
        """The encoding of the stream; frames of tables are drawn with what it has."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    def tell(self, text: object, *, style: str | None = None) -> None:
        """Print a message of the library, with the options of the command line for the arguments it names."""
        self.print(spell(str(text), self.commands), style=style, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own
        """Make a text visible before its width is measured."""
        return super().render_str(self._shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Make everything visible that is drawn but for what moves the cursor, which is never a text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self._shown(segment.text), segment.style)

    def _shown(self, text: str) -> str:
        return visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding)


out = Terminal()
err = Terminal(stderr=True)


@contextmanager
def stages(*, quiet: bool) -> Generator[StageProgress, None, None]:
    """Yield a progress callback that draws one bar per stage on stderr.

    Args:
        quiet: Draw nothing, as with `--json`.
    """
    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(visible(stage), total=total)
                if not quiet and not err.is_terminal:
                    err.print(f"{stage} ...", soft_wrap=True)
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


def print_error(error: BaseException) -> None:
    """Print what was expected, what came and what to do; notes say where."""
    err.print(f"error: {spell_error(error, err.commands)}", style="red", soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        err.tell(f"  {note}")


def print_usage(error: Any) -> None:  # noqa: ANN401 - see `WrongUsage`
    """Print what typer says of wrong arguments; it has printed the help already where it says nothing."""
    said, context = error.format_message(), error.ctx
    if not said:
        return
    if context is not None:
        err.print(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.", soft_wrap=True)
    err.print(f"error: {said}", style="red", soft_wrap=True)


def print_traceback(error: BaseException) -> None:
    """Print where an error came from."""
    err.print("".join(traceback.format_exception(error)), end="", soft_wrap=True)


def print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of any library; takes the place of `warnings.showwarning`."""
    del file
    err.print(warnings.formatwarning(message, category, filename, lineno, line), end="", soft_wrap=True)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
