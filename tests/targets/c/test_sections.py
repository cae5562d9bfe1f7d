"""What an object takes in memory is what the tools of its compiler say."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from targets.c.compiler import compile_object
from targets.c.measuring import OBJECT_OPTIONS, measure
from targets.c.processor import Core
from targets.c.sections import object_bytes
from targets.c.source import NetworkCode
from targets.c.target import CTarget
from tests.targets import conformance
from tests.targets.c.strict import drawn
from toolchain.errors import TargetError

_HOST = ("cc",)


def _size(command: str, path: Path) -> tuple[int, int, int]:
    """Code with constants, data and zeros, as `size` says them."""
    tool = command.replace("gcc", "size") if "gcc" in command else "size"
    said = subprocess.run([tool, path], capture_output=True, text=True, check=True).stdout
    text, data, zeros = said.splitlines()[1].split()[:3]
    return int(text), int(data), int(zeros)


@cache
def _code(kind: str, seed: int) -> NetworkCode:
    return NetworkCode(drawn(kind, seed)[0])


@pytest.mark.parametrize("core", [*Core, None])
@pytest.mark.parametrize("kind", ["networks", "images"])
def test_flash_and_ram_are_what_size_says(kind: str, core: Core | None, tmp_path: Path) -> None:
    command = _HOST if core is None else core.compiler
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here: apt-get install {core and core.package}")
    for seed in range(3):
        code = _code(kind, seed)
        content = compile_object(code, command, OBJECT_OPTIONS)
        (tmp_path / "object").write_bytes(content)
        text, data, zeros = _size(command[0], tmp_path / "object")
        memory = object_bytes(content)
        assert memory.code + memory.constants == text
        assert memory.data == data + zeros
        # The state is counted from its types, and the compiler adds nothing.
        assert memory.data == code.state_bytes
        # Nothing is missing, and tables begin where words may; on the host, where vectors may.
        assert 0 <= memory.constants - code.table_bytes <= (31 if core is None else 3) * len(code.tables)


def test_what_is_no_object_is_refused() -> None:
    code = NetworkCode(conformance.graph())
    content = compile_object(code, _HOST, ("-O2",))
    for bad in (b"", b"MZ" + content, content[:70], content[:4] + b"\x07" + content[5:]):
        with pytest.raises(TargetError, match="ELF object|cannot be read"):
            object_bytes(bad)


def test_the_compiler_of_a_core_goes_before_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    code = NetworkCode(conformance.graph())
    monkeypatch.setattr("targets.c.measuring.shutil.which", lambda name: name if name == "cc" else None)
    measured = measure(code, Core.CORTEX_M4, CTarget().compiler)
    assert (measured.by, measured.exact) == ("cc", False)
    assert measured.memory is not None
    assert measured.memory.data == code.state_bytes
    monkeypatch.setattr("targets.c.measuring.shutil.which", lambda _: None)
    assert measure(code, Core.CORTEX_M4, ("cc",)).memory is None
