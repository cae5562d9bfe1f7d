"""Fixed graphs on the CPU: every way to compute a sum gives the same integers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.emulator.integers import byte_kernels, convolutions, events, synapses
from targets.emulator.integers.byte_kernels import Geometry, as_bytes
from targets.emulator.integers.events import LoopPlan
from targets.emulator.integers.loops import advance_neurons
from targets.emulator.integers.network import Network
from targets.emulator.integers.streams import enter, leave
from targets.emulator.integers.synapses import Rows
from targets.emulator.target import EmulatorTarget
from tests.exactness import check_equal
from tests.graphs import Recipe, feed_forward, fixed_lif, random_fixed, random_stimulus, recipes
from tests.image_graphs import ImageRecipe, image_recipes, random_images, random_pictures
from toolchain import fixedpoint, reference
from toolchain.errors import VerifyError
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Delay, FixedDense, Graph, Input, Output, print_graph

_LOOPED = Recipe(1, (5, 4), 3, recurrent=True, feedback=True, synaptic_delays=True, biased=True, extreme=True)
int32 = st.integers(-(2**31), 2**31 - 1)


@given(
    state=hnp.arrays(np.int32, 6, elements=int32),
    v=hnp.arrays(np.int32, 6, elements=st.integers(-(2**23) + 1, 2**23 - 1)),
    a=hnp.arrays(np.int32, (3, 1, 6), elements=int32),
    du=hnp.arrays(np.int32, 6, elements=st.integers(0, 4095)),
    dv=hnp.arrays(np.int32, 6, elements=st.integers(0, 4095)),
    vth=hnp.arrays(np.int32, 6, elements=st.integers(0, 2**17 - 1)),
    bias=hnp.arrays(np.int32, 6, elements=st.integers(-(2**19), 2**19)),
)
@example(
    state=np.full(6, -(2**31), np.int32),
    v=np.zeros(6, np.int32),
    a=np.zeros((3, 1, 6), np.int32),
    du=np.zeros(6, np.int32),
    dv=np.zeros(6, np.int32),
    vth=np.ones(6, np.int32),
    bias=np.zeros(6, np.int32),
)
def test_neurons_equal_the_rules_on_all_of_int32(
    state: NDArray[Any],
    v: NDArray[Any],
    a: NDArray[Any],
    du: NDArray[Any],
    dv: NDArray[Any],
    vth: NDArray[Any],
    bias: NDArray[Any],
) -> None:
    u, w = state.copy()[None], v.copy()[None]
    fired = np.zeros(a.shape, np.uint8)
    kept_u, kept_v = np.zeros(a.shape, np.int32), np.zeros(a.shape, np.int32)
    parameters = (4095 - du, 4096 - dv, vth << 6, bias)
    advance_neurons(a, 1, u, w, *parameters, False, fired, kept_u, kept_v)
    for t in range(len(a)):
        state, v, spikes = fixedpoint.lif_step(state, v, a[t, 0], du=du, dv=dv, vth=vth, bias=bias)
        assert np.array_equal(kept_u[t, 0], state)
        assert np.array_equal(kept_v[t, 0], v)
        assert np.array_equal(fired[t, 0] > 0, spikes)


@given(data=st.data())
def test_events_and_products_are_equal(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 40)))
    even = data.draw(st.booleans())
    share = data.draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    largest = data.draw(st.sampled_from([1, 9, 127]))
    exponent = data.draw(st.integers(-8, 7))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    weights = rng.integers(-127, 128, shape) * 2 if even else rng.integers(0, 256, shape)
    weights = (weights * (rng.random(shape) < share)).astype(np.int32)
    matrix = csr_array(weights) if data.draw(st.booleans()) else weights
    x = (rng.integers(0, largest + 1, (4, shape[1])) * (rng.random((4, shape[1])) < 0.5)).astype(np.uint8)
    expected = fixedpoint.shift(x.astype(np.int64) @ weights.T.astype(np.int64), exponent)
    rows = Rows.of(matrix, exponent, largest)
    for way in (_by_events, rows._add_product, rows._add_messages):
        out = np.ones((4, shape[0]), np.int32)
        way(rows, x, out) if way is _by_events else way(x, out)
        assert np.array_equal(out, expected + 1), way


def _by_events(rows: Rows, x: NDArray[Any], out: NDArray[Any]) -> None:
    dense, counts = rows.dense, rows.largest > 1
    synapses.add_events(x, out, dense, rows.indptr, rows.indices, rows.weights, rows.right, counts)


def test_few_spikes_are_events_and_many_a_product(rng: np.random.Generator) -> None:
    weights = csr_array((rng.random((512, 512)) < 0.1) * rng.integers(-127, 128, (512, 512)) * 2)
    rows = Rows.of(weights, 0, 1)
    few, many = ((rng.random((64, 512)) < rate).astype(np.uint8) for rate in (0.01, 0.9))
    assert not rows._prefers_product(few)
    assert rows._prefers_product(many)


def test_many_samples_with_many_spikes_run_in_lanes(rng: np.random.Generator) -> None:
    graph = random_fixed(Recipe(1, (200,), 3, recurrent=True))
    (plan,) = Network.of(graph).loops.values()
    busy = np.ones((plan.span, 32, 200), np.uint8)
    assert plan.prefers_lanes(busy)
    assert not plan.prefers_lanes(busy[:, :1])
    assert not plan.prefers_lanes((rng.random(busy.shape) < 0.001).astype(np.uint8))


@pytest.mark.parametrize("samples", [9, 32, 33, 64])
@given(recipe=recipes)
@settings(max_examples=8)
@example(recipe=_LOOPED)
def test_lanes_equal_the_reference(samples: int, recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    note(print_graph(graph))
    stimulus = random_stimulus(recipe, samples, steps=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoopPlan, "prefers_lanes", lambda plan, _: plan.by_target is not None)
        check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


def test_a_run_may_change_between_events_and_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    stimulus, turns = random_stimulus(_LOOPED, 20, steps=30), iter([True, False] * 100)
    graph = random_fixed(_LOOPED)
    expected = reference.run(graph, stimulus)
    monkeypatch.setattr(events, "_FIRST_LOOK", 3)
    monkeypatch.setattr(events, "_LOOK_EVERY", 3)
    monkeypatch.setattr(LoopPlan, "prefers_lanes", lambda *_: next(turns))
    check_equal(graph, expected, EmulatorTarget(), stimulus)


def test_sums_that_leave_sixteen_bits_are_not_run_in_lanes() -> None:
    neurons = 200
    weights = np.full((neurons, neurons), 255, np.int32)
    graph = Graph(
        (
            Input(name="x", shape=(neurons,)),
            FixedDense(name="w", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.EXCITATORY),
            Delay(name="d", inputs=("p",), shape=(neurons,)),
            FixedDense(name="r", inputs=("d",), weights=weights, exponent=0, sign_mode=SignMode.EXCITATORY),
            fixed_lif("p", ("w", "r"), neurons),
            Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    (plan,) = Network.of(graph).loops.values()
    assert plan.by_target is None
    stimulus = np.ones((16, 5, neurons), bool)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@given(recipe=image_recipes)
@settings(max_examples=20)
def test_convolutions_in_floating_point_are_as_exact(recipe: ImageRecipe) -> None:
    """A PyTorch without oneDNN's int8 convolution loses speed, not integers."""
    graph, stimulus = random_images(recipe), random_pictures(recipe, samples=2, steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolutions, "pack_convolution", lambda *_: None)
        check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


