"""What is timed against one another learns the same: else a ratio of times would say nothing."""

import pytest
import torch

from tests.benchmarks.training import differences, peak_memory, ratio_of
from tests.benchmarks.training_peers import LEARNERS, installed_learners
from tests.benchmarks.training_problem import HIDDEN_RATE, Problem, Scale

# PyTorch warns that its CSR is young, and other libraries of their own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")

_SMALL = Scale(neurons=60, density=0.2, input_density=0.2, steps=25, batch=8)


@pytest.mark.parametrize("scale", [_SMALL, Scale(40, 0.6, 1.0, 25, 8)], ids=["sparse", "dense"])
def test_every_library_computes_the_gradients_of_the_reference(scale: Scale) -> None:
    for name, parts in differences(Problem.of(scale), installed_learners()).items():
        for part, difference in parts.items():
            assert difference < 1e-5, f"{name}: {part}"


def test_the_neurons_of_a_problem_spike_as_often_as_it_says() -> None:
    assert Problem.of(_SMALL).rate == pytest.approx(HIDDEN_RATE, rel=0.1)


@pytest.mark.parametrize("name", installed_learners())
def test_an_update_moves_the_synapses_that_exist_and_no_other(name: str) -> None:
    problem = Problem.of(_SMALL)
    learner = LEARNERS[name](problem)
    before = [each.detach().clone() for each in learner.module.parameters()]
    learner.update()
    moved = [bool((a != b).any()) for a, b in zip(before, learner.module.parameters(), strict=True)]
    assert sum(moved) >= 3
    gradients = learner.gradients()
    assert not bool((gradients["recur"] * (problem.recur == 0)).any())


@pytest.mark.slow  # two processes, each with all that trains
def test_memory_grows_with_the_batch() -> None:
    torch.set_num_threads(1)
    few, many = (peak_memory("PyTorch", Scale(200, 0.1, 0.2, 50, batch)) for batch in (8, 64))
    assert many > 2 * few > 0


def test_a_ratio_has_its_interval() -> None:
    median, low, high = ratio_of([2.0, 2.2, 2.1, 1.9, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert median == 2.0
    assert 1.9 <= low <= median <= high <= 2.2
