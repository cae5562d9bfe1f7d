"""Synaptic operations of a batch: those that a loop over messages and synapses counts, with gradients."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.networks import part
from tests.small_training import small_network, small_task
from toolchain.errors import TrainingError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.cost import measure_cost
from toolchain.frontends import from_torch
from toolchain.models import (
    INPUT,
    POOL,
    FeedForward,
    GatedNorm,
    Network,
    NeuronShape,
    PreResNetShape,
    VggShape,
    build_preresnet,
    build_vgg,
)
from toolchain.models.neurons import MaskedSynapses
from toolchain.training.operations import fan_out, operations, sent_per_sample


def _batch() -> Tensor:
    return torch.from_numpy(small_task(np.random.default_rng(3))[0][:3]).float()


def _network() -> tuple[Network, dict[str, Tensor], dict[str, Tensor]]:
    network = small_network()
    recur = network.synapses["recur"]
    assert isinstance(recur, MaskedSynapses)
    with torch.no_grad():
        recur.weight.view(-1)[::3] = 0
    x = _batch()
    return network, {next(iter(network.inputs)): x}, dict(network(x).spikes)


def test_operations_of_a_recurrent_network_are_those_that_a_loop_counts() -> None:
    network, entering, spikes = _network()
    done = operations(network, entering, spikes)
    sent = {**entering, **spikes}
    for arrow in network.connections:
        module = network.synapses[arrow.name]
        assert isinstance(module, MaskedSynapses)
        weight, count = module.effective.detach().numpy(), 0
        for sample in sent[arrow.source].detach().numpy():
            for step in sample:
                for source in np.flatnonzero(step):
                    count += np.count_nonzero(weight[:, source])
        assert float(done[arrow.name].detach()) == pytest.approx(count / 3)
        assert count > 0
        per_source = sent_per_sample(network, entering, spikes)[arrow.name]
        assert float(per_source @ fan_out(module).double()) == pytest.approx(count / 3)


def test_gradients_of_operations_are_those_of_autograd_step_by_step() -> None:
    network = small_network().double()
    slow = deepcopy(network)
    slow.compiled = False
    for each in (network, slow):
        x = _batch().double()
        torch.stack(
            list(operations(each, {next(iter(each.inputs)): x}, each(x).spikes).values())
        ).sum().backward()
    for name, parameter in network.named_parameters():
        other = slow.get_parameter(name).grad
        if other is not None and parameter.grad is not None:
            assert torch.allclose(parameter.grad, other, rtol=1e-9, atol=1e-9), name
    assert network.synapses["encode"].get_parameter("weight").grad is not None


def test_the_gradient_of_a_spike_is_the_number_of_its_synapses() -> None:
    network, entering, spikes = _network()
    sent = {name: each.detach().requires_grad_() for name, each in spikes.items()}
    torch.stack(list(operations(network, entering, sent).values())).sum().backward()
    hidden = sent["hidden"].grad
    assert hidden is not None
    expected = (fan_out(network.synapses["recur"]) + fan_out(network.synapses["decode"])) / 3
    assert torch.allclose(hidden, expected.expand_as(hidden))


def _vgg() -> FeedForward:
    shape = VggShape(plan=(3, POOL, 4), image=(1, 6, 6), classes=3, hidden=(5,), neurons=NeuronShape(vth=0.3))
    network = build_vgg(shape, torch.Generator().manual_seed(0))
    part(network, "parts.norm2", GatedNorm).gate[1] = 0
    part(network, "parts.hidden1", nn.Linear).weight.data[0, ::2] = 0
    return network


def _resnet() -> FeedForward:
    shape = PreResNetShape(
        widths=(3, 4), blocks=(1, 1), image=(2, 6, 6), classes=3, neurons=NeuronShape(vth=0.3)
    )
    return build_preresnet(shape, torch.Generator().manual_seed(0))


def _reads(network: FeedForward, x: Tensor) -> dict[str, Tensor]:
    """Return what the convolutions and matrices read while the network runs, steps folded into the batch."""
    reads: dict[str, Tensor] = {}

    def listen(name: str) -> Any:
        def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            reads[name] = given[0].detach()

        return network.parts[name].register_forward_pre_hook(note)

    names = [block.name for block in network.blocks]
    hooks = [listen(name) for name in names if isinstance(network.parts[name], nn.Conv2d | nn.Linear)]
    network(x)
    for each in hooks:
        each.remove()
    return reads


@pytest.mark.parametrize("network", [_vgg(), _resnet()])
def test_operations_of_convolutions_are_those_that_impulses_count(network: FeedForward) -> None:
    x = torch.rand(2, *network.shape, generator=torch.Generator().manual_seed(1))
    x[x < 0.3] = 0
    spikes = network(x, record=True).spikes
    done = operations(network, {INPUT: x}, spikes)
    for name, read in _reads(network, x).items():
        module = network.parts[name]
        assert isinstance(module, nn.Conv2d | nn.Linear)
        block = next(each for each in network.blocks if each.name == name)
        streams = block.sources[0].endswith(("_sum", "stem_norm"))
        if streams:
            assert name not in done, "what is not sent by neurons is no message"
            continue
        present = (module.weight.detach() != 0).float()
        for norm in (network.parts[each.name] for each in network.readers(name)):
            if isinstance(norm, GatedNorm):
                present[norm.gate == 0] = 0
        count = 0.0
        for sample in read:
            for place in torch.nonzero(sample):
                impulse = torch.zeros_like(sample)
                impulse[tuple(place)] = 1
                if isinstance(module, nn.Conv2d):
                    out = functional.conv2d(impulse[None], present, None, module.stride, module.padding)
                else:
                    out = functional.linear(impulse, present)
                count += float(out.sum())
        shown = network.steps if INPUT in block.sources else 1
        # The stream that it begins is read by the first layers of two blocks.
        layers = 2 if name == "stem" else 1
        assert float(done[name].detach()) == pytest.approx(count * shown * layers / 2), name
        assert count > 0, name


def test_messages_of_a_channel_are_those_of_all_its_places() -> None:
    network = _vgg()
    x = torch.rand(2, *network.shape, generator=torch.Generator().manual_seed(1))
    spikes = network(x, record=True).spikes
    sent = sent_per_sample(network, {INPUT: x}, spikes)
    pooled = functional.max_pool2d(spikes["spikes1"].detach().flatten(0, 1), 2)
    assert torch.allclose(sent["conv2"], pooled.double().sum((0, 2, 3)) / 2)
    assert sent["hidden1"].shape == (part(network, "parts.hidden1", nn.Linear).in_features,)


def test_connections_of_other_kinds_are_refused() -> None:
    with pytest.raises(TrainingError, match="Bilinear are not known"):
        fan_out(nn.Bilinear(2, 2, 2))


@pytest.mark.parametrize("pruned", [False, True])
def test_layers_that_read_one_stream_each_have_synapses_of_their_own_as_in_the_graph(pruned: bool) -> None:
    shape = PreResNetShape(
        widths=(2, 3), blocks=(2, 2), image=(1, 6, 6), classes=3, neurons=NeuronShape(vth=0.3)
    )
    network = build_preresnet(shape, torch.Generator().manual_seed(2)).double().eval()
    if pruned:
        part(network, "parts.s1b2_norm1", GatedNorm).gate[0] = 0
    x = torch.rand(2, *network.shape, generator=torch.Generator().manual_seed(3)).double()
    x[x < 0.3] = 0
    spikes = network(x, record=True).spikes
    graph = from_torch(network)
    frames = x[:, None].expand(-1, network.steps, -1, -1, -1).numpy()
    cost = measure_cost(graph, Stimulus({INPUT: frames}), reference.run(graph, frames))
    expected = dict.fromkeys((name.partition(".")[0] for name in cost.synaptic_operations), 0.0)
    for name, count in cost.synaptic_operations.items():
        expected[name.partition(".")[0]] += count
    done = {name: float(each.detach()) for name, each in operations(network, {INPUT: x}, spikes).items()}
    assert done == pytest.approx(expected)
    sent = sent_per_sample(network, {INPUT: x}, spikes)["stem"]
    once = float((x != 0).double().sum() * network.steps / 2)
    assert float(sent.sum()) == pytest.approx(3 * once)
