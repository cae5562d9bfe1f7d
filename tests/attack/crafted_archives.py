"""Crafted `.npz` and safetensors files: small ones that claim much, or that lie about themselves."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

Make = Callable[[Path], object]
"""Writes a file."""


def _npy(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return an array in NumPy's form, with any header."""
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + content


def _claiming(
    shape: str, descr: str = "'|b1'", content: bytes = b"", version: tuple[int, int] = (1, 0)
) -> bytes:
    return _npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", content, version)


def _zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def _packed(head: bytes, zeros: int) -> bytes:
    """Return a stream of a head and so many MiB of zeros, which are packed only once."""
    pressed = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = pressed.compress(head) + pressed.flush(zlib.Z_FULL_FLUSH)
    block = pressed.compress(bytes(2**20)) + pressed.flush(zlib.Z_FULL_FLUSH)
    return begin + block * zeros + pressed.flush()


def _bomb(mib: int) -> Make:
    def make(path: Path) -> None:
        head = _claiming(f"({mib * 2**20},)")
        claimed = len(head) + mib * 2**20
        _raw(path, entries=1, claimed=claimed, packed=_packed(head, mib), crc=0, sizes=claimed)

    return make


def _raw(path: Path, *, entries: int, claimed: int, packed: bytes, crc: int, sizes: int) -> None:
    """Write an archive by hand: many entries of the directory that all say where the same bytes begin."""
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(packed), sizes, 9, 0)
        + b"input.npy"
        + packed
    )
    directory = b""
    for number in range(entries):
        name = f"a{number}.npy".encode() if number else b"input.npy"
        directory += struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            20,
            20,
            0,
            8,
            0,
            0,
            crc,
            len(packed),
            claimed,
            len(name),
            0,
            0,
            0,
            0,
            0,
            0,
        )
        directory += name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, entries, entries, len(directory), len(local), 0)
    path.write_bytes(local + directory + end)


def overlapping(path: Path) -> None:
    """Forty entries of 100 MiB that share their bytes."""
    head = _claiming(f"({100 * 2**20},)")
    claimed = len(head) + 100 * 2**20
    crc = zlib.crc32(bytes(100 * 2**20), zlib.crc32(head))
    _raw(path, entries=40, claimed=claimed, packed=_packed(head, 100), crc=crc, sizes=claimed)


def lying_size(path: Path) -> None:
    """An entry that claims a MB and unpacks to 2 GiB."""
    packed = _packed(_claiming("(1000000,)"), 2048)
    _raw(path, entries=1, claimed=1_000_128, packed=packed, crc=0, sizes=100)


def twice(path: Path) -> None:
    """Two arrays of one name."""
    with zipfile.ZipFile(path, "w") as archive:
        for value in (0, 1):
            content = io.BytesIO()
            np.save(content, np.full((1, 2, 3), value, bool))
            import warnings  # noqa: PLC0415

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr("input.npy", content.getvalue())


def upwards(path: Path) -> None:
    """Names that lead out of the folder."""
    _zip(path, {"../../input.npy": _claiming("(1, 2, 3)", content=bytes(6)), "/etc/x.npy": b""})


def locked(path: Path) -> None:
    """An entry that says it is encrypted."""
    _zip(path, {"input.npy": _claiming("(1, 2, 3)", content=bytes(6))})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)


def lzma_bomb(path: Path) -> None:
    """400 MiB, packed by LZMA, which knows no bound on its ratio."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("input.npy", _claiming(f"({400 * 2**20},)") + bytes(400 * 2**20))


def many_entries(path: Path) -> None:
    """60,000 arrays of nothing."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"a{number}.npy", _claiming("(0,)"))


def _vast_header() -> bytes:
    """Return an array whose header has 100 MB; it is only made when it is written."""
    return _npy("{'descr': '|b1', " + " " * 100_000_000 + "}", version=(2, 0))


