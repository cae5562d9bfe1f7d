"""The system's compiler: which one is called, and what happens where there is none or it fails."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from targets.c.compiler import compile_object
from targets.c.source import NetworkCode
from targets.c.target import CTarget
from tests.targets import conformance
from toolchain.errors import TargetError, TargetUnavailableError


def _script(path: Path, lines: str) -> str:
    path.write_text(f"#!{sys.executable}\n{lines}\n")
    path.chmod(0o700)
    return f"'{path}'"


def test_without_a_compiler_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    program = CTarget().build(conformance.graph())
    for attempt in (CTarget().check, lambda: program.run(conformance.stimulus()), lambda: program.session(1)):
        with pytest.raises(TargetUnavailableError, match="'no-such-compiler'") as caught:
            attempt()
        assert caught.value.command == "apt-get install gcc"


def test_the_environment_chooses_compiler_and_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CC", raising=False)
    assert CTarget().compiler == ("cc",)
    folder = tmp_path / "a folder's"
    folder.mkdir()
    told = tmp_path / "told"
    script = _script(
        folder / "compiler",
        f"import subprocess, sys\nopen({str(told)!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        f"sys.exit(subprocess.call([{shutil.which('cc')!r}, *sys.argv[1:]]))",
    )
    monkeypatch.setenv("CC", f'"{folder}/compiler" -O1')
    assert script == f"'{folder}/compiler'"
    conformance.check_equal_to_the_reference(CTarget())
    assert told.read_text().startswith("-O1 -std=c99 ")


def test_a_compiler_that_fails_is_quoted_and_the_source_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _script(tmp_path / "broken", "print('it hurts ' * 99)\nprint('line\\n' * 99)\nraise SystemExit(7)")
    monkeypatch.setenv("CC", str(tmp_path / "broken"))
    with pytest.raises(TargetError, match="ended with status 7") as caught:
        CTarget().build(conformance.graph()).run(conformance.stimulus())
    (note,) = caught.value.__notes__
    assert note.startswith("it hurts")
    assert len(note) < 300
    kept = Path(caught.value.remedy.split("'")[1])
    assert {path.name for path in kept.iterdir()} == {"net_random.c", "net_random.h", "driver.c", "log.txt"}
    shutil.rmtree(kept)


def test_a_compiler_that_writes_nothing_is_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "true")
    with pytest.raises(TargetError, match="wrote no program") as caught:
        CTarget().build(conformance.graph()).session(1)
    assert caught.value.__notes__ == ["the compiler said nothing"]
    shutil.rmtree(caught.value.remedy.split("'")[1])


def test_a_compiler_that_knows_no_such_processor_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _script(
        tmp_path / "plain",
        "import subprocess, sys\n"
        "if '-march=native' in sys.argv:\n    raise SystemExit(1)\n"
        f"sys.exit(subprocess.call([{shutil.which('cc')!r}, *sys.argv[1:]]))",
    )
    monkeypatch.setenv("CC", str(tmp_path / "plain"))
    before = set(Path(tempfile.gettempdir()).glob("pumice_c_*"))
    conformance.check_equal_to_the_reference(CTarget())
    assert set(Path(tempfile.gettempdir()).glob("pumice_c_*")) == before


def test_an_object_that_cannot_be_made_keeps_its_source() -> None:
    code = NetworkCode(conformance.graph())
    with pytest.raises(TargetError, match="does not take the source") as caught:
        compile_object(code, ("cc",), ("-Dint32_t=1",))
    kept = Path(caught.value.remedy.split("'")[1])
    assert {path.name for path in kept.iterdir()} == {"net_random.c", "net_random.h", "unit.c", "log.txt"}
    shutil.rmtree(kept)
