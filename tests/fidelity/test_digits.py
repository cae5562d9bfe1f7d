"""Hardware-fidelity regression: a trained, pruned network under version control, quantized afresh and judged.

`network/` is the float graph of the demo's pruned HRSNN. The compiler may change; its integers may not become
less faithful than `baseline.json` says.
"""

from functools import cache
from pathlib import Path

import numpy as np

from pumice.pytest_plugin import FidelityCheck
from toolchain.data import Encoding, encode, load_digits
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import compare_traces
from toolchain.ir import load_graph
from toolchain.passes import QuantizeGraph
from toolchain.target.registry import load_target
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.judgement import Exactness

_HERE = Path(__file__).parent


@cache
def _build() -> Build:
    images, rng = load_digits(test_fraction=0.3, seed=0), np.random.default_rng(0)
    train = encode(images.train[:256], Encoding.RATE, 16, rng=rng)
    test = encode(images.test, Encoding.RATE, 16, rng=rng)
    return compile_graph(
        load_graph(_HERE / "network"),
        target="lava",
        stimulus=Stimulus({"input": test}, images.test_labels),
        calibration=Stimulus.of(train),
    )


def test_the_integers_are_as_faithful_as_the_baseline_says(fidelity: FidelityCheck) -> None:
    gates = {"accuracy_drop": 0.5, "prediction_agreement": 99.0}
    judgement = fidelity(_build(), baseline="baseline.json", gates=gates)
    assert judgement.comparison.spike_f1 >= 0.98


def test_a_scale_per_neuron_beats_a_scale_per_layer() -> None:
    """The reason for per-neuron scales, measured on the network that users see first."""
    build, emulator = _build(), load_target("emulator")
    assert build.stimulus is not None
    coarse = QuantizeGraph(per_neuron=False, steps=16)(build.float_graph)
    graphs = build.float_graph, coarse
    traces = tuple(emulator.build(graph).run(build.stimulus) for graph in graphs)
    common = compare_traces(graphs, (traces[0], traces[1]), labels=build.stimulus.labels)
    assert common.spike_f1 < compare_build(build).comparison.spike_f1 - 0.02


def test_lava_equals_reference_and_emulator_at_every_step(fidelity: FidelityCheck) -> None:
    assert fidelity(_build(), exact=("lava",), samples=12).exact == {"lava": Exactness(12)}


def test_the_float_graph_equals_lavas_floating_point_to_rounding() -> None:
    build = _build()
    assert build.stimulus is not None
    part = build.stimulus.take(slice(0, 4))
    expected = reference.run(build.float_graph, part)
    got = load_target("lava").build(build.float_graph).run(part, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9
        assert np.abs(expected.u[name] - got.u[name]).max() <= 1e-9


def test_quantization_explains_itself() -> None:
    document = _build().quantization
    for row in document.connections.values():
        assert row.clipped == 0
        assert row.relative_rms_error < 0.02
    for row in document.populations.values():
        assert row.range in {"proved", "measured"}
        assert row.largest_threshold_error < 0.01
