"""From a fixed graph and a run to what a chip says: layers, events, time and energy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.emulator.target import EmulatorTarget
from targets.loihi.advice import thinned
from targets.loihi.cores import Chip
from targets.loihi.estimate import Events, estimate
from targets.loihi.network import chip_network
from targets.loihi.partition import lay_in_order
from targets.loihi.profile import load_profile
from targets.loihi.slices import fan_out, whole
from targets.loihi.target import loihi1, loihi2
from tests.graphs import feed_forward, fixed_lif, spikes
from tests.networks import images, small_vgg, stirred
from toolchain import ir
from toolchain.errors import DoesNotFitError, TargetError, TraceError
from toolchain.execution.activity import count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph, Origin
from toolchain.ir.fixed import FixedLif
from toolchain.workflow.compile import compile_module


def _dense(name: str, source: str, weights: Any, **changes: Any) -> ir.FixedDense:
    return ir.FixedDense(
        name=name,
        inputs=(source,),
        weights=np.asarray(weights),
        exponent=0,
        sign_mode=SignMode.MIXED,
        **changes,
    )


def _chain(steps: int = 1) -> Graph:
    """Two inputs, two neurons that feed back, one more."""
    return Graph(
        (
            ir.Input(name="x", shape=(2,)),
            ir.Delay(name="back", inputs=("a",), shape=(2,), steps=steps),
            _dense("in", "x", [[100, 0], [0, 100]]),
            _dense("again", "back", [[0, 2], [2, 0]]),
            fixed_lif("a", ("in", "again"), 2, vth=50),
            _dense("out", "a", [[100, 100]]),
            fixed_lif("b", ("out",), 1, vth=50),
            ir.Output(name="output", inputs=("b",), decode=Decode.SPIKE_COUNT),
        )
    )


def _run(graph: Graph, x: Any) -> Any:
    stimulus = Stimulus.of(x)
    return count_events(graph, stimulus, EmulatorTarget().build(graph).run(stimulus))


def test_events_are_those_of_the_run() -> None:
    x = np.zeros((1, 4, 2), bool)
    x[0, 0] = True
    fit = loihi1().fit(_chain(), _run(_chain(), x))
    # Both neurons spike once and so does the reader; all on one core.
    assert fit.packing.cores == 1
    assert fit.events["spikes"] == pytest.approx(3 / 4)
    assert fit.events["neuron updates"] == 3
    assert fit.events["synaptic operations"] == pytest.approx((2 + 2 + 2) / 4)
    assert fit.events["messages from the host"] == pytest.approx(2 / 4)
    assert fit.events["messages"] == pytest.approx((2 + 2) / 4)
    assert fit.fits
    assert fit.steps == 4


def test_energy_and_time_by_hand() -> None:
    events = Events(
        operations={"sparse": np.array([10.0, 0.0]), "shared": np.array([0.0, 4.0])},
        neurons=np.array([5.0, 3.0]),
        spikes=np.array([2.0, 1.0]),
        sent=np.array([3.0, 1.0]),
        received=np.array([1.0, 4.0]),
        from_host=1.0,
        hops=(2.0, 1.0),
        heaviest=2.0,
        routers=1,
        chips=1,
    )
    least, fitted = (estimate(costs, events, None) for costs in load_profile("loihi1").costs)
    assert least.dynamic_joules is not None
    assert least.dynamic_joules * 1e12 == pytest.approx(14 * 23.6 + 3 * 81 + 5 * 52 + 5 * 1.7 + 2 * 3 + 1 * 4)
    busiest = max(5 * 5.3 + 2 * 3.1 + 3 * 2.1, 10 * 3.5)
    assert least.seconds * 1e9 == pytest.approx(busiest + 113)
    assert least.static_joules[0] == pytest.approx(0.104 * least.seconds)
    assert fitted.dynamic_joules is not None
    assert fitted.dynamic_joules * 1e12 == pytest.approx(
        10 * 33.6 + 4 * 24 + 3 * (72.8 + 69.3) + 5 * 51.2 + 5 * 111 + 2 * 3 + 4.2
    )
    assert (least.confidence, fitted.confidence) == ("L", "L")
    assert "Loihi 1, estimate" in least.sentence(16)


def test_loihi_2_gives_times_only_and_says_that_they_are_inferred() -> None:
    fit = loihi2().fit(_chain(), _run(_chain(), np.ones((1, 3, 2), bool)))
    (only,) = fit.estimates
    assert only.dynamic_joules is None
    assert only.confidence == "INF"
    assert "inferred" in only.sentence(3)
    assert "no energies of this chip are public" in only.sentence(3)
    assert any("inferred" in note for note in fit.notes)


def test_a_longer_way_back_waits_in_the_synapses() -> None:
    network = chip_network(_chain(9), graded=True)
    assert {link.name: link.delay for link in network.links} == {"in": 0, "again": 8, "out": 0}
    late = _chain(100)
    for ask in (loihi2().build, lambda graph: loihi2().fit(graph, _run(graph, np.ones((1, 3, 2), bool)))):
        with pytest.raises(DoesNotFitError, match="'again' needs 99 steps of delay, there are 62"):
            ask(late)


def test_what_all_synapses_of_a_connection_wait_is_counted_once() -> None:
    """The delays of the loop are 40 to 62 steps, of which the connection takes one."""
    weights = np.full((2, 2), 64)
    nodes = (
        ir.Input(name="x", shape=(2,)),
        ir.Delay(name="wait", inputs=("a",), shape=(2,), steps=1),
        _dense("in", "x", weights),
        replace(_dense("late", "wait", weights), delays=np.array([[40, 62], [50, 41]])),
        fixed_lif("a", ("in", "late"), 2),
        ir.Output(name="o", inputs=("a",), decode=Decode.SPIKE_COUNT),
    )
    graph = Graph(nodes)
    links = chip_network(graph, graded=False).links
    assert {link.name: link.delay for link in links} == {"in": 0, "late": 62}
    assert loihi1().fit(graph, _run(graph, np.ones((1, 3, 2), bool))).fits


def test_a_float_graph_is_refused() -> None:
    with pytest.raises(TargetError, match="Intel Loihi 2 runs integers only"):
        loihi2().build(feed_forward())
    with pytest.raises(TargetError, match="Intel Loihi 2 runs integers only"):
        loihi2().fit(feed_forward(), _run(feed_forward(), np.ones((1, 3, 2), bool)))


def _pooled(side: int = 8, edge: EdgeKind = EdgeKind.SPIKE, padding: int = 0) -> Graph:
    shape, half = (2, side, side), side // 2 + padding
    scale: dict[str, Any] = {} if edge is EdgeKind.SPIKE else {"scale": 7.0, "bits": 3}

    def neurons(name: str, source: str, extent: tuple[int, int, int]) -> FixedLif:
        zeros = np.zeros(extent, np.int32)
        return FixedLif(
            name=name, inputs=(source,), du=zeros + 4095, dv=zeros, vth=zeros + 60, bias_mantissa=zeros,
            bias_exponent=zeros, scale=np.ones(extent), origin=Origin.whole(name, int(np.prod(extent))),
        )  # fmt: skip

    def kernel(name: str, source: str, targets: int, sources: int) -> ir.FixedConv2d:
        values = np.arange(1, targets * sources * 9 + 1).reshape(targets, sources, 3, 3) * 2 % 50
        return ir.FixedConv2d(
            name=name,
            inputs=(source,),
            weights=values // 2 * 2,
            exponent=0,
            sign_mode=SignMode.MIXED,
            padding=(1, 1),
        )

    return Graph(
        (
            ir.Input(name="x", shape=shape, edge=edge, **scale),
            kernel("c0", "x", 2, 2),
            neurons("a", "c0", shape),
            ir.SumPool2d(
                name="pool", inputs=("a",), kernel=(2, 2), stride=(2, 2), padding=(padding, padding)
            ),
            kernel("c1", "pool", 3, 2),
            neurons("b", "c1", (3, half, half)),
            ir.Output(name="output", inputs=("b",), decode=Decode.NONE),
        )
    )


def test_sums_are_composed_into_what_reads_them_without_graded_spikes() -> None:
    graph = _pooled()
    network = chip_network(graph, graded=False)
    assert [layer.name for layer in network.layers] == ["a", "b"]
    composed = next(link for link in network.links if link.name == "c1")
    assert composed.source == "a"
    apart = chip_network(graph, graded=True)
    assert [layer.name for layer in apart.layers] == ["a", "pool", "b"]
    pooled = next(link for link in apart.links if link.name == "c1")
    # A source pixel has the synapses of the pooled pixel that it is counted in.
    all_of_b = whole(network.layer("b"))
    expected = fan_out(pooled, all_of_b).reshape(2, 4, 4).repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(fan_out(composed, all_of_b).reshape(2, 8, 8), expected)
    x = spikes(np.random.default_rng(0), 1, 5, 2, 8, 8)
    assert loihi1().fit(graph, _run(graph, x)).fits
    assert loihi2().fit(graph, _run(graph, x)).fits


def test_overlapping_sums_need_graded_spikes() -> None:
    with pytest.raises(TargetError, match="'c1' reads sums of overlapping or padded windows"):
        loihi1().build(_pooled(padding=1))


def test_a_graded_input_is_computed_by_the_host_where_spikes_carry_nothing() -> None:
    graph = _pooled(edge=EdgeKind.GRADED)
    x = np.repeat(np.random.default_rng(0).random((2, 1, 2, 8, 8)), 4, axis=1)
    fit = loihi1().fit(graph, _run(graph, x))
    assert fit.events["biases written by the host"] == 2 * 64 / 4
    assert any("'c0'" in note and "biases" in note for note in fit.notes)
    assert "biases written by the host" not in loihi2().fit(graph, _run(graph, x)).events
    x[:, 2] += 0.3
    assert loihi1().fit(graph, _run(graph, x)).events["biases written by the host"] == 2 * 64


def test_a_trace_of_another_network_is_named() -> None:
    graph, stimulus = _chain(), Stimulus.of(np.ones((1, 3, 2), bool))
    trace = EmulatorTarget().build(graph).run(stimulus)
    lacking = type(trace)({"a": trace.spikes["a"]})
    with pytest.raises(TraceError, match="population 'b' is missing, the trace holds a") as caught:
        count_events(graph, stimulus, lacking)
    assert caught.value.node == "b"
    with pytest.raises(TraceError, match="'c' is in the trace, but not in the network"):
        count_events(graph, stimulus, type(trace)({**trace.spikes, "c": trace.spikes["a"]}))
    with pytest.raises(TraceError, match=r"'a' has shape \(1, 3, 2\), expected \(1, 2, 2\)"):
        count_events(graph, Stimulus.of(np.ones((1, 2, 2), bool)), trace)


def test_a_network_with_room_to_spare_gets_no_advice() -> None:
    network = stirred(small_vgg(), 0)
    build = compile_module(network, images(network), target="loihi2")
    fit = loihi2().fit(build.fixed_graph, _run(build.fixed_graph, build.stimulus))
    assert fit.fits
    assert not fit.advice
    assert sum(layer.cores for layer in fit.layers) == len(fit.cores)
    assert {core.chip for core in fit.cores} == {0}


def test_a_network_that_needs_more_cores_is_told_what_was_tried_and_helps(
    tmp_path: Path, repository: Path
) -> None:
    text = (repository / "targets" / "loihi" / "loihi2.toml").read_text()
    small = text.replace("cores_per_chip = { value = 120", "cores_per_chip = { value = 6")
    small = small.replace("synaptic_words = { value = 16000", "synaptic_words = { value = 200")
    (tmp_path / "small.toml").write_text(small)
    rng = np.random.default_rng(0)
    graph = Graph(
        (
            ir.Input(name="x", shape=(60,)),
            _dense("in", "x", rng.integers(-100, 100, (64, 60)) * 2),
            fixed_lif("a", ("in",), 64),
            ir.Output(name="output", inputs=("a",), decode=Decode.SPIKE_COUNT),
        )
    )
    activity = _run(graph, spikes(rng, 1, 4, 60))
    fit = loihi2().fit(graph, activity, profile=tmp_path / "small.toml")
    assert not fit.fits
    assert fit.chips_needed == -(-len(fit.cores) // 6) > 1
    bits = next(line for line in fit.advice if line.startswith("weights of"))
    assert "`weight_bits=" in bits
    pruning = next(line for line in fit.advice if line.startswith("pruning"))
    share = 1 - int(pruning.split("%")[0].split()[-1]) / 100
    chip = Chip(
        load_profile(tmp_path / "small.toml"),
        thinned(chip_network(graph, graded=True), share),
    )
    assert len(lay_in_order(chip).cores) <= 6


def test_thinning_takes_the_smallest_synapses_and_whole_channels() -> None:
    flat = thinned(chip_network(_chain(), graded=True), 0.5)
    assert {link.name: link.weights.size for link in flat.links} == {"in": 1, "again": 1, "out": 1}
    image = thinned(chip_network(_pooled(), graded=True), 0.25)
    assert [layer.shape[0] for layer in image.layers] == [1, 1, 2]
    assert next(link for link in image.links if link.name == "c1").weights.shape == (2, 1, 3, 3)


def test_sums_of_sums_need_graded_spikes() -> None:
    nodes = [
        replace(node, inputs=("again",)) if node.name == "c1" else node
        for node in _pooled(side=16)
        if node.name not in {"b", "output"}
    ]
    again = ir.SumPool2d(name="again", inputs=("pool",), kernel=(2, 2), stride=(2, 2))
    place = next(i for i, node in enumerate(nodes) if node.name == "c1")
    neurons = next(node for node in _pooled(side=8) if node.name == "b")
    output = ir.Output(name="output", inputs=("b",), decode=Decode.NONE)
    graph = Graph((*nodes[:place], again, *nodes[place:], neurons, output))
    with pytest.raises(TargetError, match="'c1' reads sums of sums \\('again' of 'pool'\\)"):
        loihi1().build(graph)
    assert [layer.name for layer in chip_network(graph, graded=True).layers][1:] == [
        "pool",
        "again",
        "b",
    ]
