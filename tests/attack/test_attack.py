"""What attacks can tell good from bad, and a part runs to its end."""

import subprocess
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from tests.attack.forked import forked, processes_of
from toolchain.errors import UsageError


def test_a_result_and_an_error_of_ours_are_told_from_any_other() -> None:
    def refuse() -> None:
        raise UsageError("no")

    def fail() -> None:
        raise MemoryError("of 10 TiB")

    assert forked(int).said == "read"
    assert (forked(refuse).said, forked(refuse).text) == ("UsageError", "no")
    assert forked(fail).said == "broken: MemoryError"
    assert "of 10 TiB" in forked(fail).text


def test_memory_is_measured_even_if_it_was_given_back() -> None:
    assert 90 * 2**20 < forked(lambda: np.ones(100 * 2**20, np.uint8).sum()).memory < 200 * 2**20


def test_what_hangs_or_asks_for_too_much_is_ended_with_its_children() -> None:
    slow = forked(lambda: subprocess.run(["sleep", "60"], check=False), seconds=0.3)
    assert slow.said == "broken: it took too long"
    large = forked(lambda: (np.ones(2**26), time.sleep(60)), memory=2**27)
    assert large.said == "broken: it took too much memory"
    assert not list(processes_of("no such word"))


def test_a_part_attacks_a_verb_and_prints_what_it_found(small_build: Path, tmp_path: Path) -> None:
    def attack() -> None:
        from tests.attack.__main__ import main  # noqa: PLC0415 - it changes the process that loads it

        with (tmp_path / "table").open("w") as table, redirect_stdout(table):
            command = ["killed", "--only", "show", "--size", "0.2"]
            assert main([*command, "--materials", str(small_build.parent)]) == 0

    done = forked(attack, seconds=120.0, memory=2**40)
    assert done.said == "read", done.text
    assert "killed: 1 rows, 0 wrong" in (tmp_path / "table").read_text()
