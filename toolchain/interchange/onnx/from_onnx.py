"""From ONNX files to graphs: our own as they were, classifiers with ReLU as rate-coded networks."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from toolchain.errors import CorruptArtifactError, ToolchainError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.npz import unpack_arrays
from toolchain.files.temporary import temporary_folder
from toolchain.interchange.onnx.classifier import activation_network
from toolchain.interchange.onnx.file import read_onnx
from toolchain.interchange.onnx.input_layout import check_input, frames_of
from toolchain.ir import Graph, Stage, graph_from
from toolchain.ir.currents import check_size
from toolchain.ir.imported import Imported
from toolchain.passes import DequantizeGraph
from toolchain.rate_coding.rectified_layers import graph_name
from toolchain.rate_coding.spiking_network import RateCode, rate_coded
from toolchain.target.protocol import PortableProgram
from toolchain.target.registry import load_target

_GRAPH: Final = "pumice.graph"
_ARRAYS: Final = "pumice.arrays"


def from_onnx(
    path: Path,
    *,
    samples: Stimulus | None = None,
    classes: Sequence[str] = (),
    code: RateCode | None = None,
) -> Imported:
    """Read an ONNX file.

    A file that `pumice export` wrote gives back its graph, once the model is known to be the one that this
    graph writes. Any other is taken for a classifier of convolutions, dense layers and ReLU, and becomes a
    network whose rates stand for its activations; see `rate_coded`.

    Args:
        path: Path of the file.
        samples: Samples on which the activations of a classifier are measured.
        classes: Names of the classes.
        code: How activations become rates.

    Raises:
        CorruptArtifactError: It is damaged, was edited, or keeps values elsewhere.
        FrontendError: An operator has no counterpart.
        UsageError: A classifier comes without samples.
    """
    model = read_onnx(path)
    # What is too large for a number is refused by the graph, by name.
    with np.errstate(all="ignore"):
        return _read(path, model, samples, classes, code or RateCode())


def _read(
    path: Path, model: onnx.ModelProto, samples: Stimulus | None, classes: Sequence[str], code: RateCode
) -> Imported:
    properties = {item.key: item.value for item in model.metadata_props}
    if _GRAPH in properties:
        return _own(path, model, properties.get(_GRAPH, ""), properties.get(_ARRAYS, ""))
    if samples is None:
        raise UsageError(
            f"'{path}' is a network without spikes: its activations are measured on samples to become rates",
            "give samples as `stimulus`",
        )
    check_input(model, samples)
    shape = next(iter(samples.values.values())).shape[2:]
    network, layout = activation_network(path, model, shape)
    return rate_coded(
        network,
        frames_of(samples, layout),
        name=graph_name(path.stem),
        steps=samples.steps,
        classes=classes,
        code=code,
    )


def _own(path: Path, model: onnx.ModelProto, document: str, packed: str) -> Imported:
    try:
        content = base64.b64decode(packed, validate=True)
    except (ValueError, binascii.Error) as error:
        raise CorruptArtifactError(path, f"does not describe its graph: {error}") from None
    try:
        graph = graph_from(document, lambda: unpack_arrays(content, path), path)
        for name, sent in graph.types.items():
            check_size(name, *sent.shape)
        same = _writes(graph, model)
    except ToolchainError as error:
        raise CorruptArtifactError(path, f"does not hold a network: {error}") from None
    if not same:
        raise CorruptArtifactError(
            path,
            "was edited, or written by another version: its operators are not those that its graph writes; "
            "export the build again",
        )
    if graph.stage is Stage.FLOAT:
        return Imported(graph, ("the float network of a build, unchanged",))
    return Imported(DequantizeGraph()(graph), ("the integers of a build, unchanged",), graph)


def _writes(graph: Graph, model: onnx.ModelProto) -> bool:
    """Return whether a graph writes a model, as one step or as a loop."""
    program = load_target("onnx").build(graph)
    if not isinstance(program, PortableProgram):  # pragma: no cover - the target is ours
        return False
    with temporary_folder("onnx") as folder:
        program.export(folder)
        written = [onnx.load_model(item) for item in sorted(folder.iterdir())]
    return any(
        item.graph == model.graph and list(item.functions) == list(model.functions) for item in written
    )
