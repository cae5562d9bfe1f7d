"""A training that diverges, lacks memory or is interrupted says so, and loses nothing that was good."""

import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.networks import part
from toolchain.errors import OutOfMemoryError, TrainingError
from toolchain.frontends import from_torch
from toolchain.memory import VARIABLE
from toolchain.models import (
    POOL,
    CubaLif,
    HrsnnShape,
    MaskedSynapses,
    Network,
    VggShape,
    build_hrsnn,
    build_vgg,
)
from toolchain.training import Callback, EpochRecord, FitOptions, Optimizer, fit, tune_graph

_OPTIONS = FitOptions(epochs=3, batch_size=16, learning_rate=0.01)
_STEPS = 6
"""Steps of an epoch: 96 samples."""


class At(Callback):
    """Does something at one step of the training, before or after the parameters move.

    Attributes:
        after_epochs: What the network held after each epoch.
        steps: Steps that were finished.
    """

    def __init__(self, step: int, act: Callable[[nn.Module], object], *, backward: bool = False) -> None:
        self.step, self.act, self.backward = step, act, backward
        self.steps = 0
        self.after_epochs: list[dict[str, torch.Tensor]] = []

    def after_backward(self, network: nn.Module) -> None:
        if self.steps == self.step:
            # Whatever was sent at the end of the last step comes before the end of this one.
            time.sleep(0.05)
        if self.backward and self.steps + 1 == self.step:
            self.act(network)

    def after_step(self, network: nn.Module) -> None:
        self.steps += 1
        if not self.backward and self.steps == self.step:
            self.act(network)

    def after_epoch(self, network: nn.Module, epoch: int) -> None:
        assert epoch == len(self.after_epochs) + 1
        self.after_epochs.append(_state(network))


def _network(seed: int = 0) -> Network:
    return build_hrsnn(HrsnnShape(channels=6, classes=2, neurons=30), np.random.default_rng(seed))


def _state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _fit(network: Network, *watchers: Callback, **more: Any) -> tuple[EpochRecord, ...]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 16 * _STEPS)
    x = rng.random((len(labels), 10, 6)) < np.where(labels[:, None, None] == 1, 0.6, 0.2)
    return fit(network, x, labels, more.pop("options", _OPTIONS), seed=3, callbacks=watchers, **more)


def _spoil(value: float) -> Callable[[nn.Module], object]:
    def spoil(network: nn.Module) -> None:
        with torch.no_grad():
            part(network, "synapses.decode", MaskedSynapses).weight.fill_(value)

    return spoil


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_names_its_step_and_leaves_the_last_epoch(
    value: float, tmp_path: Path
) -> None:
    network, watcher = _network(), At(_STEPS + 1, _spoil(value))
    said = (
        "^the loss became nan in step 2 of 6 of epoch 2; the network is as it was after epoch 1; "
        "lower `learning_rate`, now 0.01$"
    )
    with pytest.raises(TrainingError, match=said):
        _fit(network, watcher, checkpoint=tmp_path)
    assert _equal(_state(network), watcher.after_epochs[0])
    assert not network.training
    # What was kept is good: the training that is continued is the one that nothing spoilt.
    whole, continued = _network(), _network(seed=9)
    assert _fit(continued, Callback(), checkpoint=tmp_path) == _fit(whole, Callback())
    assert _equal(_state(continued), _state(whole))


def test_a_gradient_that_is_no_number_moves_nothing_and_names_its_parameter() -> None:
    def spoil(network: nn.Module) -> None:
        gradient = part(network, "synapses.recur", MaskedSynapses).weight.grad
        assert gradient is not None
        gradient[0, 0] = math.nan

    network = _network()
    before = _state(network)
    said = (
        "gradient of 'synapses.recur.weight' became nan in step 3 of 6 of epoch 1; .*as it was before it was"
    )
    with pytest.raises(TrainingError, match=said):
        _fit(network, At(3, spoil, backward=True))
    assert _equal(_state(network), before)
    with pytest.raises(TrainingError, match=f"{said}.*give `gradient_clip` a finite value"):
        options = replace(_OPTIONS, gradient_clip=math.inf)
        _fit(network, At(3, spoil, backward=True), options=options)


def test_gradients_whose_norm_alone_is_too_large_are_clipped() -> None:
    def spoil(network: nn.Module) -> None:
        gradient = part(network, "synapses.recur", MaskedSynapses).weight.grad
        assert gradient is not None
        gradient.fill_(1e38)

    network = _network()
    _fit(network, At(3, spoil, backward=True))
    assert all(bool(torch.isfinite(each).all()) for each in network.parameters())


@pytest.mark.parametrize("optimizer", Optimizer)
def test_a_rate_that_is_far_too_high_leaves_finite_weights(optimizer: Optimizer) -> None:
    network = _network()
    options = replace(_OPTIONS, learning_rate=1e9, weight_decay=1e9, optimizer=optimizer)
    options = replace(options, gradient_clip=math.inf)
    with pytest.raises(TrainingError, match=r"`learning_rate`, now 1e\+09, or give `gradient_clip`"):
        _fit(network, options=options)
    assert all(bool(torch.isfinite(each).all()) for each in network.parameters())


def test_weights_that_are_no_numbers_after_the_last_step_are_neither_returned_nor_kept(
    tmp_path: Path,
) -> None:
    network, watcher = _network(), At(_STEPS, _spoil(math.inf))
    said = "'synapses.decode.weight' became inf in step 6 of 6 of epoch 1; the network is as it was before"
    with pytest.raises(TrainingError, match=said):
        _fit(network, watcher, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())
    assert bool(torch.isfinite(part(network, "synapses.decode", MaskedSynapses).weight).all())


