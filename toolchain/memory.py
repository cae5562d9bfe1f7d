"""How much memory may be taken on the word of a file or a graph: asked before anything is allocated."""

import os
import re
import resource
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, final

from toolchain.errors import ArgumentError, CorruptArtifactError, OutOfMemoryError

VARIABLE: Final = "PUMICE_MEMORY"
"""Environment variable that says how much memory there is, such as `16G`, and not the machine."""

_SIZE: Final = re.compile(r"(\d{1,15})([KMGT]?)")
_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SHARE: Final = 2
"""What was read is copied, and computed with: one file or graph may take this part of the memory."""
_DOCUMENT_SHARE: Final = 48
_LEAST_FOR_DOCUMENTS: Final = 128 * 2**20
_CONTAINER: Final = ("memory.max", "memory/memory.limit_in_bytes")
"""Where Linux says what a container may have, in its two versions."""
_CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
_REMEDY: Final = f"use a machine with more memory, or say with {VARIABLE} how much there is, such as 64G"


@final
@dataclass(frozen=True)
class Budget:
    """What one file or one graph may take.

    Attributes:
        limit: Bytes that may be taken at once.
    """

    limit: int

    def excess(self, needed: int) -> str:
        """Return why so many bytes cannot be taken, in words that follow a name; empty if they can."""
        if needed <= self.limit:
            return ""
        may = f"at most {readable_size(self.limit)} may be taken here"
        return f"needs {readable_size(needed)} of memory, {may}: {_REMEDY}"

    def check_file(self, path: Path, needed: int) -> None:
        """Raise before the content of a file takes more memory than it may.

        Args:
            path: The file.
            needed: Bytes that reading it takes.

        Raises:
            CorruptArtifactError: That is more than the limit.
        """
        excess = self.excess(needed)
        if excess:
            raise CorruptArtifactError(path, excess)

    @property
    def documents(self) -> int:
        """Bytes that the objects of one document may take: it describes what stands elsewhere in arrays."""
        return max(self.limit // _DOCUMENT_SHARE, _LEAST_FOR_DOCUMENTS)

    def check_document(self, path: Path, needed: int) -> None:
        """Raise before a text is parsed that could become more objects than a document has.

        Args:
            path: The file.
            needed: Bytes that its objects take at worst.

        Raises:
            CorruptArtifactError: That is more than documents may take.
        """
        if needed > self.documents:
            raise CorruptArtifactError(
                path,
                f"could take {readable_size(needed)} of memory once parsed; documents may take "
                f"{readable_size(self.documents)} here: {_REMEDY}",
            )


def budget() -> Budget:
    """Return what one file or graph may take on this machine, now."""
    return Budget(machine_memory() // _SHARE)


def machine_memory() -> int:
    """Return the bytes that this process can have.

    They are what the environment variable `PUMICE_MEMORY` says, or the least of the machine, its container
    and what `ulimit -v` leaves.

    Raises:
        ArgumentError: The variable holds no size.
    """
    setting = os.environ.get(VARIABLE)
    if setting:
        return _size_of(setting)
    left = addresses_left()
    return _machine_or_container() if left is None else min(_machine_or_container(), left)


def addresses_left() -> int | None:
    """Return the bytes that `ulimit -v` leaves to this process; None without such a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else max(soft - _addresses_taken(), 0)


@contextmanager
def enough_memory(work: str, remedy: str = "") -> Generator[None, None, None]:
    """Turn a failed allocation within the block into an error that names the work.

    The last resort: what can be foreseen is refused before, by its name and size.

    Args:
        work: Such as `compiling the network`.
        remedy: What to do about it, if the work has a better answer than more memory.

    Raises:
        OutOfMemoryError: There was not enough memory.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(work, str(error), remedy or _REMEDY) from None
    except RuntimeError as error:
        # PyTorch has no class of its own for the memory of the CPU.
        if "not enough memory" not in str(error) and "out of memory" not in str(error):
            raise
        raise OutOfMemoryError(work, str(error).splitlines()[0], remedy or _REMEDY) from None


def readable_size(size: int) -> str:
    """Return a number of bytes for reading.

    >>> readable_size(100), readable_size(108864), readable_size(3 * 2**30), readable_size(2**60)
    ('100 bytes', '106.3 KiB', '3.0 GiB', '1.1e+09 GiB')
    """
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            parts = size / unit
            return f"{parts:.1f} {name}" if parts < 10**6 else f"{parts:.2g} {name}"
    return f"{size} bytes"


def _size_of(text: str) -> int:
    size = _SIZE.fullmatch(text.strip().upper().removesuffix("B").removesuffix("I"))
    if size is None or not int(size[1]):
        raise ArgumentError(VARIABLE, "a size such as 16G or 4000M", repr(text), "change or unset it")
    return int(size[1]) * _UNITS[size[2]]


@cache
def _machine_or_container() -> int:
    """Return the bytes that the machine has, or the least that a group of this process may have."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    files = [_CONTROL_GROUPS / name for name in _CONTAINER]
    with suppress(OSError, ValueError):
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().rpartition(":")[2]
        inner = _CONTROL_GROUPS / own.lstrip("/")
        files += [
            group / _CONTAINER[0] for group in (inner, *inner.parents) if _CONTROL_GROUPS in group.parents
        ]
    for path in files:
        # Another system, no container, or the word "max".
        with suppress(OSError, ValueError):
            limits.append(int(path.read_text(encoding="ascii")))
    return min(limits)


def _addresses_taken() -> int:
    """Return the bytes of addresses that this process has already, where the system says so."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    return 0
