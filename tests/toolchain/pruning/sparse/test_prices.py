"""Prices of synapses: the messages of their sources, as a loop counts them."""

import numpy as np
import pytest
import torch

from tests.small_training import small_network, small_task
from toolchain.pruning.sparse.prices import SourcePrices


def test_prices_are_messages_that_a_loop_counts() -> None:
    network = small_network()
    x = torch.from_numpy(small_task(np.random.default_rng(0))[0][:4]).float()
    entering = {next(iter(network.inputs)): x}
    spikes = network(x).spikes
    prices = SourcePrices({"encode": 6, "recur": 30, "decode": 30})
    prices.measure(network, entering, spikes)
    counted = {"encode": np.zeros(6), "recur": np.zeros(30), "decode": np.zeros(30)}
    for sent, names in ((x, ("encode",)), (spikes["hidden"].detach(), ("recur", "decode"))):
        for sample in sent:
            for step in sample:
                for name in names:
                    counted[name] += (step != 0).numpy() / 4
    for name, expected in counted.items():
        assert prices.sent[name].tolist() == pytest.approx(expected.tolist())
    mean = np.concatenate(list(counted.values())).mean()
    weight = torch.zeros(30, 6)
    assert prices.of("encode", weight).shape == (1, 6)
    assert prices.of("encode", weight)[0].tolist() == pytest.approx((counted["encode"] / mean + 0.1).tolist())
    assert prices.of("encode", torch.zeros(3, 6, 3, 3)).shape == (1, 6, 1, 1)


def test_a_second_batch_counts_half_and_is_remembered() -> None:
    network = small_network()
    prices = SourcePrices({"encode": 6})
    silent, loud = torch.zeros(2, 10, 6), torch.ones(2, 10, 6)
    name = next(iter(network.inputs))
    assert prices.of("encode", torch.zeros(30, 6)).tolist() == [[pytest.approx(1.1)] * 6]
    for x in (silent, loud):
        prices.measure(network, {name: x}, network(x).spikes)
    assert prices.sent["encode"].tolist() == [5.0] * 6
    again = SourcePrices({"encode": 6})
    again.restore(prices.state())
    assert torch.equal(again.sent["encode"], prices.sent["encode"])
    assert again.batches == 2
