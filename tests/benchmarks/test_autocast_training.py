"""What learns in the comparison of precisions is what it says, and its means are means of pairs."""

import numpy as np
import pytest
import torch

from tests.benchmarks.autocast_training import TASKS, TimedUpdates, interval, recurrent, summary
from tests.small_run import recurrent_of
from toolchain.models import Network
from toolchain.training import Autocast
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.prepare import load_data
from toolchain.workflow.untrained import untrained_network


def test_the_recurrent_network_has_the_form_of_that_of_the_demo() -> None:
    experiment = Experiment()
    demo = recurrent_of(untrained_network(experiment, load_data(experiment)))
    ours = recurrent(0).network
    assert isinstance(ours, Network)
    assert (ours.readout, ours.dt_ms, ours.connections) == (demo.readout, demo.dt_ms, demo.connections)
    synapses = [[int((p != 0).sum()) for p in each.synapses.parameters()] for each in (ours, demo)]
    assert synapses[0] == pytest.approx(synapses[1], rel=0.01)
    for name in demo.layers:
        one, other = ours.layer(name), demo.layer(name)
        assert (one.size, one.slope, one.reset) == (other.size, other.slope, other.reset)
    assert torch.equal(ours.layer("readout").dynamics.keep_v, demo.layer("readout").dynamics.keep_v)


def test_the_difference_is_paired_over_seeds() -> None:
    rows = [
        {"network": name, "autocast": each.value, "seed": seed, "accuracy": 90.0 + 2 * seed - (each is half)}
        for name in TASKS
        for half in [Autocast.BFLOAT16]
        for each in Autocast
        for seed in (2, 0, 1)
    ]
    for row in summary(rows).values():
        assert row["accuracies"]["off"] == [90.0, 92.0, 94.0]
        assert row["means"]["bfloat16"][0] == 91.0
        assert row["change"] == (-1.0, 0.0)


def test_the_interval_is_that_of_student() -> None:
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302652729911275 / np.sqrt(3))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_timed_updates_leave_the_weights(name: str) -> None:
    task = TASKS[name](0)
    before = [each.detach().clone() for each in task.network.parameters()]
    TimedUpdates(task, Autocast.BFLOAT16, 4, "cpu").update()
    for one, other in zip(before, task.network.parameters(), strict=True):
        assert torch.equal(one, other)
