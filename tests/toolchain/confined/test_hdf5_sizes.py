"""HDF5 files that would take more than they have: refused by what reading really allocates."""

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.peak_memory import peak_of
from toolchain.confined.reader import read_hdf5
from toolchain.errors import CorruptArtifactError

TEXT = h5py.string_dtype()


def _full_of_zeros(file: h5py.File, name: str, count: int, kind: str, chunk: int) -> None:
    """Add a data set of zeros, of which one chunk is packed for all."""
    data = file.create_dataset(name, (count,), kind, chunks=(chunk,), compression="gzip")
    packed = zlib.compress(bytes(chunk * data.dtype.itemsize))
    for begin in range(0, count, chunk):
        data.id.write_direct_chunk((begin,), packed)


def one_long_text(path: Path) -> None:
    """4,000 short texts and a long one: an array of text gives each as much room."""
    with h5py.File(path, "w") as file:
        file.create_dataset("names", data=["a"] * 4000 + ["b" * 90_000], dtype=TEXT)


def shared_text(path: Path) -> None:
    """20,000 elements that all name one text of 100 kB."""
    with h5py.File(path, "w") as file:
        names = file.create_dataset("names", (20_000,), TEXT)
        names[0] = "b" * 100_000
        start = names.id.get_offset()
    content = bytearray(path.read_bytes())
    content[start : start + 16 * 20_000] = content[start : start + 16] * 20_000
    path.write_bytes(content)


def packed_text(path: Path) -> None:
    """Two million texts of 50 characters in 100 kB."""
    with h5py.File(path, "w") as file:
        _full_of_zeros(file, "names", 2 * 10**6, "S50", 10**5)


def large_chunk(path: Path) -> None:
    """Ten numbers in a chunk of 400 MB."""
    with h5py.File(path, "w") as file:
        numbers = file.create_dataset(
            "numbers", (10,), "f8", maxshape=(None,), chunks=(5 * 10**7,), compression="gzip"
        )
        numbers.id.write_direct_chunk((0,), bytes(80))


def chunk_that_grows(path: Path) -> None:
    """A chunk of 80 bytes that unpacks to 300 MB."""
    with h5py.File(path, "w") as file:
        numbers = file.create_dataset("numbers", (10,), "f8", chunks=(10,), compression="gzip")
        numbers.id.write_direct_chunk((0,), zlib.compress(bytes(3 * 10**8), 1))


def packed_twice(path: Path) -> None:
    """Packed so that bytes become a million bytes each."""
    with h5py.File(path, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((10,))
        plan.set_deflate(9)
        plan.set_deflate(9)
        space = h5py.h5s.create_simple((10,))
        made = h5py.h5d.create(file.id, b"numbers", h5py.h5t.NATIVE_DOUBLE, space, plan)
        made.write_direct_chunk((0,), zlib.compress(zlib.compress(bytes(80))))


def zeros(path: Path) -> None:
    """Five data sets of 100 MB of zeros in half a megabyte."""
    with h5py.File(path, "w") as file:
        for name in "abcde":
            _full_of_zeros(file, name, 10**8, "i1", 10**7)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (zeros, "claim 500000000 bytes, more than 200 times what it stores"),
        (one_long_text, "holds more text than is read"),
        (shared_text, "holds more text than is read"),
        (packed_text, "claim 100000000 bytes, more than 200 times what it stores"),
        (large_chunk, "80 bytes in chunks of 400000000 bytes"),
        (chunk_that_grows, "Error|memory"),
        (packed_twice, "packed twice"),
    ],
)
def test_a_file_is_refused_before_it_takes_more_than_it_has(
    make: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    make(tmp_path / "x.h5")
    with pytest.raises(CorruptArtifactError, match=said):
        read_hdf5(tmp_path / "x.h5")


@pytest.mark.parametrize("make", [shared_text, chunk_that_grows, zeros])
def test_a_refused_file_takes_little_memory(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x.h5")
    imports = "from pathlib import Path; from toolchain.confined.reader import read_hdf5"
    peak = peak_of(imports, "read_hdf5(Path(sys.argv[1]))", tmp_path / "x.h5")
    assert peak.said.startswith("CorruptArtifactError")
    assert peak.mebibytes < 50
    assert peak.children < 300 * 2**20


def test_texts_of_very_different_lengths_are_read_one_by_one(tmp_path: Path) -> None:
    texts = ["a", "b" * 200_000, "", "é"]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("names", data=[texts], dtype=TEXT)
        file.create_dataset("noise", data=np.random.default_rng(0).integers(0, 256, 10**7, np.uint8))
    assert read_hdf5(tmp_path / "x.h5")["names"].tolist() == [texts]
