"""One cell of the table: a layer in a framework, and what became of it on the way here or there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from tests.nodes import neurons_of
from toolchain.arrays import Array
from toolchain.errors import ToolchainError
from toolchain.execution import reference
from toolchain.interchange.nir.conventions import convention, reader_convention
from toolchain.interchange.nir.file import read_nir, write_nir
from toolchain.interchange.nir.from_nir import NirReadout, from_nir
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import Graph
from toolchain.ir.imported import Imported

BOUND = 1e-5
SAMPLES, STEPS, SEED = 2, 30, 30
_NEAR = 2
"""Points of a percentage that single precision may move."""

FOREIGN = (
    AssertionError,
    AttributeError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What another framework raises where it cannot."""


class TheyFailError(Exception):
    """Another framework raised."""


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
class Measured:
    """What became of a network on the way.

    Attributes:
        worst: Largest difference of spikes and potentials.
        apart: Spikes that differ, in percent of those that were fired there.
        notes: What the import said, or the error.
    """

    worst: float
    apart: float = 0.0
    notes: str = ""


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
        apart: Where it is different: spikes that differ, in percent of those that were fired there.
        noted: What the notes of the import must name where it is different, or the error where it is refused.
        convention: Of its files, if not the framework's.
        ours: Shape of one step here, if it is another.
        reset: What the user says of a spike, where the file does not.
        membrane: Whether the last neurons are read as a membrane.
    """

    framework: str
    layer: str
    shape: tuple[int, ...]
    run: Callable[[Array], Theirs]
    why: str = ""
    refused: bool = False
    apart: int = 0
    noted: str = ""
    convention: str = ""
    ours: tuple[int, ...] = ()
    reset: str | None = None
    membrane: bool = False

    @property
    def title(self) -> str:
        return f"{self.framework}: {self.layer}"

    def entering(self, x: Array) -> Array:
        """Return a stimulus as it enters here."""
        return x.reshape(*x.shape[:2], *(self.ours or self.shape))

    def stimulus(self) -> Array:
        return np.random.default_rng(SEED).random((SAMPLES, STEPS, *self.shape)) < 0.4

    def imported(self, theirs: Theirs, folder: Path) -> Imported:
        """Read what they wrote, through a file where `nir` can write it."""
        chosen = convention(self.convention or self.framework, reset=self.reset)
        readout = NirReadout.MEMBRANE if self.membrane else None
        try:
            write_nir(theirs.graph, folder / "theirs.nir")
        except FOREIGN:
            # nir 1.0.8 writes neither parameters without a shape nor what an exporter left undone.
            return from_nir(theirs.graph, chosen, readout=readout)
        return from_nir(read_nir(folder / "theirs.nir"), chosen, readout=readout)

    def measure(self, folder: Path) -> Measured:
        """Run the model there and here; raise what is raised."""
        x = self.stimulus()
        theirs = _theirs(self.run, x)
        found = self.imported(theirs, folder)
        graph = found.graph
        ours = reference.run(graph, self.entering(x))
        last = graph.outputs[0].inputs[0]
        silent = np.isinf(neurons_of(graph, last).vth).all()
        end = (ours.v if silent else ours.spikes)[last].astype(np.float64)
        apart = np.abs(end.reshape(theirs.spikes.shape) - theirs.spikes)
        worst = apart.max()
        added = {"constant", "above"}
        layers = [node.name for node in graph.populations if not added & {node.name, *node.name.split(".")}]
        for name, potential in zip(layers, theirs.potentials, strict=False):
            v = ours.v[name] + found.rests.get(name, 0.0)
            worst = max(worst, np.abs(v.reshape(potential.shape) - potential).max())
        if not silent:
            must_fire(theirs.spikes)
        return Measured(
            float(worst), float(100 * apart.sum() / np.abs(theirs.spikes).sum()), "\n".join(found.notes)
        )

    def wrong(self, folder: Path) -> str:
        """Return what the cell says and the measurement does not; empty where they agree."""
        result, measured = verdict(self, folder)
        if result != self.result:
            return f"it is {result}: {measured}"
        if result == "differs" and abs(measured.apart - self.apart) > _NEAR:
            return f"{measured.apart:.1f} % of the spikes differ"
        if self.noted not in measured.notes or (result == "differs" and not self.noted):
            return f"it does not say '{self.noted}': {measured.notes}"
        return ""

    @property
    def result(self) -> str:
        """What the cell says of itself."""
        return "refused" if self.refused else "differs" if self.why else "exact"


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

    def measure(self, folder: Path) -> Measured:
        """Run the network here and there; raise what is raised."""
        graph = self.graph()
        x = np.random.default_rng(SEED).random((SAMPLES, STEPS, *graph.inputs[0].shape)) < 0.4
        write_nir(to_nir(graph, reader_convention(self.framework)).graph, folder / "ours.nir")
        theirs = _theirs(self.run, nir.read(folder / "ours.nir"), x)
        ours = reference.run(graph, x)
        last = graph.outputs[0].inputs[0]
        silent = np.isinf(neurons_of(graph, last).vth).all()
        end = (ours.v if silent else ours.spikes)[last]
        if not silent:
            must_fire(end)
        if end.size != theirs.size:
            return Measured(np.inf, notes=f"{theirs.shape} comes out there, {end.shape} here")
        return Measured(float(np.abs(end.reshape(theirs.shape) - theirs).max()))

    def wrong(self, folder: Path) -> str:
        """Return what the cell says and the measurement does not; empty where they agree."""
        result, measured = verdict(self, folder)
        return "" if (result == "exact") == (not self.why) else f"it is {result}: {measured}"


def _theirs(run: Callable[..., Any], *arguments: Any) -> Any:
    """Run what belongs to another framework."""
    try:
        return run(*arguments)
    except FOREIGN as error:
        raise TheyFailError(f"{type(error).__name__}: {error}") from error


def must_fire(spikes: Array) -> None:
    """Fail, which no list of their exceptions catches: without spikes nothing would be shown."""
    if not 0 < (spikes > 0).mean() < 1:
        pytest.fail("a test in which no neuron fires, or all do, would show nothing")


def verdict(cell: Import | Export, folder: Path) -> tuple[str, Measured]:
    """Return `exact`, `differs` or `refused`, as it was measured: by us with an error of ours, or by them."""
    try:
        measured = cell.measure(folder)
    except (ToolchainError, TheyFailError) as error:
        return "refused", Measured(0.0, notes=str(error))
    return ("exact" if measured.worst <= BOUND else "differs"), measured
