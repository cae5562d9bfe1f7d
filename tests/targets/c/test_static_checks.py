"""Two compilers and cppcheck say nothing of a network's source, and would say something of a bad one."""

import shutil
from pathlib import Path

import pytest

from targets.c.source import NetworkCode
from tests.parity import c_sweep
from tests.targets.c.strict import cppcheck_files

_COMPILERS = ("gcc", "clang")


def _require(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here: apt-get install {program}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["networks", "images"])
@pytest.mark.parametrize("compiler", _COMPILERS)
def test_no_compiler_warns(compiler: str, kind: str) -> None:
    _require(compiler)
    assert c_sweep.main([kind, "6", "--first", "5000", "--compiler", compiler]) == 0


@pytest.mark.parametrize("compiler", _COMPILERS)
def test_a_warning_would_be_an_error(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _require(compiler)
    written = NetworkCode.source
    narrows = "int narrowed(long x);\nint narrowed(long x) { return x; }\n"
    monkeypatch.setattr(NetworkCode, "source", lambda code: written(code) + narrows)
    assert c_sweep.main(["networks", "1", "--compiler", compiler]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("networks", "4"), ("images", "1")])
def test_cppcheck_is_silent(kind: str, count: str) -> None:
    """Few, since it follows every path of a convolution, which takes minutes; `make c-sweep` has more."""
    _require("cppcheck")
    assert c_sweep.main([kind, count, "--first", "5002", "--cppcheck"]) == 0


def test_cppcheck_would_say_something(tmp_path: Path) -> None:
    _require("cppcheck")
    bad = "int f(int i);\nint f(int i) { int a[2] = {0, 0}; a[0] = i; return a[2]; }\n"
    (tmp_path / "bad.c").write_text(bad)
    assert "out of bounds" in cppcheck_files(["bad.c"], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["networks", "images"])
def test_sanitizers_are_silent(kind: str) -> None:
    assert c_sweep.main([kind, "12", "--first", "5000", "--sanitized"]) == 0
