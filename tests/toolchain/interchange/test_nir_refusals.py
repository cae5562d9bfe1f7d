"""What NIR says and we cannot, and the other way round, by name and reason; damaged and greedy files."""

from dataclasses import replace
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from tests.graphs import Recipe, random_fixed, recurrent, varied
from tests.toolchain.interchange.nir_graphs import DT, V, W, chain, full, imported, lif
from toolchain.errors import CorruptArtifactError, FrontendError, PreconditionError
from toolchain.interchange.conventions import Reset, reader_convention
from toolchain.interchange.from_nir import from_nir, named_convention
from toolchain.interchange.nir_file import read_nir, write_nir
from toolchain.interchange.to_nir import to_nir
from toolchain.ir import Lif, Output
from toolchain.passes import DequantizeGraph


def _edge_to_nowhere() -> nir.NIRGraph:
    graph = chain(nir.Linear(W), lif(2))
    return nir.NIRGraph(graph.nodes, [*graph.edges, ("n1", "nobody")], type_check=False)


def _loop_without_neurons() -> nir.NIRGraph:
    graph = chain(nir.Linear(W), nir.Linear(V), lif(2))
    return nir.NIRGraph(graph.nodes, [*graph.edges, ("n1", "n1")], type_check=False)


LEAKY = nir.LI(full(2, DT), full(2, 1.0), full(2, 0.0))
PART = nir.Flatten({"input": None}, 1, 1)
CUBA = nir.CubaLIF(full(2, DT), full(2, DT), full(2, 1.0), full(2, 0.1), full(2, 1.0), full(2, 0.0))


@pytest.mark.parametrize(
    ("graph", "name", "said"),
    [
        (chain(nir.Linear(W), lif(2)), "rockpool", "'n1': rockpool subtracts"),
        (chain(nir.Linear(W), lif(2, decay=2.0)), "nir", "'n1' has tau = 5e-05 s"),
        (chain(nir.Linear(W), lif(2, threshold=-1.0)), "nir", "'n1' has a threshold of -1"),
        (chain(nir.Linear(W), CUBA), "norse", "'n1' begins at 0.1 but is reset to 0"),
        (chain(nir.Linear(V), lif(2)), "nir", "'n0' reads 2 values"),
        (chain(nir.Linear(W), LEAKY, nir.Linear(V), lif(2)), "nir", "never fires"),
        (chain(nir.Delay(full(3, 1.5 * DT)), nir.Linear(W), lif(2)), "nir", "'n0' is 1.5 steps"),
        (chain(nir.Affine(W, np.ones(2)), nir.Delay(full(2, DT)), lif(2)), "nir", "delay the spikes"),
        (chain(nir.Linear(W * np.nan), lif(2)), "nir", "'n0': expected finite numbers"),
        (chain(PART, nir.Linear(W), lif(2), shape=(3, 2, 2)), "nir", "flattens dimensions"),
        (chain(nir.Linear(W), nir.Delay(np.zeros(0)), lif(2)), "nir", "as delay, got none"),
        (_edge_to_nowhere(), "nir", "no node 'nobody'"),
        (_loop_without_neurons(), "nir", "has no neurons"),
        (nir.NIRGraph({"a": lif(2)}, [], type_check=False), "nir", "has no Input"),
    ],
)  # fmt: skip
def test_what_cannot_be_exact_is_refused_by_name(graph: nir.NIRGraph, name: str, said: str) -> None:
    with pytest.raises(FrontendError, match=said):
        imported(graph, name)


def test_what_nir_has_no_words_for_is_not_written() -> None:
    fixed = random_fixed(Recipe(seed=3))
    with pytest.raises(PreconditionError, match="real numbers"):
        to_nir(fixed, reader_convention("nir"))
    graph = DequantizeGraph()(fixed)
    slow = graph.map(
        lambda n: replace(n, dv=np.zeros_like(n.dv), du=np.full_like(n.du, 0.5)) if isinstance(n, Lif) else n
    )
    with pytest.raises(PreconditionError, match="infinite time constant"):
        to_nir(slow, reader_convention("nir"))
    mixed = graph.map(
        lambda n: replace(n, vth=np.where(np.arange(3) == 0, np.inf, 1.0)) if isinstance(n, Lif) else n
    )
    with pytest.raises(PreconditionError, match="has read-out and spiking neurons"):
        to_nir(mixed, reader_convention("nir"))


