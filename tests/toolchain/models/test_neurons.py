"""What a spike does in a `CubaLif` is what it does in the graph, and what is learnt gets its gradient."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.toolchain.models.firing_networks import random_network, random_neurons
from toolchain.errors import ArgumentError, UnknownNameError
from toolchain.execution import reference
from toolchain.frontends import from_torch
from toolchain.models import CubaLif, HrsnnShape, build_hrsnn, learnt_parameters
from toolchain.models.learnt import LEARNABLE, decay_limits
from toolchain.models.surrogates import derivative
from toolchain.reset import Reset

_LAST = np.inf


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_mixture_of_neurons_equals_its_graph_in_float64(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    x = rng.random((2, 20, 4)) < 0.5
    with torch.inference_mode():
        activity = network(torch.tensor(x).double(), record=True)
    trace = reference.run(from_torch(network), x)
    for name in network.layers:
        np.testing.assert_array_equal(activity.spikes[name].numpy(), trace.spikes[name])
        scale = max(1.0, np.abs(trace.v[name]).max())
        assert np.abs(activity.v[name].numpy() - trace.v[name]).max() <= 1e-9 * scale
        assert np.abs(activity.u[name].numpy() - trace.u[name]).max() <= 1e-9 * scale


def _by_hand(layer: CubaLif, a: Tensor, learnt: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """A run in plain autograd, its spike function written as a line of its own.

    Args:
        layer: Population whose reset, surrogate and refractory periods are taken.
        a: Currents, `[steps, batch, N]`.
        learnt: Values in place of those of the layer.
    """
    value: dict[str, Any] = {name: learnt.get(name, getattr(layer, name)) for name in LEARNABLE}
    if layer.reset is Reset.SUBTRACT and value["reset_amount"] is None:
        value["reset_amount"] = value["vth"]
    u = v = rise = wait = torch.zeros_like(a[0])
    spikes, potentials = [], []
    for x in a:
        u = (1 - value["du"]) * u + x
        free = wait == 0
        v = torch.where(free, (1 - value["dv"]) * v + u + layer.bias, v)
        count, distance = _fired(layer, v, rise, value)
        count = count * free
        slope = derivative(distance.detach().clone(), layer.surrogate, layer.slope) * free
        s = count.detach() + (slope * distance - (slope * distance).detach())
        v = {
            Reset.ZERO: lambda v=v, count=count: v * (count == 0),
            Reset.VALUE: lambda v=v, count=count: torch.where(count > 0, value["reset_amount"], v),
            Reset.SUBTRACT: lambda v=v, count=count: v - count.detach() * value["reset_amount"],
            Reset.NONE: lambda v=v: v,
        }[layer.reset]()
        if layer.refractory is not None:
            wait = torch.where(count > 0, layer.refractory.to(wait.dtype), (wait - 1).clamp(min=0))
        if layer.adaptation is not None:
            rise = (1 - value["adaptation_decay"]) * rise + value["adaptation"] * s
        spikes.append(s)
        potentials.append(v)
    return torch.stack(spikes), torch.stack(potentials)


def _fired(layer: CubaLif, v: Tensor, rise: Tensor, value: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Count the places `theta + rise + n amount` below the potential; measure how far the nearest is."""
    count = (v > value["vth"] + rise).to(v.dtype)
    distance = (v - rise) / value["vth"] - 1
    for n in range(1, layer.max_spikes):
        count = count + (v > value["vth"] + rise + n * value["reset_amount"])
        further = (v - rise - n * value["reset_amount"]) / value["vth"] - 1
        distance = torch.where(further.abs() < distance.abs(), further, distance)
    return count, distance


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_gradients_are_those_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = random_neurons(rng, 4)
    if layer.max_spikes > 15:
        return
    a = torch.tensor(rng.normal(size=(12, 3, 4)) * 1.5)
    weight, weight_v = (torch.tensor(rng.normal(size=(12, 3, 4))) for _ in range(2))
    names = [*layer.train_names, *(["vth"] if layer.hold_rheobase else [])]
    # The same values as leaves of their own: the chain rule through the offsets is checked apart.
    leaves = {name: getattr(layer, name).detach().requires_grad_() for name in names}
    mine, theirs = a.clone().requires_grad_(), a.clone().requires_grad_()

    dynamics = layer.dynamics
    state = dynamics.rest(torch.zeros(3, 4).double())
    rows = []
    for x in mine:
        s, state = dynamics.step(x, state)
        rows.append((s, state.v))
    spikes, potentials = (torch.stack(each) for each in zip(*rows, strict=True))
    ((spikes * weight).sum() + (potentials * weight_v).sum()).backward()

    expected, expected_v = _by_hand(layer, theirs, leaves)
    ((expected * weight).sum() + (expected_v * weight_v).sum()).backward()
    assert torch.equal(spikes, expected)
    assert mine.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    # What arrives at the offsets is what arrives at the values, through the derivative of the value.
    values = [getattr(layer, name) for name in leaves]
    onto = [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves.values()]
    parameters = learnt_parameters(layer)[0]
    if parameters:
        through = torch.autograd.grad(values, parameters, onto, materialize_grads=True)
        for parameter, gradient in zip(parameters, through, strict=True):
            grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            assert torch.allclose(grad, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["du", "dv", "vth", "reset_amount", "adaptation", "adaptation_decay"])
