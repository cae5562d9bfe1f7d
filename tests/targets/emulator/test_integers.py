"""Fixed graphs on the CPU: every way to compute a sum gives the same integers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.emulator.compiled import events
from targets.emulator.compiled.events import LoopPlan
from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.spike_lists import ImageMessages
from targets.emulator.compiled.streams import enter, leave
from targets.emulator.compiled.synapses import Rows
from targets.emulator.compiled.weight_blocks import POINT, WeightBlocks
from targets.emulator.compiled.window_sums import sum_rows
from targets.emulator.compiled.workspace import Workspace
from targets.emulator.target import EmulatorTarget
from tests.exactness import check_equal
from tests.graphs import fixed_lif
from tests.image_graphs import ImageRecipe, random_images, random_pictures
from tests.random_graphs import Recipe, random_fixed, random_stimulus, recipes
from toolchain import fixedpoint, ir
from toolchain.execution import reference
from toolchain.fixedpoint import SignMode, round_weights
from toolchain.ir import Decode, Graph, Window, print_graph

_LOOPED = Recipe(1, (5, 4), 3, recurrent=True, feedback=True, synaptic_delays=True, biased=True, extreme=True)
_MIXED = replace(_LOOPED, seed=42, firing=True)
"""Adaptive neurons and plain ones in one loop."""


@given(data=st.data())
def test_events_blocks_and_messages_are_equal(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 40)))
    even = data.draw(st.booleans())
    share = data.draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    largest = data.draw(st.sampled_from([1, 9, 127]))
    exponent = data.draw(st.integers(-8, 7))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    weights = rng.integers(-128, 128, shape) * 2 if even else rng.integers(-255, 256, shape)
    weights = (weights * (rng.random(shape) < share)).astype(np.int32)
    matrix = csr_array(weights) if data.draw(st.booleans()) else weights
    x = (rng.integers(0, largest + 1, (4, shape[1])) * (rng.random((4, shape[1])) < 0.5)).astype(np.uint8)
    expected = fixedpoint.shift(x.astype(np.int64) @ weights.T.astype(np.int64), exponent)
    rows, workspace = Rows(matrix, exponent, largest), Workspace()
    for add in (rows.add_events, rows.add_messages, lambda x, out: rows.add_blocks(x, out, workspace)):
        out = np.ones((4, shape[0]), np.int32)
        add(x, out)
        assert np.array_equal(out, expected + 1), add


def test_few_synapses_are_listed_and_many_stand_in_blocks() -> None:
    assert not Rows(csr_array(np.eye(512, dtype=np.int32)), 0, 1).prefers_blocks
    assert Rows(np.ones((512, 512), np.int32), 0, 1).prefers_blocks
    # A row of one target would be mostly empty.
    assert not Rows(np.ones((1, 512), np.int32), 0, 1).prefers_blocks


def test_many_samples_with_many_spikes_run_in_lanes(rng: np.random.Generator) -> None:
    graph = random_fixed(Recipe(1, (200,), 3, recurrent=True))
    (plan,) = CompiledNetwork.of(graph).loops.values()
    busy = np.ones((plan.span, 32, 200), np.uint8)
    assert plan.prefers_lanes(busy)
    assert not plan.prefers_lanes(busy[:, :1])
    assert not plan.prefers_lanes((rng.random(busy.shape) < 0.001).astype(np.uint8))


@pytest.mark.parametrize("samples", [9, 32, 33, 64])
@given(recipe=recipes)
@settings(max_examples=8)
@example(recipe=_LOOPED)
@example(recipe=_MIXED)
def test_lanes_equal_the_reference(samples: int, recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    note(print_graph(graph))
    stimulus = random_stimulus(recipe, samples, steps=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoopPlan, "prefers_lanes", lambda plan, _: plan.by_target is not None)
        check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@pytest.mark.parametrize("recipe", [_LOOPED, _MIXED])
def test_a_run_may_change_between_events_and_lanes(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    stimulus, turns = random_stimulus(recipe, 20, steps=30), iter([True, False] * 100)
    graph = random_fixed(recipe)
    expected = reference.run(graph, stimulus)
    monkeypatch.setattr(events, "_FIRST_BLOCK", 3)
    monkeypatch.setattr(events, "_BLOCK", 3)
    monkeypatch.setattr(LoopPlan, "prefers_lanes", lambda *_: next(turns))
    check_equal(graph, expected, EmulatorTarget(), stimulus)


def test_sums_that_leave_sixteen_bits_are_not_run_in_lanes() -> None:
    neurons = 200
    weights = np.full((neurons, neurons), 255, np.int32)
    graph = Graph(
        (
            ir.Input(name="x", shape=(neurons,)),
            ir.FixedDense(
                name="w", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.EXCITATORY
            ),
            ir.Delay(name="d", inputs=("p",), shape=(neurons,)),
            ir.FixedDense(
                name="r", inputs=("d",), weights=weights, exponent=0, sign_mode=SignMode.EXCITATORY
            ),
            fixed_lif("p", ("w", "r"), neurons),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    (plan,) = CompiledNetwork.of(graph).loops.values()
    assert plan.by_target is None
    stimulus = np.ones((16, 5, neurons), bool)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    [
        # An operator of a library ended the process here.
        ((2, 3, 1), (2, 2, 1, 1), (1, 1), (0, 1), (1, 2)),
        # And here it gave wrong sums for spikes, after right ones for random bytes.
        ((1, 5, 3), (2, 1, 3, 3), (1, 2), (1, 0), (1, 1)),
        ((1, 8, 6), (1, 1, 4, 5), (1, 2), (0, 0), (2, 1)),
    ],
)
def test_shapes_on_which_a_library_failed_are_exact(
    size: tuple[int, int, int],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    weights = round_weights(rng.integers(-254, 255, kernel).astype(float), SignMode.MIXED, 8)
    convolution = ir.FixedConv2d(
        name="c", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.MIXED,
        stride=stride, padding=padding, dilation=dilation,
    )  # fmt: skip
    shape = (kernel[0], *convolution.window.positions((size[1], size[2])))
    neurons = fixed_lif("p", ("c",), int(np.prod(shape)))
    fields = ("du", "dv", "vth", "bias_mantissa", "bias_exponent", "scale")
    graph = Graph(
        (
            ir.Input(name="x", shape=size),
            convolution,
            replace(neurons, **{field: getattr(neurons, field).reshape(shape) for field in fields}),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    for rate in (0.2, 0.5, 1.0):
        stimulus = rng.random((3, 5, *size)) < rate
        check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, ...], Window]:
    """An image and any kernel that fits at least once."""
    axes = [
        draw(
            st.tuples(
                st.integers(1, 13), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3)
            )
        )
        for _ in range(2)
    ]
    size, kernel, stride, padding, dilation = zip(*axes, strict=True)
    window = Window(kernel, stride, padding, dilation)
    assume(min(window.positions(size)) >= 1)
    return size, window


@given(windows=windows(), data=st.data())
@settings(max_examples=150)
def test_sums_of_windows_are_exact_modulo_32_bits(
    windows: tuple[tuple[int, int], Window], data: st.DataObject
) -> None:
    """Spikes, counts and messages; weights of one byte and of two; all channels, and groups of them."""
    size, window = windows
    groups, inner, outer = (data.draw(st.integers(1, n)) for n in (7, 9, 70))
    kind = data.draw(st.sampled_from(["spikes", "counts", "messages"]))
    # Few spikes are sent to the positions that they reach, many are gathered by them.
    rate = data.draw(st.sampled_from([0.01, 0.05]) | st.floats(0, 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    extreme = data.draw(st.booleans())
    shape = (groups * outer, inner, *window.kernel)
    weights = rng.choice([-255, 255], shape) if extreme else rng.integers(-128, 128, shape) * 2
    images = (3, *size, groups * inner)
    largest = {"spikes": 1, "counts": data.draw(st.integers(2, 255)), "messages": 2**24 - 1}[kind]
    x = rng.integers(-largest if kind == "messages" else 0, largest + 1, images) * (rng.random(images) < rate)
    x = x.astype(np.int32 if kind == "messages" else np.uint8)
    geometry = (*window.kernel, *window.stride, *window.padding, *window.dilation)
    blocks = WeightBlocks.of(
        weights.astype(np.int32), groups, geometry, largest=largest, counts=kind != "messages"
    )
    with ThreadPoolExecutor(2) as pool:
        for workspace in (Workspace(), Workspace(pool, 2)):
            got = blocks.product(x, window.positions(size), workspace)
            assert np.array_equal(got * np.int32(blocks.gain), _convolved(x, weights, window, groups))


def _convolved(x: NDArray[Any], weights: NDArray[Any], window: Window, groups: int) -> NDArray[np.int32]:
    """The sum of every window, taken slowly in 64 bits and reduced to 32."""
    sources = np.moveaxis(x.astype(np.int64), -1, 1).reshape(len(x), groups, -1, *x.shape[1:3])
    kernels = weights.astype(np.int64).reshape(groups, -1, weights.shape[1], window.area)
    patches = window.patches(sources)
    parts = [np.einsum("ngiyx,goi->nyxgo", patch, kernels[..., k]) for k, patch in enumerate(patches)]
    total = np.sum(parts, axis=0)
    return total.reshape(*total.shape[:3], -1).astype(np.int32)


@pytest.mark.parametrize("weight", [-256, -255, 127, 254, 255])
@pytest.mark.parametrize("sources", [127, 128, 129, 255, 256, 257, 1000])
def test_sums_that_leave_sixteen_bits_move_on_in_time(weight: int, sources: int) -> None:
    """Every spike that may come, and weights as large as they may be, around the number of rows that fits."""
    blocks = WeightBlocks.of(np.full((65, sources, 1, 1), weight, np.int32), 1, POINT, largest=1, counts=True)
    for spikes in (sources - 1, sources):
        x = (np.arange(sources) < spikes).astype(np.uint8)[None, None, None]
        got = blocks.product(x, (1, 1), Workspace()) * blocks.gain
        assert (got == weight * spikes).all()
        # The same through the general loop, over an image of two pixels.
        wide = WeightBlocks.of(
            np.full((65, sources, 1, 2), weight, np.int32),
            1,
            (1, 2, 1, 1, 0, 0, 1, 1),
            largest=1,
            counts=True,
        )
        assert (
            wide.product(np.repeat(x, 2, axis=2), (1, 1), Workspace()) * wide.gain == 2 * weight * spikes
        ).all()


@pytest.mark.parametrize(
    ("channels", "groups"), [(128, 2), (192, 3), (128, 128), (65, 65), (130, 5), (64, 64)]
)
def test_groups_of_a_point_over_a_point_read_their_own_channels(
    channels: int, groups: int, rng: np.random.Generator
) -> None:
    """They look like a dense connection, but blocks of targets read different sources."""
    weights = rng.integers(-127, 128, (channels, channels // groups, 1, 1)).astype(np.int32) * 2
    blocks = WeightBlocks.of(weights, groups, POINT, largest=1, counts=True)
    x = (rng.random((7, 1, 1, channels)) < 0.5).astype(np.uint8)
    got = blocks.product(x, (1, 1), Workspace()) * np.int32(blocks.gain)
    assert np.array_equal(got, _convolved(x, weights, Window((1, 1)), groups))


def test_threads_share_the_blocks_of_one_sample(rng: np.random.Generator) -> None:
    recipe = ImageRecipe(4, 2, 8, (9, 9), pooled=True, biased=True)
    graph, stimulus = random_images(recipe), random_pictures(recipe, 1, 12)
    expected = reference.run(graph, stimulus)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            check_equal(graph, expected, EmulatorTarget(), stimulus)
    finally:
        torch.set_num_threads(threads)


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
    out = np.zeros_like(x)
    leave(rows, (channels, *size), out)
    assert np.array_equal(out, x)


def test_an_empty_sparse_connection_with_delays_sends_nothing() -> None:
    """Neither weights nor delays stored: found by a random graph."""
    recipe = Recipe(seed=23067, sizes=(1,), channels=1, synaptic_delays=True, sparse=True)
    graph, stimulus = random_fixed(recipe), random_stimulus(recipe, 2, 5)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@pytest.mark.parametrize("targets", [33, 63, 64, 65])
@pytest.mark.parametrize(("largest", "counts"), [(1, True), (9, True), (300, False)])
def test_sums_of_a_dense_connection_are_written_nowhere_else(
    targets: int, largest: int, *, counts: bool, rng: np.random.Generator
) -> None:
    weights = 2 * rng.integers(-127, 128, (targets, 5, 1, 1), np.int32)
    blocks = WeightBlocks.of(weights, 1, POINT, largest=largest, counts=counts)
    for images in (1, 3, 8, 9):
        values = rng.integers(0 if counts else -largest, largest + 1, (images, 1, 1, 5))
        values = values.astype(np.uint8 if counts else np.int32)
        around = np.full((images + 9, targets), 77, np.int32)
        messages = ImageMessages(values, np.zeros((images, 0, 0, 0), np.uint64))
        sum_rows(messages, blocks.weights, around[:images])
        expected = values.reshape(images, 5).astype(np.int64) @ weights.reshape(targets, 5).T
        assert np.array_equal(around[:images] * blocks.gain, expected)
        assert (around[images:] == 77).all()
