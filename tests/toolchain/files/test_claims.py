"""Archives that claim what they do not hold are refused before they take memory."""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.peak_memory import peak_of
from toolchain.errors import CorruptArtifactError
from toolchain.files.archive import open_arrays
from toolchain.files.npz import read_arrays, write_arrays

MIB = 2**20


def _array(shape: str, content: bytes = b"", descr: str = "'|b1'", version: int = 1) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


def _archive(path: Path, *contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"a{number}.npy", content)


def _zeros(mib: int) -> bytes:
    """A packed array of so many MiB of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(_array(f"({mib * MIB},)")) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * mib + packer.flush()


def _by_hand(path: Path, packed: bytes, claimed: int, entries: int = 1) -> None:
    """Entries of one place, all with a wrong sum."""
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(packed), claimed, 6, 0) + b"a0.npy"
    listed = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(packed), claimed, 6, *[0] * 6)
        + f"a{number}.npy".encode()
        for number in range(entries)
    )
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, entries, entries, len(listed), len(local) + len(packed), 0)
    path.write_bytes(local + packed + listed + end)


def overlapping(path: Path) -> None:
    _by_hand(path, _zeros(100), 100 * MIB + len(_array(f"({100 * MIB},)")), entries=9)


def damaged(path: Path) -> None:
    _by_hand(path, _zeros(100), 100 * MIB + len(_array(f"({100 * MIB},)")))


def lying(path: Path) -> None:
    _by_hand(path, _zeros(1)[:1000], 500 * MIB)


def bzip(path: Path) -> None:
    _archive(path, _array(f"({4 * MIB},)", bytes(4 * MIB)), method=zipfile.ZIP_BZIP2)


def lzma(path: Path) -> None:
    _archive(path, _array("(4,)", bytes(4)), method=zipfile.ZIP_LZMA)


def many(path: Path) -> None:
    path.write_bytes(b"")
    entry = b"PK\1\2" + bytes(24) + struct.pack("<5H2I", 8, *[0] * 6) + b"%08x"
    listed = b"".join(entry % number for number in range(300_000))
    path.write_bytes(listed + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 65535, 65535, len(listed), 0, 0))


def long_header(path: Path) -> None:
    header = struct.pack("<I", 60 * MIB)
    _archive(path, b"\x93NUMPY\x02\x00" + header + bytes(60 * MIB))


def twice(path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("a.npy", _array("(2,)", bytes(2)))


def version(path: Path) -> None:
    _archive(path, _array("(2,)", bytes(2), version=9))


def _shaped(shape: str, descr: str, content: bytes = b"") -> Callable[[Path], None]:
    return lambda path: _archive(path, _array(shape, content, descr))


HOSTILE = {
    "entries that share their bytes": (overlapping, "share bytes"),
    "100 MiB with a wrong sum": (damaged, "CRC"),
    "500 MiB in a KB": (lying, "but stores"),
    "4 MiB in a few bytes of bzip2": (bzip, "numpy.savez_compressed"),
    "another way of packing": (lzma, "numpy.savez_compressed"),
    "300,000 entries": (many, "list of entries"),
    "a header of 60 MiB": (long_header, "has a header of 62914560 bytes"),
    "a name that stands twice": (twice, "more than once"),
    "an unknown version": (version, r"version \(9, 0\)"),
    "records": (_shaped("(2,)", "[('a', '|b1')]", bytes(2)), "claims 2 bytes"),
    "times": (_shaped("(1,)", "'<M8[s]'", bytes(8)), "claims 8 bytes"),
    "texts of 2 GB": (_shaped("(0,)", "'<U500000000'"), "claims 0 bytes"),
    "texts without characters": (_shaped("(99999999999,)", "'<U0'"), "claims 0 bytes"),
    "no columns of endless rows": (_shaped("(4611686018427387904, 0)", "'|b1'"), "claims 0 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_by_what_is_wrong(name: str, tmp_path: Path) -> None:
    make, said = HOSTILE[name]
    make(tmp_path / "x.npz")
    with pytest.raises(CorruptArtifactError, match=said):
        read_arrays(tmp_path / "x.npz")
    with pytest.raises(CorruptArtifactError, match=said):
        open_arrays(tmp_path / "x.npz", held_bytes=2**40)


@pytest.mark.parametrize("make", [overlapping, damaged, lying, many, long_header])
def test_a_refused_archive_takes_no_memory(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x.npz")
    statement = "read_arrays(Path(sys.argv[1]))"
    imports = "from pathlib import Path; from toolchain.files.npz import read_arrays"
    peak = peak_of(imports, statement, tmp_path / "x.npz")
    assert peak.said.startswith("CorruptArtifactError")
    assert peak.mebibytes < 50


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    arrays = {
        "a": np.asfortranarray(np.ones((3, 4))),
        "b": np.array(["x", "yz"]),
        "c": np.zeros((0, 3), ">f4"),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    for name in "ab":
        found = read_arrays(tmp_path / f"{name}.npz")
        assert all(np.array_equal(found[key], value) for key, value in arrays.items())


def test_an_array_of_more_than_the_memory_stays_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_arrays(tmp_path / "x.npz", {"x": np.arange(10**5)})
    monkeypatch.setenv("PUMICE_MEMORY", "1M")
    with pytest.raises(CorruptArtifactError, match="needs 781.2 KiB of memory, at most 512.0 KiB"):
        read_arrays(tmp_path / "x.npz")
    stored = open_arrays(tmp_path / "x.npz", held_bytes=1000)["x"]
    assert stored[-2:].tolist() == [99_998, 99_999]
    with pytest.raises(CorruptArtifactError, match="at most 512.0 KiB"):
        np.asarray(stored)


def test_an_open_file_is_read_and_closed(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, x=np.arange(5))
    assert open_arrays(tmp_path / "x.npz", 0, packed)["x"][3] == 3
    assert packed.closed
