"""Whatever is printed, by whatever function, a terminal obeys nothing of it but what we say ourselves."""

import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from tests.toolchain.test_visible import ANYTHING, obeyed
from toolchain.cli import console
from toolchain.cli.console import (
    Terminal,
    print_error,
    print_json,
    print_table,
    print_traceback,
    print_usage,
    print_warning,
    stages,
)
from toolchain.cli.main import main
from toolchain.errors import ToolchainError
from toolchain.visible import visible

_NASTY = st.sampled_from(
    [
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x9b2J",
        "\r",
        "\x08",
        "\u202e",
        "\u2028",
        "\udc80",
        "[red]",
        ":bug:",
        "[/]",
    ]
)
NAMES = st.lists(st.one_of(ANYTHING, _NASTY), min_size=1, max_size=4).map("".join)
_OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class _Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No command follows that would print what was kept for it to answer."""
    yield
    console.print_answer(wanted=False)


def _raise(name: str) -> None:
    error = ValueError(name)
    error.add_note(name)
    try:
        raise error
    except ValueError as caught:
        print_traceback(caught)


def _progress(name: str) -> None:
    with stages(quiet=False) as report:
        report(name, 0, 2)
        report(name, 2, 2)


def _noted(error: Exception, name: str) -> Exception:
    error.add_note(name)
    return error


PRINTERS: dict[str, Callable[[str], None]] = {
    "out": lambda name: console.out.print(name, soft_wrap=True),
    "err": lambda name: console.err.print(name, soft_wrap=True),
    "style": lambda name: console.out.print(name, style="bold", soft_wrap=True),
    "text": lambda name: console.out.print(Text(name, style="red"), soft_wrap=True),
    "several": lambda name: console.out.print(name, name, sep=name, end="\n"),
    "table": lambda name: print_table(name, (name, name), [(name, 1), (name, name)]),
    "error": lambda name: print_error(_noted(ToolchainError(name), name)),
    "other error": lambda name: print_error(_noted(OSError(2, name, name), name)),
    "usage": lambda name: print_usage(typer.BadParameter(name, param_hint=name)),
    "traceback": _raise,
    "warning": lambda name: print_warning(UserWarning(name), UserWarning, name, 1, line=name),
    "progress": _progress,
}


@contextmanager
def _streams(kind: type[io.StringIO]) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = kind(), kind()
    before = console.out, console.err
    with redirect_stdout(out), redirect_stderr(err):
        console.out, console.err = Terminal(), Terminal(stderr=True)
        try:
            yield out, err
        finally:
            console.out, console.err = before


def _printed(printer: str, name: str, kind: type[io.StringIO]) -> str:
    with _streams(kind) as (out, err):
        PRINTERS[printer](name)
    return out.getvalue() + err.getvalue()


@pytest.mark.parametrize("printer", PRINTERS)
@settings(max_examples=30)
@given(name=NAMES)
def test_a_pipe_gets_text_alone(printer: str, name: str) -> None:
    assert not obeyed(_printed(printer, name, io.StringIO))


@pytest.mark.parametrize("printer", PRINTERS)
@settings(max_examples=30)
@given(name=NAMES)
def test_a_terminal_gets_our_styles_and_nothing_else(printer: str, name: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TERM", "xterm-256color")
        environment.delenv("NO_COLOR", raising=False)
        plain, printed = (_printed(printer, each, _Screen) for each in ("x\n" * (1 + name.count("\n")), name))
    assert set(_OURS.findall(printed)) <= {*_OURS.findall(plain), "\x1b[1A", "\x1b[2K", "\r"}
    assert not obeyed(_OURS.sub("", printed))


@pytest.mark.parametrize("printer", ["out", "err", "style", "error", "warning"])
@settings(max_examples=50)
@given(name=st.text(st.characters(exclude_characters="\n", exclude_categories=()), min_size=1))
def test_names_are_whole(printer: str, name: str) -> None:
    assert visible(name) in _printed(printer, name, io.StringIO)


def test_our_own_styles_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _printed("error", "no", _Screen) == "\x1b[31merror: no\x1b[0m\n  no\n"


def test_markup_and_emoji_in_names_are_text() -> None:
    assert _printed("out", "[bold]a[/bold] :bug:", io.StringIO) == "[bold]a[/bold] :bug:\n"
    assert "[bold]a[/bold] :bug:" in _printed("table", "[bold]a[/bold] :bug:", io.StringIO)


def test_columns_are_as_wide_as_what_is_shown() -> None:
    lines = _printed("table", "\x1b[31m\u202e", io.StringIO).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_numbers_stand_at_the_right_of_a_column_and_texts_at_the_left() -> None:
    with _streams(io.StringIO) as (out, _):
        print_table(
            "t",
            ("name", "a longer head", "second head", "third head"),
            [("x", 7, "yes, equal to it", "+1.5 %"), ("y", "none", "3 of them", "-2 %")],
        )
    row = next(line for line in out.getvalue().splitlines() if " x " in line)
    cells = row.strip("│").split("│")
    assert [cell[-2] != " " and cell[1] == " " for cell in cells[1::2]] == [True, True]
    assert cells[2].startswith(" yes, ")


def test_an_option_of_an_earlier_version_says_what_it_is_called_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command, old, new in (("demo", "--images", "--samples N"), ("compile", "--train", "--calibration")):
        assert main([command, old, "2"]) == 2
        assert f"{old} is now {new}" in capsys.readouterr().err


def test_a_stream_that_lacks_a_letter_gets_its_number() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with redirect_stdout(stream):
        Terminal().print("größer")
        print_table("層", ("a",), [("é",)])
    assert raw.getvalue().decode("ascii").splitlines()[0] == r"gr\xf6\xdfer"


@given(name=NAMES)
def test_json_stays_json_and_is_ascii(name: str) -> None:
    with _streams(io.StringIO) as (out, _):
        print_json({name: [name, {"x": name}]})
    text = out.getvalue()
    assert text.isascii()
    assert not obeyed(text)
    assert json.loads(text) == {name: [name, {"x": name}]}


def test_a_warning_of_any_library_is_printed_like_that(monkeypatch: pytest.MonkeyPatch) -> None:
    with _streams(io.StringIO) as (_, err), warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", print_warning)
        warnings.warn("layer \x1b[2J", UserWarning, stacklevel=1)
    assert err.getvalue() == "warning: layer \\x1b[2J\n"


def test_only_the_console_prints(repository: Path) -> None:
    """`print` itself is forbidden elsewhere by ruff."""
    other = re.compile(r"\bConsole\(|typer\.s?echo|traceback\.print_|sys\.(__)?std(out|err)(__)?\.write")
    for path in (repository / "toolchain" / "cli").rglob("*.py"):
        if path.name != "console.py":
            assert not other.search(path.read_text()), path
