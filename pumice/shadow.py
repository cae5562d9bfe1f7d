"""Finds out whether `toolchain` and `targets` are Pumice's packages, or somebody else's files of those names.

Other projects use these words, too. If Python finds theirs first, an import fails with a message that does
not help. So every entry to Pumice checks them here first, without importing either package.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final, final

PACKAGES: Final = ("toolchain", "targets")
"""The packages of Pumice besides this one."""

_HOME: Final = Path(__file__).parents[1]


@final
class ShadowedError(ImportError):
    """A file that is not Pumice's hides one of its packages."""


def check_packages(*names: str) -> None:
    """Raise unless the packages of these names are Pumice's.

    Raises:
        ShadowedError: One is not; the message names the file that Python finds instead, and says what to do.
    """
    for name in names:
        place, own = _place(name), _HOME / name / "__init__.py"
        if place is None:
            raise ShadowedError(
                f"Pumice's package '{name}' is missing, expected {str(own)!r}; install Pumice again"
            )
        if not _same(Path(place), own):
            raise ShadowedError(
                f"{place!r} hides Pumice's package '{name}' ({str(own)!r}); rename it, or run from another "
                "folder, so that Python does not find it"
            )


def _place(name: str) -> str | None:
    """Return the file that importing a name gives, or the folder if it has none; None if nothing is found."""
    module = sys.modules.get(name)
    if module is not None:
        folders = iter(getattr(module, "__path__", ()))
        return getattr(module, "__file__", None) or next(folders, f"<module {name} without a file>")
    spec = find_spec(name)
    if spec is None:
        return None
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)


def _same(place: Path, own: Path) -> bool:
    """Return whether two paths are one file; links and letter case may differ."""
    try:
        return place.samefile(own)
    except OSError:
        return place == own
