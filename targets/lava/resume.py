"""Samples that a run finished before it ended early: kept in a folder, not run again."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import CorruptArtifactError, TargetError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.atomic import sha256
from toolchain.files.npz import read_sealed_arrays, write_sealed_arrays
from toolchain.files.temporary import temporary_folder
from toolchain.ir import Graph, save_graph
from toolchain.target.protocol import RESUMED
from toolchain.target.records import Records

_KEY: Final = "key"


@final
class FinishedSamples:
    """The finished samples of one run.

    Args:
        folder: Folder in which they are kept; it is made when there is something to keep.
        graph: Network that runs.
        stimulus: Samples that it runs on.
        record: Quantities that it records.
    """

    def __init__(self, folder: Path, graph: Graph, stimulus: Stimulus, record: Sequence[str]) -> None:
        self.path = folder / RESUMED
        self._key = np.frombuffer(_digest(graph, stimulus, record), np.uint8)

    def load(self, records: Records) -> int:
        """Copy what is kept into the first rows of `records`; return how many samples that is.

        Raises:
            TargetError: The folder belongs to another run.
            CorruptArtifactError: It is damaged.
        """
        if not self.path.exists():
            return 0
        arrays = read_sealed_arrays(self.path)
        places = {
            f"{name}.{quantity}": (quantity, name) for quantity in records for name in records[quantity]
        }
        if arrays.get(_KEY, np.zeros(0)).tobytes() != self._key.tobytes() or arrays.keys() != {_KEY, *places}:
            raise TargetError(
                f"'{self.path.parent}' holds finished samples of another network, stimulus or record: "
                "use another folder, or remove it"
            )
        counts = {len(arrays[key]) if arrays[key].ndim else -1 for key in places}
        done = counts.pop() if len(counts) == 1 else -1
        for key, (quantity, name) in places.items():
            like = records[quantity][name]
            if not 0 <= done <= len(like) or arrays[key].shape[1:] != like.shape[1:]:
                raise self._damaged(f"'{key}' has shape {list(arrays[key].shape)}")
            if arrays[key].dtype != like.dtype:
                raise self._damaged(f"'{key}' holds {arrays[key].dtype}, expected {like.dtype}")
            like[:done] = arrays[key]
        return max(done, 0)

    def _damaged(self, problem: str) -> CorruptArtifactError:
        return CorruptArtifactError(self.path, f"holds no finished samples of this run: {problem}; remove it")

    def save(self, records: Mapping[str, Mapping[str, NDArray[Any]]], done: int) -> None:
        """Keep the first `done` samples."""
        finished = {
            f"{name}.{quantity}": v[:done] for quantity, part in records.items() for name, v in part.items()
        }
        write_sealed_arrays(self.path, finished | {_KEY: self._key})


def _digest(graph: Graph, stimulus: Stimulus, record: Sequence[str]) -> bytes:
    digest = hashlib.sha256(",".join(record).encode())
    with temporary_folder("key") as folder:
        save_graph(graph, folder)
        for path in sorted(folder.iterdir()):
            digest.update(sha256(path).encode())
    for name, values in sorted(stimulus.values.items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.digest()
