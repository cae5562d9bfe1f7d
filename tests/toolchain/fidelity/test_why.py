"""What quantization says about itself: warnings with their reason, and all about one node."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.graphs import lif, recurrent, spikes
from toolchain import ir
from toolchain.errors import UnknownNameError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.why import explain_node
from toolchain.ir import Decode, EdgeKind, Graph
from toolchain.passes import Calibration, QuantizeGraph, SplitHalves, SplitSigns, explain_quantization
from toolchain.reset import Reset


def _texts(graph: Graph, fixed: Graph, **options: Any) -> list[str]:
    document = explain_quantization(graph, fixed, **options)
    return [f"{item.node}: {item.text}" for item in document.warnings]


def _plain(weights: np.ndarray, **changes: object) -> Graph:
    return Graph(
        (
            ir.Input(name="x", shape=(weights.shape[1],)),
            ir.Dense(name="w", inputs=("x",), weights=weights),
            lif("p", ("w",), len(weights), **changes),
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )


def test_a_clean_quantization_warns_of_nothing() -> None:
    graph = _plain(np.array([[2.0, 1.0], [1.0, 2.0]]))
    assert _texts(graph, QuantizeGraph()(graph)) == []


@pytest.mark.parametrize(
    ("changes", "weights", "bits", "said"),
    [
        ({}, [[9.0, 0.01], [9.0, 8.0]], 8, "1 of 4 synapses round to zero"),
        ({}, [[1.0, 0.45, 0.61, 0.27, 0.83, 0.38, 0.72, 0.15]], 2, "weights are off by"),
        ({"vth": 100.0}, [[1.0, 1.0]], 8, "1 of 1 neurons can never fire"),
        ({"vth": 1.0, "bias": 5.0}, [[1.0, 1.0]], 8, "fire at every step"),
        ({"dv": 0.0006, "vth": 20.0}, [[1.0, 1.0]], 8, "membrane time constant is off by"),
        ({"dv": 1.0}, [[1.0, 1.0]], 8, "a decay that no register holds"),
        ({"vth": 1e6}, [[1.0, 1.0]], 8, "only integers up to"),
    ],
)
def test_what_a_user_should_know_is_said_with_its_reason(
    changes: dict[str, float], weights: list[list[float]], bits: int, said: str
) -> None:
    graph = _plain(np.array(weights), **changes)
    texts = _texts(graph, QuantizeGraph(weight_bits=bits, steps=8)(graph), steps=8)
    assert any(said in text for text in texts), texts
    assert all(len(text) > 60 for text in texts)


def test_a_graded_input_that_leaves_few_bits_for_weights_is_said() -> None:
    graph = _plain(np.full((1, 200), 1.0)).map(
        lambda n: replace(n, edge=EdgeKind.GRADED, scale=255.0, bits=8) if isinstance(n, ir.Input) else n
    )
    texts = _texts(graph, QuantizeGraph(steps=8)(graph), steps=8)
    assert any("its messages have 8 bits" in text for text in texts), texts


def test_a_measured_range_is_said_to_be_measured(rng: np.random.Generator) -> None:
    slow = recurrent(rng).map(lambda n: replace(n, dv=n.dv * 0.01) if isinstance(n, ir.Lif) else n)
    x = spikes(rng, 4, 20, 6)
    calibration = Calibration.observe(slow, Stimulus.of(x), reference.run(slow, x))
    texts = _texts(slow, QuantizeGraph(calibration=calibration)(slow), calibration=calibration)
    assert any("is measured on 4 samples with twofold head-room, not proved" in text for text in texts), texts
    fixed = QuantizeGraph(calibration=calibration)(slow)
    document = explain_quantization(slow, fixed, calibration=calibration)
    (said,) = (each for each in explain_node((slow, fixed), document, "hidden") if "overflow" in each)
    assert "with twofold head-room, and not proved. If the worst of all inputs came, |u| reaches at" in said


@pytest.mark.parametrize(
    ("du", "said"),
    [
        (0.25, "Lava's current decay du is 1023; what Loihi 1 takes as iDecay is one more, 1024"),
        ([0.25, 0.5], "du is 1023 to 2047; what Loihi 1 takes as iDecay is one more, 1024 to 2048,"),
        (1.0, "1 of its 1 neurons have an iDecay of 4096, beyond the 12 bits of the register"),
    ],
)  # fmt: skip
def test_what_a_chips_registers_take_is_said(du: float | list[float], said: str) -> None:
    graph = _plain(np.ones((np.size(du), 2)), du=du, dv=0.25)
    fixed = QuantizeGraph()(graph)
    sentences = explain_node((graph, fixed), explain_quantization(graph, fixed), "p")
    assert any(said in text for text in sentences), sentences
    assert any("dv 1024 is vDecay" in text for text in sentences), sentences


def test_a_node_is_explained_in_sentences_with_its_least_exact_number(rng: np.random.Generator) -> None:
    graph = SplitSigns()(recurrent(rng))
    fixed = QuantizeGraph(weight_bits=3)(graph)
    document = explain_quantization(graph, fixed)
    both = explain_node((graph, fixed), document, "encode")
    one = explain_node((graph, fixed), document, "encode.inhibitory")
    assert len(both) > len(one)
    assert "'encode.inhibitory' has" in one[0]
    assert any("Its least exact weight is -" in text and "element" in text for text in one)
    hidden = explain_node((graph, fixed), document, "hidden")
    assert any("What keeps S from doubling: " in text and "their largest weight" in text for text in hidden)
    assert any("cannot overflow, whatever comes" in text for text in hidden)
    assert any(text.startswith("Its least exact threshold is") for text in hidden)
    registers = document.populations["hidden"].registers
    assert registers.loihi1.iDecay.least == registers.lava.du.least + 1
    readout = explain_node((graph, fixed), document, "readout")
    assert not any("least exact threshold" in text for text in readout)
    with pytest.raises(UnknownNameError, match="did you mean 'hidden'"):
        explain_node((graph, fixed), document, "hiden")


def test_a_connection_in_four_parts_is_explained_by_its_own_name(rng: np.random.Generator) -> None:
    """By sign, and each sign by size of weight."""
    graph = SplitSigns()(recurrent(rng))
    fixed = QuantizeGraph(weight_bits=12)(graph)
    document = explain_quantization(SplitHalves(fixed=fixed)(graph), fixed)
    sentences = explain_node((SplitHalves(fixed=fixed)(graph), fixed), document, "encode")
    named = {text.split("'")[1] for text in sentences if text.startswith("'encode.")}
    assert named == {
        f"encode.{sign}.{size}" for sign in ("excitatory", "inhibitory") for size in ("coarse", "fine")
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reset": Reset.VALUE, "reset_amount": -0.5}, "A spike sets the potential to a value, off by"),
        ({"reset": Reset.NONE}, "A spike leaves the potential."),
        (
            {"reset": Reset.SUBTRACT, "reset_amount": 1.0, "max_spikes": 3},
            "Each of up to 3 spikes in a step takes an amount from the potential, off by at most",
        ),
        (
            {"adaptation": 0.5, "adaptation_decay": 0.25},
            "A spike sets the potential to zero; it raises the threshold, by at most",
        ),
        ({"refractory": [3, 3]}, "After a spike its neurons send nothing for 3 steps:"),
        ({"refractory": [0, 7]}, "After a spike its neurons send nothing for 0 to 7 steps:"),
    ],
)
def test_what_a_spike_does_is_said(changes: dict[str, Any], said: str) -> None:
    graph = _plain(np.array([[2.0, 1.0], [1.0, 2.0]]), **changes)
    fixed = QuantizeGraph(steps=9)(graph)
    sentences = explain_node((graph, fixed), explain_quantization(graph, fixed, steps=9), "p")
    assert any(each.startswith(said) for each in sentences), sentences