def test_a_shape_on_which_onednn_is_wrong_is_computed_otherwise() -> None:
    """Found by a random graph: one column of sums, a horizontal stride of 2, and several images."""
    recipe = ImageRecipe(seed=3, layers=2, channels=1, size=(4, 8), grouped=True, strided=True, pooled=True)
    graph, stimulus = random_images(recipe), random_pictures(recipe, samples=2, steps=6)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


def test_kernels_that_are_wrong_or_missing_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry, shapes = Geometry((1, 1), (1, 1), (1, 1), 1), ((2, 3, 5, 5), (4, 3, 3, 3))
    for name in ("convolves_exactly", "multiplies_exactly"):
        monkeypatch.setattr(byte_kernels, name, getattr(byte_kernels, name).__wrapped__)
    assert byte_kernels.convolves_exactly(*shapes, geometry, 1)
    assert byte_kernels.multiplies_exactly(5, 8, 3, 1)
    pack, multiply = byte_kernels.pack_convolution, byte_kernels.multiply_bytes
    monkeypatch.setattr(byte_kernels, "pack_convolution", lambda *a: _off_by_one(pack(*a)))
    monkeypatch.setattr(byte_kernels, "multiply_bytes", _off_by_one(multiply))
    assert not byte_kernels.convolves_exactly(*shapes, geometry, 1)
    assert not byte_kernels.multiplies_exactly(5, 8, 3, 1)
    monkeypatch.undo()
    monkeypatch.setattr(byte_kernels, "_CONVOLUTIONS", object())
    monkeypatch.setattr(byte_kernels, "_PRODUCTS", object())
    assert not byte_kernels.convolves_exactly.__wrapped__(*shapes, geometry, 1)
    assert not byte_kernels.multiplies_exactly.__wrapped__(5, 8, 3, 1)


def _off_by_one(kernel: Any) -> Any:
    return lambda *arguments: kernel(*arguments) + 1


def test_a_picture_that_stays_is_convolved_once(rng: np.random.Generator) -> None:
    recipe = ImageRecipe(3, 2, 2, graded=True, skip=True, biased=True, feedback=True)
    graph = random_images(recipe)
    stimulus = np.repeat(random_pictures(recipe, samples=3, steps=1), 6, axis=1)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@given(
    shape=st.tuples(
        st.integers(1, 3),
        st.integers(1, 3),
        st.sampled_from([1, 3, 8, 16]),
        st.sampled_from([(2, 4), (3, 3)]),
    ),
    dtype=st.sampled_from([np.uint8, np.int32]),
)
def test_pictures_leave_as_they_entered(shape: tuple[Any, ...], dtype: type[np.generic]) -> None:
    batch, steps, channels, size = shape
    x = np.random.default_rng(0).integers(0, 100, (batch, steps, channels, *size)).astype(dtype)
    rows = np.zeros((steps, batch, channels * size[0] * size[1]), dtype)
    enter(x, (channels, *size), rows)
    assert np.array_equal(rows[0, 0].reshape(*size, channels), np.moveaxis(x[0, 0], 0, -1))
    assert np.array_equal(leave(rows, (channels, *size)), x)


@given(
    weights=hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(-300, 300))
)
def test_bytes_times_their_factor_are_the_weights(weights: NDArray[Any]) -> None:
    held = as_bytes(weights)
    if held is None:
        assert np.abs(weights).max() > 127
    else:
        assert np.array_equal(held[0].astype(np.int32) * held[1], weights)


def test_an_empty_sparse_connection_with_delays_sends_nothing() -> None:
    """Neither weights nor delays stored: found by a random graph."""
    recipe = Recipe(seed=23067, sizes=(1,), channels=1, synaptic_delays=True, sparse=True)
    graph, stimulus = random_fixed(recipe), random_stimulus(recipe, 2, 5)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


def test_a_float_graph_is_refused() -> None:
    with pytest.raises(VerifyError, match="runs integers"):
        Network.of(feed_forward())
