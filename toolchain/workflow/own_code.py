"""The user's own code: run to build a network, and told apart from other versions of it."""

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final, final

from toolchain.errors import ExperimentError
from toolchain.files.disk import check_file
from toolchain.intake import path_of
from toolchain.suggestion import nearest
from toolchain.workflow.sections.model import OwnModel

_KEY: Final = "model.module"
_NEIGHBOURS: Final = set[str]()
"""Modules that files of users imported from beside them."""


@final
@dataclass(frozen=True)
class OwnCode:
    """Which code builds the network of an experiment.

    Attributes:
        folder: Folder of the file that the experiment names.
        sha256: SHA-256 of that file.
        files: SHA-256 of the files that it imports from this folder and those below, by their place in it.
            They are known once it was run.
    """

    folder: Path
    sha256: str
    files: dict[str, str] = field(default_factory=dict)


def code_of(model: object) -> OwnCode | None:
    """Return which code builds a network; None for a model of ours, or without file."""
    if not isinstance(model, OwnModel):
        return None
    file = Path(model.module.rpartition(":")[0])
    if not file.is_file():
        return None
    root = file.parent.resolve()
    imported = _imported(file.resolve(), root)
    digests = {path.relative_to(root).as_posix(): digest_of_file(path) for path in imported}
    return OwnCode(root, digest_of_file(file), digests)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file; empty where there is none."""
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _imported(file: Path, root: Path) -> list[Path]:
    """Return the files below a folder that were loaded because a file, or one of them, imports them."""
    done, waiting = set[Path](), [(file, "")]
    while waiting:
        path, package = waiting.pop()
        for name in _names(path, package):
            module = sys.modules.get(name)
            place = None if module is None else _place(module, root)
            if module is None or place is None or place in done or place == file:
                continue
            done.add(place)
            waiting.append((place, module.__package__ or ""))
    return sorted(done)


def _names(path: Path, package: str) -> Iterator[str]:
    """Yield the names of modules that the code of a file may import, and of the packages they are in."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            wanted = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in wanted:
            parts = name.split(".")
            yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _place(module: ModuleType, root: Path) -> Path | None:
    """Return the file of a module below a folder; None for what lies elsewhere, or was installed there."""
    file = getattr(module, "__file__", None)
    place = None if file is None else Path(file).resolve()
    if place is None or not place.is_relative_to(root) or place.suffix != ".py":
        return None
    return None if "site-packages" in place.relative_to(root).parts else place


def _beside(name: str, folder: Path) -> bool:
    module = sys.modules.get(name)
    return module is not None and _place(module, folder.resolve()) is not None


def _forget_neighbours() -> None:
    """Let what another file imported from beside it be imported anew: names of files are used twice."""
    for name in sorted(_NEIGHBOURS):
        sys.modules.pop(name, None)
    _NEIGHBOURS.clear()


def file_of(model: OwnModel) -> tuple[Path, str]:
    """Return the file, and the name of what it defines."""
    text, _, name = model.module.rpartition(":")
    if not text or not name.isidentifier():
        raise ExperimentError(_KEY, f"expected 'FILE.py:NAME', got '{model.module}'")
    file = path_of(text, "module")
    check_file("module file", file)
    return file, name


def builder_of(model: OwnModel) -> Callable[..., object]:
    """Run the file that an experiment names, and return what it defines under that name.

    Raises:
        ExperimentError: There is no such file or name, or the file ends in an error.
    """
    file, name = file_of(model)
    spec = importlib.util.spec_from_file_location(f"_pumice_own_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ExperimentError(_KEY, f"'{file}' is no Python file")
    code = importlib.util.module_from_spec(spec)
    # Dataclasses and the like look for their module, and the file may import its neighbours.
    sys.modules[spec.name] = code
    _forget_neighbours()
    before = set(sys.modules)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(code)
    except (Exception, SystemExit) as error:
        raise ExperimentError(_KEY, f"'{file}' ends in {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(file.parent.resolve()))
        added = [name for name in list(sys.modules) if name not in before and _beside(name, file.parent)]
        _NEIGHBOURS.update(added)
    build = getattr(code, name, None)
    if not callable(build):
        own = [value for value in vars(code).values() if getattr(value, "__module__", "") == spec.name]
        names = [each.__name__ for each in own if callable(each)]
        hint = nearest(name, names)
        reason = f"'{file}' defines no function or class '{name}'{hint and f'; {hint}'}"
        raise ExperimentError(_KEY, reason, known=names)
    return build
