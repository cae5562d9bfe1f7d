"""A core is compiled once, and what is missing or fails is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from targets.rtl.simulator import Simulator, _version, find_simulator, simulated_core
from tests.targets.rtl.cores import SMALL, require
from toolchain.errors import TargetError, TargetUnavailableError


def test_a_missing_simulator_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TargetUnavailableError, match="neither 'verilator' nor 'iverilog'"):
        find_simulator()
    with pytest.raises(TargetUnavailableError, match="apt-get install iverilog"):
        find_simulator(Simulator.ICARUS)


def test_icarus_takes_over_where_verilator_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    require(Simulator.ICARUS)
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "verilator" else f"/usr/bin/{tool}")
    assert find_simulator() is Simulator.ICARUS


def test_a_core_is_compiled_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(Simulator.ICARUS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    simulated_core.cache_clear()
    first = simulated_core(Simulator.ICARUS, SMALL)
    (program,) = (tmp_path / "pumice" / "rtl").iterdir()
    assert program.read_bytes().endswith(first.program)
    simulated_core.cache_clear()
    monkeypatch.setattr("targets.rtl.simulator.problem_of", lambda *_, **__: "it must not be called")
    assert simulated_core(Simulator.ICARUS, SMALL) == first
    simulated_core.cache_clear()


def test_what_a_simulator_says_is_shown_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(Simulator.ICARUS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("targets.rtl.simulator.CORE_FILES", ("core.v",))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    simulated_core.cache_clear()
    with pytest.raises(TargetError, match="'iverilog' does not take the core") as raised:
        simulated_core(Simulator.ICARUS, SMALL)
    assert "loader" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda whole: whole[: len(whole) // 2], lambda w: bytes(len(w))]
)
def test_a_damaged_program_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    require(Simulator.ICARUS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    simulated_core.cache_clear()
    first = simulated_core(Simulator.ICARUS, SMALL)
    (program,) = (tmp_path / "pumice" / "rtl").iterdir()
    program.write_bytes(damage(program.read_bytes()))
    simulated_core.cache_clear()
    again = simulated_core(Simulator.ICARUS, SMALL)
    # Icarus numbers its signals by chance.
    assert len(again.program.splitlines()) == len(first.program.splitlines())
    assert program.read_bytes().endswith(again.program)
    simulated_core.cache_clear()


@pytest.mark.parametrize("script", ["sleep 60", "exit 3"])
def test_a_simulator_that_does_not_say_its_version_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    for name in ("verilator", "make", "g++"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("targets.rtl.simulator._VERSION_S", 0.2)
    _version.cache_clear()
    simulated_core.cache_clear()
    with pytest.raises(TargetError, match="'verilator' does not say its version"):
        simulated_core(Simulator.VERILATOR, SMALL)
    _version.cache_clear()
