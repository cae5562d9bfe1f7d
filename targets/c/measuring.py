"""Flash and RAM of a network, read off an object that a compiler made of it."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from targets.c.compiler import compile_object
from targets.c.processor import Core
from targets.c.sections import ObjectBytes, object_bytes
from targets.c.source import NetworkCode

OBJECT_OPTIONS: Final = ("-O2", "-ffreestanding", "-fno-asynchronous-unwind-tables", "-fno-pic")
"""As firmware is compiled: without an operating system, and without tables for exceptions."""


@final
@dataclass(frozen=True)
class Measured:
    """What a compiler made of a network.

    Attributes:
        by: The compiler, with its choice of the core; empty if there is none.
        exact: Whether it compiles for the core.
        memory: Bytes of its object; None without a compiler.
    """

    by: str
    exact: bool
    memory: ObjectBytes | None


def measure(code: NetworkCode, core: Core, host: Sequence[str]) -> Measured:
    """Compile a network for a core, or with the host's compiler where there is none for it.

    Args:
        code: The network.
        core: The core.
        host: The host's compiler and its first arguments.

    Raises:
        TargetError: A compiler fails, or writes an object that cannot be read.
    """
    for command, exact in ((core.compiler, True), (tuple(host), False)):
        if command and shutil.which(command[0]):
            content = compile_object(code, command, OBJECT_OPTIONS)
            return Measured(" ".join(command), exact, object_bytes(content))
    return Measured("", exact=False, memory=None)
