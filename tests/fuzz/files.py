"""Good files of every format, how they are read, and what is done to their bytes."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
from onnx import helper

from tests.event_files import write_cifar10_dvs, write_dvs_gesture, write_n_mnist, write_shd
from tests.graphs import recurrent
from tests.random_graphs import Recipe, random_fixed
from tests.toolchain.interchange.netx_graphs import save, small
from tests.toolchain.interchange.onnx.test_onnx_in import classifier
from toolchain.confined.reader import ConfinedReader
from toolchain.data import EventData, load_csv
from toolchain.data.events.event_sources import SOURCES
from toolchain.data.events.recordings import read_events, read_labels
from toolchain.data.pictures import cifar
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.interchange.netx.from_netx import from_netx
from toolchain.interchange.nir.conventions import reader_convention
from toolchain.interchange.nir.file import read_nir, write_nir
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.metadata import named_convention
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.interchange.onnx.from_onnx import from_onnx
from toolchain.ir import Graph
from toolchain.target.protocol import PortableProgram
from toolchain.target.registry import load_target

Read = Callable[[Path, ConfinedReader], object]


def _nir(path: Path, reader: ConfinedReader) -> Graph:
    graph = read_nir(path, reader)
    return from_nir(graph, named_convention(graph)).graph


def _netx(path: Path, reader: ConfinedReader) -> object:
    return from_netx(path, reader)


def _onnx(path: Path, reader: ConfinedReader) -> object:
    return from_onnx(path)


def _classifier(path: Path, reader: ConfinedReader) -> object:
    return from_onnx(path, samples=Stimulus.of(np.ones((1, 1, 1, 4, 4))))


def _stimulus(path: Path, reader: ConfinedReader) -> object:
    return Stimulus.load(path)


def _stored(path: Path, reader: ConfinedReader) -> object:
    stimulus = Stimulus.open(path, held_bytes=0)
    return [(values[:1], np.asarray(values)) for values in stimulus.values.values()]


def _trace(path: Path, reader: ConfinedReader) -> object:
    return Trace.load(path)


def _write_nir(folder: Path) -> list[Path]:
    recurring = to_nir(recurrent(np.random.default_rng(0)), reader_convention("nir")).graph
    write_nir(recurring, folder / "recurrent.nir")
    nodes = {
        "input": nir.Input({"input": np.array([2, 4, 4])}),
        "conv": nir.Conv2d((4, 4), np.ones((2, 2, 3, 3)), 1, 1, 1, 1, np.ones(2)),
        "if": nir.IF(np.ones((2, 4, 4)), np.ones((2, 4, 4))),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1),
        "w": nir.Affine(np.ones((3, 8)), np.ones(3)),
        "li": nir.LI(np.ones(3), np.ones(3), np.zeros(3)),
        "output": nir.Output({"output": np.array([3])}),
    }
    write_nir(nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False), folder / "images.nir")
    return sorted(folder.glob("*.nir"))


def _write_netx(folder: Path) -> list[Path]:
    return [save(folder / "net.net", small(np.random.default_rng(0)))]


def _write_onnx(folder: Path) -> list[Path]:
    program = load_target("onnx").build(random_fixed(Recipe(seed=5, sizes=(3, 2), recurrent=True)))
    assert isinstance(program, PortableProgram)
    program.export(folder)
    return sorted(folder.glob("*.onnx"))


def _write_classifier(folder: Path) -> list[Path]:
    tensors = {
        "k": np.ones((2, 1, 3, 3), np.float32),
        "w": np.ones((8, 3), np.float32),
        "b": np.ones(3, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("AveragePool", ["r"], ["a"], kernel_shape=[2, 2], strides=[2, 2], name="pool"),
        helper.make_node("Flatten", ["a"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], name="last"),
    ]
    return [classifier(folder / "net.onnx", nodes, tensors, [1, 4, 4], 3)]


def _write_archives(folder: Path) -> list[Path]:
    Stimulus.of(np.ones((2, 3, 4), bool)).save(folder / "stimulus.npz")
    return [folder / "stimulus.npz"]


def _write_traces(folder: Path) -> list[Path]:
    Trace({"a": np.ones((2, 3, 4), bool)}, {"a": np.ones((2, 3, 4))}).save(folder / "trace.npz")
    return [folder / "trace.npz"]


def _recording(data: EventData) -> Read:
    return lambda path, reader: read_events(SOURCES[data], path, None, reader)


def _shd(path: Path, reader: ConfinedReader) -> object:
    source = SOURCES[EventData.SHD]
    return [read_events(source, path, i, reader) for i in range(len(read_labels(source, path, reader)))]


def _batch(path: Path, reader: ConfinedReader) -> object:
    return cifar._read(path, 2)


def _class_names(path: Path, reader: ConfinedReader) -> object:
    return cifar._names(path)


def _series(path: Path, reader: ConfinedReader) -> object:
    return load_csv(path)


def _write_batch(folder: Path) -> list[Path]:
    rows = np.random.default_rng(0).integers(0, 10, (2, 3073), np.uint8)
    (folder / "data_batch_1.bin").write_bytes(rows.tobytes())
    return [folder / "data_batch_1.bin"]


def _write_class_names(folder: Path) -> list[Path]:
    (folder / "batches.meta.txt").write_text("\n".join(SOURCES[EventData.CIFAR10_DVS].classes))
    return [folder / "batches.meta.txt"]


def _write_series(folder: Path) -> list[Path]:
    rows = "".join(f'2020-01-{i + 1:02d},{i / 7!r},"{i * i}"\n' for i in range(20))
    (folder / "wind.csv").write_text(f"date,speed,direction\n{rows}")
    return [folder / "wind.csv"]


FORMATS: dict[str, tuple[Callable[[Path], list[Path]], Read]] = {
    "nir": (_write_nir, _nir),
    "netx": (_write_netx, _netx),
    "onnx": (_write_onnx, _onnx),
    "classifier": (_write_classifier, _classifier),
    "stimulus": (_write_archives, _stimulus),
    "stimulus in its file": (_write_archives, _stored),
    "trace": (_write_traces, _trace),
    "n-mnist": (lambda folder: [write_n_mnist(folder)], _recording(EventData.N_MNIST)),
    "cifar10-dvs": (lambda folder: [write_cifar10_dvs(folder)], _recording(EventData.CIFAR10_DVS)),
    "dvs-gesture": (lambda folder: [write_dvs_gesture(folder)], _recording(EventData.DVS_GESTURE)),
    "shd": (lambda folder: [write_shd(folder)], _shd),
    "cifar": (_write_batch, _batch),
    "class names": (_write_class_names, _class_names),
    "csv": (_write_series, _series),
}


LARGE = (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)


def mutant(source: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Bytes changed, cut out, doubled, or taken from another file."""
    content = bytearray(source)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16, 64])):
        if content:
            _change(content, others, rng)
    return bytes(content)


def _change(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    place = rng.randrange(len(content))
    match rng.randrange(60):
        case 0:
            del content[place:]
        case 1 | 2 | 3 | 4:
            del content[place : place + rng.randrange(1, 64)]
        case 5 | 6 | 7 | 8:
            content[place:place] = content[place : place + rng.randrange(1, 64)]
        case 9 | 10 | 11 | 12:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            content[place : place + 32] = other[start : start + 32]
        case 13 | 14 | 15 | 16 | 17:
            content[place : place + 8] = rng.choice(LARGE).to_bytes(8, "little")
        case 18 | 19 | 20 | 21:
            content[place] ^= 1 << rng.randrange(8)
        case _:
            content[place] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
