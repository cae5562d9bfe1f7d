"""Help as plain text: options in groups, readable in 80 columns, and shown at once.

Typer draws help in frames with a column for every property of an option, which leaves 17 of 80 columns to the
sentences, and imports much for it.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, final

from typer.core import TyperCommand, TyperGroup

_WIDEST: Final = 26
"""Columns that names of options may take beside what they mean; longer ones stand on a line of their own."""
_ARGUMENTS: Final = "Arguments"
_LIMIT: Final = re.compile(r"  \[x>=\d+\]|; x>=\d+")
"""Typer's note that a number is not negative."""


@final
class Command(TyperCommand):
    """A command whose options are listed by `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own types are private
        """Write the arguments and options in groups."""
        _write_options(self, ctx, formatter)


@final
class Commands(TyperGroup):
    """The command whose commands are listed by `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Write the commands, and then the options of them all."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Write what each command does, in groups."""
        names = self.list_commands(ctx)
        rows = (
            (getattr(self.commands[name], "rich_help_panel", None), (name, self._summary(name)))
            for name in names
        )
        _write_groups("Commands", rows, formatter)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
        """Return the names in the order in which they were added."""
        del ctx
        return list(self.commands)

    def _summary(self, name: str) -> str:
        paragraph = (self.commands[name].help or "").split("\n\n")[0]
        return " ".join(paragraph.split())


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
    rows: list[tuple[str | None, tuple[str, str]]] = []
    for parameter in command.get_params(ctx):
        name, meaning = parameter.get_help_record(ctx) or ("", "")
        is_argument = parameter.param_type_name == "argument"
        panel = _ARGUMENTS if is_argument else getattr(parameter, "rich_help_panel", None)
        if name:
            name = parameter.metavar.strip("[]") if is_argument else name
            rows.append((panel, (name, _LIMIT.sub("", meaning))))
    _write_groups("Options", rows, formatter)


def _write_groups(first: str, rows: Iterable[tuple[str | None, tuple[str, str]]], formatter: Any) -> None:  # noqa: ANN401 - as above
    """Write rows under the title of their group: arguments first, then those without a title."""
    groups: dict[str, list[tuple[str, str]]] = {_ARGUMENTS: [], first: []}
    for title, row in rows:
        groups.setdefault(title or first, []).append(row)
    for title, records in groups.items():
        if records:
            with formatter.section(title):
                formatter.write_dl(records, col_max=_WIDEST)
