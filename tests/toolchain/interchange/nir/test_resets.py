"""What is read out, what a file has lost, and resets on their way out again."""

from typing import Any

import nir
import numpy as np
import pytest

from tests.toolchain.interchange.nir_graphs import DT, V, W, X, chain, full, imported, lif
from toolchain import ir
from toolchain.errors import FrontendError, PreconditionError
from toolchain.execution import reference
from toolchain.interchange.nir.conventions import convention, reader_convention
from toolchain.interchange.nir.from_nir import NirReadout, from_nir
from toolchain.interchange.nir.metadata import named_convention
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import Decode, Graph
from toolchain.reset import Reset


def test_a_membrane_that_is_read_never_fires_and_needs_no_reset() -> None:
    graph = chain(nir.Linear(W), lif(2, 0.25, 0.5), nir.Linear(V), lif(2, 0.5, 0.1))
    found = from_nir(graph, convention("snntorch", reset="none"), readout=NirReadout.MEMBRANE)
    assert "'n3': read as a membrane, which never fires (you said so)" in found.notes
    last = found.graph["n3"]
    assert isinstance(last, ir.Lif)
    assert np.isinf(last.vth).all()
    assert last.is_plain
    assert found.graph.outputs[0].decode is Decode.MEAN_V
    read = reference.run(found.graph, X)
    integrated = reference.run(imported(graph, "snntorch", reset="none"), X)
    assert np.array_equal(read.v["n3"], integrated.v["n3"])
    assert integrated.spikes["n3"].any()
    # Nothing else fires here, so nobody has to say a reset.
    alone = chain(nir.Linear(W), lif(2))
    assert not from_nir(alone, convention("snntorch"), readout=NirReadout.MEMBRANE).warnings


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (chain(nir.Linear(W)), "output 'output' reads weights, behind which nothing fires"),
        (chain(nir.Linear(W), nir.I(full(2, 1.0))), "output 'output' reads 'n1', which never fires"),
    ],
)
def test_spikes_are_not_read_where_nothing_fires(graph: nir.NIRGraph, said: str) -> None:
    with pytest.raises(FrontendError, match=f"{said}; leave out `readout`"):
        from_nir(graph, convention("nir"), readout=NirReadout.SPIKES)
    assert from_nir(graph, convention("nir"), readout=NirReadout.MEMBRANE).graph.outputs


def test_a_membrane_that_others_read_is_refused() -> None:
    graph = chain(nir.Linear(W), lif(2))
    looped = nir.NIRGraph(
        {**graph.nodes, "loop": nir.Linear(V)},
        [*graph.edges, ("n1", "loop"), ("loop", "n1")],
        type_check=False,
    )
    with pytest.raises(FrontendError, match="'n1' never fires, but 'loop' reads it"):
        from_nir(looped, convention("nir"), readout=NirReadout.MEMBRANE)


def test_what_an_exporter_has_lost_is_a_warning() -> None:
    graph = chain(nir.Linear(W), lif(2), nir.Linear(V), lif(2))
    assert not from_nir(graph, convention("nir")).warnings
    # What nirtorch makes of `n3(n2(x) + x)`: the sum is no module's.
    cut = nir.NIRGraph(
        {**graph.nodes, "input_n3": nir.Input({"input": np.array([2])})},
        [("input", "n0"), ("n0", "n1"), ("n1", "n2"), ("n2", "output"), ("input_n3", "n3"), ("n3", "output")],
        type_check=False,
    )
    (invented, held) = from_nir(cut, convention("nir")).warnings
    assert "'input_n3' is an input of its own, as exporters invent" in invented
    assert "computed in front of 'n3' outside of a module" in invented
    assert "'output' reads weights, not neurons" in held
    dead = nir.NIRGraph({**graph.nodes, "n4": nir.Linear(V)}, [*graph.edges, ("n1", "n4")], type_check=False)
    (said,) = from_nir(dead, convention("nir")).warnings
    assert said == "what 'n4' sends goes nowhere: the file leaves out who reads it"
    (said,) = from_nir(chain(nir.Linear(W)), convention("nir")).warnings
    assert "what leaves is a current" in said


def test_a_reset_that_is_guessed_is_a_warning() -> None:
    graph = chain(nir.Linear(W), lif(2))
    guessed = from_nir(graph, named_convention(graph))
    (said,) = guessed.warnings
    assert "nobody says what a spike of 'n1' does: by NIR's own equations it sets the" in said
    assert "name yours as `convention`, or say it as `reset`" in said
    assert "Euler's method, because the file names no framework" in guessed.notes[0]
    for told in (named_convention(graph, "nir"), named_convention(graph, reset="zero")):
        assert not from_nir(graph, told).warnings
    stated = chain(nir.Linear(W), nir.LIF(*(full(2, v) for v in (4e-3, 4.0, 0.0, 1.0, -0.25))))
    assert not from_nir(stated, named_convention(stated)).warnings


def test_who_begins_elsewhere_than_a_spike_sets_it_is_read_with_its_rest() -> None:
    leak, one = full(2, 0.25), full(2, 1.0)
    node = nir.LIF(full(2, 4e-3), full(2, 4.0), leak, one)
    found = from_nir(chain(nir.Linear(W), node), convention("norse-seconds", reset=-0.5))
    assert np.array_equal(found.rests["n1"], leak)
    v, trace = leak, reference.run(found.graph, X)
    for t in range(X.shape[1]):
        v = v + 0.25 * (leak - v + 4 * (W @ X[0, t]))
        spikes = v > one
        assert np.array_equal(trace.spikes["n1"][0, t], spikes)
        v = np.where(spikes, -0.5, v)
        assert np.allclose(trace.v["n1"][0, t] + found.rests["n1"], v)
    assert trace.spikes["n1"].any()
    assert not from_nir(chain(nir.Linear(W), lif(2)), convention("nir")).rests


