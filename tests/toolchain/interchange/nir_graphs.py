"""Small NIR graphs."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from toolchain.interchange.nir.conventions import CONVENTIONS, convention
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.ir import Graph

DT = CONVENTIONS["nir"].dt


def full(size: int | tuple[int, ...], value: float) -> np.ndarray:
    return np.full(size, value)


def lif(size: int | tuple[int, ...], decay: float = 0.25, threshold: float = 1.0) -> nir.LIF:
    """Neurons that lose a quarter a step and take input as it is."""
    zero = full(size, 0.0)
    return nir.LIF(full(size, DT / decay), full(size, 1 / decay), zero, full(size, threshold), zero)


def chain(*nodes: nir.NIRNode, shape: Sequence[int] = (3,), out: Sequence[int] | None = None) -> nir.NIRGraph:
    """Nodes in a row; what leaves is what the last declares, or as large as what enters."""
    declared = nodes[-1].output_type["output"]
    one = declared is None or np.prod(declared) <= 1
    names = ["input", *(f"n{i}" for i in range(len(nodes))), "output"]
    ends = (
        nir.Input({"input": np.array(shape)}),
        nir.Output({"output": np.array(out or (shape if one else declared))}),
    )
    every = dict(zip(names, (ends[0], *nodes, ends[1]), strict=True))
    return nir.NIRGraph(every, list(pairwise(names)), type_check=False)


def imported(
    graph: nir.NIRGraph, name: str = "nir", *, reset: str | float | None = None, **options: Any
) -> Graph:
    return from_nir(graph, convention(name, reset=reset), **options).graph


X = np.random.default_rng(0).random((2, 12, 3)) < 0.5
W = np.random.default_rng(1).normal(size=(2, 3)) * 2
V = np.random.default_rng(2).normal(size=(2, 2))
