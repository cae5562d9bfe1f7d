"""Lets the archived lava-nc 0.10.0 be imported on Python 3.11 and newer.

One module of it, `lava.magma.compiler.var_model`, uses instances of the dataclass `ByteEncoder` as
dataclass defaults. Python 3.11 refuses defaults that cannot be hashed. `install` puts a finder in
front of the import system that answers for this one module only, and compiles its source with
`@dataclass(unsafe_hash=True)` on that one class. No file is edited, no bytecode is cached, and the
`dataclasses` module stays as it is for everybody else.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
import warnings
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Final, final

KNOWN_VERSION: Final = "0.10.0"
INSTALL_COMMAND: Final = f"pip install --no-deps --ignore-requires-python lava-nc=={KNOWN_VERSION}"
_MODULE: Final = "lava.magma.compiler.var_model"
_CLASS: Final = "ByteEncoder"


class LavaCompatibilityWarning(UserWarning):
    """The installed lava-nc is not the one this module knows, so it is left alone."""


def lava_version() -> str | None:
    """Return the installed version of lava-nc, or None if there is none."""
    try:
        return importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        return None


def install() -> bool:
    """Make `import lava` work in this process, if that needs help and is known how.

    Returns:
        Whether the finder is in place: False on Python 3.10 and older, without lava-nc, and
        with another version of it, which is left alone with a warning.
    """
    version = lava_version()
    if version is None or sys.version_info < (3, 11):
        return False
    if version != KNOWN_VERSION:
        warnings.warn(
            f"lava-nc {version} is installed, but the compatibility module knows {KNOWN_VERSION} only and "
            f"leaves it alone; if importing lava fails, run: {INSTALL_COMMAND}",
            LavaCompatibilityWarning,
            stacklevel=2,
        )
        return False
    if not any(isinstance(finder, _VarModelFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _VarModelFinder())
    return True


@final
class _VarModelFinder(importlib.abc.MetaPathFinder):
    """Finds the one module where Python would find it, and loads it with the changed class."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _HashableLoader(spec.loader.name, spec.loader.path)
        return spec


@final
class _HashableLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source afresh each time: neither reads nor writes cached bytecode."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(hashable(self.get_data(path).decode("utf-8")), path)


def hashable(source: str) -> ast.Module:
    """Return the module's syntax tree with `@dataclass(unsafe_hash=True)` on `ByteEncoder`."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == _CLASS:
            node.decorator_list = [_with_hash(decorator) for decorator in node.decorator_list]
    return ast.fix_missing_locations(tree)


def _with_hash(decorator: ast.expr) -> ast.expr:
    if isinstance(decorator, ast.Name) and decorator.id == "dataclass":
        keyword = ast.keyword("unsafe_hash", ast.Constant(value=True))
        return ast.copy_location(ast.Call(decorator, [], [keyword]), decorator)
    return decorator
