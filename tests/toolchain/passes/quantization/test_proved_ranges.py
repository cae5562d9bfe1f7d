"""What is proved of currents, potentials and thresholds, against inputs that are as bad as can be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.graphs import chain, fixed_dense, fixed_lif
from tests.nodes import node_of
from tests.random_graphs import random_firing
from toolchain import fixedpoint, ir
from toolchain.execution import reference
from toolchain.fixedpoint import SignMode, round_weights
from toolchain.ir import Graph
from toolchain.passes.quantization.ranges import prove_bounds
from toolchain.reset import Reset

_CHANNELS = 5
_LIMIT = fixedpoint.STATE_LIMIT - 1


def _population(seed: int) -> Graph:
    """Three neurons of any kind, of weights that no register is too small for."""
    rng = np.random.default_rng(seed)
    weights = round_weights(rng.normal(size=(3, _CHANNELS)) * 100, SignMode.MIXED, 8)
    firing = random_firing(rng, 3)
    for name in ("reset_amount", "adaptation"):
        if name in firing:
            # Of the size of thresholds, so that subtraction and adaptation decide what is reached.
            firing[name] = np.sign(firing[name]) * (1 + np.abs(firing[name]) % 30_000)
    neurons = fixed_lif(
        "p",
        ("w",),
        3,
        du=4095 - rng.integers(0, int(rng.choice([1, 4096])), 3),
        dv=rng.integers(0, int(rng.choice([1, 300, 4096])), 3),
        vth=rng.integers(0, 600, 3),
        bias_mantissa=rng.integers(-4095, 4096, 3) * rng.integers(0, 2, 3),
        **firing,
    )
    return chain(fixed_dense("w", "x", weights), neurons, shape=(_CHANNELS,))


def _worst_inputs(graph: Graph, steps: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """For every neuron: all that excites, all that inhibits, one after the other, and both at random."""
    weights = np.asarray(node_of(graph, "w", ir.FixedDense).weights)
    samples: list[NDArray[np.bool_]] = []
    for row in weights:
        turn = rng.integers(0, steps + 1)
        for first, second in ((row > 0, row > 0), (row < 0, row < 0), (row > 0, row < 0), (row < 0, row > 0)):
            samples.append(np.where(np.arange(steps)[:, None] < turn, first, second))
        blocks = np.repeat(rng.random(steps) < 0.5, 4)[:steps]
        samples.append(np.where(blocks[:, None], row > 0, row < 0))
    samples.append(rng.random((steps, _CHANNELS)) < 0.5)
    return np.stack(samples)


def _endless(graph: Graph, x: NDArray[np.bool_]) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Largest magnitudes in registers without end, and the spikes there; `x` is `[batch, time, channels]`."""
    node = node_of(graph, "p", ir.FixedLif)
    weights = np.asarray(node_of(graph, "w", ir.FixedDense).weights).astype(np.int64)
    fields = {name: values.astype(np.int64) for name, values in node.per_neuron.items() if name != "scale"}
    u = v = wait = rise = np.zeros((len(x), node.vth.size), np.int64)
    largest: dict[str, NDArray[Any]] = dict.fromkeys(
        ("current", "low", "high", "rise"), np.zeros(node.vth.size)
    )
    spikes: list[NDArray[Any]] = []

    def kept(value: NDArray[np.int64], decay: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.sign(value) * (np.abs(value) * (4096 - decay) >> 12)

    for t in range(x.shape[1]):
        u = kept(u, fields["du"] + 1) + (x[:, t] @ weights.T << 6)
        v = np.where(wait == 0, kept(v, fields["dv"]) + u + node.bias, v)
        over = v - (fields["vth"] << 6) - rise
        # A refractory neuron is not compared: it keeps what a spike has set, which the register holds.
        now = {"current": np.abs(u), "low": -v, "high": np.where(wait == 0, v, 0), "rise": rise}
        count = ((wait == 0) & (over > 0)).astype(np.int64)
        if node.max_spikes > 1:
            count *= np.minimum((over - 1) // fields["reset_amount"] + 1, node.max_spikes)
        match node.reset:
            case Reset.ZERO:
                v = np.where(count > 0, 0, v)
            case Reset.VALUE:
                v = np.where(count > 0, fields["reset_amount"], v)
            case Reset.SUBTRACT:
                v = v - count * fields["reset_amount"]
            case Reset.NONE:
                pass
        wait = np.where(count > 0, fields.get("refractory", 0), np.maximum(wait - 1, 0))
        if node.adaptation is not None:
            rise = kept(rise, fields["adaptation_decay"]) + fields["adaptation"] * count
        now["low"] = np.maximum(now["low"], -v)
        largest = {name: np.maximum(most, now[name].max(axis=0)) for name, most in largest.items()}
        spikes.append(count)
    return largest, np.stack(spikes, axis=1)


@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 60), known=st.booleans())
@example(seed=194329039, steps=2, known=False)
@settings(max_examples=40)
def test_no_input_exceeds_what_is_proved_and_what_fits_needs_no_larger_register(
    seed: int, steps: int, *, known: bool
) -> None:
    graph = _population(seed)
    node = node_of(graph, "p", ir.FixedLif)
    bounds = prove_bounds(graph, node, steps if known else None)
    x = _worst_inputs(graph, steps, np.random.default_rng(seed))
    largest, spikes = _endless(graph, x)
    for name, most in largest.items():
        assert (most <= getattr(bounds, name)).all(), name
    fits = (bounds.reach(node.reset, readout=False) <= _LIMIT) & (bounds.current <= _LIMIT)
    fits &= bounds.rise <= _LIMIT
    got = reference.run(graph, x, record=("spikes",)).spikes["p"]
    assert np.array_equal(got[..., fits], spikes[..., fits])


