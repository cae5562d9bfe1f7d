"""Crafted HDF5 files: what leads out of the file, what claims much, networks of impossible sizes."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import h5py
import nir
import numpy as np

from tests.toolchain.interchange.netx_graphs import conv, dense, save
from toolchain.interchange.nir.file import write_nir

Make = Callable[[Path], object]


def _file(make: Callable[[h5py.File, Path], object]) -> Make:
    def write(path: Path) -> None:
        with h5py.File(path, "w", libver="latest") as file:
            make(file, path.parent)

    return write


def _secret(folder: Path) -> Path:
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["secret"] = np.arange(4)
    return path


def _virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(str(_secret(folder)), "secret", (4,))
    file.create_virtual_dataset("node/x", layout)


def _stored_elsewhere(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", (8,), "u1", external=[(str(_secret(folder)), 0, 8)])


def _hard_links(file: h5py.File, folder: Path) -> None:
    file["node/a"] = np.zeros(1000)
    for number in range(1000):
        file[f"node/b{number}"] = file["node/a"]


def _circle(file: h5py.File, folder: Path) -> None:
    group = file.create_group("node")
    group["again"] = group


def _texts(count: int, longest: int) -> Make:
    """Many short texts and a long one: in NumPy every text takes as much as the longest."""

    def make(file: h5py.File, folder: Path) -> None:
        values = np.full(count, "a", object)
        values[0] = "a" * longest
        file.create_dataset("node/edges", data=values, dtype=h5py.string_dtype())

    return _file(make)


def _fixed_texts(file: h5py.File, folder: Path) -> None:
    data = file.create_dataset("node/x", (30_000,), "S100000", chunks=(100,), compression="gzip")
    data[0] = b"a"


def _unwritten(file: h5py.File, folder: Path) -> None:
    file.create_dataset("node/x", (10**12,), "f8", chunks=(10**6,), fillvalue=1.0)


def _packed(file: h5py.File, folder: Path) -> None:
    packed = file.create_dataset("node/x", (2**30,), "i1", chunks=(2**22,), compression="gzip")
    for start in range(0, 2**30, 2**26):
        packed[start : start + 2**26] = 0


def _many_groups(file: h5py.File, folder: Path) -> None:
    for number in range(110_000):
        file.create_group(f"g{number}")


def _many_sets(file: h5py.File, folder: Path) -> None:
    for number in range(30_000):
        file.create_dataset(f"node/d{number}", data=0)


def _long_name(file: h5py.File, folder: Path) -> None:
    file.create_group("n" * 60_000)["x"] = 1


def _plug_in(file: h5py.File, folder: Path) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT8, space, plan)


SAID: Final[dict[str, Make]] = {
    "an external link": _file(
        lambda file, at: file.__setitem__("x", h5py.ExternalLink(str(_secret(at)), "/secret"))
    ),
    "a soft link": _file(lambda file, _: file.__setitem__("x", h5py.SoftLink("/etc/passwd"))),
    "a virtual data set": _file(_virtual),
    "values in another file": _file(_stored_elsewhere),
    "1,000 hard links": _file(_hard_links),
    "a circle": _file(_circle),
    "texts, 4,000 and one of 90 kB": _texts(4_000, 90_000),
    "texts, 200,000 and one of 300 kB": _texts(200_000, 300_000),
    "texts of fixed length": _file(_fixed_texts),
    "8 TB that were never written": _file(_unwritten),
    "1 GiB of zeros": _file(_packed),
    "110,000 groups": _file(_many_groups),
    "30,000 data sets": _file(_many_sets),
    "50 groups in one another": _file(lambda file, _: file.create_group("/".join(["g"] * 50))),
    "a name of 60 kB": _file(_long_name),
    "a filter that is a plug-in": _file(_plug_in),
    "references": _file(lambda file, _: file.create_dataset("x", data=file.ref, dtype=h5py.ref_dtype)),
    "lists of any length": _file(lambda file, _: file.create_dataset("x", (3,), h5py.vlen_dtype("f8"))),
    "a type that stands alone": _file(lambda file, _: file.__setitem__("x", np.dtype("f8"))),
}
"""Any HDF5 file."""


def _network(nodes: dict[str, Any], edges: list[tuple[str, str]] | None = None) -> Make:
    def write(path: Path) -> None:
        write_nir(nir.NIRGraph(nodes, edges or list(pairwise(nodes)), type_check=False), path)

    return write


def _images(path: Path) -> None:
    """Images of 4 x 4 through a convolution and a pooling."""
    _network(
        {
            "input": nir.Input({"input": np.array([1, 4, 4])}),
            "conv": nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 1, 1, 1, 1, np.ones(1)),
            "if": nir.IF(np.ones((1, 4, 4)), np.ones((1, 4, 4))),
            "pool": nir.SumPool2d(*(np.array([number, number]) for number in (2, 2, 0))),
            "flat": nir.Flatten({"input": np.array([1, 2, 2])}, 0, -1),
            "w": nir.Affine(np.ones((3, 4)), np.ones(3)),
            "li": nir.LI(np.ones(3), np.ones(3), np.zeros(3)),
            "output": nir.Output({"output": np.array([3])}),
        }
    )(path)


def _with(place: str, *numbers: int) -> Make:
    """The network of images in which one number is another; the classes of `nir` would not hold it."""

    def write(path: Path) -> None:
        _images(path)
        with h5py.File(path, "r+") as file:
            stored = file[f"node/nodes/{place}"]
            assert isinstance(stored, h5py.Dataset)
            shape = stored.shape
            del file[f"node/nodes/{place}"]
            file[f"node/nodes/{place}"] = (
                np.array(numbers)
                if len(shape) == 1 and len(numbers) == shape[0]
                else np.full(shape, numbers[0])
            )

    return write


def _wide(neurons: int) -> Make:
    """Neurons that a file can name with a few bytes, since one number stands for all."""
    return _network(
        {
            "input": nir.Input({"input": np.array([neurons])}),
            "lif": nir.LIF(*[np.ones(1)] * 5),
            "output": nir.Output({"output": np.array([neurons])}),
        }
    )


def _chain(nodes: int) -> Make:
    chain: dict[str, Any] = {"input": nir.Input({"input": np.array([1])})}
    chain |= {f"s{number}": nir.Scale(np.ones(1)) for number in range(nodes)}
    return _network(chain | {"output": nir.Output({"output": np.array([1])})})


def _delay(steps: float) -> Make:
    return _network(
        {
            "input": nir.Input({"input": np.array([3])}),
            "delay": nir.Delay(np.full(3, steps)),
            "li": nir.LI(np.ones(3), np.ones(3), np.zeros(3)),
            "output": nir.Output({"output": np.array([3])}),
        }
    )


NIR: Final[dict[str, Make]] = SAID | {
    "padding of 100,000": _with("conv/padding", 100_000),
    "dilation of 1,000,000": _with("conv/dilation", 1_000_000),
    "a stride of 0": _with("conv/stride", 0),
    "1,000,000,000 groups": _with("conv/groups", 10**9),
    "pooling with padding of 100,000": _with("pool/padding", 100_000),
    "a kernel of 10^9": _with("pool/kernel_size", 10**9),
    "a picture of 10^5 x 10^5": _with("input/shape", 1, 10**5, 10**5),
    "10^9 neurons": _wide(10**9),
    "2^62 neurons": _wide(2**62),
    "3,000 nodes": _chain(3_000),
    "a delay of 10^9 seconds": _delay(1e9),
    "a delay of 10^18 seconds": _delay(1e18),
}


def _layers(*layers: dict[str, Any]) -> Make:
    return lambda path: save(path, [{"type": "input", "shape": [1, 4, 4]}, *layers])


_FLAT: Final = {"type": "flatten", "shape": [16]}

NETX: Final[dict[str, Make]] = SAID | {
    "padding of 100,000": _layers(conv(np.ones((1, 1, 3, 3)), (1, 200_002, 200_002), padding=[10**5, 10**5])),
    "dilation of 1,000,000": _layers(
        conv(np.ones((1, 1, 3, 3)), (1, 4, 4), dilation=[10**6, 10**6], padding=[10**6, 10**6])
    ),
    "a stride of 0": _layers(conv(np.ones((1, 1, 3, 3)), (1, 2, 2), stride=[0, 0])),
    "1,000,000,000 groups": _layers(conv(np.ones((1, 1, 3, 3)), (1, 2, 2), groups=10**9)),
    "a picture of 10^5 x 10^5": lambda path: save(
        path,
        [{"type": "input", "shape": [1, 10**5, 10**5]}, conv(np.ones((1, 1, 3, 3)), (1, 99_998, 99_998))],
    ),
    "10^9 neurons": _layers(_FLAT, dense(np.ones((3, 16)), shape=[10**9], outFeatures=10**9)),
    "a delay of 10^9": _layers(_FLAT, dense(np.ones((3, 16)), delay=np.full(16, 1e9))),
    "2,000 layers": _layers(
        _FLAT, *(dense(np.ones((2, 16 if number == 0 else 2))) for number in range(2_000))
    ),
}
