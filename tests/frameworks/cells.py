"""One cell of the table: a layer in a framework, and what became of it on the way here or there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from numpy.typing import NDArray

from toolchain import reference
from toolchain.errors import ToolchainError
from toolchain.interchange.conventions import convention, reader_convention
from toolchain.interchange.from_nir import from_nir
from toolchain.interchange.nir_file import read_nir, write_nir
from toolchain.interchange.to_nir import to_nir
from toolchain.ir import Graph

BOUND = 1e-5
SAMPLES, STEPS = 2, 30

Array = NDArray[Any]


@dataclass(frozen=True)
class Theirs:
    """What a framework did with its own model.

    Attributes:
        graph: What its exporter writes.
        spikes: Of the last neurons, or their potentials if they never fire, `[batch, time, *features]`.
        potentials: Of every layer of neurons, in order; empty where the framework shows none.
    """

    graph: nir.NIRGraph
    spikes: Array
    potentials: Sequence[Array] = ()


@dataclass(frozen=True)
class Import:
    """A model of a framework that is read here.

    Attributes:
        framework: Its name, which is that of a convention unless one is given.
        layer: Of the table; after a colon, how the model says it.
        shape: Of one step of input.
        run: Builds the model, runs it on `[batch, time, *shape]` and exports it.
        why: Why it is not exact; empty where it is.
        refused: Whether it is refused, and not only different.
        convention: Of its files, if not the framework's.
        ours: Shape of one step here, if it is another.
    """

    framework: str
    layer: str
    shape: tuple[int, ...]
    run: Callable[[Array], Theirs]
    why: str = ""
    refused: bool = False
    convention: str = ""
    ours: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.framework}: {self.layer}"

    def entering(self, x: Array) -> Array:
        """Return a stimulus as it enters here."""
        return x.reshape(*x.shape[:2], *(self.ours or self.shape))

    def stimulus(self) -> Array:
        return np.random.default_rng(len(self.title)).random((SAMPLES, STEPS, *self.shape)) < 0.4

    def imported(self, theirs: Theirs, folder: Path) -> Graph:
        """Read what they wrote, through a file where `nir` can write it."""
        chosen = convention(self.convention or self.framework)
        try:
            write_nir(theirs.graph, folder / "theirs.nir")
        except TypeError:
            # nir 1.0.8 writes neither parameters without a shape nor convolutions that do not know theirs.
            return from_nir(theirs.graph, chosen).graph
        return from_nir(read_nir(folder / "theirs.nir"), chosen).graph

    def difference(self, folder: Path) -> float:
        """Return the largest difference of spikes and potentials; raise what is raised."""
        x = self.stimulus()
        theirs = self.run(x)
        graph = self.imported(theirs, folder)
        ours = reference.run(graph, self.entering(x))
        last = graph.outputs[0].inputs[0]
        silent = np.isinf(graph[last].vth).all()
        end = (ours.v if silent else ours.spikes)[last]
        worst = np.abs(end.reshape(theirs.spikes.shape) - theirs.spikes).max()
        added = {"constant"}
        layers = [node.name for node in graph.populations if not added & {node.name, *node.name.split(".")}]
        for name, potential in zip(layers, theirs.potentials, strict=False):
            worst = max(worst, np.abs(ours.v[name].reshape(potential.shape) - potential).max())
        if not silent:
            _must_fire(theirs.spikes)
        return float(worst)


@dataclass(frozen=True)
class Export:
    """A network of ours that a framework reads.

    Attributes:
        framework: Its name, that of the convention its importer follows.
        layer: Of the table; after a colon, what the network has.
        graph: Ours.
        run: Imports the graph there and runs it on `[batch, time, *shape]`.
        why: Why it is not exact; empty where it is.
        refused: Whether we refuse to write it, or they to read it.
    """

    framework: str
    layer: str
    graph: Callable[[], Graph]
    run: Callable[[nir.NIRGraph, Array], Array]
    why: str = ""
    refused: bool = False

    @property
    def title(self) -> str:
        return f"{self.framework}: {self.layer}"

    def difference(self, folder: Path) -> float:
        """Return the largest difference of what leaves; raise what is raised."""
        graph = self.graph()
        x = np.random.default_rng(len(self.title)).random((SAMPLES, STEPS, *graph.inputs[0].shape)) < 0.4
        write_nir(to_nir(graph, reader_convention(self.framework)).graph, folder / "ours.nir")
        theirs = self.run(nir.read(folder / "ours.nir"), x)
        ours = reference.run(graph, x)
        last = graph.outputs[0].inputs[0]
        silent = np.isinf(graph[last].vth).all()
        end = (ours.v if silent else ours.spikes)[last]
        if not silent:
            _must_fire(end)
        return float(np.abs(end.reshape(theirs.shape) - theirs).max())


def _must_fire(spikes: Array) -> None:
    """Fail, which no list of their exceptions catches: without spikes nothing would be shown."""
    if not 0 < spikes.mean() < 1:
        pytest.fail("a test in which no neuron fires, or all do, would show nothing")


def verdict(cell: Import | Export, folder: Path) -> str:
    """Return `exact`, `differs` or `refused`, as it was measured."""
    try:
        worst = cell.difference(folder)
    except ToolchainError:
        return "refused"
    except (
        AssertionError,
        AttributeError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ):
        # Whatever another framework raises where it cannot.
        if isinstance(cell, Import) and not cell.refused:
            raise
        return "refused"
    return "exact" if worst <= BOUND else "differs"