@pytest.mark.parametrize("reset", [Reset.SUBTRACT, Reset.VALUE])
@pytest.mark.parametrize("hold", [False, True])
def test_a_value_is_a_smooth_function_of_its_offset(name: str, reset: Reset, *, hold: bool) -> None:
    layer = CubaLif(
        5,
        du=0.5,
        dv=torch.linspace(0.01, 0.9, 5),
        vth=2.0,
        reset=reset,
        reset_amount=0.7,
        adaptation=0.3,
        adaptation_decay=0.05,
        train=(name, "dv"),
        hold_rheobase=hold,
    ).double()
    parameters = learnt_parameters(layer)[0]
    rng = np.random.default_rng(0)
    offsets = [torch.tensor(rng.normal(size=5)) for _ in parameters]

    def read(*given: Tensor) -> Tensor:
        for parameter, offset in zip(parameters, given, strict=True):
            parameter.data = offset
        return torch.stack([getattr(layer, name), layer.vth, layer.dv]).sum(0)

    analytic = torch.autograd.grad(read(*offsets).sum(), parameters)
    for i in range(len(parameters)):
        shift = [1e-6 if j == i else 0.0 for j in range(len(parameters))]
        up = read(*(offset + each for offset, each in zip(offsets, shift, strict=True))).detach()
        down = read(*(offset - each for offset, each in zip(offsets, shift, strict=True))).detach()
        assert torch.allclose(analytic[i], (up - down) / 2e-6, rtol=1e-6, atol=1e-8)


def test_what_is_learnt_starts_exactly_where_it_was_given() -> None:
    given: dict[str, Any] = {
        "dv": torch.rand(50) * 0.8 + 0.01,
        "du": torch.rand(50) * 0.8 + 0.01,
        "vth": torch.rand(50) + 0.1,
        "reset_amount": torch.rand(50),
        "adaptation": torch.rand(50),
        "adaptation_decay": torch.rand(50) * 0.5 + 0.01,
    }
    layer = CubaLif(50, reset=Reset.SUBTRACT, train=tuple(given), hold_rheobase=True, **given)
    for name, values in given.items():
        assert torch.equal(getattr(layer, name), values), name


def test_time_constants_stay_between_their_limits() -> None:
    layer = CubaLif(3, dv=torch.tensor([0.05, 0.1, 0.3]), train=("dv",), tau_limits=(2.0, 50.0))
    low, high = decay_limits((2.0, 50.0))
    (offset,) = learnt_parameters(layer)[0]
    for far in (-1e6, -40.0, 40.0, 1e6):
        offset.data.fill_(far)
        assert ((layer.dv >= low) & (layer.dv <= high)).all()
        assert torch.allclose(layer.dv, torch.tensor(high if far > 0 else low), rtol=1e-5)


def test_the_rheobase_holds_while_time_constants_are_learnt() -> None:
    layer = CubaLif(4, dv=0.1, vth=10.0, reset=Reset.SUBTRACT, train=("dv",), hold_rheobase=True).double()
    learnt_parameters(layer)[0][0].data += torch.tensor([-2.0, -0.5, 0.5, 2.0])
    assert not torch.allclose(layer.dv, torch.tensor(0.1).double())
    assert torch.allclose(layer.vth * layer.dv, torch.tensor(1.0).double(), atol=1e-7)
    assert layer.effective_amount is not None
    assert torch.equal(layer.effective_amount, layer.vth)


