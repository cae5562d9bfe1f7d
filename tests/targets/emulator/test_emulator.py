"""The emulator as a target: floats as the reference, sessions, cut batches, cores, memory, tensors."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, note, settings

from targets.emulator import program
from targets.emulator.program import EmulatorProgram
from targets.emulator.target import EmulatorTarget
from targets.emulator.tensors import kernels
from tests.exactness import check_equal
from tests.graphs import feed_forward, fixed_lif
from tests.image_graphs import ImageRecipe, image_recipes, random_images, random_pictures
from tests.random_graphs import Recipe, random_fixed, random_stimulus, recipes
from tests.targets import conformance
from toolchain import ir
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph, print_graph
from toolchain.target.records import empty_records


@given(recipe=recipes)
@settings(max_examples=30)
def test_tensors_as_on_a_gpu_give_the_same_integers(recipe: Recipe) -> None:
    graph, stimulus = random_fixed(recipe), random_stimulus(recipe, samples=3, steps=8)
    note(print_graph(graph))
    got = EmulatorProgram(graph, "cpu", tensors=True).run(stimulus, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, stimulus), got) is None


@given(recipe=image_recipes)
@settings(max_examples=20)
def test_tensors_as_on_a_gpu_give_the_same_integers_on_images(recipe: ImageRecipe) -> None:
    graph, stimulus = random_images(recipe), random_pictures(recipe, samples=2, steps=4)
    note(print_graph(graph))
    got = EmulatorProgram(graph, "cpu", tensors=True).run(stimulus, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, stimulus), got) is None


@pytest.mark.parametrize("tensors", [False, True])
def test_a_session_stepped_by_hand_does_what_a_run_does(tensors: bool) -> None:
    graph, x = conformance.graph(), conformance.stimulus()
    built = EmulatorProgram(graph, "cpu", tensors=tensors)
    expected = built.run(x)
    session = built.session(batch=3)
    for _ in range(2):
        for t in range(x.shape[1]):
            fired = session.step({"x": x[:, t]})
            assert np.array_equal(fired["p1"], expected.spikes["p1"][:, t])
        session.reset()


@pytest.mark.parametrize("tensors", [False, True])
def test_a_stimulus_that_does_not_fit_the_memory_is_cut(
    monkeypatch: pytest.MonkeyPatch, tensors: bool
) -> None:
    graph, x = conformance.graph(), conformance.stimulus(samples=7)
    make = partial(EmulatorProgram, graph, "cpu", tensors=tensors)
    whole = make().run(x, record=QUANTITIES)
    monkeypatch.setattr(program, "_MEMORY_BYTES", 1)
    reported: list[int] = []
    cut = make().run(x, record=QUANTITIES, progress=lambda done, _: reported.append(done))
    assert reported == [1, 2, 3, 4, 5, 6, 7]
    assert first_mismatch(whole, cut) is None


def test_batches_of_reals_on_tensors_depend_on_the_steps_alone_and_record_no_more_than_there_is_room() -> (
    None
):
    real = EmulatorProgram(feed_forward(), "cpu", tensors=True)
    for steps in (1, 10, 1_000, 1_000_000):
        batch = real.batch_size(steps)
        assert batch == real.cut(1, steps).samples == real.cut(10**6, steps).samples
        assert 9 * 5 * steps * batch <= program._BATCH_RECORD_BYTES
    for graph in (conformance.graph(), feed_forward()):
        assert EmulatorProgram(graph, "cpu").batch_size(10) == 1


@pytest.mark.parametrize("bytes_near", [1, 100, 10_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_and_cores_change_nothing(
    monkeypatch: pytest.MonkeyPatch, bytes_near: int, threads: int
) -> None:
    """State, delays and what is in flight pass from block to block, whatever their length."""
    recipe = Recipe(5, (4, 3), 3, *[True] * 9)
    graph, x = random_fixed(recipe), random_stimulus(recipe, 11, 25)
    before = torch.get_num_threads()
    monkeypatch.setattr(program, "_CACHE_BYTES", bytes_near)
    monkeypatch.setattr(program.torch, "get_num_threads", lambda: threads)
    check_equal(graph, reference.run(graph, x), EmulatorTarget(), x)
    monkeypatch.undo()
    torch.set_num_threads(before)


def test_the_threads_of_pytorch_are_given_back() -> None:
    before = torch.get_num_threads()
    EmulatorTarget().build(conformance.graph()).run(conformance.stimulus(samples=9))
    assert torch.get_num_threads() == before


def test_a_large_batch_on_a_large_network_is_cut_into_small_blocks() -> None:
    """A million neurons, ten thousand samples: what runs at once stays within the planned memory."""
    neurons = 10**6
    graph = Graph(
        (
            ir.Input(name="x", shape=(1,)),
            ir.FixedDense(
                name="w",
                inputs=("x",),
                weights=np.ones((neurons, 1), np.int32),
                exponent=0,
                sign_mode=SignMode.EXCITATORY,
            ),
            fixed_lif("p", ("w",), neurons),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    cut = EmulatorProgram(graph, "cpu").cut(10_000, 100)
    assert cut.samples * cut.steps * neurons * 4 <= 2**24


def test_records_of_a_long_run_on_tensors_do_not_pile_up_on_the_device() -> None:
    """Found by reading: all steps of a batch were kept there until its end."""
    built = EmulatorProgram(feed_forward(), "cpu", tensors=True)
    cut = built.cut(1000, 10_000)
    assert cut.steps < 10
    x = np.random.default_rng(0).random((2, 2 * cut.steps + 1, 2)) < 0.5
    expected = reference.run(feed_forward(), x)
    got = built.run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9


def test_records_that_no_memory_could_hold_are_refused_before_they_are_made() -> None:
    x = np.broadcast_to(np.ones((1, 1, 4), bool), (10**6, 10**6, 4))
    with pytest.raises(TargetError, match="need .* GiB, this machine has .*: run fewer samples at a time"):
        empty_records(conformance.graph(), Stimulus({"x": x}), ("spikes",))


def test_memory_that_runs_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    built = EmulatorTarget().build(conformance.graph())
    monkeypatch.setattr(EmulatorProgram, "_session", fail)
    with pytest.raises(TargetError, match="ran out of memory with 1 samples"):
        built.run(conformance.stimulus(samples=1))


def test_a_large_sparse_matrix_is_multiplied_sparsely_on_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = conformance.graph(), conformance.stimulus()
    monkeypatch.setattr(kernels, "_DENSE_ELEMENTS", 0)
    trace = EmulatorProgram(graph, "cpu", tensors=True).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None


@pytest.mark.parametrize("tensors", [False, True])
def test_sums_beyond_single_precision_stay_exact(tensors: bool) -> None:
    """Odd weights and 20-bit messages: a sum above 2^24 that float32 could not hold."""
    weights = np.array([[255, 1]], dtype=np.int32)
    graph = Graph(
        (
            ir.Input(name="x", shape=(2,), edge=EdgeKind.GRADED, scale=1.0, bits=20),
            ir.FixedDense(
                name="w", inputs=("x",), weights=weights, exponent=-8, sign_mode=SignMode.EXCITATORY
            ),
            fixed_lif("p", ("w",), 1, vth=2**17 - 1),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    x = np.array([[[2**20 - 1, 1.0], [2**20 - 1, 2.0], [2**20 - 3, 255.0]]])
    trace = EmulatorProgram(graph, "cpu", tensors=tensors).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None


def test_potentials_of_a_read_out_are_kept_unasked() -> None:
    trace = EmulatorTarget().build(feed_forward()).run(np.ones((1, 3, 2)))
    assert set(trace.v) == {"readout"}


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.torch.cuda, "is_available", lambda: False)
    with pytest.raises(TargetUnavailableError, match="no CUDA device"):
        EmulatorTarget("cuda").build(feed_forward())
