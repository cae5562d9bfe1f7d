"""Float graphs on the CPU: real numbers equal the reference bit for bit, and to rounding on tensors."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.session import CompiledSession
from targets.emulator.compiled.synapses import Rows
from targets.emulator.compiled.vectors import REGISTER_BLOCKS
from targets.emulator.compiled.weight_blocks import WeightBlocks
from targets.emulator.compiled.workspace import Workspace
from targets.emulator.program import EmulatorProgram
from tests.exactness import check_apart, check_blocks, check_session
from tests.graphs import dense, lif, recurrent, spikes, varied
from tests.image_graphs import ImageRecipe, image_recipes, random_images, random_stimuli_of_pictures
from tests.random_graphs import Recipe, firing_reals, random_fixed, random_stimuli, wide_recipes
from tests.real_graphs import check_close, in_reals, uneven
from toolchain import ir
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Decode, Graph, Window, print_graph

_LOOPED = Recipe(1, (5, 4), 3, recurrent=True, feedback=True, synaptic_delays=True, biased=True)


def _check_equal(graph: Graph, stimuli: Mapping[str, NDArray[Any]] | NDArray[Any]) -> None:
    got = EmulatorProgram(graph, "cpu").run(stimuli, record=QUANTITIES)
    mismatch = first_mismatch(reference.run(graph, stimuli), got)
    assert mismatch is None, f"{mismatch}\n{print_graph(graph)}"


@given(recipe=wide_recipes, longest=st.sampled_from([0, 4]), seed=st.integers(0, 99))
@settings(max_examples=40)
@example(recipe=_LOOPED, longest=0, seed=0)
@example(recipe=replace(_LOOPED, firing=True, graded=True, inputs=2), longest=3, seed=1)
def test_they_equal_the_reference_bit_for_bit_however_samples_and_steps_are_cut(
    recipe: Recipe, longest: int, seed: int
) -> None:
    graph = uneven(in_reals(random_fixed(recipe)), np.random.default_rng(seed), longest)
    note(print_graph(graph))
    stimuli = random_stimuli(recipe, 3, 9)
    expected, program = reference.run(graph, stimuli), EmulatorProgram(graph, "cpu")
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)
    session = CompiledSession(CompiledNetwork.of(graph), 3, 9)
    for _ in range(2):
        check_blocks(session, graph, stimuli, expected, [4, 1, 3])
        session.reset()


@given(recipe=image_recipes, longest=st.sampled_from([0, 3]), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_so_do_those_of_images(recipe: ImageRecipe, longest: int, seed: int) -> None:
    graph = uneven(in_reals(random_images(recipe)), np.random.default_rng(seed), longest)
    _check_equal(graph, random_stimuli_of_pictures(recipe, 2, 5))


def test_every_neuron_of_real_numbers_equals_the_reference() -> None:
    several = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph, x = recurrent(rng), spikes(rng, 2, 30, 6)
        if seed % 2:
            graph, x = varied(graph, rng), rng.normal(size=(2, 30, 6))
        graph = firing_reals(graph, rng)
        _check_equal(graph, x)
        several += max(int(values.max()) > 1 for values in reference.run(graph, x).spikes.values())
    assert several > 2


@given(recipe=wide_recipes)
@settings(max_examples=20)
def test_tensors_as_on_a_gpu_differ_by_the_order_of_summation_only(recipe: Recipe) -> None:
    """Weights are whole numbers of one unit, so that no spike hangs on a rounding."""
    graph, stimuli = in_reals(random_fixed(recipe)), random_stimuli(recipe, 2, 8)
    note(print_graph(graph))
    got = EmulatorProgram(graph, "cpu", tensors=True).run(stimuli, record=QUANTITIES)
    check_close(reference.run(graph, stimuli), got)


@given(recipe=image_recipes)
@settings(max_examples=10)
def test_so_do_tensors_of_images(recipe: ImageRecipe) -> None:
    graph, stimuli = in_reals(random_images(recipe)), random_stimuli_of_pictures(recipe, 2, 4)
    got = EmulatorProgram(graph, "cpu", tensors=True).run(stimuli, record=QUANTITIES)
    check_close(reference.run(graph, stimuli), got)


@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 40)),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    kind=st.sampled_from([np.uint8, np.int32, np.float64]),
    sparse=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_and_single_weights_add_sources_in_their_order(
    shape: tuple[int, int], share: float, kind: type[np.generic], sparse: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=shape) * (rng.random(shape) < share)
    x = (rng.normal(size=(9, shape[1])) * 3 * (rng.random((9, shape[1])) < 0.6)).astype(kind)
    binary = kind is np.uint8 and bool(rng.integers(2))
    x = np.minimum(x, 1) if binary else x
    largest = 1 if binary else 255
    expected = np.zeros((9, shape[0]))
    for source in range(shape[1]):
        expected = expected + weights[:, source] * x[:, source, None].astype(np.float64)
    rows = Rows(csr_array(weights) if sparse else weights, 0, largest, kind is not np.float64)
    workspace: Workspace = Workspace()
    adders: tuple[Callable[..., None], ...] = (
        rows.add_listed,
        lambda x, out: rows.add_blocks(x, out, workspace),
    )
    for add in adders:
        out = np.ones((9, shape[0]))
        add(x, out)
        assert np.array_equal(out, expected + 1)


@pytest.mark.parametrize("rate", [0, 0.003, 0.03, 0.3, 1])
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", [np.uint8, np.float64])
@pytest.mark.parametrize(
    "window",
    [
        Window((5, 3), (2, 1), (2, 0)),
        Window((3, 3), (1, 2), (1, 2), (2, 1)),
        Window((2, 4), (3, 3), (0, 3), (1, 2)),
    ],
)
def test_few_spikes_are_sent_and_many_are_gathered_in_the_order_of_the_kernel(
    window: Window, kind: type[np.generic], channels: int, rate: float, rng: np.random.Generator
) -> None:
    size, targets = (12, 10), 11
    sent = rng.random((6, *size, channels)) < rate
    x = sent.astype(kind) if kind is np.uint8 else rng.normal(size=sent.shape) * sent
    weights = rng.normal(size=(targets, channels, *window.kernel))
    geometry = (*window.kernel, *window.stride, *window.padding, *window.dilation)
    blocks = WeightBlocks.of(weights, 1, geometry, largest=1, counts=kind is np.uint8)
    expected = np.zeros((6, *window.positions(size), targets))
    for k, patch in enumerate(window.patches(np.moveaxis(x, -1, 1).astype(np.float64))):
        for channel in range(channels):
            weight = weights.reshape(targets, channels, -1)[:, channel, k]
            expected = expected + patch[:, channel, ..., None] * weight
    got = blocks.product(x, window.positions(size), Workspace())
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("targets", [1, *REGISTER_BLOCKS, 10, 33, 64, 72])
def test_blocks_of_every_width_reach_all_targets(targets: int, rng: np.random.Generator) -> None:
    graph = _joined(rng, 12, targets, order=("w",))
    _check_equal(graph, rng.random((3, 8, 12)) < 0.4)


@pytest.mark.parametrize(
    "order", [("w", "r"), ("r", "w"), ("w", "r", "more"), ("r", "w", "more"), ("w", "more", "r")]
)
def test_a_loop_adds_its_connections_in_the_order_of_the_graph(
    order: tuple[str, ...], rng: np.random.Generator
) -> None:
    """From outside first, last, or on both sides."""
    graph = _joined(rng, 9, 12, order=order)
    assert CompiledNetwork.of(graph).loops
    _check_equal(graph, rng.random((3, 30, 9)) < 0.4)


def test_connections_from_outside_between_those_of_a_loop_are_added_there(rng: np.random.Generator) -> None:
    graph = _joined(rng, 9, 12, order=("r", "w", "again"))
    assert not CompiledNetwork.of(graph).loops
    _check_equal(graph, rng.random((3, 30, 9)) < 0.4)


def _joined(rng: np.random.Generator, channels: int, size: int, *, order: tuple[str, ...]) -> Graph:
    """One population that reads the input and itself, in a given order."""
    inner = rng.normal(size=(size, size)) * 0.3
    nodes = {
        "w": dense("w", "x", rng.normal(size=(size, channels))),
        "more": dense("more", "x", rng.normal(size=(size, channels))),
        "r": dense("r", "late", inner, delays=rng.integers(0, 3, inner.shape)),
        "again": dense("again", "late", csr_array(inner * (rng.random(inner.shape) < 0.5))),
    }
    return Graph(
        (
            ir.Input(name="x", shape=(channels,)),
            ir.Delay(name="late", inputs=("p",), shape=(size,), steps=1),
            *(nodes[name] for name in order),
            lif("p", order, size, du=0.7, dv=0.1, vth=rng.uniform(0.5, 1.5, size)),
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )
