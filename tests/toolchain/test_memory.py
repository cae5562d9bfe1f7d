"""What a file may take: relative to the machine, its container and its user's word."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toolchain.errors import ArgumentError, CorruptArtifactError, OutOfMemoryError
from toolchain.memory import VARIABLE, Budget, budget, enough_memory, machine_memory


@pytest.mark.parametrize(
    ("said", "meant"), [("4096", 4096), ("3k", 3 * 2**10), ("5M", 5 * 2**20), ("2GiB", 2**31)]
)
def test_the_user_says_how_much_memory_there_is(
    said: str, meant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, said)
    assert machine_memory() == meant
    assert budget().limit == meant // 2


@pytest.mark.parametrize("said", ["much", "-1G", "0", "1.5G", "9" * 30])
def test_a_size_that_is_none_is_told(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(ArgumentError, match="PUMICE_MEMORY: expected a size such as 16G"):
        budget()


def test_what_exceeds_the_budget_is_refused_with_both_sizes_and_a_remedy() -> None:
    with pytest.raises(
        CorruptArtifactError, match=r"needs 3.0 KiB of memory, at most 2.0 KiB .* PUMICE_MEMORY"
    ):
        Budget(2048).check_file(Path("x"), 3072)
    Budget(2048).check_file(Path("x"), 2048)


def test_a_document_has_room_on_small_machines_too() -> None:
    Budget(2**30).check_document(Path("x"), 2**27)
    with pytest.raises(CorruptArtifactError, match="documents may take 128.0 MiB here"):
        Budget(2**30).check_document(Path("x"), 2**27 + 1)


def test_a_limit_of_addresses_counts_less_what_is_taken() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, -1)); "
        "from toolchain.memory import machine_memory; print(machine_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2**30 < int(done.stdout) < 3 * 2**30
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_an_allocation_that_fails_names_the_work() -> None:
    said = "not enough memory for counting the stars .*PUMICE_MEMORY"
    with pytest.raises(OutOfMemoryError, match=said), enough_memory("counting the stars"):
        np.zeros(2**58)
    with pytest.raises(OutOfMemoryError, match="counting"), enough_memory("counting the stars"):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="^else$"), enough_memory("counting the stars"):
        raise RuntimeError("else")
