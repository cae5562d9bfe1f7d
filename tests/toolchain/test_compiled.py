"""Compiled code that is kept, and a cache that may fail."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from toolchain import compiled
from toolchain.compiled import njit

_SOURCE = """
from toolchain.compiled import njit

@njit(nogil=True, cache=True)
def twice(x):
    return x + x
"""


@pytest.fixture
def twice(tmp_path: Path) -> Any:
    """A compiled function of a module of its own, which keeps its code beside itself."""
    path = tmp_path / "module.py"
    path.write_text(_SOURCE)
    names: dict[str, Any] = {}
    exec(compile(_SOURCE, str(path), "exec"), names)  # noqa: S102 - six lines of our own
    return names["twice"]


def test_code_is_kept_beside_its_source(twice: Any, tmp_path: Path) -> None:
    assert twice(3) == 6
    assert Path(twice.stats.cache_path) == tmp_path / "__pycache__" == compiled.kept_in(tmp_path)
    assert list((tmp_path / "__pycache__").glob("*.nbc"))


def test_a_cache_that_cannot_be_written_does_not_end_the_run(
    twice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    assert twice(3) == 6
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_index", full)
    assert twice(3.5) == 7.0


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_cache_does_not_end_the_run(twice: Any, tmp_path: Path, ending: str) -> None:
    assert twice(3) == 6
    for path in (tmp_path / "__pycache__").glob(f"*.{ending}"):
        path.write_bytes(path.read_bytes()[:-40])
    names: dict[str, Any] = {}
    exec(compile(_SOURCE, str(tmp_path / "module.py"), "exec"), names)  # noqa: S102 - likewise
    assert names["twice"](3) == 6
    assert names["twice"].stats.cache_hits == {}


def test_nothing_is_compiled_where_the_compiler_would_end_the_process_for_want_of_memory(
    twice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr(compiled, "addresses_left", lambda: 2**20)
        with pytest.raises(MemoryError, match=r"to compile loops, 'ulimit -v' leaves 1\.0 MiB"):
            twice(3)
    assert twice(3) == 6
    stored = sorted((tmp_path / "__pycache__").iterdir())
    monkeypatch.setattr(compiled, "addresses_left", lambda: 2**20)
    names: dict[str, Any] = {}
    exec(compile(_SOURCE, str(tmp_path / "module.py"), "exec"), names)  # noqa: S102 - likewise
    assert names["twice"](3) == 6, "what is stored needs no compiler"
    assert sorted((tmp_path / "__pycache__").iterdir()) == stored


def test_code_that_there_is_no_memory_to_load_stays_stored(
    twice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    assert twice(3) == 6
    stored = {path: path.read_bytes() for path in (tmp_path / "__pycache__").iterdir()}
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.load", full)
    names: dict[str, Any] = {}
    exec(compile(_SOURCE, str(tmp_path / "module.py"), "exec"), names)  # noqa: S102 - likewise
    with pytest.raises(MemoryError):
        names["twice"](3)
    assert {path: path.read_bytes() for path in (tmp_path / "__pycache__").iterdir()} == stored


def test_a_function_without_cache_is_compiled_and_kept_nowhere() -> None:
    @njit(inline="always")
    def half(x: int) -> int:
        return x // 2

    assert half(8) == 4
    assert half.stats.cache_path is None


_CALLER = """
from callee import step
from toolchain.compiled import njit

@njit(nogil=True, cache=True)
def advance(x):
    return step(x)

print(advance(3), sum(advance.stats.cache_hits.values()))
"""
_CALLEE = """
from toolchain.compiled import njit

@njit(nogil=True)
def step(x):
    return x + {amount}
"""


def test_code_is_compiled_anew_when_a_module_beside_it_changes(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(_CALLER)

    def run(amount: int) -> str:
        (tmp_path / "callee.py").write_text(_CALLEE.format(amount=amount))
        command = [sys.executable, str(tmp_path / "caller.py")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert run(10) == "13 0\n"
    assert run(200) == "203 0\n"


def test_code_is_compiled_anew_when_a_module_of_a_package_above_it_changes(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for package in (inner.parent, inner):
        (package / "__init__.py").touch()
    (inner / "caller.py").write_text(_CALLER.replace("from callee", "from outer.callee"))

    def run(amount: int) -> str:
        (inner.parent / "callee.py").write_text(_CALLEE.format(amount=amount))
        code = f"import sys; sys.path.append({str(tmp_path)!r}); import outer.inner.caller"
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert run(10) == "13 0\n"
    assert run(200) == "203 0\n"