def test_a_network_that_is_no_good_to_begin_with_is_not_blamed_on_the_training() -> None:
    network = _network()
    _spoil(math.nan)(network)
    with pytest.raises(TrainingError, match=r"^'synapses.decode.weight' is nan before anything was learnt; "):
        _fit(network)
    network = _network()
    _spoil(1e38)(network)
    with pytest.raises(
        TrainingError, match="^the loss is nan before anything was learnt; .* smaller weights"
    ):
        _fit(network)


def test_a_batch_that_cannot_fit_is_refused_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = _network()
    before = _state(network)
    monkeypatch.setenv(VARIABLE, "100K")
    said = (
        r"not enough memory for a training step of 96 samples \(it needs at least .* KiB, "
        r"there are 100.0 KiB\); lower `batch_size`: at most \d\d samples can fit"
    )
    with pytest.raises(OutOfMemoryError, match=said):
        _fit(network, options=replace(_OPTIONS, batch_size=5_000))
    assert _equal(_state(network), before)
    monkeypatch.setenv(VARIABLE, "1K")
    with pytest.raises(OutOfMemoryError, match="not one sample fits: shorten the samples"):
        _fit(network)


def test_images_and_graphs_that_cannot_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = VggShape(plan=(2, POOL), image=(1, 8, 8), steps=2, classes=2)
    pictures, graph = np.zeros((20, 1, 8, 8), np.float32), from_torch(_network())
    monkeypatch.setenv(VARIABLE, "4000")
    with pytest.raises(OutOfMemoryError, match="at most 15 samples"):
        fit(build_vgg(shape, torch.Generator()), pictures, np.zeros(20, int), _OPTIONS, seed=0)
    with pytest.raises(OutOfMemoryError, match="at most 2 samples"):
        tune_graph(graph, None, np.zeros((20, 10, 6)), np.zeros(20, int), _OPTIONS, seed=0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"),
    ],
    ids=["numpy", "cpu", "cuda"],
)
def test_an_allocation_that_fails_names_the_step_and_the_remedy(error: Exception) -> None:
    def fail(network: nn.Module) -> None:
        raise error

    network, watcher = _network(), At(_STEPS + 3, fail, backward=True)
    said = r"not enough memory for a training step of 16 samples \(.*\); lower `batch_size`, now 16"
    with pytest.raises(OutOfMemoryError, match=said):
        _fit(network, watcher)
    assert not network.training


def test_other_errors_of_a_step_are_what_they_were() -> None:
    def fail(network: nn.Module) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="^shapes differ$"):
        _fit(_network(), At(2, fail))


def _interrupt(network: nn.Module) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_training_says_what_is_kept_and_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    network, watcher = _network(), At(_STEPS + 3, _interrupt)
    second = At(0, _interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        _fit(network, watcher, second, checkpoint=tmp_path)
    (note,) = caught.value.__notes__
    kept = f"'{tmp_path}' holds the state after epoch 1, from which the same call continues"
    assert note == f"epoch 2 of 3 was interrupted after step 3 of 6; {kept}"
    # An interrupt does not come between what moves the parameters and what holds them in their limits.
    assert second.steps == watcher.steps == _STEPS + 3
    assert not network.training
    whole, continued = _network(), _network(seed=9)
    expected = _fit(whole, Callback(), Callback())
    assert _fit(continued, Callback(), Callback(), checkpoint=tmp_path) == expected
    assert _equal(_state(continued), _state(whole))


def test_an_interrupted_training_without_a_checkpoint_keeps_what_was_learnt() -> None:
    network, other = _network(), _network()
    # Of the steps before the interrupt, every one is whole: the same steps give the same weights.
    with pytest.raises(KeyboardInterrupt) as caught:
        _fit(network, At(4, _interrupt))
    (note,) = caught.value.__notes__
    assert note == (
        "epoch 1 of 3 was interrupted after step 4 of 6; the network holds what it learnt until then, "
        "and `checkpoint` keeps it on disk"
    )
    after: list[dict[str, torch.Tensor]] = []
    _fit(other, At(4, lambda trained: after.append(_state(trained))))
    assert _equal(_state(network), after[0])


def test_an_interrupt_at_the_end_of_an_epoch_comes_after_its_state_is_kept(tmp_path: Path) -> None:
    class AtTheEnd(Callback):
        epoch = 0

        def after_backward(self, network: nn.Module) -> None:
            del network
            time.sleep(0.05 if self.epoch == 2 else 0)

        def after_epoch(self, network: nn.Module, epoch: int) -> None:
            self.epoch = epoch
            if epoch == 2:
                _interrupt(network)

    with pytest.raises(KeyboardInterrupt) as caught:
        _fit(_network(), AtTheEnd(), checkpoint=tmp_path)
    assert caught.value.__notes__[0].startswith("the training was interrupted after epoch 2 of 3; ")
    assert "holds the state after epoch 2" in caught.value.__notes__[0]


def test_an_interrupt_before_the_first_epoch_has_ended_says_that_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        _fit(_network(), At(1, _interrupt), checkpoint=tmp_path)
    assert caught.value.__notes__ == [
        "epoch 1 of 3 was interrupted after step 1 of 6; nothing is kept before the first epoch has ended"
    ]


def test_a_layer_that_never_fires_is_no_reason_to_stop() -> None:
    """Read-outs have infinite thresholds: what is no number is looked for among parameters alone."""
    network = _network()
    assert math.isinf(float(part(network, "layers.readout", CubaLif).vth[0]))
    _fit(network)
