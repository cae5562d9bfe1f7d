"""How much memory this process can have, so that nothing asks for more on the word of a file."""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

_CONTAINER: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says what a container may have, in its two versions."""


def machine_memory() -> int:
    """Return the bytes that this process can have: the least of machine, container and `ulimit -v`."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CONTAINER:
        # Another system, no container, or the word "max".
        with suppress(OSError, ValueError):
            limits.append(int(path.read_text(encoding="ascii")))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    return min(limits)
