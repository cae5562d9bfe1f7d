"""The penalty on rates and operations: what it adds, and that networks then do less."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.small_training import OPTIONS, interrupt_after, small_network, small_task
from toolchain.errors import ArgumentError, TrainingError
from toolchain.models import INPUT, VggShape, build_vgg
from toolchain.pruning import SparseMethod, SparseOptions, SparseTraining
from toolchain.training import ActivityPenalty, Callback, FitOptions, fit
from toolchain.training.operations import operations


def _operations_after(*callbacks: Callback) -> tuple[float, float]:
    """Return the operations of a sample, and the mean rate of the hidden neurons."""
    network = small_network()
    inputs, labels = small_task(np.random.default_rng(0))
    fit(network, inputs, labels, OPTIONS, seed=0, callbacks=callbacks)
    x = torch.from_numpy(inputs).float()
    with torch.inference_mode():
        spikes = network(x).spikes
        done = operations(network, {next(iter(network.inputs)): x}, spikes)
    return float(done["recur"] + done["decode"]), float(spikes["hidden"].mean())


def test_networks_that_pay_for_spikes_send_fewer() -> None:
    free, free_rate = _operations_after(ActivityPenalty())
    assert (free, free_rate) == _operations_after()
    assert _operations_after(ActivityPenalty(operation=0.1))[0] < 0.9 * free
    assert _operations_after(ActivityPenalty(rate=100.0))[1] < 0.9 * free_rate


def test_pruned_networks_pay_for_the_synapses_that_are_left() -> None:
    def arm(*more: Callback) -> float:
        network = small_network()
        options = SparseOptions(method=SparseMethod.RIGL, fraction=0.3, interval=2)
        inputs, labels = small_task(np.random.default_rng(0))
        fit(network, inputs, labels, OPTIONS, seed=0, callbacks=[SparseTraining(network, options), *more])
        x = torch.from_numpy(inputs).float()
        with torch.inference_mode():
            done = operations(network, {next(iter(network.inputs)): x}, network(x).spikes)
        return float(done["recur"] + done["decode"])

    assert arm(ActivityPenalty(operation=1.0)) < arm()


def test_it_is_the_weighted_sum_of_rates_and_operations() -> None:
    network = small_network()
    x = torch.from_numpy(small_task(np.random.default_rng(0))[0]).float()
    entering, spikes = {next(iter(network.inputs)): x}, network(x).spikes
    penalty = ActivityPenalty(rate=2.0, operation=0.01).after_forward(network, entering, spikes)
    done = sum(float(each.detach()) for each in operations(network, entering, spikes).values())
    assert penalty is not None
    assert float(penalty.detach()) == pytest.approx(2 * float(spikes["hidden"].detach().mean()) + 0.01 * done)


def test_convolutional_networks_pay_too() -> None:
    counts: list[float] = []
    x = np.random.default_rng(0).random((32, 1, 6, 6)).astype(np.float32)
    labels = np.arange(32) % 3
    for weight in (0.0, 0.01):
        network = build_vgg(
            VggShape(plan=(4, 4), image=(1, 6, 6), classes=3), torch.Generator().manual_seed(0)
        )
        fit(
            network,
            x,
            labels,
            FitOptions(3, batch_size=16, learning_rate=0.02),
            seed=0,
            callbacks=[ActivityPenalty(operation=weight)],
        )
        images = torch.from_numpy(x)
        with torch.inference_mode():
            done = operations(network, {INPUT: images}, network(images, record=True).spikes)
        counts.append(float(done["conv2"] + done["classifier"]))
    assert counts[1] < counts[0]


def test_a_training_that_was_interrupted_ends_with_the_same_numbers(tmp_path: Path) -> None:
    inputs, labels = small_task(np.random.default_rng(0))
    networks = [small_network() for _ in range(3)]
    penalty = ActivityPenalty(operation=0.01)
    whole = fit(networks[0], inputs, labels, OPTIONS, seed=0, callbacks=[penalty])
    with pytest.raises(KeyboardInterrupt):
        fit(
            networks[1],
            inputs,
            labels,
            OPTIONS,
            seed=0,
            callbacks=[penalty],
            checkpoint=tmp_path,
            progress=interrupt_after(2),
        )
    with pytest.raises(TrainingError, match="other options"):
        fit(networks[2], inputs, labels, OPTIONS, seed=0, callbacks=[ActivityPenalty()], checkpoint=tmp_path)
    again = fit(networks[2], inputs, labels, OPTIONS, seed=0, callbacks=[penalty], checkpoint=tmp_path)
    assert tuple(again) == tuple(whole)
    for name, tensor in networks[0].state_dict().items():
        assert torch.equal(tensor, networks[2].state_dict()[name]), name


def test_weights_that_mean_nothing_and_other_networks_are_refused() -> None:
    with pytest.raises(ArgumentError, match="operation"):
        ActivityPenalty(operation=-1.0)
    with pytest.raises(TrainingError, match="networks that Pumice builds only"):
        ActivityPenalty(rate=1.0).after_forward(nn.Linear(1, 1), {}, {})
