"""Two builds of a few neurons that hold every kind of node, and all that a user does with a build."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tests.graphs import lif, spikes
from toolchain import ir
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.why import explain_node
from toolchain.files.atomic import sha256
from toolchain.files.documents import parse_document, write_json
from toolchain.files.npz import read_arrays
from toolchain.ir import Decode, EdgeKind, Graph, Origin, Stage, graph_from, print_graph
from toolchain.ir.forms import Arrays
from toolchain.passes.quantization.report import QuantizationReport
from toolchain.target.protocol import ChipTarget
from toolchain.target.registry import load_target
from toolchain.workflow.build_folder import Build, Manifest
from toolchain.workflow.check import check_build
from toolchain.workflow.coherence import check_coherent
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.load import load
from toolchain.workflow.pass_graphs import read_passes
from toolchain.workflow.run import run_build


def recurrent_graph(rng: np.random.Generator) -> Graph:
    """Sparse recurrent synapses with delays of their own, and classes that the host reads."""
    weights = csr_array(np.array([[0.0, 1.5, 0.0], [-0.5, 0.0, 0.75], [1.0, 0.0, 0.0]]))
    delays = csr_array((np.array([1, 2, 1, 3]), weights.indices, weights.indptr), shape=weights.shape)
    return Graph(
        (
            ir.Input(name="x", shape=(2,)),
            ir.Dense(name="encode", inputs=("x",), weights=rng.normal(size=(3, 2)) * 2),
            ir.Delay(name="wait", inputs=("hidden",), shape=(3,), steps=1),
            ir.Dense(name="recur", inputs=("wait",), weights=weights, delays=delays),
            lif("hidden", ("encode", "recur"), 3, dv=[0.1, 0.2, 0.3], bias=0.05),
            ir.Output(
                name="output",
                inputs=("hidden",),
                decode=Decode.SPIKE_COUNT,
                weights=rng.normal(size=(2, 3)),
                bias=np.array([0.5, -0.5]),
                classes=("left", "right"),
            ),
        ),
        name="recurrent",
    )


def image_graph(rng: np.random.Generator) -> Graph:
    """Graded images, a convolution, both poolings and a read-out that is never reset."""
    return Graph(
        (
            ir.Input(name="image", shape=(1, 4, 4), edge=EdgeKind.GRADED, scale=31.0, bits=5),
            ir.Conv2d(name="see", inputs=("image",), weights=rng.normal(size=(2, 1, 3, 3)), padding=(1, 1)),
            _maps("maps", ("see",), (2, 4, 4)),
            ir.MaxPool2d(name="any", inputs=("maps",), kernel=(2, 2), stride=(2, 2)),
            ir.SumPool2d(name="count", inputs=("any",), kernel=(2, 2), stride=(1, 1)),
            ir.Dense(name="decode", inputs=("count",), weights=rng.normal(size=(2, 2))),
            lif("readout", ("decode",), 2, vth=np.inf, dv=0.1),
            ir.Output(name="output", inputs=("readout",), decode=Decode.MEAN_V),
        ),
        name="images",
    )


def _maps(name: str, inputs: tuple[str, ...], shape: tuple[int, ...]) -> ir.Lif:
    flat = lif(name, inputs, int(np.prod(shape)))
    parts = {key: getattr(flat, key).reshape(shape) for key in ("du", "dv", "vth", "bias")}
    return replace(flat, **parts, origin=Origin.whole(name, int(np.prod(shape))))


def save_small(graph: Graph, values: NDArray[np.generic], folder: Path, target: str = "emulator") -> Path:
    """Compile a graph and write the build."""
    given = Stimulus.of(values)
    given = Stimulus(given.values, labels=np.arange(given.samples) % 2)
    build = compile_graph(graph, target=target, stimulus=given, calibration=given, loop_delay=True)
    build.save(folder)
    return folder


def save_recurrent(folder: Path, rng: np.random.Generator) -> Path:
    """Write the build of `recurrent_graph`, for a chip."""
    return save_small(recurrent_graph(rng), spikes(rng, 3, 5, 2), folder, "loihi2")


def save_images(folder: Path, rng: np.random.Generator) -> Path:
    """Write the build of `image_graph`."""
    return save_small(image_graph(rng), rng.random((2, 4, 1, 4, 4)), folder)


def sealed(folder: Path, name: str) -> Callable[[], None]:
    """Return what makes a changed file of a build the one that its manifest lists."""

    def seal() -> None:
        if name == "manifest.json":
            return
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][name] = sha256(folder / name)
        write_json(folder / "manifest.json", manifest)

    return seal


@dataclass(frozen=True)
class Documents:
    """The JSON files of a build, one of which is another; its arrays and samples are as they were.

    Attributes:
        folder: Folder of the sound build.
    """

    folder: Path

    @cached_property
    def build(self) -> Build:
        """The sound build."""
        return load(self.folder)

    @cached_property
    def arrays(self) -> dict[str, Arrays]:
        """Those of both graphs."""
        return {stage: read_arrays(self.folder / stage / "arrays.npz") for stage in ("float", "fixed")}

    @cached_property
    def pass_arrays(self) -> Arrays:
        """Those of the graphs between the passes."""
        path = self.folder / "passes.npz"
        return read_arrays(path) if path.exists() else {}

    def with_document(self, name: str, content: bytes) -> Build:
        """Return the build that loads where one of its files is another, and its manifest lists that."""
        path, build = self.folder / name, self.build
        match name.split("/"):
            case ["manifest.json"]:
                told = parse_document(content, path, Manifest)
                return replace(build, target=told.target, facts=told.facts)
            case ["quantization.json"]:
                build = replace(build, quantization=parse_document(content, path, QuantizationReport))
            case ["passes.json"]:
                graphs = build.float_graph, build.fixed_graph
                build = replace(build, passes=read_passes(content, self.pass_arrays, path, *graphs))
            case [stage, "graph.json"]:
                graph = graph_from(content, lambda: self.arrays[stage], path)
                build = replace(build, **{f"{stage}_graph": graph})
        graphs = build.float_graph, build.fixed_graph
        check_coherent(self.folder, graphs, build.quantization, build.stimulus)
        return build


def use(build: Build) -> None:
    """Do with a build what the commands do: show, run, compare, check, export."""
    show(build)
    for stage in Stage:
        run_build(build, "emulator", stage=stage, samples=1)
    compare_build(build)
    for name in ("lava", "onnx"):
        load_target(name).build(build.fixed_graph)
    if isinstance(load_target(build.target), ChipTarget):
        check_build(build)


def show(build: Build) -> None:
    """Make all that `pumice show` prints."""
    for graph in (build.float_graph, build.fixed_graph, *(each.graph for each in build.passes)):
        print_graph(graph)
    for node in (*build.fixed_graph.synapses, *build.fixed_graph.populations):
        explain_node((build.float_graph, build.fixed_graph), build.quantization, node.name)
