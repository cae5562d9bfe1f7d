"""SynFlow: scores by hand, conservation, and no layer that dies."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.small_training import small_network
from toolchain.errors import PruningError
from toolchain.models import Connection, CubaLif, Network
from toolchain.models.neurons import MaskedSynapses
from toolchain.pruning.sparse.synaptic_flow import UNROLLED, flow_scores


def _chain(*, recurrent: bool) -> Network:
    connections: dict[Connection, nn.Module] = {
        Connection("encode", "in", "a"): MaskedSynapses(torch.tensor([[1.0, -2.0]])),
        Connection("decode", "a", "b"): MaskedSynapses(torch.tensor([[3.0], [-1.0]])),
    }
    if recurrent:
        connections[Connection("recur", "a", "a", delay=3)] = MaskedSynapses(torch.tensor([[-0.5]]))
    return Network(
        inputs={"in": 2}, layers={"a": CubaLif(1), "b": CubaLif(2)}, connections=connections, output="b"
    )


def _masks(network: Network) -> dict[str, torch.Tensor]:
    return {
        arrow.name: torch.ones_like(network.synapses[arrow.name].get_parameter("weight"), dtype=torch.bool)
        for arrow in network.connections
    }


def test_scores_are_those_calculated_by_hand() -> None:
    network = _chain(recurrent=False)
    scores = flow_scores(network, _masks(network))
    # In every step 1 + 2 enter the neuron, and 3 + 1 times that leaves.
    assert scores["encode"].tolist() == [[4.0 * UNROLLED, 8.0 * UNROLLED]]
    assert scores["decode"].tolist() == [[9.0 * UNROLLED], [3.0 * UNROLLED]]
    masks = _masks(network)
    masks["encode"][0, 1] = False
    assert flow_scores(network, masks)["encode"].tolist() == [[4.0 * UNROLLED, 0.0]]


def test_a_recurrent_synapse_has_the_flow_of_every_time_that_it_is_passed() -> None:
    network = _chain(recurrent=True)
    scores = flow_scores(network, _masks(network))
    # Paths that pass it k times carry 12 * 0.5^k, and begin in UNROLLED - k steps.
    flows = [12 * 0.5**k * (UNROLLED - k) for k in range(UNROLLED)]
    assert float(scores["encode"].sum()) == pytest.approx(sum(flows))
    assert float(scores["decode"].sum()) == pytest.approx(sum(flows))
    assert float(scores["recur"].sum()) == pytest.approx(sum(k * flow for k, flow in enumerate(flows)))


def test_flow_is_conserved_from_the_inputs_to_what_is_read() -> None:
    network = small_network()
    masks = {name: mask for name, mask in _masks(network).items() if name != "recur"}
    scores = flow_scores(network, masks)
    assert scores.keys() == masks.keys()
    assert float(scores["encode"].sum()) == pytest.approx(float(scores["decode"].sum()), rel=1e-12)
    # Of a neuron without a loop what enters is what leaves.
    chain = _chain(recurrent=False)
    with torch.no_grad():
        chain.synapses["encode"].get_parameter("weight").copy_(torch.from_numpy(np.array([[0.3, 7.0]])))
    scores = flow_scores(chain, _masks(chain))
    assert float(scores["encode"].sum(1)) == pytest.approx(float(scores["decode"].sum(0)))


def test_connections_of_other_kinds_are_refused() -> None:
    network = _chain(recurrent=False)
    network.synapses["encode"] = nn.Bilinear(1, 1, 1)
    with pytest.raises(PruningError, match="weights of a Bilinear"):
        flow_scores(network, {})
