"""What data teach the quantizer: moments of what neurons read, joint rounding, compensated decays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.graphs import chain, dense, feed_forward, lif, recurrent, spikes
from tests.networks import images, small_vgg
from tests.nodes import neurons_of, node_of
from toolchain import fixedpoint, ir
from toolchain.execution import reference
from toolchain.execution.rise import rises
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import find_faults
from toolchain.fidelity.metrics import compare_spikes
from toolchain.fixedpoint import SignMode
from toolchain.frontends import from_torch
from toolchain.ir import Graph, same_structure
from toolchain.ir.matrix import values_of
from toolchain.passes import Calibration, QuantizeGraph, Rounding, SplitSigns, explain_quantization
from toolchain.passes.quantization.calibration import lowest_floor
from toolchain.passes.quantization.drives import can_observe, observe_drive
from toolchain.passes.quantization.integers import decay_register
from toolchain.passes.quantization.rounding import round_together, search_together
from toolchain.passes.quantization.scales import Incoming
from toolchain.reset import Reset


def _seen(graph: Graph, x: np.ndarray) -> Calibration:
    return Calibration.observe(graph, Stimulus.of(x), reference.run(graph, x))


def test_moments_are_those_of_the_filtered_messages(rng: np.random.Generator) -> None:
    graph, x = recurrent(rng), spikes(rng, 3, 15, 6)
    trace, hidden = reference.run(graph, x), graph["hidden"]
    assert isinstance(hidden, ir.Lif)
    late = np.zeros_like(trace.spikes["hidden"])
    late[:, 1:] = trace.spikes["hidden"][:, :-1]
    read = np.concatenate([x, late], axis=2).astype(float)
    for decay in (np.median(hidden.du), np.median(hidden.dv)):
        for t in range(1, 15):
            read[:, t] += (1 - decay) * read[:, t - 1]
    flat = read.reshape(-1, read.shape[2])
    found = observe_drive(graph, hidden, Stimulus({"x": x}), trace, rng)
    assert np.allclose(found, flat.T @ flat, rtol=1e-4)


def test_moments_of_a_convolution_are_those_of_its_patches() -> None:
    network = small_vgg(1)
    graph = from_torch(network)
    x = np.repeat(images(network, 2).numpy()[:, None], 3, axis=1)
    trace = reference.run(graph, x)
    population = next(node for node in graph.populations if node.vth.ndim == 3)
    (name,) = population.inputs
    assert isinstance(population, ir.Lif)
    first = node_of(graph, name, ir.Conv2d)
    weights = first.weights.reshape(len(first.weights), -1)
    moments = observe_drive(graph, population, Stimulus({"input": x}), trace, np.random.default_rng(0))
    assert moments.shape == (weights.shape[1],) * 2
    # Integrate-and-fire without reset would reach the summed input: its power is w H w.
    source = graph.inputs[0]
    sent = fixedpoint.encode_graded(x, source.scale, source.bits)
    direct = np.zeros(len(weights))
    total = np.zeros((2, *population.vth.shape))
    for t in range(3):
        for sample in range(2):
            total[sample] += reference._convolve(
                sent[sample, t].astype(float),
                first.weights,
                first.window,
                1,
            )
        direct += (total**2).sum(axis=(0, 2, 3))
    assert np.allclose(np.einsum("ij,jk,ik->i", weights, moments, weights), direct, rtol=1e-3)


def test_what_cannot_be_observed_is_rounded_to_the_nearest(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    late = graph.map(
        lambda n: (
            replace(n, delays=np.ones(np.asarray(n.weights).shape, int))
            if isinstance(n, ir.Dense) and n.name == "encode"
            else n
        )
    )
    hidden = late["hidden"]
    assert isinstance(hidden, ir.Lif)
    assert not can_observe(late, hidden)
    assert "hidden" not in _seen(late, spikes(rng, 2, 5, 6)).drives


@given(seed=st.integers(0, 10_000), bits=st.integers(2, 8), mixed=st.booleans())
@settings(max_examples=40)
def test_joint_rounding_costs_no_more_than_the_nearest_and_takes_neighbours(
    seed: int, bits: int, mixed: bool
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(4, 9))
    weights = weights if mixed else np.abs(weights)
    weights[rng.random(weights.shape) < 0.2] = 0
    item = Incoming(weights, SignMode.MIXED if mixed else SignMode.EXCITATORY, bits)
    x = (rng.random((200, 9)) < rng.uniform(0.05, 0.9, 9)).astype(float)
    moments = x.T @ x
    scale = item.limit / np.maximum(np.abs(weights).max(axis=1), 0.1)
    (integers,), left = round_together([item], [0], scale, moments)
    nearest = fixedpoint.round_weights((weights * scale[:, None]).ravel(), item.sign_mode, bits)
    damped = moments + np.eye(9) * 0.03 * np.diag(moments).mean()

    def cost(values: np.ndarray) -> np.ndarray:
        delta = values.reshape(4, 9) / scale[:, None] - weights
        return np.einsum("ij,jk,ik->i", delta, damped, delta)

    assert np.allclose(cost(integers), left)
    assert (cost(integers) <= cost(nearest) + 1e-9).all()
    assert (np.abs(integers - (weights * scale[:, None]).ravel()) < item.step + 1e-9).all()
    assert (integers.reshape(4, 9)[weights == 0] == 0).all()
    assert np.array_equal(integers, fixedpoint.apply_weight_rule(integers, item.sign_mode, bits))


def test_the_search_finds_a_scale_of_less_error_with_whole_thresholds(rng: np.random.Generator) -> None:
    weights, threshold = rng.normal(size=(5, 12)), rng.uniform(1, 4, 5)
    item = Incoming(weights, SignMode.MIXED, 4)
    x = (rng.random((300, 12)) < 0.3).astype(float)
    ceiling = item.limit / np.abs(weights).max(axis=1)
    found = search_together([item], [0], ceiling, threshold, x.T @ x)
    units = found * threshold
    assert np.allclose(units, np.rint(units), atol=1e-6)
    assert (found <= ceiling * (1 + 1e-9)).all()
    assert (found >= ceiling / 2 - 1 / threshold).all()
    before, after = (round_together([item], [0], each, x.T @ x)[1] for each in (ceiling, found))
    assert after.sum() < before.sum()


def test_a_population_without_synapses_has_nothing_to_search() -> None:
    item = Incoming(csr_array((2, 3)), SignMode.EXCITATORY, 8)
    found = search_together([item], [0], np.ones(2), np.ones(2), np.eye(3))
    assert (found > 0).all()


@pytest.mark.parametrize("bits", [4, 3])
def test_calibrated_rounding_keeps_more_spikes_than_the_nearest(bits: int) -> None:
    """Inputs of four classes, as data have them; mean of four networks, on samples that were not seen."""
    gains: list[float] = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        graph = SplitSigns()(recurrent(rng, neurons=50, channels=30, density=0.5))
        classes = rng.random((4, 30)) ** 3
        rates = classes[rng.integers(0, 4, 50)][:, None]
        x = rng.random((50, 20, 30)) < rates
        seen, expected = _seen(graph, x[:40]), reference.run(graph, x[40:]).spikes["hidden"]
        f1: list[float] = []
        for rounding in Rounding:
            fixed = QuantizeGraph(weight_bits=bits, rounding=rounding, calibration=seen, steps=20)(graph)
            f1.append(compare_spikes(expected, reference.run(fixed, x[40:]).spikes["hidden"]).f1)
            assert list(find_faults(graph, fixed)) == []
        gains.append(f1[1] - f1[0])
    assert np.mean(gains) > 0.01


def test_a_feature_map_is_calibrated_too() -> None:
    network = small_vgg(1)
    graph = from_torch(network)
    frames = np.repeat(images(network, 6).numpy()[:, None], 4, axis=1)
    seen = _seen(graph, frames[:4])
    both = [QuantizeGraph(weight_bits=4, rounding=r, calibration=seen, steps=4)(graph) for r in Rounding]
    changed = sum(
        int((values_of(a.weights) != values_of(b.weights)).sum())
        for a, b in zip(both[0].synapses, both[1].synapses, strict=True)
        if isinstance(a, ir.FixedConv2d)
    )
    assert changed > 0
    assert list(find_faults(graph, both[1])) == []


def test_decays_make_up_for_truncation() -> None:
    """A small state that random input keeps near a magnitude stays nearer to the real one."""
    lost = np.array([_mean_errors(seed) for seed in range(20)])
    # Without: half a unit a step, for 1 / d steps. With: what is left of the twelve bits.
    assert (lost[:, 0] > 0.25).all()
    assert (lost[:, 1] < lost[:, 0]).all()
    assert lost[:, 1].mean() < 0.5 * lost[:, 0].mean()


def _mean_errors(seed: int) -> list[float]:
    """What truncation costs on average, in units of a time constant: without and with compensation."""
    rng = np.random.default_rng(seed)
    wanted, steps = rng.uniform(0.01, 0.1), 3000
    size = rng.uniform(6, 12) / wanted
    fed = rng.poisson(wanted * size, steps)
    errors: list[float] = []
    for known in (None, np.array([size])):
        register = decay_register(np.array([wanted]), known, least=0)
        state, real, seen = np.array([round(size)], np.int32), size, np.zeros(steps)
        for t, add in enumerate(fed):
            state = (fixedpoint.decay(state, register) + np.int32(add)).astype(np.int32)
            real = real * (1 - wanted) + add
            seen[t] = state[0] - real
        errors.append(abs(float(seen.mean())) * wanted)
    return errors


def test_decays_stay_nearest_where_nothing_is_lost_or_known() -> None:
    decays = np.array([0.0, 0.25, 1.0, 0.3])
    assert decay_register(decays, None, least=0).tolist() == [0, 1024, 4096, 1229]
    sizes = np.array([50.0, 1e9, 50.0, 0.0])
    assert decay_register(decays, sizes, least=0).tolist() == [0, 1024, 4096, 1229]
    assert decay_register(decays, np.full(4, 50.0), least=1)[0] == 1
    assert decay_register(np.array([0.05]), np.array([50.0]), least=0)[0] == 205
    assert decay_register(np.array([0.05]), np.array([90.0]), least=0)[0] < 205


def test_a_slow_neuron_of_small_numbers_counts_right_only_with_compensation() -> None:
    """Eight bits, a threshold of a few units: without it the leak is doubled, so it fires too seldom."""
    neurons = lif("p", ("w",), 2, vth=[30.0, 7500.0], dv=0.02)
    graph, x = chain(dense("w", "x", [[1.0], [250.0]]), neurons), np.ones((1, 2000, 1), bool)
    fixed = QuantizeGraph(per_neuron=False, steps=2000, rounding=Rounding.NEAREST)(graph)
    helped = QuantizeGraph(per_neuron=False, steps=2000, calibration=_seen(graph, x))(graph)
    counts = [reference.run(each, x).spikes["p"].sum(axis=1)[0, 0] for each in (graph, fixed, helped)]
    assert node_of(helped, "p", ir.FixedLif).dv[0] <= neurons_of(fixed, "p").dv[0]
    assert abs(counts[2] - counts[0]) <= abs(counts[1] - counts[0])


def test_bits_are_given_per_connection_and_to_both_halves(rng: np.random.Generator) -> None:
    graph = SplitSigns()(recurrent(rng))
    fixed = QuantizeGraph(weight_bits={"encode": 3, "decode.inhibitory": 5, "*": 6})(graph)
    bits = {node.name: node.weight_bits for node in fixed.synapses if isinstance(node, ir.FixedDense)}
    assert bits["encode.excitatory"] == bits["encode.inhibitory"] == 3
    assert bits["decode.inhibitory"] == 5
    assert bits["decode.excitatory"] == bits["recur.excitatory"] == 6
    rest = QuantizeGraph(weight_bits={"encode": 2})(graph)
    assert {n.weight_bits for n in rest.synapses if isinstance(n, ir.FixedDense)} == {2, 8}


@pytest.mark.parametrize("profiles", [None, 4])
def test_kept_integers_stay_whatever_the_range_demands(
    rng: np.random.Generator, profiles: int | None
) -> None:
    """Another scale would round the weights to other integers than those that were trained."""
    graph, x = recurrent(rng), spikes(rng, 4, 60, 6, rate=0.2)
    graph = graph.map(lambda node: replace(node, dv=node.dv / 200) if isinstance(node, ir.Lif) else node)
    options: dict[str, Any] = {"weight_bits": 5, "rounding": Rounding.NEAREST, "threshold_profiles": profiles}
    fixed = QuantizeGraph(**options, calibration=_seen(graph, x))(graph)
    wider = _seen(graph, np.ones((1, 400, 6), bool))
    again = QuantizeGraph(**options, keep=fixed, calibration=wider)(graph)
    assert same_structure(again, fixed)
    fresh = QuantizeGraph(**options, calibration=wider)(graph)
    assert not same_structure(fresh, fixed)
    rows = [
        explain_quantization(graph, fixed, calibration=each).populations["readout"]
        for each in (_seen(graph, x), wider)
    ]
    assert rows[0].head_room is None
    assert rows[1].head_room is not None
    assert rows[1].head_room < 2


def _held(population: ir.Lif, drive: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Potentials and spikes of neurons whose potential is held at a floor, `[batch, time, N]`."""
    state, potentials, spikes = reference.rest(population), [], []
    state = state._replace(v=np.zeros(drive[:, 0].shape))
    for t in range(drive.shape[1]):
        pushed = np.maximum(drive[:, t], floor - (1 - population.dv) * state.v)
        state, fired = reference.advance_reals(state, pushed, population)
        potentials.append(state.v)
        spikes.append(fired)
    return np.stack(potentials, axis=1), np.stack(spikes, axis=1)


