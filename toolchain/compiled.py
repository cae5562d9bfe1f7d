"""Numba's `njit`, with compiled code stored where that is possible and safe, and nowhere else.

Numba stores compiled code as pickles: whoever can write them can run code as the user who reads them. Also,
the import of a module fails if Numba finds no folder for its code, as in a read-only install used by somebody
without a home. So the folder is chosen here for each folder of sources, the first usable one of:

1. `NUMBA_CACHE_DIR`, if it is set;
2. `__pycache__` beside the source: whoever can write there could change the source as well;
3. `pumice` in the user's own cache folder;
4. `pumice-UID` in the temporary folder.

The last two must belong to this user and be closed to all others; a link or another user's folder is not
used. If no folder is usable, every process compiles anew, with one warning. A full disk or a damaged file
there costs time, but never ends a run. Code is compiled anew when any module of its folder has changed, one
of the packages above it, or one of this folder.
"""

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile

from toolchain.memory import addresses_left, readable_size
from toolchain.user_folders import is_writable, own_folder

_VARIABLE: Final = "NUMBA_CACHE_DIR"
_SETTINGS: Final[Any] = config
_LEAST: Final = 64 * 2**20
"""Bytes of memory without which nothing is compiled; the largest function takes 15 MiB, measured."""
Function = TypeVar("Function", bound=Callable[..., Any])


class UncachedWarning(UserWarning):
    """Compiled code can be stored nowhere, so every process compiles anew."""


def njit(*, cache: bool = False, **options: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - Numba's
    """Compile a function as `numba.njit` does.

    Args:
        cache: Whether to store the code for later processes.
        options: Options of `numba.njit`.
    """

    def compile_function(function: Function) -> Function:
        dispatcher: Any = numba.njit(**options)(function)
        # With NUMBA_DISABLE_JIT the dispatcher is the plain function.
        if cache and dispatcher is not function:
            _keep(dispatcher, Path(function.__code__.co_filename).parent)
        return dispatcher

    return compile_function


def kept_in(sources: Path) -> Path | None:
    """Return the folder that stores the compiled code of a folder of sources; None if there is none."""
    place = _place(sources)
    return sources / "__pycache__" if place == "" else None if place is None else Path(place)


class _CodeCache(FunctionCache):
    """A cache that may fail; code is then compiled as if it had never been stored.

    Numba compiles what a function calls, and constants it reads, into its code, but looks at its own file
    alone to see whether code is still that of its source. Here every module beside it counts, too, and every
    one of the packages above it.
    """

    def __init__(self, function: Callable[..., Any], sources: Path) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self.cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=tuple(_stamp(folder) for folder in (*_packages(sources), Path(__file__).parent)),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401 - Numba's
        try:
            stored = super().load_overload(sig, target_context)
        except MemoryError:
            # The code is as good as before.
            raise
        except Exception:  # noqa: BLE001 - a damaged pickle raises anything
            self._forget()
            stored = None
        if stored is None:
            _check_room()
        return stored

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401 - Numba's
        try:
            super().save_overload(sig, data)
        except Exception:  # noqa: BLE001 - likewise for a damaged index
            self._forget()

    def _forget(self) -> None:
        with suppress(OSError):
            self.flush()


def _keep(dispatcher: Any, sources: Path) -> None:  # noqa: ANN401 - Numba has no types
    """Give a dispatcher its cache, as `Dispatcher.enable_caching` does."""
    place = _place(sources)
    if place is None:
        return
    # Numba reads the folder once, while the cache is made; for other users of Numba it stays as it is.
    previous, _SETTINGS.CACHE_DIR = _SETTINGS.CACHE_DIR, place
    try:
        dispatcher._cache = _CodeCache(dispatcher.py_func, sources)  # noqa: SLF001 - there is no public way
    finally:
        _SETTINGS.CACHE_DIR = previous


def _check_room() -> None:
    """Raise where LLVM may get no memory, at which it ends the process with all that was computed."""
    left = addresses_left()
    if left is not None and left < _LEAST:
        raise MemoryError(f"to compile loops, 'ulimit -v' leaves {readable_size(left)}")


def _packages(sources: Path) -> list[Path]:
    """Return a folder of sources, and the folders of the packages that it is part of."""
    folders = [sources]
    while (folders[-1].parent / "__init__.py").exists():
        folders.append(folders[-1].parent)
    return folders


@lru_cache
def _stamp(sources: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, times and sizes of the modules of a folder."""
    modules = ((path.name, path.stat()) for path in sorted(sources.glob("*.py")))
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in modules)


@lru_cache
def _place(sources: Path) -> str | None:
    """Return Numba's `CACHE_DIR` for a folder of sources: empty means beside them, None means nowhere."""
    asked = os.environ.get(_VARIABLE)
    if asked and is_writable(Path(asked)):
        return asked
    if is_writable(sources / "__pycache__"):
        return ""
    folder = own_folder()
    if folder is not None:
        return str(folder)
    warnings.warn(
        "compiled code can be stored nowhere, so every process compiles anew, which takes long; "
        f"set {_VARIABLE} to a folder of your own",
        UncachedWarning,
        stacklevel=2,
    )
    return None
