"""Sparse training keeps its promises: numbers of synapses, signs, gradients, and equal ends after a stop."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.small_training import OPTIONS, interrupt_after, small_network, small_task
from toolchain.errors import PruningError, UnknownNameError
from toolchain.models import Network
from toolchain.pruning.sparse.options import Allocation, Price, SparseMethod, SparseOptions
from toolchain.pruning.sparse.training import SparseTraining
from toolchain.training import Callback, Position, fit

_RENEWING = (SparseMethod.SET, SparseMethod.RIGL, SparseMethod.DEEP_REWIRING)


def _options(method: SparseMethod, **changes: Any) -> SparseOptions:
    temperature = 1.0 if method.keeps_signs else 0.0
    known: dict[str, Any] = {"method": method, "fraction": 0.3, "interval": 2, "temperature": temperature}
    return SparseOptions(**known | changes)


class _Watcher(Callback):
    """Calls a function after every step."""

    def __init__(self, look: Callable[[Network], None]) -> None:
        self._look = look

    def after_step(self, network: nn.Module) -> None:
        assert isinstance(network, Network)
        self._look(network)


def _trained(network: Network, callbacks: list[Callback], **more: Any) -> None:
    inputs, labels = small_task(np.random.default_rng(0))
    fit(network, inputs, labels, OPTIONS, seed=0, callbacks=callbacks, **more)


def _counts(network: Network) -> list[int]:
    return [
        int((each.mask if each.mask is not None else torch.ones_like(each.weight)).sum())
        for each in _synapses(network)
    ]


def _synapses(network: Network) -> list[Any]:
    return [network.synapses[arrow.name] for arrow in network.connections]


@pytest.mark.parametrize("method", [*_RENEWING, SparseMethod.STATIC])
def test_the_number_of_synapses_is_constant_and_absent_weights_are_zero(method: SparseMethod) -> None:
    network = small_network()
    pruning = SparseTraining(network, _options(method))
    looks: list[list[int]] = []

    def look(now: Network) -> None:
        looks.append(_counts(now))
        for each in _synapses(now):
            assert not each.weight[~each.mask].any()

    _trained(network, [pruning, _Watcher(look)])
    assert all(each == list(pruning.wanted) for each in looks)
    assert sum(pruning.wanted) == round(0.3 * sum(pruning.before))
    renewed = sum(update.renewed for update in pruning.updates)
    assert (renewed > 0) == (method is not SparseMethod.STATIC)
    assert pruning.updates[-1].renewed == 0, "the synapses stay as they are at the end"
    assert not torch.diagonal(_synapses(network)[1].mask).any(), "a neuron was joined with itself"


def test_gradual_pruning_loses_the_weakest_until_its_share_is_left() -> None:
    network = small_network()
    pruning = SparseTraining(network, _options(SparseMethod.GRADUAL))
    looks: list[int] = []
    _trained(network, [pruning, _Watcher(lambda now: looks.append(sum(_counts(now))))])
    assert looks == sorted(looks, reverse=True)
    assert looks[0] > looks[5] > looks[-1]
    assert _counts(network) == list(pruning.wanted)


@pytest.mark.parametrize("method", [SparseMethod.DEEP_REWIRING, SparseMethod.SOFT_DEEP_REWIRING])
def test_deep_rewiring_never_changes_a_sign(method: SparseMethod) -> None:
    network = small_network()
    signs: list[torch.Tensor] = []

    def look(now: Network) -> None:
        signs.append(torch.cat([each.weight.detach().sign().flatten().clone() for each in _synapses(now)]))

    pruning = SparseTraining(network, _options(method))
    _trained(network, [pruning, _Watcher(look)])
    every = torch.stack(signs)
    assert not ((every > 0).any(0) & (every < 0).any(0)).any()
    assert sum(update.renewed for update in pruning.updates) > 0
    if method is SparseMethod.SOFT_DEEP_REWIRING:
        assert len({update.living for update in pruning.updates}) > 1


@pytest.mark.parametrize("compiled", [True, False])
def test_gradients_of_absent_synapses_are_those_of_autograd(compiled: bool) -> None:
    """They are asked for in one batch, in which the network says what it said before."""
    network = small_network().double()
    network.compiled = compiled
    inputs, labels = small_task(np.random.default_rng(0))
    pruning = SparseTraining(network, _options(SparseMethod.RIGL, interval=1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    pruning.begin(network, optimizer, epochs=2)
    dense = deepcopy(network)
    for each in _synapses(dense):
        each.mask = None
    dense.compiled = False
    x, y = torch.from_numpy(inputs).double(), torch.from_numpy(labels)
    with torch.inference_mode():
        before = network.scores(x)
    pruning.before_step(network, Position(1, 10, 1))
    with torch.inference_mode():
        assert torch.allclose(network.scores(x), before, rtol=1e-12, atol=1e-12)
    for each in (network, dense):
        nn.functional.cross_entropy(each.scores(x), y).backward()
    for ours, theirs in zip(_synapses(network), _synapses(dense), strict=True):
        assert ours.mask.all()
        assert torch.allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-9, atol=1e-12)
    pruning.after_backward(network)
    assert _counts(network) == list(pruning.wanted)
    for ours in _synapses(network):
        assert not ours.weight.grad[~ours.mask].any()


def test_what_comes_is_where_the_gradient_is_largest() -> None:
    network = small_network().double()
    pruning = SparseTraining(network, _options(SparseMethod.RIGL, interval=1, renewed=0.5))
    inputs, labels = small_task(np.random.default_rng(0))
    pruning.begin(network, torch.optim.SGD(network.parameters(), lr=0.1), epochs=2)
    (before,) = [each.mask.clone() for each in pruning.connections if each.name == "decode"]
    pruning.before_step(network, Position(1, 10, 1))
    x, y = torch.from_numpy(inputs).double(), torch.from_numpy(labels)
    nn.functional.cross_entropy(network.scores(x), y).backward()
    gradient = _synapses(network)[2].weight.grad.abs().clone()
    pruning.after_backward(network)
    after = next(each.mask for each in pruning.connections if each.name == "decode")
    came, absent = after & ~before, ~after
    assert came.any()
    assert gradient[came].min() >= gradient[absent & ~before].max()


_ARMS: list[tuple[SparseMethod, dict[str, Any]]] = [
    *((method, {}) for method in SparseMethod),
    (SparseMethod.GRADUAL, {"allocation": Allocation.GLOBAL, "price": Price.OPERATIONS}),
    (SparseMethod.SET, {"price": Price.OPERATIONS}),
    (SparseMethod.RIGL, {"price": Price.OPERATIONS}),
    (SparseMethod.SNIP, {"price": Price.OPERATIONS, "batches": 1}),
    (SparseMethod.SYNFLOW, {"allocation": Allocation.ERDOS_RENYI, "rounds": 3}),
]


@pytest.mark.parametrize(("method", "changes"), _ARMS)
def test_a_training_that_was_interrupted_ends_with_the_same_numbers(
    method: SparseMethod, changes: dict[str, Any], tmp_path: Path
) -> None:
    options = _options(method, **changes)
    whole, parted = small_network(), small_network()
    pruning = SparseTraining(whole, options)
    _trained(whole, [pruning])
    with pytest.raises(KeyboardInterrupt):
        _trained(
            parted,
            [SparseTraining(parted, options)],
            checkpoint=tmp_path,
            progress=interrupt_after(2),
        )
    again = small_network()
    continued = SparseTraining(again, options)
    _trained(again, [continued], checkpoint=tmp_path)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert continued.updates == pruning.updates
    assert continued.wanted == pruning.wanted
    assert sum(_counts(again)) == pruning.total or method is SparseMethod.SOFT_DEEP_REWIRING


@pytest.mark.parametrize("compiled", [True, False])
def test_the_saliency_of_snip_is_that_of_dense_autograd(compiled: bool) -> None:
    """Two batches choose, in which nothing is learnt; those of largest |w dL/dw| of all stay."""
    network = small_network().double()
    network.compiled = compiled
    dense = deepcopy(network)
    dense.compiled = False
    inputs, labels = small_task(np.random.default_rng(0))
    options = _options(SparseMethod.SNIP, batches=2, fraction=0.2)
    pruning = SparseTraining(network, options)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    pruning.begin(network, optimizer, epochs=2)
    saliency: list[torch.Tensor] = []
    for step, part in enumerate((slice(0, 16), slice(16, 32)), 1):
        pruning.before_step(network, Position(1, 10, step))
        for each in (network, dense):
            x, y = torch.from_numpy(inputs[part]).double(), torch.from_numpy(labels[part])
            nn.functional.cross_entropy(each.scores(x), y).backward()
        pruning.after_backward(network)
        saliency = list(pruning.saliency)
        optimizer.step()
        pruning.after_step(network)
    dense_scores = [each.weight.detach() * each.weight.grad for each in _synapses(dense)]
    for ours, theirs in zip(saliency, dense_scores, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert sum(_counts(network)) == pruning.total == round(0.2 * sum(pruning.before))
    left = torch.cat([each.mask.reshape(-1) for each in _synapses(network)])
    scores = torch.cat([each.abs().reshape(-1) for each in dense_scores])
    strongest = torch.sort(scores, descending=True).values[pruning.total // 2]
    assert left[scores > strongest].all(), "a strong synapse left"
    for each, before in zip(_synapses(network), _synapses(dense), strict=True):
        factor = before.weight.square().sum().sqrt() / (before.weight * each.mask).square().sum().sqrt()
        assert torch.allclose(each.weight, before.weight * each.mask * factor, rtol=1e-9)


@pytest.mark.parametrize("method", [SparseMethod.SNIP, SparseMethod.SYNFLOW, SparseMethod.GRADUAL])
def test_under_global_allocation_every_neuron_that_is_read_keeps_an_input(method: SparseMethod) -> None:
    network = small_network()
    options = _options(method, allocation=Allocation.GLOBAL, fraction=0.05)
    pruning = SparseTraining(network, options)
    _trained(network, [pruning])
    assert _counts(network) == list(pruning.wanted)
    assert sum(pruning.wanted) == pruning.total
    assert _synapses(network)[2].mask.any(1).all()
    assert all(
        count >= 0.1 * 0.05 * before for count, before in zip(pruning.wanted, pruning.before, strict=True)
    )


def test_a_share_below_what_connections_keep_is_refused() -> None:
    network = small_network()
    with pytest.raises(PruningError, match="3 synapses are fewer than the 4 that connections keep"):
        SparseTraining(network, _options(SparseMethod.SYNFLOW, fraction=0.001))


def test_by_operations_those_leave_that_are_worth_least_for_what_they_cost() -> None:
    network = small_network()
    options = _options(SparseMethod.GRADUAL, price=Price.OPERATIONS, allocation=Allocation.GLOBAL, frozen=0.0)
    pruning = SparseTraining(network, options)
    inputs, labels = small_task(np.random.default_rng(0))
    pruning.begin(network, torch.optim.SGD(network.parameters(), lr=0.1), epochs=1)
    pruning.before_step(network, Position(1, 2, 1))
    assert not pruning.listens(Position(1, 2, 1))
    pruning.before_step(network, Position(1, 2, 2))
    assert pruning.listens(Position(1, 2, 2))
    x = torch.from_numpy(inputs).float()
    record = network(x)
    pruning.after_forward(network, {next(iter(network.inputs)): x}, record.spikes)
    nn.functional.cross_entropy(record.scores, torch.from_numpy(labels)).backward()
    pruning.after_backward(network)
    hidden = record.spikes["hidden"].detach()
    messages = [(each != 0).double().sum((0, 1)) / len(x) for each in (x, hidden, hidden)]
    mean, scores = torch.cat(messages).mean(), list[torch.Tensor]()
    for each, count in zip(_synapses(network), messages, strict=True):
        worth = 0.05 * (each.weight * each.weight.grad).detach().double().square()
        scores.append((worth / (count / mean + 0.1)) * each.mask)
    pruning.after_step(network)
    left = [each.mask for each in _synapses(network)]
    assert sum(_counts(network)) == pruning.total
    gone = max(float(score[~mask].max()) for score, mask in zip(scores, left, strict=True))
    stays = torch.cat([score[mask] for score, mask in zip(scores, left, strict=True)])
    # But for what connections keep whatever their scores are.
    assert int((stays < gone * (1 - 1e-5)).sum()) <= 2


def test_a_step_that_is_interrupted_leaves_the_synapses_that_are_present() -> None:
    network = small_network()
    pruning = SparseTraining(network, _options(SparseMethod.RIGL, interval=1))

    class Interrupt(Callback):
        def after_backward(self, network: nn.Module) -> None:
            del network
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _trained(network, [Interrupt(), pruning])
    assert _counts(network) == list(pruning.wanted)


def test_the_optimizer_forgets_what_left_and_what_came() -> None:
    network = small_network()
    pruning = SparseTraining(network, _options(SparseMethod.SET))
    _trained(network, [pruning])
    optimizer = pruning._optimizer
    assert optimizer is not None
    for each in _synapses(network):
        assert not optimizer.state[each.weight]["exp_avg"][~each.mask].any()


def test_only_the_connections_that_are_named_are_pruned() -> None:
    network = small_network()
    before = _counts(network)
    pruning = SparseTraining(network, _options(SparseMethod.GRADUAL, connections=("recur",)))
    _trained(network, [pruning])
    assert pruning.names == ("recur",)
    assert _counts(network)[0] == before[0]
    assert _counts(network)[1] == round(0.3 * before[1])
    with pytest.raises(UnknownNameError, match="did you mean 'recur'"):
        SparseTraining(network, _options(SparseMethod.SET, connections=("recurr",)))


def test_states_of_other_options_are_refused() -> None:
    network = small_network()
    pruning = SparseTraining(network, _options(SparseMethod.DEEP_REWIRING))
    pruning.begin(network, torch.optim.SGD(network.parameters()), 2)
    with pytest.raises(PruningError, match="not one of these options"):
        pruning.restore({})
    state = pruning.state()
    with pytest.raises(PruningError, match="lacks its history"):
        pruning.restore(state | {"updates": torch.zeros(3, 1, dtype=torch.int64)})


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    masks: list[torch.Tensor] = []
    for seed in (1, 1, 2):
        network = small_network()
        options = replace(_options(SparseMethod.STATIC), seed=seed)
        SparseTraining(network, options).begin(network, torch.optim.SGD(network.parameters()), 2)
        masks.append(_synapses(network)[1].mask.clone())
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