@pytest.mark.parametrize("max_spikes", [1, 3])
@pytest.mark.parametrize("reset", list(Reset))
@pytest.mark.parametrize("dv", [0, 40, 2000])
def test_a_constant_drive_reaches_half_of_what_is_proved(reset: Reset, dv: int, max_spikes: int) -> None:
    """Whatever fires is above its threshold and above its drive: their sum is at most twice the larger."""
    if max_spikes > 1 and reset is not Reset.SUBTRACT:
        return
    for seed in range(4):
        rng = np.random.default_rng(seed)
        graph, steps = _population(seed), int(rng.integers(20, 300))
        amounts = rng.integers(1, 12_000, 3) if reset.has_amount else None
        node = replace(
            node_of(graph, "p", ir.FixedLif),
            dv=np.full(3, dv),
            du=np.full(3, 4095),
            bias_mantissa=np.zeros(3),
            reset=reset,
            reset_amount=amounts,
            adaptation=None,
            adaptation_decay=None,
            refractory=None,
            max_spikes=max_spikes,
        )
        graph = graph.map(lambda each, node=node: node if each.name == "p" else each)
        bounds = prove_bounds(graph, node, steps)
        row = np.asarray(node_of(graph, "w", ir.FixedDense).weights) > 0
        x = np.repeat(row[:, None], steps, axis=1)
        largest, spikes = _endless(graph, x)
        fired = spikes.any(axis=(0, 1))
        # What rounding toward zero takes: at most one unit a step.
        lost = min(steps, 4096 / max(dv, 1)) if dv else 0
        assert (2 * (largest["high"] + lost) >= bounds.high)[fired].all()


def test_subtraction_without_leak_is_proved_for_any_time_if_spikes_take_what_a_step_brings() -> None:
    weights = fixed_dense("w", "x", [[100], [100]], sign_mode=SignMode.EXCITATORY)
    amounts = [100 << 6, (100 << 6) - 1]
    node = fixed_lif("p", ("w",), 2, dv=0, vth=200, reset=Reset.SUBTRACT, reset_amount=amounts)
    graph = chain(weights, node)
    bounds = prove_bounds(graph, node, None)
    assert bounds.high.tolist() == [300 << 6, np.inf]
    assert bounds.low.tolist() == [0, 0]
    largest, _ = _endless(graph, np.ones((1, 400, 1), bool))
    # It fires from the third step on, and one unit more is left every time.
    assert largest["high"].tolist() == [300 << 6, (300 << 6) + 397]


def test_a_negative_exponent_rounds_down_once_for_every_delay_of_a_neuron() -> None:
    """Each sum of a delay is rounded down by itself, so that three small weights may cost three units."""
    weights = np.array([[-2, -2, -2], [-2, -2, 0], [0, 0, 0]])
    delays = np.array([[0, 1, 2], [3, 3, 0], [0, 0, 0]])
    dense = fixed_dense("w", "x", weights, exponent=-8, sign_mode=SignMode.INHIBITORY, delays=delays)
    graph = chain(dense, fixed_lif("p", ("w",), 3), shape=(3,))
    bounds = prove_bounds(graph, node_of(graph, "p", ir.FixedLif), None)
    u = reference.run(graph, np.ones((1, 4, 3), bool), record=("u",)).u["p"]
    most = np.abs(u).max(axis=(0, 1))
    assert most.tolist() == [3 << 6, 1 << 6, 0]
    assert (bounds.current >= most).all()
    assert (bounds.current < most + (1 << 6)).all()


def test_a_threshold_that_forgets_at_once_has_a_bound_where_a_potential_has_none() -> None:
    weights = fixed_dense("w", "x", [[100]], sign_mode=SignMode.EXCITATORY)
    node = fixed_lif("p", ("w",), 1, dv=0, vth=200, adaptation=500, adaptation_decay=4096)
    bounds = prove_bounds(chain(weights, node), node, None)
    assert bounds.free.tolist() == [np.inf]
    assert bounds.rise.tolist() == [500]
    assert bounds.threshold.tolist() == [(200 << 6) + 500]
