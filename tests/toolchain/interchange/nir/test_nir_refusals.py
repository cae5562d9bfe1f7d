"""What NIR says and we cannot, and the other way round, by name and reason; damaged and greedy files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from tests.graphs import recurrent, varied
from tests.oracles.nir_arrays import unstated
from tests.random_graphs import Recipe, random_fixed
from tests.toolchain.interchange.nir_graphs import DT, V, W, chain, full, imported, lif
from toolchain import ir
from toolchain.confined.reader import ConfinedReader
from toolchain.errors import CorruptArtifactError, FrontendError, PreconditionError
from toolchain.interchange.nir.conventions import CONVENTIONS, reader_convention
from toolchain.interchange.nir.file import read_nir, write_nir
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.metadata import named_convention
from toolchain.interchange.nir.resets import NirReset, StatedReset
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import same_structure
from toolchain.passes import DequantizeGraph


def _edge_to_nowhere() -> nir.NIRGraph:
    graph = chain(nir.Linear(W), lif(2))
    return nir.NIRGraph(graph.nodes, [*graph.edges, ("n1", "nobody")], type_check=False)


def _loop_without_neurons() -> nir.NIRGraph:
    graph = chain(nir.Linear(W), nir.Linear(V), lif(2))
    return nir.NIRGraph(graph.nodes, [*graph.edges, ("n1", "n1")], type_check=False)


def _read_out_in_a_loop() -> nir.NIRGraph:
    graph = chain(nir.Linear(W), lif(2), LEAKY)
    return nir.NIRGraph(graph.nodes, [*graph.edges, ("n2", "n1")], type_check=False)


ONE = full(2, 1.0)
LEAKY = nir.LI(full(2, DT), full(2, 1.0), full(2, 0.0))
PART = nir.Flatten(unstated(), 1, 1)
CUBA = nir.CubaLIF(full(2, DT), full(2, DT), full(2, 1.0), full(2, 0.1), full(2, 1.0), full(2, 0.0))


@pytest.mark.parametrize(
    ("graph", "name", "said"),
    [
        (chain(nir.Linear(W), lif(2)), "snntorch", "'n1' fires, and files of snntorch do not say"),
        (chain(nir.Linear(W), lif(2, decay=2.0)), "nir", "'n1' has tau = 5e-05 s"),
        (chain(nir.Linear(W), lif(2, threshold=-1.0)), "nir", "'n1' has a threshold of -1"),
        (chain(nir.Linear(V), lif(2)), "nir", "'n0' reads 2 values"),
        (chain(nir.Linear(W), LEAKY, nir.Linear(V), lif(2)), "nir", "never fires"),
        (_read_out_in_a_loop(), "nir", "'n2' never fires, but 'n1.from.n2.before'"),
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
        lambda n: (
            replace(n, dv=np.zeros_like(n.dv), du=np.full_like(n.du, 0.5)) if isinstance(n, ir.Lif) else n
        )
    )
    with pytest.raises(PreconditionError, match="infinite time constant"):
        to_nir(slow, reader_convention("nir"))
    mixed = graph.map(
        lambda n: replace(n, vth=np.where(np.arange(3) == 0, np.inf, 1.0)) if isinstance(n, ir.Lif) else n
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


@pytest.fixture(scope="module")
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader() as process:
        yield process


def _edited(folder: Path, node: str, values: dict[str, object]) -> Path:
    """Write a graph, then replace, add or (None) remove values of a node of the file."""
    inner = chain(nir.Linear(V), CUBA, shape=(2,))
    graph = chain(nir.Linear(W), CUBA, inner)
    write_nir(graph, folder / "edited.nir")
    with h5py.File(folder / "edited.nir", "a") as file:
        for key, value in values.items():
            place = f"{node}/{key}"
            if place in file:
                del file[place]
            if value is not None:
                file[place] = value
    return folder / "edited.nir"


@pytest.mark.parametrize(
    ("node", "values", "said"),
    [
        ("node/nodes/n1", {"type": "RLIF"}, "node 'n1' is of type 'RLIF', which is not known; known: Aff"),
        ("node/nodes/n2/nodes/n1", {"type": "rlif"}, "node 'n2.n1' is of type 'rlif'"),
        ("node/nodes/n2", {"type": "Network"}, "node 'n2' is of type 'Network'"),
        ("node/nodes/n1", {"type": None}, "node 'n1' does not say its type"),
        ("node/nodes/n1", {"type": 5}, "node 'n1' does not say its type"),
        ("node/nodes", {"n1": None, "n1/extra": 1.0}, "node 'n1' does not say its type"),
        ("node/nodes", {"n1": 3.0}, "node 'n1' does not say its type"),
        (
            "node/nodes/n1",
            {"refractory": 1.0, "adaptation": 2.0},
            r"node 'n1' \(CubaLIF\) holds adaptation, refractory, expected only tau_syn, tau_mem, r, v_leak",
        ),
        ("node/nodes/input", {"dtype": 1.0}, r"node 'input' \(Input\) holds dtype, expected only shape"),
        ("node/nodes/n2", {"colour": 1}, "graph 'n2' holds colour, expected only nodes, edges"),
        ("node", {"type_check": True}, "the graph holds type_check, expected only nodes, edges"),
        ("node/nodes/n0", {"weight": None}, r"node 'n0' \(Linear\) lacks weight; expected weight"),
        ("node/nodes/n1", {"tau_mem": None, "r": None}, r"node 'n1' \(CubaLIF\) lacks tau_mem, r; exp"),
        ("node/nodes/input", {"shape": None}, r"node 'input' \(Input\) lacks shape"),
        ("node/nodes/n1", {"w_in": np.ones((2, 2))}, r"'n1' \(CubaLIF\) has w_in of shape \(2, 2\), expec"),
        ("node/nodes/n1", {"w_in": np.ones(3)}, r"w_in of shape \(3,\), expected one value or one per"),
        ("node/nodes/n1", {"r": 1.0}, r"several shapes: tau_mem \(2,\), tau_syn \(2,\), r \(\), v_l"),
        ("node/nodes/n1", {"v_threshold": np.ones(3)}, r"several shapes: .* v_threshold \(3,\)"),
        ("node/nodes/n1", {"r": "one"}, r"'n1' \(CubaLIF\) holds the text 'one' as 'r', expected numbers"),
        ("node/nodes/n1", {"r": None, "r/x": 1.0}, r"'n1' \(CubaLIF\) holds a group as 'r', expected values"),
        ("node/nodes/n1", {"metadata": 1.0}, r"node 'n1' \(CubaLIF\) holds values as 'metadata'"),
        ("node", {"edges": np.ones((2, 2))}, r"the graph has edges of shape \(2, 2\), expected pairs"),
        ("node/nodes/n2", {"edges": ["a", "b"]}, r"graph 'n2' has edges of shape \(2,\), expected pairs"),
        ("node", {"nodes": 1.0}, "the graph holds values as 'nodes', expected a group"),
        ("", {"version": "9.9"}, "not a NIR file of a known version: it says '9.9', and versions 0.x"),
        ("", {"version": "soon"}, "not a NIR file of a known version: it says 'soon'"),
        ("", {"version": 1.0}, "not a NIR file of a known version"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_carries_the_name_of_its_node(
    node: str, values: dict[str, object], said: str, tmp_path: Path, reader: ConfinedReader
) -> None:
    with pytest.raises(CorruptArtifactError, match=said):
        read_nir(_edited(tmp_path, node, values), reader)


@pytest.mark.parametrize(
    ("node", "values"),
    [
        ("node/nodes/n1", {"v_reset": None}),
        ("node/nodes/n1", {"w_in": None}),
        ("node/nodes/n1", {"w_in": 2.0}),
        ("", {"version": None}),
        ("", {"version": "0.1.1"}),
        ("node/nodes/n1", {"metadata/of": "mine"}),
    ],
)
def test_what_files_may_leave_out_or_add_is_read(
    node: str, values: dict[str, object], tmp_path: Path, reader: ConfinedReader
) -> None:
    assert isinstance(read_nir(_edited(tmp_path, node, values), reader).nodes["n1"], nir.CubaLIF)


def test_a_convolution_without_input_shape_is_read(tmp_path: Path) -> None:
    conv = nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2))
    shape = (2, 4, 4)
    write_nir(chain(conv, lif(shape), shape=(1, 4, 4), out=shape), tmp_path / "net.nir")
    whole = imported(read_nir(tmp_path / "net.nir"))
    with h5py.File(tmp_path / "net.nir", "a") as file:
        del file["node/nodes/n0/input_shape"]
    assert same_structure(imported(read_nir(tmp_path / "net.nir")), whole)


def test_weights_between_neurons_are_no_w_in() -> None:
    node = nir.CubaLIF(full(2, DT), full(2, DT), ONE, full(2, 0.0), ONE, w_in=np.ones((2, 2)))
    with pytest.raises(FrontendError, match=r"node 'n1': w_in has shape \(2, 2\), but is for \(2,\)"):
        imported(chain(nir.Linear(W), node))


def _far_apart() -> nir.NIRGraph:
    first = nir.Conv2d((4096, 4096), np.ones((16, 1, 2, 2)), 1, 0, 1, 1, np.zeros(16))
    second = nir.Conv2d((4095, 4095), np.ones((1, 16, 2, 2)), 1, 0, 4090, 1, np.zeros(1))
    return chain(first, second, nir.IF(full(1, 1.0), full(1, 1.0)), shape=(1, 4096, 4096))


TALL = nir.Linear(np.ones((5000, 1)))


@pytest.mark.parametrize(
    "graph",
    [
        chain(nir.IF(np.array(1.0), np.array(1.0)), shape=(2**13, 2**13)),
        chain(*(nir.IF(np.array(1.0), np.array(1.0)) for _ in range(40)), shape=(2**20,)),
        chain(nir.Linear(np.ones((1, 5000))), TALL, lif(5000), shape=(5000,)),
        _far_apart(),
    ],
    ids=["neurons", "layers", "product", "distance"],
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
    for step in (0.0, -1e-3, True):
        graph.metadata = {"dt": step}
        with pytest.raises(FrontendError, match=f"say dt = {step}, expected one number of more than 0"):
            named_convention(graph)
    graph.metadata = {"reset": "sometimes"}
    with pytest.raises(FrontendError, match="say reset = 'sometimes'"):
        named_convention(graph)
    for word, kind in (
        ("subtract", NirReset.SUBTRACT),
        ("by the threshold", NirReset.SUBTRACT),
        ("to v_reset", NirReset.VALUE),
        ("zero", NirReset.VALUE),
        ("none", NirReset.NONE),
    ):
        graph.metadata = {"reset": word}
        for name in (None, "snntorch", "rockpool"):
            stated = named_convention(graph, name).reset
            assert stated is not None
            assert (stated.kind, stated.why) == (kind, "the metadata of the file")
    asked = named_convention(graph, "snntorch", None, "subtract-delayed").reset
    assert asked == StatedReset(NirReset.LATE_SUBTRACT, "you said so")
    graph.metadata = {"convention": np.ones(2)}
    assert named_convention(graph).name == "nir"
    output: Any = graph.nodes["output"]
    output.metadata = np.ones(3)
    assert imported(graph).outputs


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dt": -1e-3}, "say dt = -0.001, expected one number of more than 0"),
        ({"dt": np.nan}, "expected finite numbers as dt"),
        ({"dt": "soon"}, "expected finite numbers as dt"),
        ({"dt": np.array([1e-3, 1e-4])}, "expected one number of more than 0"),
        ({"dt": None}, "say no dt, which 'pumice' always writes"),
        ({"convention": "nores"}, "say convention = 'nores', expected one of nir, snntorch, norse"),
        ({"convention": 3.0}, "say convention = 3.0, expected one of"),
        ({"convention": np.ones(2)}, "say convention = array"),
        ({"convention": None}, "say convention = None, expected one of"),
        ({"reset": "sometimes"}, "say reset = 'sometimes', expected one of"),
        ({"reset": 1.0}, "say reset = '1.0'"),
        ({"reset": None}, "say no reset"),
    ],
)
def test_nonsense_in_metadata_of_ours_is_refused_by_the_field(changed: dict[str, object], said: str) -> None:
    graph = imported(chain(nir.Linear(W), lif(2)))
    written = to_nir(graph, reader_convention("norse")).graph
    found = named_convention(written)
    assert found.reset == StatedReset(NirReset.VALUE, "the metadata of the file")
    assert replace(found, reset=None) == replace(reader_convention("norse", 1e-3), reset=None)
    metadata = {**written.metadata, **changed}
    written.metadata = {key: value for key, value in metadata.items() if value is not None}
    with pytest.raises(FrontendError, match=said):
        named_convention(written)


def test_a_time_constant_tells_which_norse_wrote_a_file() -> None:
    """Norse 1.1 writes dt * tau, others tau: 2,500 steps of the one are 2.5 of the other."""
    tau = full(2, 2.5e-3)
    for node in (
        nir.LIF(tau, full(2, 1.0), full(2, 0.0), full(2, 0.1)),
        nir.LI(tau, full(2, 1.0), full(2, 0.0)),
        nir.CubaLIF(tau, full(2, 2e-5), full(2, 1.0), full(2, 0.0), full(2, 0.1)),
    ):
        graph = chain(nir.Linear(W), node)
        said = "'n1' has tau.* = 0.0025, which is 2,500 steps under the convention 'norse'.*norse-seconds"
        with pytest.raises(FrontendError, match=said):
            from_nir(graph, named_convention(graph, "norse"))
        # Who states the step has judged the file, and is told all the same.
        notes = from_nir(graph, named_convention(graph, "norse", 1e-6, "zero")).notes
        assert any("'n1' has a tau" in note and "of 2,500 steps" in note for note in notes)
    graph = chain(nir.Linear(W), nir.LIF(tau, full(2, 1.0), full(2, 0.0), full(2, 0.1)))
    assert len(from_nir(graph, named_convention(graph, "norse-seconds", reset="zero")).notes) == 2
    graph.metadata = {"nir_version": "0.2.0"}
    with pytest.raises(FrontendError, match="by nir 0.2.0, which is older than what 'norse' stands for"):
        named_convention(graph, "norse")
    assert named_convention(graph, "norse", 1e-6).dt == 1e-6


@pytest.mark.parametrize("name", ["nir", "snntorch", "spikingjelly", "sinabs", "lava-dl"])
def test_a_time_constant_of_thousands_of_steps_is_worth_a_note(name: str) -> None:
    dt = CONVENTIONS[name].dt
    for steps, noted in ((900, False), (2000, True)):
        node = nir.LIF(full(2, steps * dt), full(2, 1.0), full(2, 0.0), full(2, 0.1))
        graph = chain(nir.Linear(W), node)
        notes = from_nir(graph, named_convention(graph, name, reset="zero")).notes
        assert any(f"'n1' has a tau of {steps:,} steps" in note for note in notes) == noted


def test_names_that_would_meet_in_a_file_are_refused(rng: np.random.Generator) -> None:
    graph = varied(recurrent(rng), rng)
    renamed = graph.map(
        lambda node: replace(node, name="recur.delay") if isinstance(node, ir.Output) else node
    )
    assert to_nir(graph, reader_convention("nir")).graph.nodes
    with pytest.raises(PreconditionError, match="would be called 'recur.delay'"):
        to_nir(renamed, reader_convention("nir"))
