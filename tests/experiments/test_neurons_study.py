"""The variants of the study of neurons differ in their neurons only."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def study(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("neurons_study")


def test_all_variants_of_a_seed_begin_with_the_same_weights_and_rheobases(study: ModuleType) -> None:
    for task in study.TASKS.values():
        plain = study.build(task, study.REFERENCE, 3)
        rheobase = plain.layer("hidden").vth * plain.layer("hidden").dv
        for variant in study.VARIANTS:
            network = study.build(task, variant, 3)
            for name, synapses in plain.synapses.items():
                assert torch.equal(network.synapses[name].effective, synapses.effective)
            hidden = network.layer("hidden")
            assert torch.equal(hidden.bias, plain.layer("hidden").bias)
            assert torch.allclose(hidden.vth * hidden.dv, rheobase)


def test_one_time_constant_is_the_mean_of_the_drawn_ones(study: ModuleType) -> None:
    task = study.TASKS["sequential digits"]
    same = study.time_constants(study.build(task, "homogeneous", 0))
    assert same == pytest.approx(task.shape.tau_mean_ms)


def test_seeds_differ(study: ModuleType) -> None:
    task = study.TASKS["Lorenz63"]
    first, second = (study.build(task, "LIF", seed).synapses["recur"].effective for seed in (0, 1))
    assert not torch.equal(first, second)
