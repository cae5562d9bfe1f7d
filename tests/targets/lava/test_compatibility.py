"""The shim helps one module of one version, and nobody else notices."""

import ast
import dataclasses
import importlib
import importlib.metadata
import inspect
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from targets.lava.runtime import compatibility
from targets.lava.runtime.compatibility import LavaCompatibilityWarning, hashable, install


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_plain_import_of_lava_works_after_importing_the_target() -> None:
    code = "import targets.lava; from lava.proc.lif.process import LIF; print(LIF.__name__)"
    assert _python(code) == "LIF"


def test_without_the_shim_lava_cannot_be_imported_on_this_python() -> None:
    """The day this fails, the shim is no longer needed."""
    done = subprocess.run(
        [sys.executable, "-c", "import lava.magma.compiler.var_model"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "mutable default" in done.stderr


def test_dataclasses_stay_as_they_are_for_everybody_else() -> None:
    code = """
import dataclasses, inspect
before = inspect.getsource(dataclasses), dataclasses.dataclass, dataclasses._process_class
import targets.lava, lava.magma.compiler.var_model
assert before == (inspect.getsource(dataclasses), dataclasses.dataclass, dataclasses._process_class)
@dataclasses.dataclass
class Plain:
    x: int = 0
try:
    @dataclasses.dataclass
    class Holder:
        plain: Plain = Plain()
except ValueError:
    print("refused")
"""
    assert _python(code) == "refused"
    assert inspect.ismodule(dataclasses)


def test_no_file_of_lava_is_touched() -> None:
    code = """
import importlib.util, pathlib, hashlib
import targets.lava
spec = importlib.util.find_spec("lava.magma.compiler")
folder = pathlib.Path(next(iter(spec.submodule_search_locations)))
def digest():
    content = sorted(path.read_bytes() for path in folder.rglob("var_model*"))
    return hashlib.sha256(b"".join(content)).hexdigest()
before = digest()
import lava.magma.compiler.var_model
print(before == digest())
"""
    assert _python(code) == "True"


def test_only_the_one_class_becomes_hashable() -> None:
    source = "@dataclass\nclass ByteEncoder:\n    x: int = 0\n\n@dataclass\nclass Other:\n    x: int = 0\n"
    text = ast.unparse(hashable(source))
    assert text.count("unsafe_hash=True") == 1
    assert text.index("unsafe_hash") < text.index("ByteEncoder") < text.index("Other")


def test_an_unknown_version_is_left_alone_with_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.11.0")
    finders = list(sys.meta_path)
    with pytest.warns(LavaCompatibilityWarning, match=r"lava-nc 0\.11\.0 is installed.*knows 0\.10\.0 only"):
        assert not install()
    assert sys.meta_path == finders


def test_without_lava_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not install()


def test_installing_twice_adds_one_finder() -> None:
    assert install()
    assert install()
    assert sum(type(finder).__name__ == "_VarModelFinder" for finder in sys.meta_path) == 1


def test_the_command_that_mends_is_the_one_that_setup_uses(repository: Path) -> None:
    command = compatibility.INSTALL_COMMAND.removeprefix("pip install ")
    for option in command.split():
        assert option in (repository / "Makefile").read_text()
