"""Progress is shown where somebody looks, and nowhere else."""

import builtins
import io
import re
import sys
import types
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import pytest

import pumice
from toolchain.bars import NotebookLines, draws
from toolchain.cli import console
from toolchain.cli.console import Terminal, stages
from toolchain.models import HrsnnShape, build_hrsnn
from toolchain.progress import (
    Display,
    Progress,
    StageProgress,
    StageReport,
    default_progress,
    default_stages,
    no_progress,
    stage_progress,
)

_OPTIONS = pumice.FitOptions(epochs=2, batch_size=4, learning_rate=0.01)
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Cell:
    """What a notebook shows below a cell."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.updates = 0

    def display(self, data: dict[str, str], *, raw: bool, **_: Any) -> Any:
        assert raw
        place = len(self.lines)
        self.lines.append(data["text/plain"])

        def update(new: dict[str, str], *, raw: bool) -> None:
            assert raw
            self.updates += 1
            self.lines[place] = new["text/plain"]

        return types.SimpleNamespace(update=update)


def _train(**more: Any) -> None:
    network = build_hrsnn(HrsnnShape(channels=3, classes=2, neurons=10), np.random.default_rng(0))
    pumice.fit(network, np.ones((10, 5, 3)), np.arange(10) % 2, _OPTIONS, seed=0, **more)


def _on(stream: io.StringIO, action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    out = io.StringIO()
    with redirect_stderr(stream), redirect_stdout(out):
        action()
    assert not out.getvalue()
    return _STYLE.sub("", stream.getvalue())


def _notebook(monkeypatch: pytest.MonkeyPatch, shell: str = "ZMQInteractiveShell") -> Cell:
    cell = Cell()
    module: Any = types.ModuleType("IPython.display")
    module.display = cell.display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(builtins, "get_ipython", type(shell, (), {}), raising=False)
    return cell


def test_training_from_python_shows_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _on(Screen(), _train, monkeypatch)
    assert re.search(r"^train: compiled loops$", text.strip().replace("\r", "\n"), re.MULTILINE)
    assert re.search(r"train .* 2/2 .* [\d,]+ samples/s, loss \d\.\d{4}", text)


def test_a_training_that_takes_the_slow_path_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = _notebook(monkeypatch)
    network = build_hrsnn(HrsnnShape(channels=3, classes=2, neurons=10), np.random.default_rng(0))
    network.compiled = False
    pumice.fit(network, np.ones((10, 5, 3)), np.arange(10) % 2, _OPTIONS, seed=0)
    assert cell.lines[0] == "train: step by step, because `compiled` is False"


def test_comparing_from_python_shows_its_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_hrsnn(HrsnnShape(channels=3, classes=2, neurons=10), np.random.default_rng(0))
    build = pumice.compile(network, np.ones((4, 5, 3)))
    text = _on(Screen(), lambda: pumice.compare(build), monkeypatch)
    assert re.search(r"emulate float .* 4/4", text)
    assert re.search(r"emulate fixed .* 4/4", text)


def test_a_pipe_gets_nothing_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _on(io.StringIO(), _train, monkeypatch) == ""
    monkeypatch.setattr(sys, "stderr", None)
    _train()


def test_who_wants_none_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    assert _on(Screen(), lambda: _train(progress=no_progress), monkeypatch) == ""
    assert _on(Screen(), lambda: _train(progress=lambda *each: told.append(each)), monkeypatch) == ""
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_notebook_gets_one_line_a_stage_that_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = _notebook(monkeypatch)
    _train()
    first, second = cell.lines
    assert first == "train: compiled loops"
    assert re.fullmatch(r"train: 2/2, [\d,]+ samples/s, loss \d\.\d{4}, 0:00:\d\d so far", second)
    # A browser gets a message only now and then, also where a step takes long.
    assert 1 <= cell.updates <= 12


def test_ipython_in_a_terminal_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = _notebook(monkeypatch, "TerminalInteractiveShell")
    assert "2/2" in _on(Screen(), _train, monkeypatch)
    assert not cell.lines


def test_a_notebook_says_how_much_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 160.0, 160.1])
    monkeypatch.setattr("toolchain.bars.time.monotonic", lambda: next(clock))
    cell = Cell()
    lines = NotebookLines(cell.display)
    # A training that goes on with its third epoch has not done two in no time.
    lines("train", 2, 10)
    lines.detail("train", 2, 10, "")
    lines.detail("train", 4, 10, "7 samples/s")
    assert cell.lines == ["train: 4/10, 7 samples/s, 0:01:00 so far, 0:03:00 left"]


def test_names_of_strangers_are_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell()
    lines = NotebookLines(cell.display)
    lines("run on \x1b[2J", 1, 1)
    lines.say("\x1b[2J")
    assert all("\x1b" not in line for line in cell.lines)
    assert "\\x1b" in "".join(cell.lines)


def test_a_call_gets_bars_only_where_it_is_called_without(monkeypatch: pytest.MonkeyPatch) -> None:
    @draws("count")
    def one(number: int, progress: Progress = default_progress) -> Progress:
        return progress

    @draws()
    def several(number: int, *, progress: StageProgress = default_stages) -> StageProgress:
        return progress

    _notebook(monkeypatch)
    report = one(1)
    assert isinstance(report, StageReport)
    assert report.name == "count"
    assert isinstance(several(1), Display)
    # Handed on by a call that was itself called without.
    assert isinstance(one(1, default_progress), StageReport)
    assert one(1, no_progress) is no_progress
    assert one(1, progress=no_progress) is no_progress


@pytest.mark.parametrize("quiet", [True, False])
def test_the_command_line_says_the_path_of_training_in_a_pipe(
    quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    with redirect_stderr(stream):
        monkeypatch.setattr(console, "err", Terminal(stderr=True))
        with stages(quiet=quiet) as progress:
            _train(progress=stage_progress(progress, "train network"))
    lines = stream.getvalue().splitlines()
    if quiet:
        assert not lines
    else:
        assert lines == ["train network: compiled loops", "train network ..."]
