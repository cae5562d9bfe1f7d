"""What commands and calls say and write: run under several seeds of Python's hashes and compared.

PYTHONHASHSEED=1 python -m tests.hash_seeds FOLDER
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.graphs import lif
from toolchain import ir
from toolchain.cli.main import main
from toolchain.errors import ToolchainError
from toolchain.execution.activity import count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.interchange.nir.conventions import reader_convention
from toolchain.interchange.nir.file import write_nir
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import AnyNode, Decode, Graph
from toolchain.ir.store import graph_document, graph_from
from toolchain.passes import find_schedule
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.quantization import Quantization

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")


def two_loops() -> Graph:
    """Six populations in a row, with a way back after every third: too fast for a clock."""
    rng = np.random.default_rng(0)
    nodes: list[AnyNode] = [ir.Input(name="input", shape=(3,))]
    for i, name in enumerate(NAMES):
        before = "input" if i == 0 else NAMES[i - 1]
        read = [f"{name}-in"]
        nodes.append(ir.Dense(name=read[0], inputs=(before,), weights=rng.normal(size=(3, 3)) * 2))
        if i in {0, 3}:
            late, back = f"{name}-late", f"{name}-back"
            nodes.append(ir.Delay(name=late, inputs=(NAMES[i + 2],), shape=(3,), steps=1))
            nodes.append(ir.Dense(name=back, inputs=(late,), weights=rng.normal(size=(3, 3)) * 2))
            read.append(back)
        nodes.append(lif(name, tuple(read), 3, dv=rng.uniform(0.1, 0.5, 3)))
    nodes.append(ir.Output(name="output", inputs=(NAMES[-1],), decode=Decode.SPIKE_COUNT))
    return Graph(tuple(nodes), name="loops")


def _say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - this is what is compared


def _command(*arguments: str) -> None:
    _say("$", *arguments)
    _say("exit", main(list(arguments)))


def _refused(call: Callable[[], object]) -> None:
    try:
        call()
    except ToolchainError as error:
        _say(type(error).__name__, error, *getattr(error, "__notes__", ()))


def _errors(graph: Graph) -> None:
    unknown: dict[str, int] = dict.fromkeys(reversed(NAMES), 4)
    shape = np.zeros((1, 5, 3), bool)
    _refused(lambda: find_schedule(graph))
    _refused(lambda: compile_graph(graph, quantization=Quantization(weight_bits=unknown)))
    _refused(lambda: compile_graph(graph, stimulus=Stimulus(dict.fromkeys(NAMES, shape))))
    spikes: dict[str, Any] = dict.fromkeys((*NAMES, "wolf", "yak", "zebra"), shape)
    _refused(lambda: count_events(graph, Stimulus.of(shape), Trace(spikes)))
    strange = {"kind": "delay", **dict.fromkeys(NAMES, 1)}
    document, _ = graph_document(graph)
    _refused(lambda: graph_from(json.dumps(document | {"nodes": [strange]}), dict, Path("graph.json")))


def _files(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _say(hashlib.sha256(path.read_bytes()).hexdigest()[:16], path)


def write(folder: Path) -> None:
    """Say and write everything in a folder, which messages then need not name."""
    os.chdir(folder)
    graph, rng = two_loops(), np.random.default_rng(1)
    Stimulus({"input": rng.random((4, 16, 3)) < 0.5}, rng.integers(0, 3, 4)).save("samples.npz")
    write_nir(to_nir(graph, reader_convention("snntorch")).graph, Path("net.nir"))
    _errors(graph)
    _command("compile", "net.nir", "--example", "samples.npz", "-t", "lava", "-o", "build", "--loop-delay")
    _command("compare", "build", "--json")
    _command("run", "build", "-o", "trace.npz", "--record", "v,u", "--samples", "1", "--json")
    _command("show", "build")
    _command("check", "build", "-t", "loihi2", "--json")
    for written in ("onnx", "nir", "lava"):
        _command("export", "build", "-f", written, "-o", written)
    _files(Path())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
