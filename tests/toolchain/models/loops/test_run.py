"""One operation for autograd: what is stored, what is refused, and what may change between its two halves."""

import copy

import pytest
import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.models import Connection, CubaLif, MaskedSynapses, Network
from toolchain.models.loops.run import _Stored
from toolchain.training import FitOptions, fit


def _network(neurons: int = 70, delay: int = 1) -> Network:
    torch.manual_seed(0)

    def weights(targets: int, sources: int) -> Tensor:
        return torch.randint(-8, 9, (targets, sources)) / 16

    return Network(
        inputs={"x": 20},
        layers={"h": CubaLif(neurons, dv=0.2, train_bias=True), "o": CubaLif(5, vth=float("inf"))},
        connections={
            Connection("in", "x", "h"): MaskedSynapses(weights(neurons, 20)),
            Connection("loop", "h", "h", delay): MaskedSynapses(
                weights(neurons, neurons), torch.rand(neurons, neurons) < 0.2
            ),
            Connection("out", "h", "o"): MaskedSynapses(weights(5, neurons)),
        },
        output="o",
    )


def _x(batch: int = 6, steps: int = 40) -> Tensor:
    return (torch.rand(batch, steps, 20, generator=torch.Generator().manual_seed(1)) < 0.2).float()


def _gradients(network: Network, x: Tensor) -> list[Tensor]:
    network.zero_grad()
    network.scores(x).square().sum().backward()
    return [each.grad.clone() for each in network.parameters() if each.grad is not None]


def _loop(network: Network) -> MaskedSynapses:
    synapses = network.synapses["loop"]
    assert isinstance(synapses, MaskedSynapses)
    return synapses


def _check_equals_autograd(network: Network, x: Tensor) -> None:
    network.compiled = False
    expected = network(x).spikes["h"]
    network.compiled = True
    assert torch.equal(network(x).spikes["h"], expected)


def test_the_number_of_threads_changes_no_bit() -> None:
    x, before, results = _x(33), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(_gradients(_network(200), x))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for each in results for a, b in zip(each, results[0], strict=True))


def test_a_retained_graph_gives_the_same_gradients_twice_and_a_freed_one_none() -> None:
    network, x = _network(), _x()
    loss = network.scores(x).square().sum()
    loss.backward(retain_graph=True)
    once = _loop(network).weight.grad
    assert once is not None
    once = once.clone()
    loss.backward()
    assert torch.equal(2 * once, _loop(network).weight.grad)  # pyright: ignore[reportArgumentType]
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_gradients_of_gradients_are_refused_with_what_to_do() -> None:
    network = _network()
    loss = network.scores(_x()).sum()
    with pytest.raises(ArgumentError, match="compiled = False"):
        torch.autograd.grad(loss, [_loop(network).weight], create_graph=True)


def test_nothing_is_stored_where_no_gradient_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    new = _Stored.__new__
    monkeypatch.setattr(_Stored, "__new__", lambda *args: made.append(1) or new(*args))
    network, x = _network(), _x()
    with torch.no_grad():
        network(x)
    assert not made
    network(x)
    assert made


def test_weights_that_change_before_the_gradients_are_asked_for_change_nothing() -> None:
    network, x = _network(), _x()
    expected = _gradients(network, x)
    network.zero_grad()
    loss = network.scores(x).square().sum()
    with torch.no_grad():
        _loop(network).weight.mul_(2)
    loss.backward()
    got = [each.grad for each in network.parameters() if each.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_a_delay_longer_than_the_run_takes_no_memory_and_brings_nothing() -> None:
    network = _network(delay=10**8)
    _check_equals_autograd(network, _x())
    assert not _gradients(network, _x())[2].any()
    _loop(network).mask = None
    _check_equals_autograd(network, _x(steps=3))


def test_a_mask_is_heeded_however_it_changes_and_wherever_it_was_copied() -> None:
    network, x = _network(), _x()
    mask = _loop(network).mask
    assert mask is not None
    for share in (0.5, 0.1):
        mask[:] = torch.rand(mask.shape) < share
        _check_equals_autograd(network, x)
        mask[:] = torch.rand(mask.shape) < share
        _check_equals_autograd(copy.deepcopy(network), x)
    for new in (torch.rand(mask.shape) < 0.3, torch.zeros_like(mask), None):
        _loop(network).mask = new
        _check_equals_autograd(network, x)
    with torch.inference_mode():
        frozen = _network()
        frozen(x)
        _loop(frozen).mask[:] = torch.rand(70, 70) < 0.5  # pyright: ignore[reportOptionalSubscript]
        _check_equals_autograd(frozen, x)


class _Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_Doubled(70, 70, bias=False), "is a _Doubled"),
        (nn.Linear(70, 70), "has a bias"),
        (MaskedSynapses(torch.ones(70, 70), torch.full((70, 70), 0.5)), "has a mask that is not bool"),
    ],
)
def test_a_connection_that_loops_do_not_know_goes_step_by_step(module: nn.Module, reason: str) -> None:
    network = _network()
    network.synapses["loop"] = module
    assert network.obstacle() == f"connection 'loop' between layers {reason}"
    _check_equals_autograd(network, _x())


def test_hooks_of_the_user_are_called() -> None:
    network = _network()
    network.synapses["in"].register_forward_hook(lambda *args: args[2] * 2)
    _check_equals_autograd(network, _x())
    linear = nn.Linear(70, 70, bias=False)
    linear.register_forward_hook(lambda *args: args[2] * 2)
    network.synapses["loop"] = linear
    assert network.obstacle() == "connection 'loop' between layers has hooks"


def test_autocast_leaves_the_loops_their_precision() -> None:
    network = _network()
    network.synapses["in"] = nn.Linear(20, 70)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.scores(_x()).dtype is torch.float32


def test_weights_that_are_no_numbers_show_in_scores_and_gradients() -> None:
    network = _network()
    with torch.no_grad():
        network.synapses["in"].weight[3] = float("nan")  # pyright: ignore[reportIndexIssue]
    assert any(each.isnan().any() for each in _gradients(network, _x()))


def test_training_that_computes_again_what_it_needs_ends_on_the_same_weights() -> None:
    labels = torch.arange(6) % 5
    ends = []
    for recompute in (False, True):
        network = _network()
        options = FitOptions(epochs=2, batch_size=3, learning_rate=0.01, device="cpu", recompute=recompute)
        fit(network, _x().numpy(), labels.numpy(), options, seed=0)
        assert network.recompute is recompute
        ends.append([each.detach().clone() for each in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
