"""Prices of synapses: the messages of their sources, as a loop counts them, and what synapses are worth."""

import numpy as np
import pytest
import torch

from tests.small_training import small_network, small_task
from toolchain.models import Network
from toolchain.models.neurons import MaskedSynapses
from toolchain.pruning.sparse.connection import SparseConnection
from toolchain.pruning.sparse.prices import OperationPrices


def _connections(network: Network) -> dict[str, SparseConnection]:
    known: dict[str, SparseConnection] = {}
    for arrow in network.connections:
        module = network.synapses[arrow.name]
        assert isinstance(module, MaskedSynapses)
        known[arrow.name] = SparseConnection(arrow.name, module, loops=False)
    return known


def test_prices_are_messages_that_a_loop_counts() -> None:
    network = small_network()
    x = torch.from_numpy(small_task(np.random.default_rng(0))[0][:4]).float()
    spikes = network(x).spikes
    connections = _connections(network)
    prices = OperationPrices(list(connections.values()))
    prices.measure(network, {next(iter(network.inputs)): x}, spikes)
    counted = {"encode": np.zeros(6), "recur": np.zeros(30), "decode": np.zeros(30)}
    for sent, names in ((x, ("encode",)), (spikes["hidden"].detach(), ("recur", "decode"))):
        for sample in sent:
            for step in sample:
                for name in names:
                    counted[name] += (step != 0).numpy() / 4
    mean = np.concatenate(list(counted.values())).mean()
    for name, expected in counted.items():
        assert prices.sent[name].tolist() == pytest.approx(expected.tolist())
        price = prices.of(connections[name])
        assert price.shape == (1, len(expected))
        assert price[0].tolist() == pytest.approx((expected / mean + 0.1).tolist())


def test_a_second_batch_counts_half_and_all_is_remembered() -> None:
    network = small_network()
    connections = _connections(network)
    encode = connections["encode"]
    prices = OperationPrices([encode])
    assert prices.of(encode).tolist() == [[pytest.approx(1.1)] * 6]
    name = next(iter(network.inputs))
    for x in (torch.zeros(2, 10, 6), torch.ones(2, 10, 6)):
        prices.measure(network, {name: x}, network(x).spikes)
        network.scores(x).square().sum().backward()
        prices.learn()
    assert prices.sent["encode"].tolist() == [5.0] * 6
    assert prices.worth(encode).any()
    again = OperationPrices([encode])
    again.restore(prices.state())
    assert torch.equal(again.worth(encode), prices.worth(encode))
    assert again.batches == 2


def test_the_worth_of_a_synapse_is_the_mean_square_of_what_the_loss_would_lose() -> None:
    network = small_network()
    recur = _connections(network)["recur"]
    prices = OperationPrices([recur])
    expected = torch.zeros_like(recur.weight)
    for seed in range(3):
        network.zero_grad()
        x = torch.from_numpy(small_task(np.random.default_rng(seed))[0]).float()
        network.scores(x).square().sum().backward()
        prices.learn()
        expected = 0.95 * expected + 0.05 * (recur.weight * recur.gradient) ** 2
    assert expected.any()
    assert torch.allclose(prices.worth(recur), expected.double() / 1.1)