def test_a_damaged_file_says_that_it_is(tmp_path: Path) -> None:
    write_nir(chain(nir.Linear(W), lif(2)), tmp_path / "good.nir")
    assert set(read_nir(tmp_path / "good.nir").nodes) == {"input", "n0", "n1", "output"}
    nir.write(tmp_path / "single.nir", lif(2))
    with pytest.raises(CorruptArtifactError, match="a single LIF"):
        read_nir(tmp_path / "single.nir")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["something"] = 1
    with pytest.raises(CorruptArtifactError, match="holds no 'node'"):
        read_nir(tmp_path / "other.nir")
    with h5py.File(tmp_path / "good.nir", "a") as file:
        del file["node/nodes/n1/tau"]
    with pytest.raises(CorruptArtifactError, match="node .n1. .LIF. lacks tau; expected tau, r"):
        read_nir(tmp_path / "good.nir")


def _far_apart() -> nir.NIRGraph:
    first = nir.Conv2d((4096, 4096), np.ones((16, 1, 2, 2)), 1, 0, 1, 1, np.zeros(16))
    second = nir.Conv2d((4095, 4095), np.ones((1, 16, 2, 2)), 1, 0, 4090, 1, np.zeros(1))
    return chain(first, second, nir.IF(full(1, 1.0), full(1, 1.0)), shape=(1, 4096, 4096))


def _grouped() -> nir.NIRGraph:
    wide = nir.Conv2d((2, 2), np.ones((5000, 1, 1, 1)), 1, 0, 1, 5000, np.zeros(5000))
    return chain(wide, wide, nir.IF(full(1, 1.0), full(1, 1.0)), shape=(5000, 2, 2))


TALL = nir.Linear(np.ones((5000, 1)))


@pytest.mark.parametrize(
    "graph",
    [
        chain(nir.IF(np.array(1.0), np.array(1.0)), shape=(2**13, 2**13)),
        chain(*(nir.IF(np.array(1.0), np.array(1.0)) for _ in range(40)), shape=(2**20,)),
        chain(nir.Linear(np.ones((1, 5000))), TALL, lif(5000), shape=(5000,)),
        _far_apart(),
        _grouped(),
    ],
    ids=["neurons", "layers", "product", "distance", "groups"],
)  # fmt: skip
def test_a_few_bytes_cannot_ask_for_much_memory(graph: nir.NIRGraph) -> None:
    with pytest.raises(FrontendError, match="asks for|reads"):
        imported(graph)


def test_metadata_of_any_sort_are_data() -> None:
    graph = chain(nir.Linear(W), lif(2))
    graph.metadata = {"dt": np.ones(3)}
    with pytest.raises(FrontendError, match="expected one number"):
        named_convention(graph)
    graph.metadata = {"dt": "soon"}
    with pytest.raises(FrontendError, match="expected finite numbers as dt"):
        named_convention(graph)
    graph.metadata = {"reset": "sometimes"}
    with pytest.raises(FrontendError, match="say reset = 'sometimes'"):
        named_convention(graph)
    graph.metadata = {"reset": "subtract"}
    with pytest.raises(FrontendError, match="nir subtracts the threshold"):
        from_nir(graph, named_convention(graph))
    assert named_convention(graph, "snntorch").reset is Reset.SUBTRACT
    graph.metadata = {"reset": "zero"}
    assert named_convention(graph).reset is Reset.TO_VALUE
    assert named_convention(graph, "rockpool").reset is Reset.SUBTRACT
    graph.metadata = {"convention": np.ones(2)}
    assert named_convention(graph).name == "nir"
    graph.nodes["output"].metadata = np.ones(3)
    assert imported(graph).outputs


def test_names_that_would_meet_in_a_file_are_refused(rng: np.random.Generator) -> None:
    graph = varied(recurrent(rng), rng)
    renamed = graph.map(lambda node: replace(node, name="recur.delay") if isinstance(node, Output) else node)
    assert to_nir(graph, reader_convention("nir")).graph.nodes
    with pytest.raises(PreconditionError, match="would be called 'recur.delay'"):
        to_nir(renamed, reader_convention("nir"))
