"""Samples that follow one another: nothing of one reaches the next, however short they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from targets.lava import program as lava_program
from targets.lava.answers import HEARTBEAT
from targets.lava.job import write_job
from targets.lava.plan import plan_processes
from targets.lava.runner import run_job
from targets.lava.runtime.documents import LavaNetwork, LavaRun
from targets.lava.runtime.jobs import LavaJob
from targets.lava.runtime.models import Models
from targets.lava.settings import Limits
from targets.lava.target import LavaTarget
from tests.exactness import check_alone, check_samples_on_lava
from tests.graphs import fixed_lif, recurrent, varied
from tests.image_graphs import ImageRecipe, random_images, wide_image_recipes
from tests.random_graphs import Recipe, random_fixed, random_recipe, random_stimuli, wide_recipes
from toolchain import ir
from toolchain.errors import SimulationError
from toolchain.execution import reference
from toolchain.execution.stimulus import fit_stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.fixedpoint import SignMode
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, print_graph
from toolchain.passes import FoldDelays
from toolchain.progress import Progress

pytestmark = pytest.mark.slow


def _waiting(steps: int, delays: NDArray[np.int64] | None = None) -> Graph:
    """A graded input that is read late, through one synapse or through some of several delays."""
    sources = 1 if delays is None else delays.shape[1]
    nodes: list[AnyNode] = [
        ir.Input(name="x", shape=(sources,), edge=EdgeKind.GRADED, scale=1.0, bits=8),
        ir.Delay(name="wait", inputs=("x",), shape=(sources,), edge=EdgeKind.GRADED, steps=steps),
        ir.FixedDense(
            name="w",
            inputs=("wait",),
            weights=np.full((1, sources), 62),
            exponent=0,
            sign_mode=SignMode.MIXED,
            delays=delays,
        ),
        fixed_lif("p", ("w",), 1, vth=2**17 - 1),
        ir.Output(name="o", inputs=("p",), decode=Decode.LAST_V),
    ]
    return Graph(tuple(nodes))


@pytest.mark.parametrize("models", Models)
def test_what_the_end_of_a_sample_sends_does_not_arrive_in_the_next(models: Models) -> None:
    """A delay of three steps, samples of three: all that the first one sends is late for it."""
    graph, x = _waiting(3), np.full((2, 3, 1), -64.0)
    trace = LavaTarget(models=models).build(graph).run(x, record=QUANTITIES)
    assert not trace.u["p"].any()


@pytest.mark.parametrize("models", Models)
def test_a_sample_may_be_shorter_than_the_time_that_its_input_waits(models: Models) -> None:
    graph, x = _waiting(3), np.ones((2, 1, 1))
    trace = LavaTarget(models=models).build(graph).run(x, record=QUANTITIES)
    assert not trace.u["p"].any()


def test_synapses_of_several_delays_do_not_mix_samples_that_are_longer_than_they() -> None:
    graph = _waiting(0, np.arange(5)[None])
    x = np.random.default_rng(0).uniform(-99, 99, (3, 15, 5))
    trace = LavaTarget(models=Models.STOCK).build(graph).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None


def _make(recipe: Recipe) -> tuple[Graph, dict[str, NDArray[Any]]]:
    return random_fixed(recipe), random_stimuli(recipe, 2, 2)


@pytest.mark.parametrize("models", Models)
def test_samples_shorter_than_the_delays_do_what_they_do_alone(models: Models) -> None:
    """Biases, feedback, several inputs and delays of 4 steps, in samples of 2."""
    # Seeds whose graphs would have the same windows alone, so that one simulation can hold them.
    recipes = [random_recipe(np.random.default_rng(seed)) for seed in (63, 92, 117, 161, 204)]
    assert {plan_processes(random_fixed(recipe)).network.gap for recipe in recipes} == {4}
    check_samples_on_lava(recipes, _make, models)


@pytest.mark.parametrize("models", Models)
def test_delays_per_neuron_keep_samples_of_real_numbers_apart(
    rng: np.random.Generator, models: Models
) -> None:
    graph, x = FoldDelays()(varied(recurrent(rng), rng)), rng.normal(size=(2, 3, 6))
    program = LavaTarget(models=models).build(graph)
    assert program.plan.network.gap > 3
    expected, got = reference.run(graph, x), program.run(x, record=QUANTITIES)
    for key, values in expected.by_key().items():
        assert np.abs(values.astype(float) - got.by_key()[key]).max() <= 1e-9
    check_alone(program, graph, {"x": x}, got, 1)


@pytest.mark.parametrize("models", Models)
def test_a_run_that_is_resumed_between_samples_that_touch_ends_with_the_same_integers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Models
) -> None:
    graph, x = _waiting(3), np.random.default_rng(0).uniform(-99, 99, (3, 4, 1))
    program = LavaTarget(models=models).build(graph).resume_in(tmp_path)

    def end_after_one(job: LavaJob, limits: Limits, progress: Progress) -> None:
        run_job(job, limits, progress)
        beats, windows = np.load(job.folder / HEARTBEAT, mmap_mode="r+"), job.windows
        beats[:, 0] = windows.total - (windows.samples - 1) * windows.period + 1
        raise SimulationError("the end", process="p", step=0)

    with monkeypatch.context() as patch:
        patch.setattr(lava_program, "run_job", end_after_one)
        with pytest.raises(SimulationError, match="the end") as caught:
            program.run(x, record=QUANTITIES)
    assert "1 of 3 samples were finished" in caught.value.__notes__
    trace = program.run(x, record=QUANTITIES)
    assert trace.u["p"].any()
    assert first_mismatch(reference.run(graph, x), trace) is None


def _arrivals(network: LavaNetwork, period: int, steps: int) -> dict[tuple[str, str], tuple[int, int]]:
    """Per connection, when the last message of a sample arrives and when its target opens for the next."""
    sends = {item.name: item.offset + item.wait for item in network.sources}
    opens = {item.name: item.offset for item in (*network.populations, *network.adders)}
    sends |= opens
    return {(x.name, x.target): (sends[x.source] + steps, opens[x.target] + period) for x in network.links}


def _check_gap(graph: Graph, steps: int) -> None:
    note(print_graph(graph))
    network = plan_processes(graph).network
    assert network.gap <= graph.largest_delay()
    period = LavaRun(Models.MIXED, 2, steps).windows(network).period
    spare = [opens - last for last, opens in _arrivals(network, period, steps).values()]
    assert all(steps > 0 for steps in spare)
    # Were it a step shorter, something would arrive too late, unless nothing ever waits.
    assert 1 in spare or network.gap == 0


@given(recipe=wide_recipes, steps=st.integers(1, 9))
@settings(max_examples=40)
def test_the_last_message_arrives_before_its_target_opens_for_the_next_sample(
    recipe: Recipe, steps: int
) -> None:
    _check_gap(random_fixed(recipe), steps)


@given(recipe=wide_image_recipes, steps=st.integers(1, 9))
@settings(max_examples=20)
def test_so_it_does_among_images(recipe: ImageRecipe, steps: int) -> None:
    _check_gap(random_images(recipe), steps)


@given(recipe=wide_recipes, steps=st.integers(1, 6))
@settings(max_examples=25)
def test_a_simulation_of_one_sample_is_sent_that_sample_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, steps: int
) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, 3, steps)
    plan, batch = plan_processes(graph), tmp_path_factory.mktemp("batch")
    together = write_job(batch, plan, fit_stimulus(graph, stimuli), {}, Models.STOCK)
    for i in range(3):
        alone = tmp_path_factory.mktemp("alone")
        part = {name: x[i : i + 1] for name, x in stimuli.items()}
        single = write_job(alone, plan, fit_stimulus(graph, part), {}, Models.STOCK)
        for source in range(len(plan.network.sources)):
            expected = np.load(single.source_path(source))[0]
            assert np.array_equal(np.load(together.source_path(source))[i], expected)
