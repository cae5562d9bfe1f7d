"""What an object puts into memory: the sections of ELF, which compilers for microcontrollers write."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from toolchain.errors import TargetError

_MAGIC: Final = b"\x7fELF"
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4
_NOTE: Final = 7
_WORDS: Final = {1: ("I", 4), 2: ("Q", 8)}
"""By the class of a file: the code of an address, and its bytes."""


@final
@dataclass(frozen=True)
class ObjectBytes:
    """Bytes of an object by the memory that holds them.

    Attributes:
        code: Instructions.
        constants: Constant tables, with what lies between them.
        data: Variables, those that begin with zero included.
    """

    code: int
    constants: int
    data: int


def object_bytes(content: bytes) -> ObjectBytes:
    """Return what an object of ELF puts into memory.

    Raises:
        TargetError: It is no such file.
    """
    code = constants = data = 0
    for kind, flags, size in _sections(content):
        if not flags & _ALLOC or kind == _NOTE:
            continue
        if flags & _WRITE:
            data += size
        elif flags & _EXECUTE:
            code += size
        else:
            constants += size
    return ObjectBytes(code, constants, data)


def _sections(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield kind, flags and size of every section."""
    try:
        if content[:4] != _MAGIC:
            raise TargetError("the compiler wrote no ELF object", "set CC to gcc or clang for Linux")
        order = {1: "<", 2: ">"}[content[5]]
        word, width = _WORDS[content[4]]
        # After the identity of 16 bytes: two of 2 bytes, one of 4, entry, program headers, section headers.
        (start,) = struct.unpack_from(f"{order}{word}", content, 24 + 2 * width)
        each, count = struct.unpack_from(f"{order}HH", content, 34 + 3 * width)
        for i in range(count):
            place = start + i * each
            kind, flags, _, _, size = struct.unpack_from(
                f"{order}4x I {word}{word}{word}{word}", content, place
            )
            yield kind, flags, size
    except (KeyError, IndexError, struct.error) as error:
        raise TargetError(f"the compiler's object cannot be read: {error}") from error