def _array(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def _header(header: str) -> Make:
    def make(path: Path) -> None:
        _zip(path, {"input.npy": _npy(header)})

    return make


def _shape(shape: str, descr: str = "'|b1'", content: bytes = b"") -> Make:
    def make(path: Path) -> None:
        _zip(path, {"input.npy": _claiming(shape, descr, content)})

    return make


ARCHIVES: Final[dict[str, Make]] = {
    "a bomb of 3 GiB": _bomb(3000),
    "a bomb of 800 MiB": _bomb(800),
    "entries that overlap": overlapping,
    "an entry that lies about its size": lying_size,
    "two arrays of one name": twice,
    "names that lead upwards": upwards,
    "an encrypted entry": locked,
    "a bomb of LZMA": lzma_bomb,
    "60,000 entries": many_entries,
    "a header of brackets": _header("(" * 9000),
    "a header of 100 MB": lambda path: _zip(path, {"input.npy": _vast_header()}),
    "a header that calls": _header("__import__('os').system('touch /tmp/pumice-attack')"),
    "objects": _shape("(1, 2, 3)", "'|O'", bytes(48)),
    "a shape of 2^62 and 0": _shape("(4611686018427387904, 0, 3)"),
    "a shape of 1 TB": _shape("(1, 1000, 1000000000)"),
    "a negative shape": _shape("(1, -2, -3)", content=bytes(6)),
    "a shape of 60 axes": _shape("(" + "1, " * 60 + ")", content=bytes(1)),
    "items of 2 GB": _shape("(0, 2, 3)", "'|V2000000000'"),
    "text of 2 GB": _shape("(0, 2, 3)", "'<U500000000'"),
    "times": _shape("(1, 2, 3)", "'<M8[s]'", bytes(48)),
    "complex numbers": _shape("(1, 2, 3)", "'<c16'", bytes(96)),
    "records": _shape("(1, 2, 3)", "[('a', '|b1')]", bytes(6)),
    "3,000 fields": _shape("(1, 2, 3)", repr([(f"f{i}", "|b1") for i in range(3000)]), bytes(18000)),
    "long numbers": _shape("(1, 2, 3)", "'<f16'", bytes(96)),
}


NPY: Final[dict[str, Make]] = {
    "a header of brackets": _array(_npy("(" * 9000)),
    "a header of 100 MB": lambda path: path.write_bytes(_vast_header()),
    "objects": _array(_claiming("(2, 4)", "'|O'", b"\x80\x04N." * 8)),
    "a shape of 1 TB": _array(_claiming("(250000000000, 4)", "'<f8'")),
    "a shape of 2^62 and 0": _array(_claiming("(4611686018427387904, 0)", "'<f8'")),
    "a negative shape": _array(_claiming("(-1, 4)", "'<f8'", bytes(64))),
    "numbers that are none": _array(_claiming("(2, 4)", "'<f8'", b"\xff" * 64)),
    "text of 2 GB": _array(_claiming("(0, 4)", "'<U500000000'")),
    "records": _array(
        _claiming("(2,)", "[('x', '<f8'), ('y', '<f8'), ('p', '<f8'), ('t', '<f8')]", bytes(64))
    ),
}


def _tensors(header: object, content: bytes = b"") -> Make:
    """Return what writes a file with a header: bytes, what is written as JSON, or a function of either."""

    def make(path: Path) -> None:
        made = header() if callable(header) else header
        text = made if isinstance(made, bytes) else json.dumps(made).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content)

    return make


def _tensor(shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


SAFETENSORS: Final[dict[str, Make]] = {
    "a header of 2^60": lambda path: path.write_bytes(struct.pack("<Q", 2**60) + b"{}"),
    "a header of brackets": _tensors(b"[" * 100_000),
    "a header of 90 MB": _tensors(lambda: b'{"__metadata__": {"note": "' + b"x" * 90_000_000 + b'"}}'),
    "tensors that overlap": _tensors({"a": _tensor([4], 0, 16), "b": _tensor([4], 0, 16)}, bytes(16)),
    "a tensor of 2^62": _tensors({"a": _tensor([2**62, 4], 0, 16)}, bytes(16)),
    "a tensor of 2^62 and 0": _tensors({"a": _tensor([2**62, 0], 0, 0)}),
    "100,000 tensors": _tensors(lambda: {f"t{i}": _tensor([0], 0, 0) for i in range(100_000)}),
    "no tensors": _tensors({}),
}