def _firing(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """What a spike does, in the model's units: every combination of the optional fields."""
    reset = Reset(rng.choice([each.value for each in Reset]))
    fields: dict[str, Any] = {"reset": reset}
    if reset.has_amount:
        fields["reset_amount"] = rng.uniform(0 if reset is Reset.SUBTRACT else -2, 2, size)
    if reset is Reset.SUBTRACT and rng.random() < 0.5:
        fields |= {"reset_amount": rng.uniform(0.1, 2, size), "max_spikes": int(rng.choice([2, 15]))}
    if rng.random() < 0.4:
        fields["refractory"] = rng.integers(0, 4, size)
    if rng.random() < 0.5:
        decay = rng.choice([0.01, 0.3, 1.0], size)
        fields |= {"adaptation": rng.uniform(0, 1.5, size), "adaptation_decay": decay}
    return fields


@given(
    seed=st.integers(0, 10_000),
    steps=st.integers(1, 60),
    push=st.floats(-1.5, 1.5),
    leak=st.sampled_from([0.0, 0.001, 0.1, 0.6, 1.0]),
    plain=st.booleans(),
)
@settings(max_examples=100)
def test_a_potential_held_at_its_floor_fires_as_a_free_one_and_a_higher_floor_does_not(
    seed: int, steps: int, push: float, leak: float, *, plain: bool
) -> None:
    rng = np.random.default_rng(seed)
    firing = {} if plain else _firing(rng, 7)
    dv = leak * rng.choice([0.5, 1.0], 7)
    population = lif("p", ("x",), 7, dv=dv, vth=rng.uniform(0.2, 4.0, 7), **firing)
    drive = rng.normal(size=(3, steps, 7)) + push * rng.normal(size=7)
    v, spikes = _held(population, drive, np.full(7, -np.inf))
    lowest = np.minimum(v.min(axis=(0, 1)), 0)
    floor = lowest_floor(population, v, spikes, rises(population, spikes), lowest)
    assert (floor <= 0).all()
    assert (floor >= lowest).all()
    assert np.array_equal(_held(population, drive, floor)[1], spikes)
    if plain:
        higher = _held(population, drive, floor * (1 - 1e-4))[1]
        assert ((higher != spikes).any(axis=(0, 1)) == (floor < 0)).all()


def test_a_neuron_that_only_falls_keeps_its_scale_however_long() -> None:
    """Its register would have to hold the sum of all steps; but no spike depends on how far it falls."""
    graph = feed_forward().map(
        lambda node: (
            replace(node, dv=np.zeros(3)) if isinstance(node, ir.Lif) and node.name == "hidden" else node
        )
    )
    scales: list[np.ndarray] = []
    for steps in (8, 2000):
        x = np.tile(np.array([[0.0, 1.0], [1.0, 0.0]])[:, None], (1, steps, 1)) > 0
        fixed = QuantizeGraph(calibration=_seen(graph, x), steps=steps)(graph)
        hidden = fixed["hidden"]
        assert isinstance(hidden, ir.FixedLif)
        scales.append(hidden.scale)
        real, whole = (reference.run(each, x).spikes["hidden"] for each in (graph, fixed))
        assert np.array_equal(real, whole)
    assert np.array_equal(scales[0], scales[1])


def test_a_leak_bounds_how_far_a_potential_falls_and_needs_no_floor(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    x = spikes(rng, 3, 15, 6)
    seen, trace, hidden = _seen(graph, x), reference.run(graph, x), graph["hidden"]
    assert isinstance(hidden, ir.Lif)
    assert (hidden.dv > 0).all()
    assert np.array_equal(seen.v_low["hidden"], np.minimum(trace.v["hidden"].min(axis=(0, 1)), 0))
