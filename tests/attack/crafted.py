"""Crafted files of every kind: refused, with little memory and in little time."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.attack.crafted_archives import ARCHIVES, NPY, SAFETENSORS
from tests.attack.crafted_hdf5 import NETX, NIR, SAID
from tests.attack.crafted_onnx import ONNX
from tests.attack.crafted_texts import CSV, JSON, TOML, holes
from tests.attack.forked import forked
from tests.attack.kinds import Kinds

MEMORY: Final = 300 * 2**20
"""Bytes beyond those that a good file of its kind takes: no refused file asks for more."""
SECONDS: Final = 45.0

Make = Callable[[Path], object]
_BEGINNINGS: Final = {
    "nir": b"\x89HDF\r\n\x1a\n",
    "netx": b"\x89HDF\r\n\x1a\n",
    "onnx": b"\x08\x0a",
    "stimulus": b"PK\x03\x04",
}


_FOUND: Final[dict[str, dict[str, Make]]] = {
    "nir": NIR,
    "netx": NETX,
    "classifier": ONNX,
    "shd": SAID,
    "csv": CSV,
    "dvs-gesture": NPY,
    "experiment": TOML,
    "chip profile": TOML,
    "baseline": JSON,
    "stimulus": ARCHIVES,
    "stimulus in its file": ARCHIVES,
    "trace": ARCHIVES,
    "state of a pruning": ARCHIVES,
}


def crafted_for(kind: str) -> dict[str, Make]:
    """Return the files that are tried as one of a kind."""
    ending = {".json": JSON, ".npz": ARCHIVES, ".safetensors": SAFETENSORS}
    found = _FOUND.get(kind) or ending.get(Path(kind).suffix, {})
    return found | {"ten GiB of holes": holes(_BEGINNINGS.get(kind, b""))}


def attack(kinds: Kinds, chosen: str = "") -> Iterator[tuple[str, str, int, object]]:
    """Try every crafted file; yield kind, file, its bytes and how reading it ended."""
    for name, kind in kinds.all().items():
        if chosen and chosen not in name:
            continue
        with tempfile.TemporaryDirectory() as place:
            path = kind.write(Path(place))
            good = forked(lambda: kind.read(path), seconds=120)  # noqa: B023
            yield name, "a good file", path.stat().st_size, good
            for told, make in crafted_for(name).items():
                make(path)
                yield name, told, path.stat().st_size, forked(lambda: kind.read(path), seconds=SECONDS)  # noqa: B023