def test_setting_what_is_learnt_starts_anew_from_there() -> None:
    layer = CubaLif(2, dv=0.1, vth=3.0, train=("dv", "vth"), hold_rheobase=True)
    for offset in learnt_parameters(layer)[0]:
        offset.data += 0.7
    layer.dv = torch.tensor([0.2, 0.3])
    layer.vth = torch.tensor([4.0, 5.0])
    assert torch.equal(layer.dv, torch.tensor([0.2, 0.3]))
    assert torch.equal(layer.vth, torch.tensor([4.0, 5.0]))


def test_a_read_out_that_subtracts_its_threshold_takes_nothing_away() -> None:
    layer = CubaLif(2, vth=torch.tensor([1.0, _LAST]), reset=Reset.SUBTRACT)
    assert layer.effective_amount is not None
    assert layer.effective_amount.tolist() == [1.0, 0.0]
    _, state = layer.step(torch.full((1, 2), 1.5), layer.dynamics.rest(torch.zeros(1, 2)))
    assert state.v.tolist() == [[0.5, 1.5]]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"reset": "subtract", "reset_amount": -0.5}, "reset_amount"),
        ({"reset": "value"}, "reset_amount"),
        ({"reset_amount": 0.5}, "reset_amount"),
        ({"refractory": 2**20}, "refractory"),
        ({"refractory": 1.5}, "refractory"),
        ({"adaptation": 0.1, "adaptation_decay": 0.0}, "adaptation_decay"),
        ({"adaptation": -0.1, "adaptation_decay": 0.1}, "adaptation"),
        ({"adaptation": 0.1}, "adaptation_decay"),
        ({"adaptation_decay": 0.1}, "adaptation"),
        ({"max_spikes": 3}, "max_spikes"),
        ({"max_spikes": 256, "reset": "subtract"}, "max_spikes"),
        ({"max_spikes": 3, "reset": "subtract", "reset_amount": 0.0}, "max_spikes"),
        ({"train": ("tau",)}, "train"),
        ({"train": "dv"}, "train"),
        ({"train": ("adaptation",)}, "train"),
        ({"train": ("dv",), "tau_limits": (20.0, 5.0)}, "tau_limits"),
        ({"train": ("dv",), "dv": 0.0}, "dv"),
        ({"train": ("du",)}, "du"),
        ({"train": ("vth",), "vth": float("inf")}, "vth"),
        ({"hold_rheobase": True}, "hold_rheobase"),
    ],
)
def test_neurons_that_make_no_sense_are_refused_by_name(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        CubaLif(4, **fields)
    assert caught.value.argument == name


def test_a_reset_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownNameError, match="subtract"):
        CubaLif(4, reset="soft")


def test_nothing_that_is_learnt_costs_a_plain_network_anything() -> None:
    network = build_hrsnn(HrsnnShape(channels=4, classes=2, neurons=20), np.random.default_rng(0))
    assert network.layer("hidden").is_plain
    assert learnt_parameters(network) == ([], [])
    state = network.layer("hidden").dynamics.rest(torch.zeros(1, 20))
    assert state.wait is None
    assert state.rise is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adaptation", {"adaptation": 0.0, "adaptation_decay": 0.1}),
        ("reset_amount", {"reset": Reset.SUBTRACT, "reset_amount": 0.0}),
    ],
)
def test_what_no_training_could_move_is_refused_and_one_neuron_that_moves_is_enough(
    name: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: expected a number above 0, since it is learnt"):
        CubaLif(2, train=(name,), **options)
    options[name] = [0.0, 0.5]
    layer = CubaLif(2, train=(name,), **options)
    assert getattr(layer, name).tolist() == [0.0, 0.5]
    layer = CubaLif(2, reset=Reset.VALUE, reset_amount=0.0, train=("reset_amount",))
    assert layer.reset_amount is not None


def test_several_spikes_of_a_neuron_that_never_fires_need_an_amount() -> None:
    thresholds = [1.0, float("inf")]
    with pytest.raises(ArgumentError, match="give `reset_amount`: a neuron of infinite threshold"):
        CubaLif(2, vth=thresholds, reset=Reset.SUBTRACT, max_spikes=2)
    with pytest.raises(ArgumentError, match="give reset='subtract'"):
        CubaLif(2, max_spikes=2)
    assert CubaLif(2, vth=thresholds, reset=Reset.SUBTRACT, reset_amount=1.0, max_spikes=2).max_spikes == 2
