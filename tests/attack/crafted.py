"""Crafted files of every kind: refused, with little memory and in little time."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.attack.crafted_archives import ARCHIVES, NPY, SAFETENSORS
from tests.attack.crafted_hdf5 import NETX, NIR, SAID
from tests.attack.crafted_onnx import ONNX
from tests.attack.crafted_texts import CSV, JSON, TOML, holes
from tests.attack.forked import Outcome, forked
from tests.attack.kinds import Kind, Kinds

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


def crafted(kinds: Kinds, chosen: str = "") -> Iterator[tuple[str, str, int, Outcome, list[str]]]:
    """Try every crafted file; yield kind, file, its bytes, how reading it ended and what was wrong."""
    for name, kind in kinds.all().items():
        if chosen not in name:
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "it"
            good = _tried(kind, folder, None)
            refused = [] if good[1].said == "read" else [f"{good[1].said}: {good[1].text[-200:]}"]
            yield name, "a good file", *good, refused
            for told, make in crafted_for(name).items():
                size, outcome = _tried(kind, folder, make)
                yield name, told, size, outcome, _wrong(outcome, good[1].memory)


def _tried(kind: Kind, folder: Path, make: Make | None) -> tuple[int, Outcome]:
    """Read a crafted file, or the good one, in a folder with what belongs to it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = kind.write(folder)
    if make is not None:
        make(path)
    return path.stat().st_size, forked(lambda: kind.read(path), seconds=SECONDS)


def _wrong(outcome: Outcome, good: int) -> list[str]:
    found = []
    if outcome.broken:
        found.append(f"{outcome.said}: {outcome.text.strip()[-200:]}")
    elif outcome.said != "read" and outcome.memory - good > MEMORY:
        found.append(f"refused with {outcome.memory - good >> 20} MiB more than a good file takes")
    return found