def _again(graph: Graph, reader: str) -> Graph:
    written = to_nir(graph, reader_convention(reader)).graph
    return from_nir(written, named_convention(written)).graph


@pytest.mark.parametrize(("reader", "reset"), [("nir", -0.5), ("nir", 0.25), ("sinabs", "subtract-several")])
def test_a_reset_comes_back_from_a_file_of_ours(reader: str, reset: str | float) -> None:
    tau, one = full(2, 4 * convention(reader).dt), full(2, 1.0)
    node = nir.LIF(tau, 2 * one, 0 * one, 0.5 * one)
    graph = imported(chain(nir.Linear(W), node), reader, reset=reset)
    back = _again(graph, reader)
    before, after = reference.run(graph, X), reference.run(back, X)
    assert np.allclose(before.v["n1"], after.v["n1"])
    assert np.array_equal(before.spikes["n1"], after.spikes["n1"])
    assert before.spikes["n1"].any()
    last = back["n1"]
    assert isinstance(last, ir.Lif)
    assert last.reset is (Reset.SUBTRACT if isinstance(reset, str) else Reset.VALUE)


@pytest.mark.parametrize(
    ("changes", "reader", "said"),
    [
        (
            {"reset": Reset.NONE},
            "nir",
            "leaves the potential at a spike, where nir sets the potential to v_re",
        ),
        (
            {"reset": Reset.SUBTRACT, "reset_amount": full(2, 1.0)},
            "snntorch",
            "subtracts the threshold at a spike, where snntorch sets",
        ),
        (
            {"reset": Reset.SUBTRACT, "reset_amount": full(2, 4 / 3)},
            "nir",
            "subtracts the threshold one step la",
        ),
        ({"reset": Reset.SUBTRACT, "reset_amount": full(2, 0.3)}, "nir", "something else than its threshold"),
        (
            {"reset": Reset.SUBTRACT, "reset_amount": full(2, 1.0), "max_spikes": 4},
            "sinabs",
            "fires up to 4 times a step, and no reader has that limit",
        ),
        (
            {"reset": Reset.VALUE, "reset_amount": full(2, -0.5)},
            "norse",
            "is reset to -0.5, and norse to zero",
        ),
        (
            {"refractory": np.full(2, 3, np.int32)},
            "nir",
            "has a refractory period, for which NIR has no word",
        ),
        (
            {"adaptation": full(2, 0.1), "adaptation_decay": full(2, 0.1)},
            "nir",
            "has an adaptive threshold, for which NIR has no word",
        ),
        ({}, "rockpool", "sets the potential to v_reset at a spike, where rockpool subtracts"),
    ],
)
def test_a_reset_that_a_reader_would_not_keep_is_not_written(
    changes: dict[str, Any], reader: str, said: str
) -> None:
    graph = imported(
        chain(nir.Linear(W), lif(2, 0.25, float(np.nextafter(1, 0)) if reader == "sinabs" else 1.0))
    )
    changed = graph.map(lambda node: ir.Lif(**{**_fields(node), **changes}) if node.name == "n1" else node)
    with pytest.raises(PreconditionError, match=f"population 'n1' .*{said}"):
        to_nir(changed, reader_convention(reader))


def _fields(node: object) -> dict[str, Any]:
    assert isinstance(node, ir.Lif)
    names = ("name", "inputs", "du", "dv", "vth", "bias", "origin")
    return {name: getattr(node, name) for name in names}


def test_a_file_has_one_reset_for_all() -> None:
    graph = imported(
        chain(nir.Linear(W), lif(2), nir.Linear(V), lif(2, threshold=float(np.nextafter(1, 0)))), "nir"
    )
    several: dict[str, Any] = {"reset": Reset.SUBTRACT, "reset_amount": full(2, 1.0), "max_spikes": 255}
    mixed = graph.map(lambda node: ir.Lif(**{**_fields(node), **several}) if node.name == "n3" else node)
    with pytest.raises(PreconditionError, match="'n3' .*unlike 'n1', and a file has one reset for all"):
        to_nir(mixed, reader_convention("sinabs"))


def test_a_step_that_forgets_takes_the_threshold_back_as_a_current() -> None:
    tau, one = np.array([DT, 4 * DT]), full(2, 1.0)
    found = from_nir(
        chain(nir.Linear(W), nir.LIF(tau, tau / DT, full(2, 0.0), one)),
        convention("snntorch", reset="subtract-delayed"),
    )
    assert any("'n1' forget their potential" in note for note in found.notes)
    node = found.graph["n1"]
    assert isinstance(node, ir.Lif)
    assert node.reset_amount is not None
    assert node.reset_amount == pytest.approx([0.0, 4 / 3])
    (back,) = (node for node in found.graph.synapses if node.name.startswith("n1.reset"))
    assert isinstance(back, ir.Dense)
    assert back.weights.toarray().tolist() == [[-1.0, 0.0], [0.0, 0.0]]  # pyright: ignore[reportAttributeAccessIssue]
