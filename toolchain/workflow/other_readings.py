"""Other meanings of the same file, in case the one that was taken is not what its framework computes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

from toolchain.interchange.nir.conventions import CONVENTIONS
from toolchain.interchange.nir.from_nir import NirReadout
from toolchain.interchange.nir.resets import WORDS
from toolchain.ir.imported import Imported

Reading = tuple[str, Callable[[], Imported]]
"""The arguments that ask for a meaning, as a message has them, and what reads the file so."""


class Reader(Protocol):
    """Reads one file, with the arguments that say what it means."""

    def __call__(self, **arguments: str | None) -> Imported:
        """Return the network; see `import_file`."""
        ...


_MEMBRANE: Final = {"readout": NirReadout.MEMBRANE.value}


def other_readings(read: Reader, convention: str | None, reset: str | float | None) -> Iterator[Reading]:
    """Yield other readings of a NIR file, the likeliest first.

    These are the other resets, those that the framework has before all others; then the same with the
    membrane of the last neurons as the output; then every other convention with its own resets.

    Args:
        read: Reads the file.
        convention: Convention under which it was read; None for that of the file.
        reset: Reset under which it was read; None where it was not asked for.
    """
    words = list(dict.fromkeys((*_words(convention), *WORDS)))
    for more in ({}, _MEMBRANE):
        for word in words:
            if more or word != reset:
                yield _reading(read, {"convention": convention}, {"reset": word} | more)
    for name in CONVENTIONS:
        if name != convention:
            for word in (None, *_words(name)):
                stated = {} if word is None else {"reset": word}
                yield _reading(read, {}, {"convention": name} | stated)


def _words(convention: str | None) -> list[str]:
    """Return the resets that a framework has, its default first."""
    named = CONVENTIONS.get(convention or "")
    return [] if named is None else [word for word, _ in named.resets if word in WORDS]


def _reading(read: Reader, given: dict[str, str | None], changed: dict[str, str]) -> Reading:
    arguments = ", ".join(f"{name}={value}" for name, value in changed.items())
    return f"`{arguments}`", partial(read, **(given | changed))
