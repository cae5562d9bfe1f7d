"""How the command ends: exit codes, what is said, and nothing left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small_run import TOML
from toolchain.cli.ending import exit_code_of
from toolchain.cli.main import main
from toolchain.errors import StorageError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.workflow.experiment import load_experiment
from toolchain.workflow.load import load


def _ended(error: BaseException) -> int:
    def command() -> None:
        raise error

    return exit_code_of(command, lambda: False)


def _unfound_for(reason: str) -> OSError:
    """What a library says that could not load another one."""
    error = OSError("Could not find the shared object file 'a.so'")
    error.__context__ = OSError(reason)
    return error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            MemoryError("Unable to allocate 29 TiB"),
            3,
            "there is not enough memory for this command (Unable to allocate 29 TiB)",
        ),
        (MemoryError(), 3, "there is not enough memory for this command"),
        (
            RuntimeError("CPUAllocator: not enough memory"),
            3,
            "not enough memory for this command",
        ),
        (ImportError("libtorch.so: failed to map segment"), 3, "not enough memory to load a library"),
        (_unfound_for("a.so: failed to map segment"), 3, "load a library (a.so: failed to map segment)"),
        (OSError(12, "Cannot allocate memory"), 3, "Cannot allocate memory"),
        (ImportError("no module of that name"), 1, "a bug of pumice. Report it"),
        (RecursionError("maximum recursion depth exceeded"), 3, "nested too deeply"),
        (OSError(5, "Input/output error"), 3, "Input/output error"),
        (StorageError(Path("x"), "is full", "empty it"), 3, "'x' is full; empty it"),
        (UsageError("no such thing"), 2, "no such thing"),
        (KeyError("x"), 1, "a bug of pumice. Report it"),
        (BaseException("a panic of somebody's library"), 1, "a bug of pumice. Report it"),
    ],
    ids=repr,
)
def test_whatever_is_raised_becomes_a_code_and_a_sentence(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ended(error) == code
    text = capsys.readouterr().err
    assert sentence in " ".join(text.split())
    assert ("Traceback" in text) == (code == 1)


def _delete_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "-o", "out"],
        ["train", "x.toml", "-o", "out"],
        ["prune", "x.toml", "-o", "out"],
        ["compile", "run", "-o", "out"],
        ["check", "build"],
        ["run", "build", "-o", "out"],
        ["compare", "build"],
        ["export", "build", "-f", "nir", "-o", "out"],
        ["show", "build"],
        ["targets"],
        ["doctor"],
    ],
    ids=lambda words: words[0],
)
def test_a_deleted_working_folder_is_said_by_every_verb(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _delete_working_folder(tmp_path, monkeypatch)
    assert main(arguments) == 2
    assert capsys.readouterr().err.strip() == (
        "error: the working folder was deleted; change to one that exists, as 'cd' does"
    )


@pytest.mark.parametrize(
    "read", [load, load_experiment, Stimulus.load, Trace.load], ids=lambda each: each.__qualname__
)
def test_a_deleted_working_folder_is_said_to_python_callers(
    read: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _delete_working_folder(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="the working folder was deleted"):
        read("relative")


def test_absolute_paths_need_no_working_folder(
    small_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _delete_working_folder(tmp_path, monkeypatch)
    build = load(small_build)
    (tmp_path / "x.toml").write_text(TOML)
    load_experiment(tmp_path / "x.toml")
    assert build.stimulus is not None
    build.stimulus.save(tmp_path / "s.npz")
    Stimulus.load(tmp_path / "s.npz")


_WORKING = """
import signal, sys, time
from pathlib import Path
from toolchain.files.atomic import replacing_file
from toolchain.cli.ending import exit_code_of
from toolchain.interrupts import Held, uninterrupted
from toolchain.files.temporary import temporary_folder

place = Path(sys.argv[1])

def remove(_):
    print("removing", flush=True)
    time.sleep(0.2)
    (place / "held").unlink()

def command():
    with temporary_folder("test") as folder, Held(lambda: (place / "held").touch(), remove):
        (folder / "file").write_text("x")
        with replacing_file(place / "out") as file:
            file.write_text("half")
            print("working", flush=True)
            time.sleep(20)

sys.exit(exit_code_of(command, lambda: False))
"""


def _working(place: Path, repository: Path, ignored: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    def handlers() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    (place / "tmp").mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", _WORKING, str(place)],
        cwd=repository,
        env=os.environ | {"TMPDIR": str(place / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=handlers,  # noqa: PLW1509 - it takes no lock
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "working\n"
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_command_with_nothing_left_though_another_comes_while_it_tidies(
    number: signal.Signals, tmp_path: Path, repository: Path
) -> None:
    with _working(tmp_path, repository) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.send_signal(number)
        assert child.stdout.readline() == "removing\n"
        child.send_signal(number)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 128 + number
        assert (
            child.stderr.read() == f"interrupted ({number.name}); the same command continues where it can\n"
        )
    assert [item.name for item in tmp_path.iterdir()] == ["tmp"]
    assert not list((tmp_path / "tmp").iterdir())


def test_what_a_command_was_started_to_ignore_it_ignores(tmp_path: Path, repository: Path) -> None:
    """As `nohup` does with a closed terminal, and shells do with Ctrl-C in the background."""
    with _working(tmp_path, repository, (signal.SIGHUP, signal.SIGINT)) as child:
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.5)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 143


def test_an_interrupt_that_somebody_swallowed_still_names_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:  # noqa: BLE001 - as libraries do
            raise ImportError("a library could not be loaded") from None

    assert exit_code_of(command, lambda: False) == 143
    assert "interrupted (SIGTERM)" in capsys.readouterr().err
