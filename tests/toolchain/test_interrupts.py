"""Interrupts wait where something is made or removed, and come right afterwards."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interruptions import interruptions
from toolchain.interrupts import INTERRUPTS, Held, uninterrupted


def _folder(path: Path) -> Held[Path]:
    def make() -> Path:
        path.mkdir()
        (path / "first").write_text("1")
        return path

    def remove(made: Path) -> None:
        for item in made.iterdir():
            item.unlink()
        made.rmdir()

    return Held(make, remove)


def test_an_interrupt_anywhere_leaves_nothing_of_what_is_held(tmp_path: Path) -> None:
    @contextmanager
    def within() -> Iterator[Path]:
        with _folder(tmp_path / "held") as folder:
            yield folder

    def action() -> None:
        with within() as folder:
            (folder / "second").write_text("2")

    places = 0
    for where in interruptions(action):
        places += 1
        assert not list(tmp_path.iterdir()), where
    assert places > 200


@pytest.mark.parametrize("moment", ["make", "remove"])
def test_an_interrupt_of_making_or_removing_comes_right_afterwards(moment: str) -> None:
    done: list[str] = []

    def step(name: str) -> None:
        if name == moment:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.02)
        done.append(name)

    with pytest.raises(KeyboardInterrupt):
        with Held(lambda: step("make"), lambda _: step("remove")):
            time.sleep(5 if moment == "make" else 0)
            done.append("work")
        time.sleep(5)
    assert done == (["make", "remove"] if moment == "make" else ["make", "work", "remove"])


def test_an_uninterrupted_function_ends_before_its_interrupt_comes() -> None:
    done: list[str] = []

    @uninterrupted
    def exchange() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("exchanged")

    with pytest.raises(KeyboardInterrupt), Held(lambda: None, lambda _: done.append("removed")):
        exchange()
        time.sleep(5)
    assert done == ["exchanged", "removed"]


def test_an_interrupt_that_would_be_lost_comes_afterwards() -> None:
    class Garbage:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), Held(lambda: None, lambda _: None):
        Garbage()
        time.sleep(5)


def test_an_interrupt_while_llvm_calls_back_comes_afterwards() -> None:
    """Whatever is raised in a function that ctypes calls is printed and forgotten."""
    reached: list[int] = []
    space: dict[str, Any] = {"interrupt": lambda: signal.raise_signal(signal.SIGINT), "reached": reached}
    source = "def called_back():\n    interrupt()\n    reached.append(1)\n"
    exec(compile(source, "/packages/llvmlite/binding/executionengine.py", "exec"), space)  # noqa: S102
    callback = ctypes.CFUNCTYPE(None)(space["called_back"])
    with pytest.raises(KeyboardInterrupt), Held(lambda: None, lambda _: None):
        callback()
        assert reached == [1]
        time.sleep(5)


def test_the_handlers_of_a_program_are_its_own_again_afterwards() -> None:
    told: list[int] = []
    before = [signal.getsignal(number) for number in INTERRUPTS]
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        own = [signal.getsignal(number) for number in INTERRUPTS]
        with Held(lambda: None, lambda _: None), Held(lambda: None, lambda _: None):
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert [signal.getsignal(number) for number in INTERRUPTS] == own
        with pytest.raises(ZeroDivisionError), Held(lambda: 1 // 0, lambda _: None):
            pass
        assert [signal.getsignal(number) for number in INTERRUPTS] == own
    finally:
        for number, handler in zip(INTERRUPTS, before, strict=True):
            signal.signal(number, handler)
    assert told == [signal.SIGTERM]


def test_other_threads_hold_as_the_main_thread_does(tmp_path: Path) -> None:
    seen: list[bool] = []

    def work() -> None:
        with _folder(tmp_path / "held") as folder:
            seen.append(folder.exists())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
    assert not list(tmp_path.iterdir())
