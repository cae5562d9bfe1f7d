"""How commands speak: results on stdout, progress and errors on stderr, JSON for machines.

All that a command prints goes through here, because it may hold names from files of strangers. Each piece
of text is made visible before it is laid out and coloured, and none is taken for markup. JSON is pure ASCII.

To machines a command answers with one JSON document, however it ends: `answer` keeps what the command
computed, an error adds itself under `error`, and `print_answer` prints both when the command ends.
"""

import json
import math
import sys
import traceback
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast, final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from toolchain.cli.spelling import spell, spell_error
from toolchain.errors import ToolchainError, UsageError
from toolchain.progress import Display
from toolchain.summary import are_numbers
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
_RENAMED: Final = {
    "compile": {
        "--calibrate": "--calibration FILE",
        "--calibrated": "--quantization rounding=joint",
        "--no-calibrated": "--quantization rounding=nearest",
        "--rounding": "--quantization rounding=HOW",
        "--split-signs": "--quantization split_signs=true",
        "--no-split-signs": "--quantization split_signs=false",
        "--per-neuron": "--quantization per_neuron=true",
        "--per-population": "--quantization per_neuron=false",
        "--threshold-profiles": "--quantization threshold_profiles=N",
        "--decay-profiles": "--quantization decay_profiles=N",
        "--tau-error": "--quantization tau_error=SHARE",
        "--exponents": "--quantization exponents=true",
        "--no-exponents": "--quantization exponents=false",
        "--replace-reset": "--quantization replace_reset=zero",
        "--train": "--calibration FILE: with --qat-epochs a network from a file is trained on it",
        "--seed": "always 0; `pumice.RepairOptions` takes another in Python",
    },
    "demo": {"--images": "--samples N"},
}
"""Options that commands had in earlier versions, and what says the same now."""
_answer: dict[str, object] = {}


@contextmanager
def stages(*, quiet: bool) -> Generator[Display, None, None]:
    """Yield a progress callback that draws one bar per stage on stderr.

    Args:
        quiet: Draw nothing, as with `--json`.
    """
    from toolchain.bars import bars_on

    with bars_on(err, quiet=quiet) as bars:
        yield bars


def print_json(value: object) -> None:
    """Print a JSON document; numbers that JSON cannot hold become null."""
    print(json.dumps(_plain(value), indent=2, allow_nan=False))


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand at the right of their columns, texts at the left."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for i, name in enumerate(head):
        numbers = i > 0 and are_numbers(row[i] for row in rows)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out.print(table)


def answer(document: Mapping[str, object]) -> None:
    """Keep what a command computed for machines until it ends."""
    _answer.update(document)


def print_answer(*, wanted: bool) -> None:
    """Print the JSON document of a command if it has one and a machine wants it, and forget it."""
    document = dict(_answer)
    _answer.clear()
    if wanted and document:
        print_json(document)


def print_error(error: BaseException) -> None:
    """Print what was expected, what came and what to do; notes say where."""
    remedy = spell(error.remedy, err.commands) if isinstance(error, ToolchainError) else ""
    notes = [spell(note, err.commands) for note in getattr(error, "__notes__", ())]
    code = error.exit_code if isinstance(error, ToolchainError) else ToolchainError.exit_code
    _fail(type(error).__name__, spell_error(error, err.commands), code, remedy=remedy, notes=notes)


def print_usage(error: Any) -> None:  # noqa: ANN401 - see `WrongUsage`
    """Print what typer says of wrong arguments; it has printed the help already where it says nothing."""
    message, context = error.format_message(), error.ctx
    renamed = {} if context is None else _RENAMED.get(str(context.info_name), {})
    option = getattr(error, "option_name", "")
    if option in renamed:
        message = f"{option} is now {renamed[option]}"
    if not message:
        return
    remedy = "" if context is None else f"Try '{context.command_path} --help' for help."
    if context is not None:
        err.print(f"{context.get_usage()}\n{remedy}", soft_wrap=True)
    _fail(UsageError.__name__, message, UsageError.exit_code, remedy=remedy)


def print_bug(error: BaseException, code: int) -> None:
    """Print how a bug is reported."""
    remedy = "Report it to its maintainers with the lines above, the command, and what 'pumice doctor' prints"
    _fail(type(error).__name__, f"this is a bug of pumice. {remedy}", code, remedy=remedy)


def print_interrupt(signal_name: str, error: BaseException, code: int) -> None:
    """Print that a signal ended the command; notes say what was finished before."""
    remedy = "the same command continues where it can"
    notes = [spell(note, err.commands) for note in getattr(error, "__notes__", ())]
    message = f"interrupted ({signal_name}); {remedy}"
    err.print(message, soft_wrap=True)
    _print_notes(notes)
    answer({"error": _error_document("Interrupted", message, code, remedy, notes)})


def _fail(kind: str, message: str, code: int, *, remedy: str, notes: Sequence[str] = ()) -> None:
    err.print(f"error: {message}", style="red", soft_wrap=True)
    _print_notes(notes)
    answer({"error": _error_document(kind, message, code, remedy, notes)})


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        err.print(f"  {note}", soft_wrap=True)


def _error_document(
    kind: str, message: str, code: int, remedy: str, notes: Sequence[str]
) -> dict[str, object]:
    document: dict[str, object] = {
        "kind": kind,
        "message": message,
        "remedy": remedy or None,
        "exit_code": code,
    }
    return document | ({"notes": list(notes)} if notes else {})


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
    """Print what a warning says; takes the place of `warnings.showwarning`."""
    del category, filename, lineno, file, line
    err.tell(f"warning: {message}")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
