"""What tests of public reports share: rows of the table, small networks, what they fire."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import h5py
import nir
import numpy as np
import pytest
import torch
from torch import nn

from tests.frameworks.cells import must_fire
from toolchain.arrays import Array
from toolchain.execution import reference
from toolchain.ir.imported import Imported

_ROW = "report"
F = nn.functional
MISSING = [name for name in ("norse", "snntorch", "spikingjelly") if find_spec(name) is None]


NEEDED = [
    pytest.mark.frameworks,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does"),
    pytest.mark.filterwarnings("ignore"),
]


class Report(NamedTuple):
    """A row of the table."""

    where: str
    wrong: str
    does: str


def report(where: str, *, wrong: str, does: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a test the row of the table that it proves."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        setattr(test, _ROW, Report(where, wrong, does))
        return test

    return mark


def rows_of(module: ModuleType) -> list[Report]:
    """Return the rows that the tests of a module prove, in their order."""
    return [getattr(test, _ROW) for test in vars(module).values() if hasattr(test, _ROW)]


def cells(framework: str) -> Any:
    """Return the module that knows a framework, which other tests need not import."""
    return import_module(f"tests.frameworks.{framework}_cells")


def graph_of(
    shape: tuple[int, ...], nodes: Mapping[str, nir.NIRNode], out: tuple[int, ...] | None = None
) -> nir.NIRGraph:
    """Return nodes in a row between an input and an output of these shapes, checked by nobody."""
    leaving: Any = None if out is None else np.array(out)
    ends = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": leaving})}
    names = ["input", *nodes, "output"]
    edges = list(pairwise(names))
    return nir.NIRGraph({**ends, **nodes}, edges, type_check=False)


def written(graph: nir.NIRGraph, path: Path, without: tuple[str, ...] = ()) -> Path:
    """Write a file as older versions of nir did: parameters of any shape, some left out."""

    def fill(group: h5py.Group, entry: Mapping[str, Any]) -> None:
        for key, value in entry.items():
            if isinstance(value, Mapping):
                fill(group.create_group(key), value)
            elif key == "edges":
                group[key] = np.array(value, "S")
            elif value is not None and key not in without:
                group[key] = value if isinstance(value, str) else np.asarray(value)

    with h5py.File(path, "w") as file:
        file["version"] = "1.0.4"
        fill(file.create_group("node"), graph.to_dict())
    return path


def drawn(*shape: int, steps: int = 30) -> Array:
    """Return two samples of spikes."""
    return np.random.default_rng(1).random((2, steps, *shape)) < 0.4


def fired(found: Imported, x: Array) -> Array:
    """Return the spikes of the last neurons, flattened."""
    trace = reference.run(found.graph, x)
    spikes = trace.spikes[found.graph.outputs[0].inputs[0]]
    must_fire(spikes)
    return spikes.reshape(*x.shape[:2], -1)


def weights(*shape: int) -> Array:
    return np.random.default_rng(2).normal(size=shape)


def convolution(padding: Any, kernel: int = 3, stride: int = 1) -> nir.Conv2d:
    return nir.Conv2d(None, weights(3, 2, kernel, kernel), stride, padding, 1, 1, np.zeros(3))


def of_snntorch(shape: tuple[int, ...], net: nn.Sequential, out: tuple[int, ...]) -> nir.NIRGraph:
    """Return what snnTorch's exporter makes of every module, without the check of shapes that came later."""
    return graph_of(shape, {str(i): cells("snntorch").extracted(layer) for i, layer in enumerate(net)}, out)


def run_snntorch(net: nn.Sequential, x: Array) -> Array:
    return cells("snntorch").stepped(net, x)[0].reshape(*x.shape[:2], -1)


def scaled(net: nn.Sequential, factor: float) -> nn.Sequential:
    """Multiply weights so that thresholds of 1 are reached."""
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight *= factor
    return net


ZERO: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
